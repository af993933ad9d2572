"""Texts with names in them, filled and read."""

from __future__ import annotations

import pytest

from switchroom.offline.errors import CannotAnswer
from switchroom.offline.templates import fact, fill, names_in


def test_names_are_filled_in() -> None:
    assert fill("Hi { a }, {b.c}!", {"a": "x", "b.c": "y"}) == "Hi x, y!"
    assert names_in("Hi { a }, {b.c}! {} {1}") == ["a", "b.c"]


def test_a_name_that_is_not_known_is_named() -> None:
    with pytest.raises(CannotAnswer, match=r"\{b\}"):
        fill("{a} {b}", {"a": "x"})


@pytest.mark.parametrize(
    ("written", "text", "read"),
    [
        ("name is {n}.", "The NAME  is Jo Lee. And so on.", {"n": "Jo Lee"}),
        (
            "on {day} at {time}",
            "It is on Monday at 3 pm.\nBe nice.",
            {"day": "Monday", "time": "3 pm"},
        ),
        ("at {time}", "at 3 p.m. sharp", {"time": "3 p.m. sharp"}),
        ("call {who} now", "call\n  Ann now", {"who": "Ann"}),
        (r"/id (?P<id>\d+)/", "with id 42", {"id": "42"}),
        ("name is {n}.", "nothing here", {}),
        ("{all}", "first line\nsecond", {"all": "first line"}),
    ],
)
def test_facts_are_read_out_of_instructions(written: str, text: str, read: dict[str, str]) -> None:
    assert fact(written).read(text) == read


def test_punctuation_in_a_fact_is_no_pattern() -> None:
    assert fact("price (each): {p}*").read("price (each): 3*") == {"p": "3"}
    assert fact("price (each): {p}*").read("price each: 3") == {}
