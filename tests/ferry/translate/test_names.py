"""Names that PostgreSQL would fold, cut or find twice."""

from tako.ferry.translate import names


def test_a_name_of_64_characters_keeps_its_beginning_and_stays_its_own() -> None:
    one, other = "n" * 63 + "1", "n" * 63 + "2"
    assert len(names.fitting(one)) == 63
    assert names.fitting(one) != names.fitting(other)
    assert names.fitting("n" * 63) == "n" * 63


def test_a_cut_leaves_no_half_character() -> None:
    cut = names.fitting("表" * 30)
    assert len(cut.encode()) <= 63
    assert cut.startswith("表" * 17)


def test_collisions_are_those_of_the_first_63_bytes() -> None:
    long = "x" * 63
    assert names.collisions([long + "a", long + "b", "other"]) == [long]
    assert names.collisions(["a", "b"]) == []


def test_quotes_and_backslashes_stay_text() -> None:
    assert names.postgres('a"b') == '"a""b"'
    assert names.mysql("a`b") == "`a``b`"
    assert names.literal("it's") == "'it''s'"
    assert names.literal("a\\'b") == "E'a\\\\''b'"
