"""Offer and answer for a telephone call: one audio stream, plain RTP (RFC 3264, RFC 6337).

Both sides' wishes come in as values and one `NegotiatedMedia` comes out. Directions in it are ours:
``sendonly`` means that we send and the far end does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from switchroom.sdp.codecs import TELEPHONE_EVENT, Codec
from switchroom.sdp.description import (
    Attribute,
    Direction,
    MediaSection,
    Origin,
    SessionDescription,
    is_ip,
)
from switchroom.sdp.errors import NoCommonCodec, NotAcceptable, SdpError

DEFAULT_PTIME_MS = 20
_LONGEST_PTIME_MS = 60

#: Plain RTP, with or without feedback messages. A lone SAVP offer insists on SRTP.
_PLAIN_RTP = ("RTP/AVP", "RTP/AVPF")

#: What a direction of theirs leaves for us (RFC 3264 section 6.1).
_MIRROR: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """What we want: where we receive, our codecs by preference (telephone-event among them).

    `session_id` and `version` are for ``o=``; see `successor` for the version's rule.
    """

    ip: str
    port: int
    codecs: tuple[Codec, ...]
    session_id: int
    version: int = 1
    direction: Direction = "sendrecv"


@dataclass(frozen=True, slots=True)
class NegotiatedMedia:
    """What both sides agreed on.

    ``remote`` is where to send, None while the far end has no address (held with ``0.0.0.0``).
    ``codecs`` are the audio codecs both have, the first one preferred, with the payload types to
    send with; ``digits`` is the telephone-event to send digits with, None if the far end takes
    none. ``also_received`` are codecs under numbers of ours that the answer changed: the far end
    may send with either. ``ptime_ms`` is the packet time that the far end wishes to receive.
    """

    remote: tuple[str, int] | None
    codecs: tuple[Codec, ...]
    digits: Codec | None
    direction: Direction
    ptime_ms: int = DEFAULT_PTIME_MS
    also_received: tuple[Codec, ...] = ()

    @property
    def sends(self) -> bool:
        """Whether we may send: false while the far end holds us."""
        return self.direction in ("sendrecv", "sendonly")


def offer(local: LocalMedia) -> SessionDescription:
    """Our offer: one audio section."""
    return _describe(local, (_audio_section(local, local.codecs, local.direction, "RTP/AVP"),))


def accept_answer(local_offer: SessionDescription, body: bytes | str) -> NegotiatedMedia:
    """What the answer to `local_offer` settles.

    Raises SdpError for an unreadable answer, NotAcceptable where it refuses the audio,
    NoCommonCodec where it takes none of the offered codecs.
    """
    remote = SessionDescription.parse(body)
    ours = _first_audio(local_offer)
    # RFC 3264 section 6 asks for as many m= lines as we offered; some answer with more or with
    # others before the audio. Our offer has a single section, so the first live audio is meant.
    theirs = _first_audio(remote)
    offered = ours.codecs
    accepted = _shared(theirs.codecs, offered)
    wanted = local_offer.direction_of(ours)
    return _negotiate(remote, theirs, accepted, wanted, _renumbered(accepted, offered))


def answer(
    local: LocalMedia, offer_body: bytes | str
) -> tuple[SessionDescription, NegotiatedMedia]:
    """Our answer to an offer, and what it settles.

    Every offered section is answered in its place; the first audio section that we can take is
    taken, all others are refused by port 0 (RFC 3264 section 6). Codecs keep the offer's numbers
    and order. Raises SdpError for an unreadable offer, NotAcceptable without plain RTP audio,
    NoCommonCodec where no audio section has a codec of ours.
    """
    remote = SessionDescription.parse(offer_body)
    place, shared = _choose_section(remote, local.codecs)
    theirs = remote.sections[place]
    media = _negotiate(remote, theirs, shared, local.direction)
    accepted = _audio_section(local, _answered(media, shared), media.direction, theirs.protocol)
    sections = tuple(
        accepted if i == place else _refused(section) for i, section in enumerate(remote.sections)
    )
    return _describe(local, sections), media


def successor(previous: SessionDescription, current: SessionDescription) -> SessionDescription:
    """`current` with the ``o=`` line that may follow `previous` in one session.

    RFC 3264 section 8: the version rises by one if anything changed and stays if nothing did.
    Peers that compare only the version would else miss a change, or see one where none is.
    """
    unchanged = replace(current, origin=previous.origin)
    if unchanged == previous:
        return previous
    version = str(int(previous.origin.version) + 1)
    return replace(current, origin=replace(previous.origin, version=version))


def _describe(local: LocalMedia, sections: tuple[MediaSection, ...]) -> SessionDescription:
    origin = Origin("-", str(local.session_id), str(local.version), local.ip)
    return SessionDescription(origin, "-", local.ip, (), sections)


def _audio_section(
    local: LocalMedia, codecs: Iterable[Codec], direction: Direction, protocol: str
) -> MediaSection:
    listed = tuple(codecs)
    attributes: list[Attribute] = []
    for codec in listed:
        # Static numbers need no rtpmap (RFC 3551), but it is wise to give it: some look for it.
        attributes.append(Attribute("rtpmap", codec.rtpmap))
        if codec.fmtp:
            attributes.append(Attribute("fmtp", f"{codec.payload_type} {codec.fmtp}"))
    attributes.append(Attribute("ptime", str(DEFAULT_PTIME_MS)))
    attributes.append(Attribute(direction))
    formats = tuple(str(codec.payload_type) for codec in listed)
    return MediaSection("audio", local.port, protocol, formats, None, tuple(attributes))


def _refused(section: MediaSection) -> MediaSection:
    """Port 0 and, as the grammar wants at least one, the offered formats."""
    formats = section.formats or ("0",)
    return MediaSection(section.kind, 0, section.protocol, formats)


def _first_audio(description: SessionDescription) -> MediaSection:
    audio = [section for section in description.sections if section.kind == "audio"]
    if not audio:
        raise NotAcceptable("no audio section")
    live = next((section for section in audio if section.port != 0), None)
    if live is None:
        raise NotAcceptable("the audio section was refused (port 0)")
    if live.protocol.upper() not in _PLAIN_RTP:
        raise NotAcceptable(f"audio by {live.protocol[:40]}, not by RTP/AVP")
    return live


def _choose_section(
    remote: SessionDescription, ours: tuple[Codec, ...]
) -> tuple[int, tuple[Codec, ...]]:
    """The index of the first audio section we can take, and the shared codecs."""
    plain = [
        (place, section)
        for place, section in enumerate(remote.sections)
        if section.kind == "audio" and section.port != 0 and section.protocol.upper() in _PLAIN_RTP
    ]
    if not plain:
        raise NotAcceptable("no audio section with plain RTP")
    for place, section in plain:
        shared = _shared(section.codecs, ours)
        if _audio(shared):
            return place, shared
    offered = ", ".join(codec.name for _, section in plain for codec in section.codecs)
    raise NoCommonCodec(f"none of ({offered[:200]}) is one of ours")


def _shared(theirs: Iterable[Codec], ours: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Their codecs that we have too, in their order and under their numbers."""
    shared: list[Codec] = []
    for codec in theirs:
        known = any(codec.same_encoding(own) for own in ours)
        if known and not any(codec.same_encoding(other) for other in shared):
            shared.append(codec)
    return tuple(shared)


