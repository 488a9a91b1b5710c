-- Values of many megabytes; rows.py says which sizes the texts have.

CREATE TABLE large (id int NOT NULL PRIMARY KEY, t longtext);
CREATE TABLE large_bytes (id int NOT NULL PRIMARY KEY, b longblob);
INSERT INTO large_bytes VALUES (1, REPEAT(x'5CFF00', 3000000)), (2, x''), (3, NULL);
