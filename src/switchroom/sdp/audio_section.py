"""One audio section: writing ours, and reading out of theirs what a call needs to know."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from switchroom.base.ip_addresses import ip_of, is_ip
from switchroom.sdp.codecs import TELEPHONE_EVENT, Codec
from switchroom.sdp.crypto import CryptoAttribute
from switchroom.sdp.description import (
    Attribute,
    Direction,
    MediaSection,
    SessionDescription,
)
from switchroom.sdp.errors import NotAcceptable, SdpError

DEFAULT_PTIME_MS = 20
_LONGEST_PTIME_MS = 60

#: With or without feedback messages (RFC 4585, RFC 5124), of which we send none.
_PLAIN = ("RTP/AVP", "RTP/AVPF")
_SECURE = ("RTP/SAVP", "RTP/SAVPF")
_RTP = _PLAIN + _SECURE

_PTIME = Attribute("ptime", str(DEFAULT_PTIME_MS))


def is_plain(section: MediaSection) -> bool:
    """Whether it is of RTP without encryption by its profile; keys may be offered all the same."""
    return section.protocol.upper() in _PLAIN


def is_secure(section: MediaSection) -> bool:
    """Whether its profile is that of SRTP with keys in the description (RFC 4568)."""
    return section.protocol.upper() in _SECURE


def is_rtp(section: MediaSection) -> bool:
    """Whether it is either of them."""
    return section.protocol.upper() in _RTP


def written(
    port: int,
    protocol: str,
    codecs: Iterable[Codec],
    direction: Direction,
    crypto: Iterable[CryptoAttribute] = (),
    *,
    rtcp_mux: bool = False,
) -> MediaSection:
    """Our section, with all that we say about it."""
    listed = tuple(codecs)
    formats, maps = _listed(listed)
    lines = [Attribute("crypto", str(line)) for line in crypto]
    mux = (Attribute("rtcp-mux"),) if rtcp_mux else ()
    attributes = (*maps, *lines, _PTIME, *mux, Attribute(direction))
    return MediaSection("audio", port, protocol, formats, None, attributes, listed)


@lru_cache(maxsize=256)
def _listed(codecs: tuple[Codec, ...]) -> tuple[tuple[str, ...], tuple[Attribute, ...]]:
    """The formats of the m= line, and the lines that say what they are: alike in most calls."""
    maps: list[Attribute] = []
    for codec in codecs:
        # Static numbers need no rtpmap (RFC 3551), but it is wise to give it: some look for it.
        maps.append(Attribute("rtpmap", codec.rtpmap))
        if codec.fmtp:
            maps.append(Attribute("fmtp", f"{codec.payload_type} {codec.fmtp}"))
    return tuple([str(codec.payload_type) for codec in codecs]), tuple(maps)


def refused(section: MediaSection) -> MediaSection:
    """Port 0 and, as the grammar wants at least one, the offered formats."""
    return MediaSection(section.kind, 0, section.protocol, section.formats or ("0",))


def destination(description: SessionDescription, section: MediaSection) -> tuple[str, int] | None:
    """Where to send: an IP address or a host name, and a port; None for a hold address.

    Raises SdpError without an address, NotAcceptable for one that is not of a single host.
    """
    address = description.address_of(section)
    if address is None:
        # RFC 8866 section 5.7 wants a c= line; a few send none and mean their origin.
        address = description.origin.address
        if address == "0.0.0.0":
            raise SdpError("audio without a c= line")
    # RFC 3264 section 8.4 for IPv4; section 5.1 gives ".invalid" names the same meaning for IPv6.
    if address in ("0.0.0.0", "::") or address.lower().endswith(".invalid"):
        return None
    known = ip_of(address)
    if known is not None and is_ip(address):
        if address == "255.255.255.255" or known.is_multicast:
            raise NotAcceptable(f"{address} is the address of many hosts")
    elif len(address) > 253 or not _is_host_name(address):
        raise SdpError(f"{address[:80]!r} in c= is neither an IP address nor a host name")
    return address, section.port


def _is_host_name(text: str) -> bool:
    """Letters, digits and hyphens in labels; a number alone would be a bad IP address."""
    labels = text.removesuffix(".").split(".")
    return not labels[-1].isdigit() and all(_LABEL.fullmatch(label) for label in labels)


_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def packet_time(section: MediaSection) -> int:
    """What the far end wishes to receive: 10 to 60 ms in whole tens, as our codecs can be cut."""
    wished = _milliseconds(section.value("ptime")) or DEFAULT_PTIME_MS
    longest = _milliseconds(section.value("maxptime")) or _LONGEST_PTIME_MS
    tens = min(wished, longest, _LONGEST_PTIME_MS) // 10 * 10
    return max(tens, 10)


def _milliseconds(text: str | None) -> int | None:
    """None for what is absent or no number; a wish that cannot be read is no wish."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 4):
        return None
    return int(text)


def audio(codecs: Iterable[Codec]) -> tuple[Codec, ...]:
    """Those that are sound, and can carry a call alone."""
    return tuple([codec for codec in codecs if codec.name not in (TELEPHONE_EVENT, "CN")])


def events(codecs: Iterable[Codec]) -> tuple[Codec, ...]:
    """The telephone-events among them, one of each clock."""
    found: dict[int, Codec] = {}
    for codec in codecs:
        if codec.name == TELEPHONE_EVENT:
            found.setdefault(codec.clock_rate, codec)
    return tuple(found.values())
