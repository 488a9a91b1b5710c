"""What stands in information_schema, taken apart."""

import pytest

from tako.ferry.schema import Default
from tako.ferry.source import catalog


@pytest.mark.parametrize(
    ("column_type", "labels"),
    [
        ("enum('a','b')", ("a", "b")),
        ("enum('gr,een','it''s','b\\\\s')", ("gr,een", "it's", "b\\s")),
        ("enum('','(x)','''')", ("", "(x)", "'")),
        ("set('a b','ü')", ("a b", "ü")),
    ],
)
def test_labels_may_hold_commas_quotes_and_backslashes(column_type: str, labels: tuple[str, ...]) -> None:
    assert catalog.labels(column_type) == labels


@pytest.mark.parametrize(
    ("text", "base", "extra", "mariadb", "default"),
    [
        ("'it''s'", "varchar", "", True, Default("literal", "it's")),
        ("'NULL'", "varchar", "", True, Default("literal", "NULL")),
        ("NULL", "varchar", "", True, None),
        ("5", "int", "", True, Default("literal", "5")),
        ("b'101'", "bit", "", True, Default("literal", "b'101'")),
        ("current_timestamp()", "datetime", "", True, Default("expression", "current_timestamp()")),
        ("(1 + 2)", "int", "", True, Default("expression", "(1 + 2)")),
        ("it's", "varchar", "", False, Default("literal", "it's")),
        ("NULL", "varchar", "", False, Default("literal", "NULL")),
        ("uuid()", "varchar", "default_generated", False, Default("expression", "uuid()")),
        ("uuid()", "varchar", "", False, Default("literal", "uuid()")),
        ("CURRENT_TIMESTAMP", "datetime", "", False, Default("expression", "CURRENT_TIMESTAMP")),
        ("0x6162", "binary", "", False, Default("literal", "ab")),
        (None, "int", "", False, None),
    ],
)
def test_defaults_as_each_server_writes_them(
    text: str | None, base: str, extra: str, mariadb: bool, default: Default | None
) -> None:
    assert catalog._default(text, base, extra, mariadb=mariadb) == default
