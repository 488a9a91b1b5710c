-- A question site by an ORM that makes its own tables, and a table of every type.

CREATE TABLE users (
  id bigint unsigned NOT NULL AUTO_INCREMENT, created_at datetime(3) NOT NULL, updated_at datetime(3) DEFAULT NULL,
  deleted_at datetime(3) DEFAULT NULL, name varchar(255) NOT NULL, password longtext NOT NULL, email varchar(191) NOT NULL,
  avatar varchar(255) NOT NULL DEFAULT '', domain varchar(64) NOT NULL, intro longtext, notify tinyint(1) NOT NULL DEFAULT 1,
  harassment_setting varchar(32) NOT NULL DEFAULT 'none', is_admin tinyint(1) DEFAULT 0,
  PRIMARY KEY (id), UNIQUE KEY idx_users_email (email), KEY idx_users_deleted_at (deleted_at)
);
CREATE TABLE questions (
  id bigint unsigned NOT NULL AUTO_INCREMENT, created_at datetime NOT NULL, updated_at datetime DEFAULT NULL,
  deleted_at datetime DEFAULT NULL, from_ip varchar(64) DEFAULT NULL, user_id bigint unsigned NOT NULL, content longtext NOT NULL,
  token varchar(64) NOT NULL, answer longtext, receive_reply_email varchar(191) DEFAULT NULL,
  asker_user_id bigint unsigned DEFAULT NULL, is_private tinyint(1) NOT NULL DEFAULT 0, content_ok tinyint(1) DEFAULT NULL,
  PRIMARY KEY (id), KEY idx_questions_deleted_at (deleted_at), KEY idx_questions_user (user_id)
);
CREATE TABLE censor_logs (
  id bigint unsigned NOT NULL AUTO_INCREMENT, created_at datetime(3) NOT NULL, source_name varchar(32) NOT NULL,
  input longtext NOT NULL, input_hash char(32) NOT NULL, pass tinyint(1) NOT NULL, raw_response json DEFAULT NULL,
  PRIMARY KEY (id), KEY idx_censor_logs_hash (input_hash)
);
CREATE TABLE wide (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY, ti tinyint, tiu tinyint unsigned, flag tinyint(1), si smallint, mi mediumint,
  miu mediumint unsigned, i int, iu int unsigned, bi bigint, biu bigint unsigned, f float, d double, dc decimal(20,6), b1 bit(1),
  b12 bit(12), c char(10), vc varchar(100), vl varchar(50) CHARACTER SET latin1, tx text, bn binary(8), vb varbinary(64), bl blob,
  e enum('red','green','blue'), s set('a','b','c'), dt date, dtm datetime, dt6 datetime(6), ts timestamp NULL DEFAULT NULL,
  ts3 timestamp(3) NULL DEFAULT NULL, tm time, tm3 time(3), y year, js json
);
