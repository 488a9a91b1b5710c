"""A title is one short line of plain text, whatever a model or a person wrote."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tako.chat import headline


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ("Octopus arms", "Octopus arms"),
        ("章魚的八條手臂", "章魚的八條手臂"),
        ('"Octopus Arms."', "Octopus Arms"),
        ("“章鱼的手臂”。", "章鱼的手臂"),
        ("「たこの足」", "たこの足"),
        ("**Octopus** _arms_ and `suckers`", "Octopus arms and suckers"),
        ("# Octopus arms", "Octopus arms"),
        ("Title: Octopus arms", "Octopus arms"),
        ('Title: "Octopus arms"', "Octopus arms"),
        ("标题：章鱼的手臂", "章鱼的手臂"),
        ("- Octopus arms!", "Octopus arms"),
        ("1. Octopus arms", "Octopus arms"),
        ("[Octopus](http://evil.example) arms", "Octopus arms"),
        ("Octopus arms\n", "Octopus arms"),
        ("\n\n  Octopus   arms  \n", "Octopus arms"),
        ("One two three four five six seven", "One two three four five six"),
        ("一二三四五六七八九十十一", "一二三四五六七八九十"),
        ("Python 的协程是什么", "Python 的协程是什么"),
        ("C# and snake_case", "C# and snake_case"),
        ("Octo\u202epus\u200b arms\x1b[31m", "Octopus arms [31m"),
        ("🐙👩‍🚀 in space", "🐙👩‍🚀 in space"),
    ],
)
def test_what_a_model_gives_is_cleaned(given: str, title: str) -> None:
    """Quotes, markdown, labels, full stops, line breaks and invisible characters go."""
    assert headline.of_model(given) == title


@pytest.mark.parametrize(
    "rambling",
    [
        "",
        " \n ",
        "...",
        "Sure! Here is a title for your conversation about the arms of octopuses and what they are for",
        "Sure!\n\nOctopus arms\n\nLet me know",
        "这是一个关于章鱼的手臂以及它们用途的非常长的标题没有人想读它",
        "x" * 100_000 + " y" * 100_000,
    ],
)
def test_a_model_that_rambles_gives_no_title(rambling: str) -> None:
    """Then the beginning of the question is better."""
    assert headline.of_model(rambling) is None


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Why is the sky blue?", "Why is the sky blue"),
        ("Why is the sky blue at noon and red at night?", "Why is the sky blue at"),
        ("为什么天空是蓝色的？", "为什么天空是蓝色的"),
        ("请详细解释一下为什么天空在中午是蓝色的", "请详细解释一下为什么"),
        ("\n\n# Help\n\nmy code", "Help"),
        ("???", "…"),
        ("https://example.org/" + "x" * 100, "https://example.org/xxxx"),
    ],
)
def test_a_title_is_cut_from_the_question(question: str, title: str) -> None:
    """Whole words, as many as fit; never empty."""
    assert headline.of_question(question) == title


@given(st.text(max_size=400))
def test_no_text_makes_a_title_that_is_long_or_has_more_than_one_line(text: str) -> None:
    """Ten characters of Chinese or six words, whatever the model was told to say."""
    for title in (headline.of_question(text), headline.of_model(text)):
        if title is None:
            continue
        assert title
        assert len(title.splitlines()) == 1
        assert len(title.split()) <= 6
        assert len(re.findall(r"[\u4e00-\u9fff]", title)) <= 10
        assert len(title) <= 6 * 25
