"""Which addresses this machine is reached at."""

from __future__ import annotations

import socket

from switchroom.base.records import record

LOOPBACK = "127.0.0.1"

# Documentation addresses (RFC 5737): a route to them is the default route, and nothing is sent.
_ELSEWHERE = ("192.0.2.1", "203.0.113.1", "198.51.100.99")
_DISCARD_PORT = 9


def default_route_source() -> str | None:
    """The IPv4 address that packets to the rest of the world leave with; None without a route."""
    for destination in _ELSEWHERE:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((destination, _DISCARD_PORT))
            except OSError:
                continue
            source: str = probe.getsockname()[0]
            return source
    return None


@record
class Reach:
    """Where SIP and media listen, and what others are told."""

    addresses: tuple[str, ...]
    """To listen on: loopback, then the one towards the rest of the world, if there is one."""
    told: str
    """What carriers and clients elsewhere are told in place of the last one. Another address only
    behind a 1:1 NAT, as on most cloud machines."""

    @property
    def behind_nat(self) -> bool:
        return self.told != self.addresses[-1]


def reach(node_ip: str) -> Reach:
    """From the setting `rtc.node_ip`; empty: the default route's source address is told."""
    source = default_route_source() or LOOPBACK
    outward = node_ip if node_ip and _is_ours(node_ip) else source
    addresses = (LOOPBACK,) if outward == LOOPBACK else (LOOPBACK, outward)
    return Reach(addresses, node_ip or outward)


def _is_ours(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True
