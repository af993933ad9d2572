"""Addresses and names."""

from __future__ import annotations

import ipaddress

import pytest

from switchroom.base.ip_addresses import ip_of, is_ip


@pytest.mark.parametrize(
    "text", ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1", "0.0.0.0"]
)
def test_an_address_is_told_from_a_name(text: str) -> None:
    assert is_ip(text)
    assert ip_of(text) == ipaddress.ip_address(text)


@pytest.mark.parametrize(
    "text", ["", "example.com", "192.0.2", "192.0.2.1:5060", "[::1]", "١٩٢.0.2.1", "999.0.0.1"]
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert not is_ip(text)
    assert ip_of(text) is None


def test_an_address_with_a_zone_is_one_on_this_machine_and_none_in_a_message() -> None:
    assert ip_of("fe80::1%eth0") == ipaddress.ip_address("fe80::1%eth0")
    assert not is_ip("fe80::1%eth0")


def test_a_text_too_long_for_an_address_is_not_looked_at() -> None:
    text = "fe80::1%" + 64 * "0"
    assert ipaddress.ip_address(text)
    assert not is_ip(text)
    assert ip_of(text) is None


def test_the_address_of_a_trunk_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = ipaddress.ip_address

    def counted(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(ipaddress, "ip_address", counted)
    assert all(is_ip("198.51.100.231") for _ in range(10))
    assert not any(is_ip("carrier.example.com") for _ in range(10))
    assert ip_of("198.51.100.231") is ip_of("198.51.100.231")
    assert parsed == ["198.51.100.231", "carrier.example.com"]
