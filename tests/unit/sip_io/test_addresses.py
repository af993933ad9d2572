"""Which address of ours a peer sees."""

from __future__ import annotations

import ipaddress

import pytest

from switchroom.sip_io.addresses import choose_local, is_ip, is_ipv6, is_loopback, is_wildcard

LOOPBACK = ("127.0.0.1", 5060)
OUTWARD = ("192.0.2.10", 5060)
SIX = ("::1", 5060)
ANY = ("0.0.0.0", 5060)


def test_addresses_are_told_from_names() -> None:
    assert is_ip("192.0.2.1")
    assert is_ip("2001:db8::1")
    assert not is_ip("example.com")
    assert is_ipv6("::1")
    assert is_loopback("127.0.0.5")
    assert not is_loopback("localhost")
    assert is_wildcard("::")
    assert is_ip("fe80::1%eth0")
    assert not is_ip("fe80::1%" + 64 * "0")


def test_the_address_of_a_trunk_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = ipaddress.ip_address

    def counted(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(ipaddress, "ip_address", counted)
    assert all(is_ip("198.51.100.231") for _ in range(10))
    assert not any(is_ip("carrier.example.com") for _ in range(10))
    assert parsed == ["198.51.100.231", "carrier.example.com"]


@pytest.mark.parametrize(
    ("bound", "target", "chosen"),
    [
        ([LOOPBACK, OUTWARD], "127.0.0.1", LOOPBACK),
        ([OUTWARD, LOOPBACK], "127.0.0.1", LOOPBACK),
        # None of ours has the address the routing table would pick.
        ([LOOPBACK, OUTWARD], "203.0.113.9", OUTWARD),
        ([LOOPBACK], "203.0.113.9", LOOPBACK),
        ([ANY], "203.0.113.9", ANY),
        ([LOOPBACK, SIX], "::1", SIX),
        ([LOOPBACK], "2001:db8::1", None),
        ([], "127.0.0.1", None),
    ],
)
def test_the_local_address_fits_the_target(
    bound: list[tuple[str, int]], target: str, chosen: tuple[str, int] | None
) -> None:
    assert choose_local(bound, target) == chosen
