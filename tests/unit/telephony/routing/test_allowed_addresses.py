"""Who may call from where; what can match nothing is refused instead of passed over."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.allowed_addresses import allows, check_addresses


@pytest.mark.parametrize(
    "entry",
    [
        "192.0.2.7",
        "192.0.2.0/24",
        "192.0.2.7/24",
        "2001:db8::1",
        "[2001:db8::1]",
        "2001:db8::/32",
        "sip.example.com",
        "sip.example.com.",
        "my_trunk.pstn.twilio.com",
        "localhost",
    ],
)
def test_addresses_networks_and_names_are_taken(entry: str) -> None:
    check_addresses([entry])


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "sip:192.0.2.7",
        "sip://host",
        "192.0.2.7:5060",
        "host:5060",
        "192.0.2.0/33",
        "192.0.2.0/-1",
        "192.0.2.0/",
        "192.0.2.300",
        "192.0.2",
        "0x7f000001",
        "a b.example.com",
        "a,b",
        "*.example.com",
        "host;transport=tcp",
        "-host",
        "a..b",
        "x" * 64,
        "2001:db8::/129",
    ],
)
def test_an_entry_that_can_match_nothing_is_refused_with_a_sentence(entry: str) -> None:
    with pytest.raises(InvalidRequestError, match="is no IP address, network"):
        check_addresses(["192.0.2.1", entry])


@pytest.mark.parametrize(
    ("entries", "source", "host", "allowed"),
    [
        ([], "203.0.113.9", "x", True),
        (["192.0.2.7"], "192.0.2.7", "x", True),
        (["192.0.2.7"], "192.0.2.8", "x", False),
        (["192.0.2.0/24", "10.0.0.1"], "192.0.2.200", "x", True),
        (["192.0.2.7/24"], "192.0.2.200", "x", True),
        (["192.0.2.7"], "::ffff:192.0.2.7", "x", True),
        (["2001:db8::/32"], "2001:DB8:1::5", "x", True),
        (["2001:db8::/32"], "192.0.2.7", "x", False),
        (["SIP.example.com"], "203.0.113.9", "sip.EXAMPLE.com.", True),
        (["sip.example.com"], "203.0.113.9", "", False),
        (["sip.example.com"], "203.0.113.9", "evil.sip.example.com", False),
    ],
)
def test_calls_come_in_from_where_the_list_says(
    entries: list[str], source: str, host: str, allowed: bool
) -> None:
    assert allows(entries, source, host) is allowed


def test_an_address_in_from_proves_nothing() -> None:
    """LiveKit lets a stranger in who writes the carrier's address into From."""
    assert not allows(["192.0.2.7"], "203.0.113.9", "192.0.2.7")


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_nothing_from_the_network_raises(entry: str, source: str, host: str) -> None:
    allows([entry, "192.0.2.1"], source, host)
