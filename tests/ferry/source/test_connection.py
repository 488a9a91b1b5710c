"""Addresses of sources: what they may say, and that their password is never written down."""

import pytest

from tako.ferry.errors import BadRules, SourceGone
from tako.ferry.source import connection
from tako.ferry.source.connection import parse


def test_an_address_with_everything() -> None:
    address = parse("mysql://ann%40site:p%2Fw%23@db.example:3307/shop?tls=require")
    assert (address.user, address.password, address.host, address.port) == ("ann@site", "p/w#", "db.example", 3307)
    assert address.database == "shop"
    assert address.tls is not None
    assert address.shown == "mysql://ann%40site@db.example:3307/shop?tls=require"


def test_the_password_comes_from_the_environment_if_the_address_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKO_FERRY_SOURCE_PASSWORD", "s3cret")
    assert parse("mariadb://root@localhost/shop?unix_socket=/run/s.sock").password == "s3cret"
    assert parse("mariadb://root:own@localhost/shop").password == "own"


@pytest.mark.parametrize("url", ["mysql://u:p@ss@h/d", "mysql://u:p/w@h:3306/d", "mysql://u:p:q@h/d"])
def test_a_password_with_odd_characters_is_not_shown_either(url: str) -> None:
    assert connection.without_password(url).startswith("mysql://u@h")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://h/d", "mysql:// or mariadb://"),
        ("shop", "mysql:// or mariadb://"),
        ("mysql://root@localhost", "database's name"),
        ("mysql://root@localhost/a/b", "database's name"),
        ("mysql://root@localhost/d?ssl=1", "unix_socket, tls and ca"),
        ("mysql://root@localhost/d?tls=maybe", "require or verify"),
        ("mysql://root@localhost:port/d", "port"),
    ],
)
def test_addresses_that_cannot_be(url: str, said: str) -> None:
    with pytest.raises(BadRules) as raised:
        parse(url)
    assert said in raised.value.message


def test_a_source_that_does_not_answer_is_told_with_the_next_step() -> None:
    with pytest.raises(SourceGone, match="run the same command again") as raised:
        connection.connect(parse("mysql://root:s3cret@127.0.0.1:1/d"))
    assert "s3cret" not in raised.value.message


@pytest.mark.parametrize(
    ("text", "server", "number"),
    [
        ("9.7.4", "mysql", (9, 7, 4)),
        ("8.0.36-28-log", "mysql", (8, 0, 36)),
        ("10.11.19-MariaDB-0+deb12u1", "mariadb", (10, 11, 19)),
        ("5.5.5-10.6.1-MariaDB", "mariadb", (10, 6, 1)),
    ],
)
def test_versions(text: str, server: str, number: tuple[int, int, int]) -> None:
    version = connection._version(text)
    assert (version.server, version.number) == (server, number)
