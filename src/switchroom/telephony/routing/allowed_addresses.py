"""Where calls may come from: addresses, networks, and names that callers give for themselves."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

from switchroom.telephony.errors import InvalidRequestError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_LONGEST_NAME = 253
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_NUMERIC_END = re.compile(r"(.*\.)?(\d+|0[xX][0-9A-Fa-f]*)\.?", re.ASCII)


def check_addresses(entries: Iterable[str]) -> None:
    """Raises InvalidRequestError for an entry that could never match.

    LiveKit takes such entries and then passes over them, so that a list of nothing but mistakes
    lets everybody in.
    """
    for entry in entries:
        if _network(entry) is None and not _is_host_name(entry):
            raise InvalidRequestError(
                f'allowed_addresses: "{entry[:80]}" is no IP address, network such as 10.0.0.0/8, '
                "or host name"
            )


def allows(entries: Iterable[str], source_ip: str, from_host: str) -> bool:
    """Whether a call from `source_ip`, whose From names `from_host`, may come in.

    Addresses and networks are held against the source alone, which cannot be feigned as From can; a
    name is held against From, since that is where a caller says it. An empty list allows all.
    """
    listed = list(entries)
    if not listed:
        return True
    source = read_ip(source_ip)
    name = from_host.lower().rstrip(".")
    return any(_allows(entry, source, name) for entry in listed)


def read_ip(text: str) -> IpAddress | None:
    """An IP address, also in a URI's brackets; IPv4 inside IPv6 is read as IPv4."""
    try:
        address = ipaddress.ip_address(text.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _allows(entry: str, source: IpAddress | None, name: str) -> bool:
    network = _network(entry)
    if network is None:
        return entry.lower().rstrip(".") == name
    return source is not None and source in network


@lru_cache(maxsize=16_384)
def _network(entry: str) -> IpNetwork | None:
    """An address is a network of one. Bits behind the mask are passed over, as LiveKit does."""
    address = read_ip(entry)
    if address is not None:
        return ipaddress.ip_network(address)
    head, slash, length = entry.partition("/")
    if not slash or not (length.isascii() and length.isdigit()):
        return None
    try:
        return ipaddress.ip_network(f"{head.removeprefix('[').removesuffix(']')}/{length}", False)
    except ValueError:
        return None


def _is_host_name(text: str) -> bool:
    """RFC 1123 section 2.1, with underscores; what ends in a number would be an address."""
    if not 0 < len(text) <= _LONGEST_NAME or _NUMERIC_END.fullmatch(text):
        return False
    return all(_LABEL.fullmatch(label) for label in text.removesuffix(".").split("."))
