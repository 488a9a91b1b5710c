-- Every kind of key that the copy walks along, with rows enough for many small chunks.

CREATE TABLE key_signed (id int NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_unsigned (id bigint unsigned NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_only (id int NOT NULL PRIMARY KEY);
CREATE TABLE key_composite (a varchar(20) NOT NULL, b int NOT NULL, c date NOT NULL, v int NOT NULL, PRIMARY KEY (a, b, c));
CREATE TABLE key_reversed (v int NOT NULL, b int NOT NULL, a int NOT NULL, PRIMARY KEY (a, b));
CREATE TABLE key_text (k varchar(50) NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_text_binary (k varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_latin (k varchar(50) CHARACTER SET latin1 COLLATE latin1_german1_ci NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_bytes (k binary(16) NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_bytes_varying (k varbinary(20) NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_decimal (k decimal(20,5) NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_double (k double NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_float (k float NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_when (k datetime(6) NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_instant (k timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_time (k time(3) NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_enum (k enum('z','y','x','a') NOT NULL, n int NOT NULL, v int NOT NULL, PRIMARY KEY (k, n));
CREATE TABLE key_set (k set('z','y','x','a') NOT NULL, n int NOT NULL, v int NOT NULL, PRIMARY KEY (k, n));
CREATE TABLE key_bit (k bit(10) NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE key_unique (v int NOT NULL, k int NOT NULL, UNIQUE KEY k (k));
CREATE TABLE key_none (v int, t varchar(20));
CREATE TABLE key_nullable (k int DEFAULT NULL, v int NOT NULL, UNIQUE KEY k (k));
CREATE TABLE key_flag (f tinyint(1) NOT NULL, n int NOT NULL, PRIMARY KEY (f, n));
CREATE TABLE empty_table (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, v int) AUTO_INCREMENT = 1000;
