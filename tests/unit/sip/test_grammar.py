"""Text operations of the SIP grammar."""

from __future__ import annotations

from typing import SupportsIndex

import pytest
from hypothesis import given, strategies as st

from switchroom.sip.errors import LocalSipError, MalformedValueError
from switchroom.sip.grammar import (
    end_of_quoted,
    find_param,
    format_params,
    is_host,
    parse_number,
    parse_params,
    parse_port,
    quote,
    require_clean,
    split_host_port,
    split_list,
    unquote,
)


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        ("", []),
        ("a", ["a"]),
        ("a, b ,c", ["a", "b", "c"]),
        (",, a,,", ["a"]),
        ('"x, y" <sip:a>, <sip:b,c>;q=1', ['"x, y" <sip:a>', "<sip:b,c>;q=1"]),
        ('"a\\", b", c', ['"a\\", b"', "c"]),
        ("<sip:a>,<sip:b>", ["<sip:a>", "<sip:b>"]),
        ('<sip:a"b>, c', ['<sip:a"b>', "c"]),
    ],
)
def test_lists_are_split_at_commas_outside_quotes_and_angles(
    value: str, entries: list[str]
) -> None:
    assert split_list(value) == entries


@pytest.mark.parametrize("value", ['"open, b', '"a\\"'])
def test_unbalanced_quotes_are_refused(value: str) -> None:
    with pytest.raises(MalformedValueError):
        split_list(value + ",")


def test_parameters_are_read_in_order_with_lower_case_names() -> None:
    params = parse_params(' ;A=1 ; b ; c = "x;y" ;d=')
    assert params == (("a", "1"), ("b", None), ("c", '"x;y"'), ("d", ""))
    assert find_param(params, "c") == '"x;y"'
    assert find_param(params, "b") is None
    assert find_param(params, "none") is None
    assert format_params(params) == ';a=1;b;c="x;y";d='


@pytest.mark.parametrize("text", [";;", ";a;;b", ";=x", "; ;a", ';a="x', ";a b=1", ";<x>"])
def test_broken_parameters_are_refused(text: str) -> None:
    with pytest.raises(MalformedValueError):
        parse_params(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("example.com", "example.com", None),
        ("192.0.2.1:5070", "192.0.2.1", 5070),
        ("[2001:db8::1]:5060", "[2001:db8::1]", 5060),
        ("[2001:db8::1]", "[2001:db8::1]", None),
        ("under_score.example", "under_score.example", None),
        ("host :5060", None, None),
        ("example.com:", None, None),
        ("example.com:0", None, None),
        ("example.com:65536", None, None),
        ("example.com:+5", None, None),
        ("[2001:db8::1", None, None),
        ("[2001:db8::1]x", None, None),
        ("2001:db8::1", None, None),
        ("", None, None),
        ("-a", None, None),
    ],
)
def test_host_and_port_are_taken_apart(text: str, host: str | None, port: int | None) -> None:
    if host is None:
        with pytest.raises(MalformedValueError):
            split_host_port(text)
    else:
        assert split_host_port(text) == (host, port)
        assert is_host(host)


def test_numbers_are_decimal_and_bounded() -> None:
    assert parse_number("0009", 70, "x") == 9
    for text in ("", "-1", "+1", "1e3", "9" * 21, "٣", "71"):
        with pytest.raises(MalformedValueError):
            parse_number(text, 70, "x")
    with pytest.raises(MalformedValueError):
        parse_port("٥٠٦٠")


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))))
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    quoted = quote(text)
    assert unquote(quoted) == text
    assert end_of_quoted(quoted, 1) == len(quoted)


def test_unquoting_leaves_other_text_alone() -> None:
    assert unquote("token") == "token"
    assert unquote('"') == '"'


@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "a\x00", "\x7f"])
def test_control_characters_are_not_sent(text: str) -> None:
    with pytest.raises(LocalSipError):
        require_clean(text, "value")
    with pytest.raises(LocalSipError):
        quote(text)


class Counting(str):
    """Text that counts how many of its characters are copied by slicing."""

    __slots__ = ()
    copied = 0

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        piece = super().__getitem__(key)
        Counting.copied += len(piece)
        return piece


@pytest.mark.parametrize("unit", ['"a,b",', "<a,b>,", "a,", '"\\"",'])
def test_splitting_copies_each_character_a_bounded_number_of_times(unit: str) -> None:
    for count in (100, 1_000, 10_000):
        Counting.copied = 0
        split_list(Counting(unit * count))
        assert Counting.copied <= 2 * len(unit) * count
