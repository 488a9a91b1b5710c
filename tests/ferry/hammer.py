"""Writers that do to a source whatever an application may do, at once and all the time."""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pymysql

from tests.ferry.edge import database
from tests.support.mysqld import Mysqld

SCRIPT = """
CREATE TABLE items (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, u int DEFAULT NULL, body longtext, flag tinyint(1),
  at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), UNIQUE KEY by_u (u));
CREATE TABLE parents (id int NOT NULL PRIMARY KEY, code varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  UNIQUE KEY code (code));
CREATE TABLE children (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, parent int NULL, v int,
  CONSTRAINT child FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE grandchildren (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, child int NOT NULL,
  CONSTRAINT grandchild FOREIGN KEY (child) REFERENCES children (id) ON DELETE CASCADE);
CREATE TABLE fans (id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  code varchar(20) CHARACTER SET ascii COLLATE ascii_bin NULL,
  CONSTRAINT fan FOREIGN KEY (code) REFERENCES parents (code) ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE words (word varchar(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, kind tinyint NOT NULL, n int,
  PRIMARY KEY (word, kind));
CREATE TABLE scratch (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, v int);
CREATE TABLE loose (a int, b varchar(20));
"""
TABLES = ("items", "parents", "children", "grandchildren", "fans", "words", "scratch", "loose")
RULES = """
[target]
schema = "moved"

[copy]
chunk_bytes = 8192
sleep_ratio = 0.3

[tables.loose]
without_key = "whole"
"""
APP = "hammer"
LARGE = 3_000_000
Do = Callable[[Any, random.Random], None]


def made(source: Mysqld, rnd: random.Random) -> str:
    """The name of a database with some rows, and a user who may not write to a read-only server."""
    name = source.new_database()
    with contextlib.closing(database.connect(source, name)) as connection:
        database.run(connection, SCRIPT)
        for host in ("127.0.0.1", "localhost"):
            database.run(connection, f"CREATE USER IF NOT EXISTS '{APP}'@'{host}' IDENTIFIED BY '{APP}'")
            database.run(connection, f"GRANT ALL ON `{name}`.* TO '{APP}'@'{host}'")
        for table, rows in _rows(rnd).items():
            database.insert(connection, table, rows)
    return name


def _rows(rnd: random.Random) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "items": [(n, n, _text(rnd), n % 2, "2026-01-01 00:00:00") for n in range(1, 600)],
        "parents": [(n, f"p{n}") for n in range(1, 60)],
        "children": [(n, rnd.randint(1, 59), n) for n in range(1, 200)],
        "grandchildren": [(n, rnd.randint(1, 199)) for n in range(1, 200)],
        "fans": [(n, f"p{rnd.randint(1, 59)}") for n in range(1, 100)],
        "words": [(f"w{n}", n % 3, n) for n in range(300)],
        "loose": [(n % 7, f"l{n % 5}") for n in range(100)],
    }


def _text(rnd: random.Random) -> str:
    return "".join(rnd.choices("ab \t\n\\é😀'", k=rnd.randint(0, 80)))


