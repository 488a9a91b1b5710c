-- Names that need care in SQL, in COPY, in a format string or in PostgreSQL's 63 bytes.

CREATE TABLE `order` (`select` int NOT NULL PRIMARY KEY, `from` int, `user` varchar(10), `ctid_` int, KEY `group` (`from`));
INSERT INTO `order` VALUES (1, 2, 'three', 4);
CREATE TABLE `with space` (`an id` int NOT NULL PRIMARY KEY, `tab	inside` int, `quote"d` int, `it's` int, `per%cent` int, `%s` int, `%(x)s` int, `{brace}` int, `back\slash` int, `semi;colon` int, `dollar$1` int);
INSERT INTO `with space` VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
CREATE TABLE `back``tick` (`a``b` int NOT NULL PRIMARY KEY, `日本語` varchar(10), `ünï` int, `UPPER` int, `camelCase` int);
INSERT INTO `back``tick` VALUES (1, '日本', 3, 4, 5);
CREATE TABLE `dots.in.name` (`a.b` int NOT NULL PRIMARY KEY, `c` int, KEY `a.c` (`c`));
INSERT INTO `dots.in.name` VALUES (1, 2);
CREATE TABLE `a_name_of_sixty_three_bytes_which_is_all_that_postgresql_take_x` (id int NOT NULL PRIMARY KEY, v int, KEY a_key_on_a_table_with_a_long_name_of_its_own_that_is_very_long (v));
INSERT INTO `a_name_of_sixty_three_bytes_which_is_all_that_postgresql_take_x` VALUES (1, 2);
CREATE TABLE first_with_index (id int NOT NULL PRIMARY KEY, v int, KEY same_name (v));
CREATE TABLE second_with_index (id int NOT NULL PRIMARY KEY, v int, KEY same_name (v));
INSERT INTO first_with_index VALUES (1, 1);
INSERT INTO second_with_index VALUES (2, 2);
CREATE TABLE `a_name_of_sixty_four_bytes_of_which_postgresql_would_cut_the_one` (id int NOT NULL PRIMARY KEY);
INSERT INTO `a_name_of_sixty_four_bytes_of_which_postgresql_would_cut_the_one` VALUES (1);
CREATE TABLE `日本語の表の名前は二十一字でもう六十三バイトになるのです` (`日本語の列の名前は二十一字でもう六十三バイトになるのです` int NOT NULL PRIMARY KEY);
INSERT INTO `日本語の表の名前は二十一字でもう六十三バイトになるのです` VALUES (1);
