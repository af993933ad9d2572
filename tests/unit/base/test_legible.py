"""Half a surrogate pair becomes a replacement character; everything else stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from switchroom.base.legible import legible, legible_json


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plain", "plain"),
        ("Büro 😀", "Büro 😀"),
        ("a\ud800b", "a\ufffdb"),
        ("\udcff\udcfe", "\ufffd\ufffd"),
        ("\ud83d\ude00", "😀"),
    ],
)
def test_what_no_utf8_can_carry_is_replaced(text: str, told: str) -> None:
    assert legible(text) == told


def test_a_whole_json_value_is_gone_through_names_included() -> None:
    value = {"\ud800": ["\udc00", {"n": 1, "t": None}], "ok": "ä"}
    assert legible_json(value) == {"\ufffd": ["\ufffd", {"n": 1, "t": None}], "ok": "ä"}


@given(st.text(st.characters(exclude_categories=())))
def test_what_comes_out_can_always_be_encoded(text: str) -> None:
    legible(text).encode()


@given(st.text())
def test_text_is_left_alone(text: str) -> None:
    assert legible(text) == text
