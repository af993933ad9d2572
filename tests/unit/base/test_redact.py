from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from switchroom.base.redact import redact_number, redact_text


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+15105550123", "+********123"),
        ("15105550123", "********123"),
        ("100", "***"),
        ("+1", "+*"),
        ("", ""),
    ],
)
def test_a_number_keeps_its_length_and_at_most_three_digits(number: str, shown: str) -> None:
    assert redact_number(number) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dial +15105550123 now", "dial +********123 now"),
        ("sip:15105550123@203.0.113.9:5060", "sip:********123@203.0.113.9:5060"),
        ("<sip:+15105550123@c>;tag=1", "<sip:+********123@c>;tag=1"),
        ("sip:100@x", "sip:***@x"),
        ("nobody, sip_+15105550123, agent-AJ_1", "nobody, sip_+********123, agent-AJ_1"),
        ("sip_15105550123", "sip_********123"),
        ("calls_+15105550123_x7Yz", "calls_+********123_x7Yz"),
        ("tel:+15105550123", "tel:+********123"),
        ("sip:alice@203.0.113.9", "sip:alice@203.0.113.9"),
        ("rtp 10000-20000 to 203.0.113.9:5060", "rtp 10000-20000 to 203.0.113.9:5060"),
        ('Authorization: Digest username="u", response="r"', "Authorization: Digest ***"),
        ("a\nProxy-Authorization: Digest r\nb", "a\nProxy-Authorization: Digest ***\nb"),
    ],
)
def test_numbers_and_credentials_inside_text_are_hidden(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@given(st.from_regex(r"\+[1-9]\d{8,14}", fullmatch=True))
def test_no_e164_number_survives_in_a_sentence(number: str) -> None:
    assert number not in redact_text(f"calling {number}, then sip:{number}@example.com")
