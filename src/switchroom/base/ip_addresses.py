"""IP addresses as text: telling them from names, and what kind they are."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# 45 for an IPv4 address in an IPv6 one, and a zone: longer texts are names, and not remembered.
_LONGEST: Final = 64


def ip_of(text: str) -> IpAddress | None:
    """The address that ``text`` is (IPv6 without brackets); ``None`` for a name or anything else.

    It may have a zone (``fe80::1%eth0``), as the system tells a neighbour's address.
    Asked several times for each call, mostly of the same few hosts, so the last thousand answers
    are remembered.
    """
    return _ip_of(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=1024)
def _ip_of(text: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_ip(text: str) -> bool:
    """Whether ``text`` is an IP address (IPv6 without brackets) as it may stand in a message.

    One with a zone is not: that means something on one machine only (RFC 4007 section 11.2).
    """
    return "%" not in text and len(text) <= _LONGEST and _ip_of(text) is not None
