-- What only MariaDB has.

CREATE TABLE addresses (id uuid NOT NULL PRIMARY KEY, four inet4, six inet6, other uuid);
INSERT INTO addresses VALUES
  ('00000000-0000-0000-0000-000000000000', '0.0.0.0', '::', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
  ('123e4567-e89b-12d3-a456-426614174000', '255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', NULL),
  ('ffffffff-ffff-ffff-ffff-fffffffffffe', '10.0.0.1', '::ffff:192.0.2.1', '123e4567-e89b-12d3-a456-426614174000'),
  ('0189c5a0-0000-7000-8000-000000000001', NULL, '2001:db8::1', NULL);

CREATE TABLE compressed_ (id int NOT NULL PRIMARY KEY, v varchar(2000) COMPRESSED, t text COMPRESSED, b blob COMPRESSED);
INSERT INTO compressed_ VALUES (1, REPEAT('ab', 1000), REPEAT('é\t', 5000), REPEAT(x'00FF', 5000)), (2, '', '', ''), (3, NULL, NULL, NULL);

CREATE TABLE invisible_ (id int NOT NULL PRIMARY KEY, seen int, hidden int INVISIBLE DEFAULT 7, after_ varchar(10));
INSERT INTO invisible_ (id, seen, hidden, after_) VALUES (1, 1, 8, 'a');
INSERT INTO invisible_ VALUES (2, 2, 'b');

CREATE TABLE json_checked (id int NOT NULL PRIMARY KEY, j longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin CHECK (json_valid(j)));
INSERT INTO json_checked VALUES (1, '{"order": 1, "a": 2, "order": 3}'), (2, '1.10'), (3, ' {"spaces" : [ 1 ] } '), (4, NULL), (5, '12345678901234567890123456789.123456789');

CREATE TABLE defaults_ (
  id int NOT NULL PRIMARY KEY, now_ datetime DEFAULT CURRENT_TIMESTAMP, random_ varchar(36) DEFAULT (UUID()), sum_ int DEFAULT (1 + 2), text_ text DEFAULT 'said', blob_ blob DEFAULT x'00ff'
);
INSERT INTO defaults_ VALUES (1, '2026-01-01 00:00:00', 'fixed', 3, 'it''s', x'00');
