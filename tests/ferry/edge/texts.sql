-- Filled by rows.py with what a tool that builds lines of text gets wrong.

CREATE TABLE texts (id int NOT NULL PRIMARY KEY, short varchar(300), t longtext);
