"""Which address of ours a peer sees."""

from __future__ import annotations

import pytest

from switchroom.sip_io.addresses import choose_local, is_ipv6, is_loopback, is_wildcard

LOOPBACK = ("127.0.0.1", 5060)
OUTWARD = ("192.0.2.10", 5060)
SIX = ("::1", 5060)
ANY = ("0.0.0.0", 5060)


def test_kinds_of_addresses_are_told_apart() -> None:
    assert is_ipv6("::1")
    assert is_loopback("127.0.0.5")
    assert not is_loopback("localhost")
    assert is_wildcard("::")


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
