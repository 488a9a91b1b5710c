-- What only MySQL has.

CREATE TABLE vectors (id int NOT NULL PRIMARY KEY, v vector(3), wide vector(2048));
INSERT INTO vectors VALUES
  (1, STRING_TO_VECTOR('[1,2,3]'), STRING_TO_VECTOR('[0.1]')), (2, STRING_TO_VECTOR('[-0.1,3e38,1e-37]'), NULL), (3, NULL, NULL);

CREATE TABLE binary_json (id int NOT NULL PRIMARY KEY, j json);
INSERT INTO binary_json VALUES
  (1, CAST(DATE'2026-01-01' AS JSON)), (2, JSON_OBJECT('date', DATE'2026-01-01', 'when', TIMESTAMP'2026-01-01 10:11:12.123456', 'time', TIME'-10:11:12.5')),
  (3, JSON_ARRAY(1.10, CAST(1.10 AS DECIMAL(10,4)), 1e0, 18446744073709551615, -9223372036854775808, 12345678901234567890.123)),
  (4, JSON_OBJECT('zz', 1, 'a', 2, 'bbb', JSON_OBJECT('deep', JSON_ARRAY()))), (5, JSON_QUOTE('quote " and \\ and \n')), (6, JSON_OBJECT('bytes', x'00FF5C'));

CREATE TABLE invisible_ (id int NOT NULL PRIMARY KEY, seen int, hidden int INVISIBLE DEFAULT 7, after_ varchar(10));
INSERT INTO invisible_ (id, seen, hidden, after_) VALUES (1, 1, 8, 'a');
INSERT INTO invisible_ VALUES (2, 2, 'b');

SET SESSION sql_generate_invisible_primary_key = ON;
CREATE TABLE hidden_key (a int, b varchar(10));
SET SESSION sql_generate_invisible_primary_key = OFF;
INSERT INTO hidden_key VALUES (1, 'a'), (1, 'a'), (2, NULL);

CREATE TABLE defaults_ (
  id int NOT NULL PRIMARY KEY, now_ datetime DEFAULT CURRENT_TIMESTAMP, random_ varchar(36) DEFAULT (UUID()), sum_ int DEFAULT (1 + 2), text_ text DEFAULT ('said'), blob_ blob DEFAULT (x'00ff'),
  KEY by_expression ((sum_ * 2))
);
INSERT INTO defaults_ VALUES (1, '2026-01-01 00:00:00', 'fixed', 3, 'it''s', x'00');

CREATE TABLE places (id int NOT NULL PRIMARY KEY, p point NOT NULL SRID 4326, SPATIAL KEY (p));
INSERT INTO places VALUES (1, ST_GeomFromText('POINT(52.5 13.4)', 4326)), (2, ST_GeomFromText('POINT(-33.9 151.2)', 4326));
