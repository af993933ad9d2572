"""Telephone keys."""

from __future__ import annotations

import pytest

from switchroom.telephony.calls.dtmf import code_of, digit_of_info, playable


def test_only_keys_and_pauses_are_played() -> None:
    assert playable("12w#a*x d-W0") == "12w#A*Dw0"


@pytest.mark.parametrize(("key", "code"), [("0", 0), ("9", 9), ("*", 10), ("#", 11), ("d", 15)])
def test_keys_are_numbered_as_rfc_4733_does(key: str, code: int) -> None:
    assert code_of(key) == code


@pytest.mark.parametrize(
    ("content_type", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", b"signal = *\nduration=100", "*"),
        ("Application/DTMF-Relay; charset=x", b"Signal=11\r\n", "#"),
        ("application/dtmf", b"7", "7"),
        ("application/dtmf", b"a\r\n", "A"),
        ("application/dtmf-relay", b"Duration=160", None),
        ("application/dtmf-relay", b"Signal=16", None),
        ("application/dtmf-relay", b"Signal=5" + b" " * 300, None),
        ("application/dtmf", b"", None),
        ("application/dtmf", b"\xff\xfe", None),
        ("text/plain", b"5", None),
    ],
)
def test_info_requests_carry_a_key_or_nothing(
    content_type: str, body: bytes, digit: str | None
) -> None:
    assert digit_of_info(content_type, body) == digit
