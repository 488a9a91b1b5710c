-- Every type that MariaDB and MySQL share, with the values at its edges. Run with sql_mode = 'ALLOW_INVALID_DATES'.

CREATE TABLE integers (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  tiny tinyint, tiny_unsigned tinyint unsigned, tiny_zerofill tinyint(3) unsigned zerofill,
  small smallint, small_unsigned smallint unsigned,
  medium mediumint, medium_unsigned mediumint unsigned,
  whole int, whole_unsigned int unsigned, whole_zerofill int(10) unsigned zerofill,
  big bigint, big_unsigned bigint unsigned, big_zerofill bigint(20) unsigned zerofill,
  year_ year
);
INSERT INTO integers VALUES
  (NULL, -128, 0, 0, -32768, 0, -8388608, 0, -2147483648, 0, 0, -9223372036854775808, 0, 0, 0),
  (NULL, 127, 255, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 4294967295,
   9223372036854775807, 18446744073709551615, 9223372036854775808, 2155),
  (NULL, 0, 128, 7, 0, 32768, 0, 8388608, 0, 2147483648, 42, 0, 9223372036854775807, 42, 1901),
  (NULL, -1, 1, 1, -1, 1, -1, 1, -1, 1, 1, -1, 9223372036854775808, 1, 1970),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE flags (
  id int NOT NULL PRIMARY KEY,
  one tinyint(1), wide tinyint(2) NOT NULL DEFAULT 0, unsigned_ tinyint(1) unsigned, default_ tinyint(1) NOT NULL DEFAULT 1,
  bit_ bit(1), bit_default bit(1) NOT NULL DEFAULT b'1'
);
INSERT INTO flags VALUES (1, 0, 0, 0, 0, b'0', b'0'), (2, 1, 1, 1, 1, b'1', b'1'), (3, NULL, 0, NULL, 1, NULL, b'1');

