"""Which addresses this machine is reached at."""

from __future__ import annotations

import socket

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


def reached_at(node_ip: str) -> tuple[str, ...]:
    """Where SIP and media listen: loopback, and `node_ip` or the default route's source address.

    The last one is what carriers and clients elsewhere are told.
    """
    outward = node_ip or default_route_source()
    if outward is None or outward == LOOPBACK:
        return (LOOPBACK,)
    return (LOOPBACK, outward)