class Writers:
    """`xa` transactions do not survive a killed source on every server, so who kills it leaves them out."""

    def __init__(self, source: Mysqld, name: str, seed: int, *, count: int = 3, xa: bool) -> None:
        self._source = source
        self._name = name
        self._xa = xa
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(seed * 100 + n, n)) for n in range(count)]
        self.written = 0
        self._prepared: dict[int, str] = {}
        self.unexpected: list[BaseException] = []

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _write(self, seed: int, number: int) -> None:
        rnd = random.Random(seed)
        while not self._over.is_set():
            try:
                with contextlib.closing(self._connect()) as session, session.cursor() as cursor:
                    self._end_what_was_left(cursor, number)
                    self._session(cursor, rnd)
                    for _ in range(rnd.randint(20, 80)):
                        self._transaction(session, cursor, rnd, number)
                        if self._over.wait(0.01):
                            return
            except pymysql.err.MySQLError:
                self._over.wait(0.05)  # killed, or fenced
            except BaseException as error:
                self.unexpected.append(error)
                raise

    def _end_what_was_left(self, cursor: Any, number: int) -> None:
        """As its coordinator does with a transaction whose session was lost between PREPARE and its end."""
        for _ in range(20 if number in self._prepared else 0):
            try:
                cursor.execute(f"XA ROLLBACK '{self._prepared[number]}'")
                break
            except pymysql.err.OperationalError as error:
                # Unknown: it was over, or its session has not been missed yet.
                if error.args[0] != 1397 or self._over.wait(0.1):
                    raise
        self._prepared.pop(number, None)

    def _connect(self) -> "pymysql.Connection[Any]":
        return pymysql.connect(
            host="127.0.0.1",
            port=self._source.port,
            user=APP,
            password=APP,
            database=self._name,
            autocommit=True,  # else MariaDB lets nobody end an XA transaction of another session
        )

    def _session(self, cursor: Any, rnd: random.Random) -> None:
        """What a session may change without a special right."""
        cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
        cursor.execute(f"SET SESSION time_zone = '{rnd.choice(('+00:00', '-07:00', '+05:30'))}'")
        cursor.execute(f"SET SESSION foreign_key_checks = {rnd.choice((1, 1, 1, 0))}")

    def _transaction(self, session: Any, cursor: Any, rnd: random.Random, number: int) -> None:
        try:
            if self._xa and rnd.random() < 0.15:
                self._as_xa(cursor, rnd, number)
            elif rnd.random() < 0.01:
                cursor.execute("TRUNCATE TABLE scratch")
            else:
                cursor.execute("BEGIN")
                for _ in range(rnd.randint(1, 5)):
                    _step(cursor, rnd)
                cursor.execute("ROLLBACK" if rnd.random() < 0.15 else "COMMIT")
            self.written += 1
        except (pymysql.err.IntegrityError, pymysql.err.OperationalError) as error:
            if error.args[0] in (2006, 2013, 2055, 1053, 1290, 1836):
                raise
            with contextlib.suppress(pymysql.err.MySQLError):
                session.rollback()  # a deadlock, a row that is locked or there already

    def _as_xa(self, cursor: Any, rnd: random.Random, number: int) -> None:
        xid = f"x{number}-{rnd.getrandbits(40)}"
        cursor.execute(f"XA START '{xid}'")
        try:
            for _ in range(rnd.randint(1, 3)):
                _step(cursor, rnd)
        except pymysql.err.MySQLError:
            cursor.execute(f"XA END '{xid}'")
            cursor.execute(f"XA ROLLBACK '{xid}'")
            return
        cursor.execute(f"XA END '{xid}'")
        if rnd.random() < 0.2:
            cursor.execute(f"XA COMMIT '{xid}' ONE PHASE")
            return
        self._prepared[number] = xid
        cursor.execute(f"XA PREPARE '{xid}'")
        self._over.wait(rnd.random() * 0.1)
        cursor.execute(f"XA {rnd.choice(('COMMIT', 'COMMIT', 'ROLLBACK'))} '{xid}'")
        del self._prepared[number]


def _step(cursor: Any, rnd: random.Random) -> None:
    if rnd.random() < 0.1:
        cursor.execute("SAVEPOINT one")
        rnd.choice(STEPS)(cursor, rnd)
        cursor.execute("ROLLBACK TO SAVEPOINT one")
    rnd.choice(STEPS)(cursor, rnd)


def _insert(cursor: Any, rnd: random.Random) -> None:
    cursor.execute("INSERT INTO items (u, body, flag) VALUES (NULL, %s, %s)", (_text(rnd), rnd.choice((0, 1, None))))


