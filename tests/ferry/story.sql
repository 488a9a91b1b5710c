-- A question site as its ORM's AutoMigrate makes it on MySQL. Somebody once made the flags tinyint(2) by hand.

CREATE TABLE `users` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime(3) DEFAULT NULL, `updated_at` datetime(3) DEFAULT NULL,
  `deleted_at` datetime(3) DEFAULT NULL, `name` longtext, `password` longtext, `email` varchar(191) DEFAULT NULL,
  `avatar` longtext, `domain` varchar(191) DEFAULT NULL, `background` longtext, `intro` longtext,
  `notify` tinyint(2) NOT NULL DEFAULT '1', `harassment_setting` longtext,
  PRIMARY KEY (`id`), UNIQUE KEY `uni_users_email` (`email`), UNIQUE KEY `uni_users_domain` (`domain`),
  KEY `idx_users_deleted_at` (`deleted_at`)
) ENGINE=InnoDB AUTO_INCREMENT=500 DEFAULT CHARSET=utf8mb4;
CREATE TABLE `questions` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime(3) NOT NULL, `updated_at` datetime(3) DEFAULT NULL,
  `deleted_at` datetime(3) DEFAULT NULL, `from_ip` longtext, `user_id` bigint unsigned DEFAULT NULL, `content` longtext,
  `token` varchar(191) DEFAULT NULL, `answer` longtext, `receive_reply_email` longtext, `asker_user_id` bigint unsigned DEFAULT NULL,
  `is_private` tinyint(2) NOT NULL DEFAULT '0', `content_censor_pass` tinyint(2) DEFAULT NULL,
  PRIMARY KEY (`id`), KEY `idx_questions_deleted_at` (`deleted_at`), KEY `idx_questions_user_id` (`user_id`),
  CONSTRAINT `fk_questions_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `censor_logs` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime(3) DEFAULT NULL, `updated_at` datetime(3) DEFAULT NULL,
  `deleted_at` datetime(3) DEFAULT NULL, `source_name` longtext, `input` longtext, `input_hash` varchar(191) DEFAULT NULL,
  `pass` tinyint(2) DEFAULT NULL, `raw_response` json DEFAULT NULL,
  PRIMARY KEY (`id`), KEY `idx_censor_logs_deleted_at` (`deleted_at`), KEY `idx_censor_logs_input_hash` (`input_hash`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