def _audio(codecs: Iterable[Codec]) -> tuple[Codec, ...]:
    return tuple(codec for codec in codecs if codec.name != TELEPHONE_EVENT)


def _digits(codecs: tuple[Codec, ...], clock_rate: int) -> Codec | None:
    """The telephone-event at the audio's clock (RFC 4733 section 2.1).

    Several PBXes offer telephone-event/8000 alone beside Opus; their digits are better than none.
    """
    events = [codec for codec in codecs if codec.name == TELEPHONE_EVENT]
    fitting = (codec for codec in events if codec.clock_rate == clock_rate)
    return next(fitting, events[0] if events else None)


def _negotiate(
    remote: SessionDescription,
    theirs: MediaSection,
    shared: tuple[Codec, ...],
    wanted: Direction,
    also_received: tuple[Codec, ...] = (),
) -> NegotiatedMedia:
    codecs = _audio(shared)
    if not codecs:
        raise NoCommonCodec("no audio codec in common")
    address = _destination(remote.address_of(theirs))
    allowed = _MIRROR[remote.direction_of(theirs)]
    direction = _both(wanted, allowed)
    if address is None:
        # RFC 3264 section 8.4: an address of zero is the old way to hold; nothing may be sent.
        direction = _both(direction, "recvonly")
    return NegotiatedMedia(
        None if address is None else (address, theirs.port),
        codecs,
        _digits(shared, codecs[0].clock_rate),
        direction,
        _packet_time(theirs),
        also_received,
    )


def _both(one: Direction, other: Direction) -> Direction:
    """The direction that both allow."""
    sends = all(d in ("sendrecv", "sendonly") for d in (one, other))
    receives = all(d in ("sendrecv", "recvonly") for d in (one, other))
    if sends:
        return "sendrecv" if receives else "sendonly"
    return "recvonly" if receives else "inactive"


def _destination(address: str | None) -> str | None:
    """The address to send to, None for a hold address. Raises SdpError."""
    if address is None:
        raise SdpError("audio without a c= line")
    # RFC 3264 section 8.4 for IPv4; section 5.1 gives ".invalid" names the same meaning for IPv6.
    if address in ("0.0.0.0", "::") or address.lower().endswith(".invalid"):
        return None
    if not is_ip(address):
        raise SdpError(f"the host name {address[:80]!r} in c=; an IP address is needed")
    return address


def _packet_time(section: MediaSection) -> int:
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


def _answered(media: NegotiatedMedia, shared: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """What our answer lists: the shared codecs in the offer's order, one telephone-event."""
    return tuple(c for c in shared if c.name != TELEPHONE_EVENT or c == media.digits)


def _renumbered(accepted: tuple[Codec, ...], ours: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Accepted codecs under our own numbers, where the answer chose others.

    RFC 3264 section 6.1: each side receives under the numbers it wrote itself. Many send under
    the other's all the same, so both are understood unless they contradict each other.
    """
    taken = {codec.payload_type for codec in accepted}
    return tuple(
        own
        for own in ours
        if own.payload_type not in taken and any(own.same_encoding(codec) for codec in accepted)
    )