def _insert_large(cursor: Any, rnd: random.Random) -> None:
    if rnd.random() < 0.05:
        cursor.execute("INSERT INTO items (body) VALUES (REPEAT(%s, %s))", ("large\\ \n", rnd.randint(1, LARGE) // 7))


def _update(cursor: Any, rnd: random.Random) -> None:
    cursor.execute("UPDATE items SET body = %s WHERE id = %s", (_text(rnd), rnd.randint(1, 700)))


def _update_many(cursor: Any, rnd: random.Random) -> None:
    start = rnd.randint(1, 600)
    cursor.execute("UPDATE items SET flag = 1 - flag WHERE id BETWEEN %s AND %s", (start, start + 20))


def _delete(cursor: Any, rnd: random.Random) -> None:
    cursor.execute("DELETE FROM items WHERE id = %s", (rnd.randint(1, 700),))


def _swap(cursor: Any, rnd: random.Random) -> None:
    """Two rows exchange a unique value."""
    a, b = rnd.sample(range(1, 600), 2)
    cursor.execute("SELECT id, u FROM items WHERE id IN (%s, %s) FOR UPDATE", (a, b))
    found = dict(cursor.fetchall())
    if len(found) == 2:
        cursor.execute("UPDATE items SET u = NULL WHERE id = %s", (a,))
        cursor.execute("UPDATE items SET u = %s WHERE id = %s", (found[a], b))
        cursor.execute("UPDATE items SET u = %s WHERE id = %s", (found[b], a))


def _move_key(cursor: Any, rnd: random.Random) -> None:
    cursor.execute(
        "UPDATE words SET word = %s, kind = %s WHERE word = %s",
        (f"w{rnd.randint(0, 400)}", rnd.randint(0, 2), f"w{rnd.randint(0, 400)}"),
    )


def _word(cursor: Any, rnd: random.Random) -> None:
    cursor.execute(
        "REPLACE INTO words VALUES (%s, %s, %s)", (f"w{rnd.randint(0, 400)}", rnd.randint(0, 2), rnd.getrandbits(20))
    )


def _family(cursor: Any, rnd: random.Random) -> None:
    cursor.execute("INSERT IGNORE INTO parents VALUES (%s, %s)", (n := rnd.randint(1, 80), f"p{n}"))
    cursor.execute("INSERT INTO children (parent, v) SELECT id, 1 FROM parents WHERE id = %s", (n,))
    cursor.execute("INSERT INTO grandchildren (child) SELECT id FROM children ORDER BY id DESC LIMIT 1")
    cursor.execute("INSERT INTO fans (code) SELECT code FROM parents WHERE id = %s", (n,))


def _end_of_a_family(cursor: Any, rnd: random.Random) -> None:
    cursor.execute("DELETE FROM parents WHERE id = %s", (rnd.randint(1, 80),))


def _rename_family(cursor: Any, rnd: random.Random) -> None:
    n, m = rnd.randint(1, 80), rnd.randint(1, 80)
    cursor.execute("UPDATE IGNORE parents SET id = %s, code = %s WHERE id = %s", (m, f"p{m}", n))


def _loose(cursor: Any, rnd: random.Random) -> None:
    if rnd.random() < 0.5:
        cursor.execute("INSERT INTO loose VALUES (%s, %s)", (rnd.randint(0, 6), f"l{rnd.randint(0, 4)}"))
    else:
        cursor.execute("DELETE FROM loose WHERE a = %s LIMIT 1", (rnd.randint(0, 6),))


def _scratch(cursor: Any, rnd: random.Random) -> None:
    cursor.execute("INSERT INTO scratch (v) VALUES (1), (2), (3)")


STEPS: tuple[Do, ...] = (
    *(_insert, _update, _update, _update_many, _delete, _swap, _swap, _move_key, _word, _family, _family),
    *(_end_of_a_family, _rename_family, _loose, _scratch, _insert_large),
)


@contextlib.contextmanager
def compressing(source: Mysqld, *, on: bool) -> Iterator[None]:
    """Sessions that begin now write a compressed log."""
    name = "log_bin_compress" if source.name == "MariaDB" else "binlog_transaction_compression"
    with contextlib.closing(source.connect()) as session, session.cursor() as cursor:
        cursor.execute(f"SET GLOBAL {name} = {'ON' if on else 'OFF'}")
        if source.name == "MariaDB":
            cursor.execute("SET GLOBAL log_bin_compress_min_len = 10")
    try:
        yield
    finally:
        with contextlib.closing(source.connect()) as session, session.cursor() as cursor:
            cursor.execute(f"SET GLOBAL {name} = OFF")


def opened(source: Mysqld) -> None:
    """Writable again, as it was before a cutover."""
    with contextlib.closing(source.connect()) as session, session.cursor() as cursor:
        if source.name == "MySQL":
            cursor.execute("SET GLOBAL super_read_only = OFF")
        cursor.execute("SET GLOBAL read_only = OFF")
