"""IP addresses as text, and which of ours a peer sees."""

from __future__ import annotations

import socket
from typing import Final

from switchroom.base.ip_addresses import ip_of
from switchroom.sip.flows import Address

_DISCARD_PORT: Final = 9
_WILDCARDS: Final = ("0.0.0.0", "::")


def is_ipv6(ip: str) -> bool:
    """Whether an IP address is of version 6."""
    return ":" in ip


def is_loopback(ip: str) -> bool:
    """Whether ``ip`` never leaves this machine."""
    address = ip_of(ip)
    return address is not None and address.is_loopback


def is_wildcard(ip: str) -> bool:
    """Whether ``ip`` means "all addresses"."""
    return ip in _WILDCARDS


def source_towards(ip: str) -> str | None:
    """The address of ours that packets to ``ip`` leave with, by the routing table."""
    family = socket.AF_INET6 if is_ipv6(ip) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing.
            probe.connect((ip, _DISCARD_PORT))
            source: str = probe.getsockname()[0]
        except OSError:
            return None
    return source


def choose_local(bound: list[Address], target: str) -> Address | None:
    """Which of our bound addresses a packet to ``target`` is to leave from.

    The one the routing table picks; a wildcard one; loopback for loopback and no other; else the
    first of the right IP version. ``None`` if there is none of that version.
    """
    family = [local for local in bound if is_ipv6(local[0]) == is_ipv6(target)]
    source = source_towards(target)
    for local in family:
        if local[0] == source:
            return local
    for local in family:
        if is_wildcard(local[0]):
            return local
    outward = [local for local in family if not is_loopback(local[0])]
    candidates = family if is_loopback(target) else outward or family
    return candidates[0] if candidates else None
