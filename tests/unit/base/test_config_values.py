from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchroom.base import config_values as read
from switchroom.base.config_values import PortRange

READERS = [
    read.text,
    read.flag,
    read.count,
    read.port,
    read.port_range,
    read.seconds,
    read.log_level,
    read.ip_address,
    read.ip_addresses,
    read.key_pairs,
    read.words,
    read.urls,
    read.sections,
]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0.0),
        (15, 15.0),
        ("15", 15.0),
        ("15s", 15.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("1.5h", 5400.0),
        ("90d", 7_776_000.0),
    ],
)
def test_durations_are_numbers_or_go_durations(written: Any, seconds: float) -> None:
    assert read.seconds(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "-1", -1, "5 apples", "1w", None, "inf", "nan", True, 10**400]
)
def test_other_durations_are_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="a duration"):
        read.seconds(written)


@pytest.mark.parametrize("written", ["10000-20000", {"start": 10000, "end": "20000"}])
def test_port_ranges_have_two_forms(written: Any) -> None:
    assert read.port_range(written) == PortRange(10000, 20000)


@pytest.mark.parametrize(
    "written", ["10000", "20000-10000", "80-90", "1-70000", {"start": 1}, 5, "a-b"]
)
def test_other_port_ranges_are_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="a range of ports"):
        read.port_range(written)


@pytest.mark.parametrize(
    ("written", "flag"), [(True, True), ("yes", True), ("1", True), (False, False), ("Off", False)]
)
def test_flags_may_be_words(written: Any, flag: bool) -> None:
    assert read.flag(written) is flag


@pytest.mark.parametrize("written", [None, "", "{", "\x1f", {}, {"a": ""}, {"a": 5}, [], "a"])
def test_key_pairs_must_be_text_on_both_sides(written: Any) -> None:
    if written == {}:
        assert read.key_pairs(written) == {}
    else:
        with pytest.raises(ValueError, match="API keys"):
            read.key_pairs(written)


@pytest.mark.parametrize("written", ["http://a/x, https://b", ["http://a/x", "https://b"]])
def test_urls_are_a_list_or_text_with_commas(written: Any) -> None:
    assert read.urls(written) == ("http://a/x", "https://b")


@pytest.mark.parametrize(
    "written", ["ftp://a", "a.example", "http://", "http://[", "http://a:b@c", [5], 5, None]
)
def test_other_urls_are_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="begin with http"):
        read.urls(written)


def test_named_sections_are_a_mapping_or_its_yaml() -> None:
    assert read.sections("phone: {max_participants: 2}") == {"phone": {"max_participants": 2}}
    for written in ("phone: 2", "[", [1], {"phone": None}):
        with pytest.raises(ValueError, match="named sections"):
            read.sections(written)


def test_addresses_are_brought_to_their_usual_spelling() -> None:
    assert read.ip_addresses("127.0.0.1, [::1]") == ("127.0.0.1", "::1")
    with pytest.raises(ValueError, match="an IP address"):
        read.ip_address("localhost")
    with pytest.raises(ValueError, match="a list of IP addresses"):
        read.ip_addresses([])


@given(
    st.sampled_from(READERS),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    ),
)
def test_no_yaml_value_does_more_than_be_refused(reader: Any, written: Any) -> None:
    with suppress(ValueError):
        reader(written)