CREATE TABLE bits (
  id int NOT NULL PRIMARY KEY, b2 bit(2), b7 bit(7), b8 bit(8), b9 bit(9), b12 bit(12), b63 bit(63), b64 bit(64)
);
INSERT INTO bits VALUES
  (1, 0, 0, 0, 0, 0, 0, 0),
  (2, 3, 127, 255, 511, 4095, 9223372036854775807, 18446744073709551615),
  (3, 2, 64, 128, 256, 2048, 4611686018427387904, 9223372036854775808),
  (4, 1, 10, 9, 13, 2313, 92, 655360), -- bytes that are a tab, a newline, a backslash
  (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE decimals (
  id int NOT NULL PRIMARY KEY, d1 decimal(1,0), money decimal(10,2), all_fraction decimal(30,30), widest decimal(65,30),
  whole decimal(65,0), unsigned_ decimal(20,6) unsigned, default_ decimal(20,6) NOT NULL DEFAULT '1.500000'
);
INSERT INTO decimals VALUES
  (1, 9, 99999999.99, 0.999999999999999999999999999999, 99999999999999999999999999999999999.999999999999999999999999999999,
   99999999999999999999999999999999999999999999999999999999999999999, 99999999999999.999999, 0),
  (2, -9, -99999999.99, -0.999999999999999999999999999999,
   -99999999999999999999999999999999999.999999999999999999999999999999,
   -99999999999999999999999999999999999999999999999999999999999999999, 0, -0.000001),
  (3, 0, 0.01, 0.000000000000000000000000000001, 0.000000000000000000000000000001, 0, 0.000001, 1),
  (4, -1, -0.01, -0.000000000000000000000000000001, -1.5, -1, 123456789.987654, 1000000000),
  (5, NULL, NULL, NULL, NULL, NULL, NULL, 1.5);

CREATE TABLE floats (id int NOT NULL PRIMARY KEY, f float, f7 float(7,3), d double, d15 double(15,4), f_unsigned float unsigned);
INSERT INTO floats VALUES
  (1, 0, 0, 0, 0, 0), (2, 16777217, 1234.567, 9007199254740993, 12345678901.1234, 16777215),
  (3, 3.4028234e38, 9999.999, 1.7976931348623157e308, 99999999999.9999, 3.4028234e38),
  (4, -3.4028234e38, -9999.999, -1.7976931348623157e308, -99999999999.9999, 1.17549435e-38),
  (5, 1.17549435e-38, 0.001, 2.2250738585072014e-308, 0.0001, 0.1), (6, 1e-45, -0.001, 5e-324, -0.0001, 1e-45),
  (7, 0.1, 0.1, 0.1, 0.1, 0.3), (8, -0.0, -0.0, -0.0, -0.0, 0.7), (9, 3.14159274, 3.142, 3.141592653589793, 3.1416, 1e10),
  (10, 123456.789, 123.457, 1e15, 1, 1e-10), (11, 8388609, 1, 0.30000000000000004, 1, 2), (12, 1e20, 1, 1e22, 1, 3),
  (13, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE dates (
  id int NOT NULL PRIMARY KEY, d date, dt datetime, dt3 datetime(3), dt6 datetime(6), t time, t3 time(3), t6 time(6)
);
INSERT INTO dates VALUES
  (1, '0001-01-01', '0001-01-01 00:00:00', '0001-01-01 00:00:00.001', '0001-01-01 00:00:00.000001', '-838:59:59', '-838:59:59.000', '-838:59:59.000000'),
  (2, '9999-12-31', '9999-12-31 23:59:59', '9999-12-31 23:59:59.999', '9999-12-31 23:59:59.999999', '838:59:59', '838:59:59.000', '838:59:59.000000'),
  (3, '2024-02-29', '2024-02-29 12:34:56', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789012', '-01:30:00', '-01:30:00.250', '-01:30:00.250001'),
  (4, '1969-12-31', '1969-12-31 23:59:59', '1969-12-31 23:59:59.500', '1969-12-31 23:59:59.999999', '-00:00:01', '-00:00:00.001', '-00:00:00.000001'),
  (5, '1970-01-01', '1970-01-01 00:00:00', '1970-01-01 00:00:00.000', '1970-01-01 00:00:00.000000', '00:00:00', '00:00:00.000', '00:00:00.000000'),
  (6, '1582-10-10', '1582-10-10 10:10:10', '2026-03-29 02:30:00.000', '2026-10-25 02:30:00.000001', '24:00:00', '23:59:59.999', '100:00:00.000001'),
  (7, '1900-02-28', '2000-02-29 00:00:00', '2026-03-08 02:30:00.100', '2038-01-19 03:14:08.000000', '12:00:00', '-00:30:00.100', '-24:00:00.500000'),
  (8, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- Instants, some of them in the hours that a zone's clock skips or repeats. The servers of the tests live in +08:00.
CREATE TABLE instants (
  id int NOT NULL PRIMARY KEY, ts timestamp NULL DEFAULT NULL, ts3 timestamp(3) NULL DEFAULT NULL, ts6 timestamp(6) NULL DEFAULT NULL,
  touched timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
);
INSERT INTO instants VALUES
  (1, '1970-01-01 00:00:01', '1970-01-01 00:00:01.001', '1970-01-01 00:00:01.000001', '1970-01-01 00:00:01'),
  (2, '2038-01-19 03:14:07', '2038-01-19 03:14:07.999', '2038-01-19 03:14:07.999999', '2038-01-19 03:14:07'),
  (3, '2026-03-29 02:30:00', '2026-10-25 02:30:00.250', '2026-11-01 01:30:00.000001', '2026-03-08 02:30:00'),
  (4, NULL, NULL, NULL, '2026-01-01 00:00:00');

CREATE TABLE impossible_dates (
  id int NOT NULL PRIMARY KEY, d date NOT NULL, dt datetime NOT NULL, dt6 datetime(6) DEFAULT NULL,
  ts timestamp NULL DEFAULT NULL, ts6 timestamp(6) NULL DEFAULT NULL
);
INSERT INTO impossible_dates VALUES
  (1, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00.000000', '0000-00-00 00:00:00', '0000-00-00 00:00:00'),
  (2, '2026-02-00', '2026-02-00 10:11:12', '2026-00-00 00:00:00.500000', NULL, NULL),
  (3, '2026-00-15', '2026-00-15 10:11:12', '0000-01-01 00:00:00.000000', NULL, NULL),
  (4, '0000-05-05', '0000-05-05 05:05:05', '0000-00-05 00:00:00.000000', NULL, NULL),
  (5, '2026-02-30', '2026-02-30 10:11:12', '2026-02-31 23:59:59.999999', NULL, NULL),
  (6, '2023-02-29', '2026-04-31 00:00:00', '1900-02-29 00:00:00.000001', NULL, NULL),
  (7, '2024-02-29', '2026-12-31 00:00:00', '2026-01-01 00:00:00.000001', '2026-01-01 00:00:00', '2026-01-01 00:00:00.5');

CREATE TABLE choices (
  id int NOT NULL PRIMARY KEY,
  e enum('red','gr,een','it''s','','ünï','back\\slash','😀'), e_default enum('a','b') NOT NULL DEFAULT 'b',
  s set('a','b','it''s','ü','😀'), s64 set('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17','18','19','20','21',
    '22','23','24','25','26','27','28','29','30','31','32','33','34','35','36','37','38','39','40','41','42','43','44','45','46','47',
    '48','49','50','51','52','53','54','55','56','57','58','59','60','61','62','63','64')
);
INSERT INTO choices VALUES
  (1, 'red', 'a', 'a', '1'), (2, 'gr,een', 'b', 'a,b', '64'), (3, 'it''s', 'a', 'it''s', '1,64'), (4, 4, 'a', '', ''),
  (5, 'ünï', 'a', 'ü,😀', '1,2,3,4,5,6,7,8'), (6, 'back\\slash', 'a', 'a,b,it''s,ü,😀', 18446744073709551615),
  (7, '😀', 'a', NULL, NULL), (8, NULL, 'a', NULL, NULL), (9, 'no such', 'no such', 'no such', '65'); -- an invalid value is '', number 0

CREATE TABLE bytes_ (
  id int NOT NULL PRIMARY KEY, b1 binary(1), b8 binary(8), b16 binary(16), b255 binary(255), vb varbinary(300), vb_default varbinary(8) NOT NULL DEFAULT 'x',
  tb tinyblob, bl blob, mb mediumblob, lb longblob
);
INSERT INTO bytes_ VALUES
  (1, x'00', x'6100', x'00000000000000000000000000000000', '', '', '', '', '', '', ''),
  (2, x'FF', x'FFFFFFFFFFFFFFFF', x'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF', x'FF', x'00', x'00', x'00', x'0000', x'000000', x'00000000'),
  (3, x'0A', x'090A0D5C4E00FFFE', x'0123456789ABCDEF0123456789ABCDEF', '\\N', x'5C4E', x'5C2E', '\\.', '\\N', 'NULL', x'FDFEFF'),
  (4, ' ', 'abc     ', 'abc', REPEAT(x'5C', 255), REPEAT(x'00', 300), 'trail   ', REPEAT(x'FE', 255), REPEAT(x'FD', 65535), REPEAT(x'FF', 70000), REPEAT(x'09', 70000)),
  (5, NULL, NULL, NULL, NULL, NULL, 'x', NULL, NULL, NULL, NULL);
INSERT INTO bytes_ (id, vb) SELECT 100 + t.n * 16 + u.n, CHAR(t.n * 16 + u.n USING binary) FROM
  (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8
   UNION SELECT 9 UNION SELECT 10 UNION SELECT 11 UNION SELECT 12 UNION SELECT 13 UNION SELECT 14 UNION SELECT 15) t,
  (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8
   UNION SELECT 9 UNION SELECT 10 UNION SELECT 11 UNION SELECT 12 UNION SELECT 13 UNION SELECT 14 UNION SELECT 15) u;

CREATE TABLE json_values (id int NOT NULL PRIMARY KEY, j json, j_not_null json NOT NULL);
INSERT INTO json_values VALUES
  (1, 'null', '{}'), (2, 'true', '[]'), (3, 'false', '""'), (4, '0', '1'), (5, '-0.0', '1.0'), (6, '1e2', '1.5e-7'),
  (7, '18446744073709551615', '-9223372036854775808'), (8, '0.1', '123456789.123456789'), (9, '"\\u0001\\t\\n\\r\\b\\f\\"\\\\\\/"', '"\\ud83d\\ude00 😀"'),
  (10, '{"a": {"b": [1, 2, {"c": null}]}, "": "empty key", "A": 1, "aa": 2, "ab": [true, false]}', '{"k": "v", "k": "w"}'),
  (11, '[[[[[[[[[[]]]]]]]]]]', '"tab\\tin text, \\\\N, NULL, \\\\."'), (12, NULL, '"\\u007f\\u0080\\u2028"'), (13, '  [ 1 ,2 ]  ', '{"long": 1.7976931348623157e308}');

CREATE TABLE charsets (
  id int NOT NULL PRIMARY KEY,
  latin varchar(300) CHARACTER SET latin1, latin_text text CHARACTER SET latin1, utf3 varchar(50) CHARACTER SET utf8, utf16_ varchar(50) CHARACTER SET utf16,
  utf32_ varchar(50) CHARACTER SET utf32, ucs varchar(50) CHARACTER SET ucs2, chinese varchar(50) CHARACTER SET gbk, taiwan varchar(50) CHARACTER SET big5,
  japanese varchar(50) CHARACTER SET cp932, greek varchar(50) CHARACTER SET greek, cyrillic varchar(50) CHARACTER SET cp1251, plain varchar(50) CHARACTER SET ascii,
  binary_collated varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, fixed char(10) CHARACTER SET latin1, choice enum('ä','ö') CHARACTER SET latin1
);
INSERT INTO charsets VALUES
  (1, 'café €‚“”œŸ', 'ÿþý', 'é日本', 'é日本😀', '😀', 'é日', '你好', '許蓋功', 'ソ表', 'αβγ', 'привет', 'ascii', 'B b', 'ä', 'ö'),
  (2, '', '', '', '', '', '', '', '', '', '', '', '', '', '', 'ä'),
  (3, 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', 'a\tb\nc\\d', NULL),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO charsets (id, latin) SELECT 100 + t.n * 16 + u.n, CONVERT(CHAR(t.n * 16 + u.n USING binary) USING latin1) FROM
  (SELECT 8 n UNION SELECT 9 UNION SELECT 10 UNION SELECT 11 UNION SELECT 12 UNION SELECT 13 UNION SELECT 14 UNION SELECT 15) t,
  (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8
   UNION SELECT 9 UNION SELECT 10 UNION SELECT 11 UNION SELECT 12 UNION SELECT 13 UNION SELECT 14 UNION SELECT 15) u;

CREATE TABLE shapes (id int NOT NULL PRIMARY KEY, g geometry, p point, poly polygon);
INSERT INTO shapes VALUES
  (1, ST_GeomFromText('POINT(1.5 -2.5)'), ST_GeomFromText('POINT(0 0)'), ST_GeomFromText('POLYGON((0 0,4 0,4 4,0 4,0 0),(1 1,2 1,2 2,1 2,1 1))')),
  (2, ST_GeomFromText('LINESTRING(1e300 -1e300,0.1 0.2)'), ST_GeomFromText('POINT(1 2)', 4326), NULL),
  (3, ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(1 1,2 2))'), NULL, NULL), (4, NULL, NULL, NULL);

CREATE TABLE generated_ (
  id int NOT NULL PRIMARY KEY, a int NOT NULL, b varchar(20), stored_sum int GENERATED ALWAYS AS (a + 1) STORED, virtual_sum int GENERATED ALWAYS AS (a * 2) VIRTUAL,
  after_ varchar(20) NOT NULL DEFAULT 'after'
);
INSERT INTO generated_ (id, a, b, after_) VALUES (1, 1, 'one', 'x'), (2, -5, NULL, 'y');

CREATE TABLE fixed_text (id int NOT NULL PRIMARY KEY, c0 char(0), c1 char(1), c255 char(255), v0 varchar(0), v1 varchar(1), v16383 varchar(10000), tt tinytext);
INSERT INTO fixed_text VALUES
  (1, '', '', '', '', '', '', ''), (2, '', 'x', 'trailing   ', '', '😀', 'trailing   ', '  both  '), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, '', '😀', REPEAT('😀', 255), '', 'é', REPEAT('é', 10000), REPEAT('x', 255));
