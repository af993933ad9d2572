"""Phone numbers as people write them."""

from __future__ import annotations

import pytest

from switchroom.telephony.routing.numbers import from_number, is_user_part, normalise


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("+15105550123", "+15105550123"),
        ("15105550123", "+15105550123"),
        ("1 (510) 555-0123", "+15105550123"),
        ("+1 510 555 0123", "+15105550123"),
        ("112", "+112"),
        ("alice", "alice"),
        ("+1510#", "+1510#"),
        ("", ""),
        ("-", "-"),
        ("( )", "( )"),
        ("٣٤٥", "٣٤٥"),
    ],
)
def test_separators_go_and_a_plus_comes(written: str, normal: str) -> None:
    assert normalise(written) == normal


def test_a_name_that_is_no_number_is_left_as_it_is() -> None:
    assert normalise("front-desk (2)") == "front-desk (2)"


def test_twilio_gets_its_plus_and_others_get_what_was_said() -> None:
    assert from_number("15105550123", "acme.pstn.twilio.com") == "+15105550123"
    assert from_number("+15105550123", "acme.pstn.twilio.com") == "+15105550123"
    assert from_number("15105550123", "sip.example.com") == "15105550123"


@pytest.mark.parametrize(
    ("text", "fits"), [("+1510", True), ("a@b", False), ("", False), ("a b", False)]
)
def test_a_user_part_has_neither_host_nor_blank(text: str, fits: bool) -> None:
    assert is_user_part(text) is fits
