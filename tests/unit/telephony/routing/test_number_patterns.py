"""Entries of number lists: plain numbers, and patterns that never change what a number means."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from switchroom.telephony.routing.number_patterns import (
    EXACT,
    UNLISTED,
    closeness,
    names_a_digit,
    read_entry,
    share_a_number,
)
from switchroom.telephony.routing.numbers import normalise

_DIGITS = st.text("0123456789", min_size=1, max_size=15)


@pytest.mark.parametrize(
    ("entry", "number", "close"),
    [
        ("1 (510) 555-0100", "+15105550100", EXACT),
        ("+1510*", "+15105550100", 4),
        ("1 510 *", "+15105550100", 4),
        ("+1510*", "+1510", 4),
        ("+1510*", "+1511", None),
        ("+4930123456??", "+493012345678", 10),
        ("+4930123456??", "+4930123456789", None),
        ("+4930123456??", "+49301234567", None),
        ("1??", "+117", 1),
        ("+*", "+1", 0),
        ("+*", "anonymous", None),
        ("+1*", "+1x", None),
        ("*", "anonymous", 0),
        ("*", "", 0),
        ("sales", "sales", EXACT),
        ("sales*", "sales", None),
        ("sales*", "sales*", EXACT),
        ("*97", "*97", EXACT),
        ("*97", "+97", None),
        ("*21*", "*21*", EXACT),
        ("*21*", "*2177", None),
        ("+1510#", "+1510#", EXACT),
    ],
)
def test_an_entry_fits_the_numbers_it_says(entry: str, number: str, close: int | None) -> None:
    assert closeness([entry], number) == close


def test_an_empty_list_fits_everything_less_than_any_entry() -> None:
    assert closeness([], "+1") == UNLISTED < 0


def test_the_closest_entry_counts() -> None:
    assert closeness(["*", "+1*", "+15*"], "+15105550100") == 2


@given(_DIGITS)
def test_a_plain_number_never_becomes_a_pattern(digits: str) -> None:
    for written in (digits, f"+{digits}", f"({digits})"):
        assert read_entry(written) == read_entry(normalise(written))
        assert closeness([written], normalise(digits)) == EXACT


@pytest.mark.parametrize(
    ("some", "others", "shared"),
    [
        ([], [], True),
        ([], ["+1"], False),
        (["+1"], ["1"], True),
        (["+1", "+2"], ["+3", "+2"], True),
        (["+1510*"], ["1510*"], True),
        (["+1510*"], ["+15105550100"], False),
        (["+1510*"], ["+151*"], False),
        (["+1?3"], ["+12?"], True),
        (["+1?3"], ["+1?4"], False),
        (["+1??"], ["+1?"], False),
        (["+1??"], ["+1?*"], True),
        (["*"], ["+*"], True),
        (["+12*"], ["+13*"], False),
    ],
)
def test_lists_share_a_number_where_neither_is_closer(
    some: list[str], others: list[str], shared: bool
) -> None:
    assert share_a_number(some, others) is shared
    assert share_a_number(others, some) is shared


_PATTERNS = st.from_regex(r"\A\+?[01?]{0,4}\*?\Z")


@given(_PATTERNS, _PATTERNS, st.text("01", min_size=1, max_size=5))
def test_what_fits_two_entries_equally_is_shared(one: str, other: str, digits: str) -> None:
    close = closeness([one], f"+{digits}")
    if close is not None and close == closeness([other], f"+{digits}"):
        assert share_a_number([one], [other])


@pytest.mark.parametrize(
    ("entry", "limits"), [("*", False), ("+*", False), ("???", False), ("+1*", True), ("x", True)]
)
def test_a_pattern_without_a_digit_limits_nobody(entry: str, limits: bool) -> None:
    assert names_a_digit(entry) is limits
