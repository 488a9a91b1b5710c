"""A small site on MySQL, and an application that writes to it all the time."""

import contextlib
import threading
from typing import Any

import pymysql

from tests.support.mysqld import Mysqld

SITE = """
CREATE TABLE users (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(50) NOT NULL,
  seen tinyint(1) NOT NULL DEFAULT 0, touched timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  UNIQUE KEY by_name (name));
CREATE TABLE posts (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, user_id bigint unsigned NOT NULL, body text,
  CONSTRAINT author FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE);
CREATE TABLE words (word varchar(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, n int NOT NULL);
INSERT INTO users (name) VALUES ('ann'), ('bob');
INSERT INTO posts (user_id, body) VALUES (1, 'first'), (2, 'second');
INSERT INTO words VALUES ('a', 1), ('b', 2);
"""
APP = "app"


def admit(connection: "pymysql.Connection[Any]", name: str) -> None:
    """The application's user, who may not write to a read-only server."""
    with connection.cursor() as cursor:
        for host in ("127.0.0.1", "localhost"):
            user = f"'{APP}'@'{host}'"
            cursor.execute(f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY 'app'")
            cursor.execute(f"GRANT ALL ON `{name}`.* TO {user}")


class Application:
    """Writes all the time as a user who may not write to a read-only server, and remembers what was acknowledged."""

    def __init__(self, source: Mysqld, name: str) -> None:
        self._source = source
        self._name = name
        self.acknowledged: list[str] = []
        self.refused = 0
        self.last: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        n = 0
        while not self._over.is_set():
            n += 1
            try:
                with contextlib.closing(self.connect()) as session, session.cursor() as cursor:
                    while not self._over.is_set():
                        n += 1
                        cursor.execute("BEGIN")
                        cursor.execute("INSERT INTO users (name) VALUES (%s)", (f"user {n}",))
                        cursor.execute("INSERT INTO posts (user_id, body) VALUES (LAST_INSERT_ID(), 'said')")
                        cursor.execute("UPDATE users SET seen = 1 - seen WHERE id = 1")
                        cursor.execute("UPDATE words SET n = n + 1 WHERE word = 'a'")
                        cursor.execute("COMMIT")
                        self.acknowledged.append(f"user {n}")
                        self._over.wait(0.005)  # as sites do, it also reads
            except pymysql.err.MySQLError as error:
                self.refused += 1
                self.last = error
                self._over.wait(0.01)

    def connect(self) -> "pymysql.Connection[Any]":
        return pymysql.connect(host="127.0.0.1", port=self._source.port, user=APP, password="app", database=self._name)

    def __enter__(self) -> "Application":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
