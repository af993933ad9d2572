"""Offer and answer for a telephone call: one audio stream (RFC 3264, RFC 6337, RFC 4568).

Both sides' wishes come in as values and one `NegotiatedMedia` comes out. Directions in it are ours:
``sendonly`` means that we send and the far end does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field

from switchroom.base.records import record, replace
from switchroom.sdp import audio_section as section_of
from switchroom.sdp.audio_section import DEFAULT_PTIME_MS
from switchroom.sdp.codecs import CN, TELEPHONE_EVENT, Codec
from switchroom.sdp.crypto import (
    CryptoAttribute,
    NegotiatedCrypto,
    SrtpPolicy,
    accepted,
    answered,
    offered,
    usable,
)
from switchroom.sdp.description import Direction, MediaSection, Origin, SessionDescription
from switchroom.sdp.errors import EncryptionMismatch, NoCommonCodec, NotAcceptable

#: Codecs that both sides have: under their number and parameters, and under ours.
_Shared = tuple[tuple[Codec, Codec], ...]

#: What a direction of theirs leaves for us (RFC 3264 section 6.1).
_MIRROR: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}

_SENDING = ("sendrecv", "sendonly")
_RECEIVING = ("sendrecv", "recvonly")


@record
class LocalMedia:
    """What we want: where we receive, our codecs by preference (telephone-event among them).

    `session_id` and `version` are for ``o=``; see `successor` for the version's rule. `keys` are
    what we encrypt with (see `crypto.FreshKeys`); without them there is no SRTP.
    """

    ip: str
    port: int
    codecs: tuple[Codec, ...]
    session_id: int
    version: int = 1
    direction: Direction = "sendrecv"
    srtp: SrtpPolicy = SrtpPolicy.NEVER
    keys: Iterable[CryptoAttribute] = field(default=(), repr=False)


@record
class NegotiatedMedia:
    """What both sides agreed on.

    ``remote`` is where to send, an IP address or a host name and a port; None while the far end
    has no address (held with ``0.0.0.0``). ``codecs`` are the audio codecs both have, the far
    end's first choice first, with the payload types to send with and the far end's ``fmtp``;
    ``digits`` is the telephone-event to send digits with, None if the far end takes none.
    ``also_received`` may come too: codecs under numbers of ours that the answer changed,
    telephone-events of other clocks, comfort noise. ``ptime_ms`` is the packet time that the far
    end wishes to receive, ``protocol`` the profile that was agreed on, such as ``RTP/SAVP``.
    """

    remote: tuple[str, int] | None
    codecs: tuple[Codec, ...]
    digits: Codec | None
    direction: Direction
    ptime_ms: int = DEFAULT_PTIME_MS
    also_received: tuple[Codec, ...] = ()
    crypto: NegotiatedCrypto | None = None
    rtcp_mux: bool = False
    protocol: str = "RTP/AVP"

    @property
    def sends(self) -> bool:
        """Whether we may send: false while the far end holds us."""
        return self.direction in _SENDING


def offer(local: LocalMedia, settled: NegotiatedMedia | None = None) -> SessionDescription:
    """Our offer: one audio section, encrypted as `settled` was, at first as our policy says."""
    encrypted = local.srtp.offers if settled is None else settled.crypto is not None
    protocol = "RTP/SAVP" if encrypted else "RTP/AVP"
    if settled is not None:
        protocol = settled.protocol
    section = section_of.written(
        local.port,
        protocol,
        local.codecs,
        local.direction,
        offered(local.keys) if encrypted else (),
        rtcp_mux=settled is not None and settled.rtcp_mux,
    )
    return _describe(local, (section,))


def accept_answer(
    local_offer: SessionDescription, body: bytes | str, srtp: SrtpPolicy = SrtpPolicy.NEVER
) -> NegotiatedMedia:
    """What the answer to `local_offer` settles.

    Raises SdpError for an unreadable answer, NotAcceptable where it refuses the audio,
    NoCommonCodec where it takes none of the offered codecs, EncryptionMismatch where it is
    encrypted and our offer was not, or not and `srtp` requires it.
    """
    remote = SessionDescription.parse(body)
    ours = _first_audio(local_offer)
    # RFC 3264 section 6 asks for as many m= lines as we offered; some answer with more or with
    # others before the audio. Our offer has a single section, so the first live audio is meant.
    theirs = _first_audio(remote)
    crypto = _settled_crypto(ours, theirs, srtp)
    listed = theirs.codecs
    shared = _shared(listed, ours.codecs)
    wanted = local_offer.direction_of(ours)
    media = _negotiate(remote, theirs, listed, shared, wanted=wanted, crypto=crypto)
    also_received = (*_renumbered(shared), *media.also_received)
    rtcp_mux = media.rtcp_mux and ours.has("rtcp-mux")
    return replace(media, also_received=also_received, rtcp_mux=rtcp_mux)


def answer(
    local: LocalMedia, offer_body: bytes | str
) -> tuple[SessionDescription, NegotiatedMedia]:
    """Our answer to an offer, and what it settles.

    Every offered section is answered in its place; the audio section that suits our policy of
    encryption best is taken, all others are refused by port 0 (RFC 3264 section 6). Codecs keep
    the offer's numbers and order. Raises SdpError for an unreadable offer, NotAcceptable without
    RTP audio, EncryptionMismatch where it is encrypted otherwise than we want, NoCommonCodec where
    no such section has a codec of ours.
    """
    remote = SessionDescription.parse(offer_body)
    chosen = _choose_section(remote, local)
    theirs = remote.sections[chosen.place]
    listed, shared = theirs.codecs, chosen.shared
    media = _negotiate(remote, theirs, listed, shared, wanted=local.direction, crypto=chosen.crypto)
    mine = section_of.written(
        local.port,
        theirs.protocol,
        _answered(media, shared),
        media.direction,
        chosen.line,
        rtcp_mux=media.rtcp_mux,
    )
    sections = tuple(
        mine if place == chosen.place else section_of.refused(section)
        for place, section in enumerate(remote.sections)
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


def _first_audio(description: SessionDescription) -> MediaSection:
    refusal = "no audio section"
    for section in description.sections:
        if section.kind == "audio":
            if section.port == 0:
                refusal = "the audio section was refused (port 0)"
            elif section_of.is_rtp(section):
                return section
            else:
                raise NotAcceptable(f"audio by {section.protocol[:40]}, not by RTP/AVP or RTP/SAVP")
    raise NotAcceptable(refusal)


def _settled_crypto(
    ours: MediaSection, theirs: MediaSection, srtp: SrtpPolicy
) -> NegotiatedCrypto | None:
    lines = usable(theirs.values("crypto"))
    crypto = accepted(lines, usable(ours.values("crypto"))) if lines else None
    if crypto is None and section_of.is_secure(theirs):
        raise EncryptionMismatch(f"an answer by {theirs.protocol} without a key that fits ours")
    if crypto is None and srtp is SrtpPolicy.REQUIRED:
        raise EncryptionMismatch("the answer leaves out the encryption that is required")
    return crypto


# ── which of several sections ────────────────────────────────────────────────


@record
class _Choice:
    """A section of an offer, how it would be encrypted (with our line of it), and codecs."""

    place: int
    shared: _Shared
    line: tuple[CryptoAttribute, ...] = ()
    crypto: NegotiatedCrypto | None = None


def _choose_section(remote: SessionDescription, local: LocalMedia) -> _Choice:
    audio = [
        (place, section)
        for place, section in enumerate(remote.sections)
        if section.kind == "audio" and section.port != 0 and section_of.is_rtp(section)
    ]
    if not audio:
        raise NotAcceptable("no audio section with RTP")
    forms = [form for place, section in audio for form in _forms(place, section, local)]
    if not forms:
        raise EncryptionMismatch(_mismatch(local.srtp))
    # Stable: of equal ones the first offered is taken.
    forms.sort(key=lambda form: (form.crypto is not None) is not local.srtp.offers)
    for form in forms:
        if section_of.audio(codec for codec, _ in form.shared):
            return form
    offered_names = (codec.name for _, section in audio for codec in section.codecs)
    raise NoCommonCodec(f"none of ({', '.join(offered_names)[:200]}) is one of ours")


def _forms(place: int, section: MediaSection, local: LocalMedia) -> Iterator[_Choice]:
    """The ways in which a section could be taken under our policy."""
    shared = _shared(section.codecs, local.codecs)
    if section_of.is_plain(section) and local.srtp is not SrtpPolicy.REQUIRED:
        yield _Choice(place, shared)
    if local.srtp is not SrtpPolicy.NEVER:
        both = answered(usable(section.values("crypto")), local.keys)
        if both is not None:
            yield _Choice(place, shared, (both[0],), both[1])


def _mismatch(srtp: SrtpPolicy) -> str:
    if srtp is SrtpPolicy.REQUIRED:
        return "encryption is required, and the offer has no key that we can use"
    if srtp is SrtpPolicy.NEVER:
        return "the offer is of encrypted audio only, which is switched off here"
    return "the offer is of encrypted audio, without a key that we can use"


# ── codecs ───────────────────────────────────────────────────────────────────


def _shared(theirs: Iterable[Codec], ours: tuple[Codec, ...]) -> _Shared:
    """Their codecs that we have too, in their order, each beside what it is to us."""
    wanted = {codec.encoding: codec for codec in ours}
    shared: list[tuple[Codec, Codec]] = []
    for codec in theirs:
        own = wanted.pop(codec.encoding, None)
        if own is not None:
            shared.append((codec, own))
    return tuple(shared)


def _digits(events: tuple[Codec, ...], clock_rate: int) -> Codec | None:
    """The telephone-event at the audio's clock (RFC 4733 section 2.1).

    Several PBXes offer telephone-event/8000 alone beside Opus; their digits are better than none.
    """
    for codec in events:
        if codec.clock_rate == clock_rate:
            return codec
    return events[0] if events else None


def _negotiate(
    remote: SessionDescription,
    theirs: MediaSection,
    listed: tuple[Codec, ...],
    both: _Shared,
    *,
    wanted: Direction,
    crypto: NegotiatedCrypto | None,
) -> NegotiatedMedia:
    shared = [codec for codec, _ in both]
    codecs = section_of.audio(shared)
    if not codecs:
        raise NoCommonCodec("no audio codec in common")
    address = section_of.destination(remote, theirs)
    direction = _both(wanted, _MIRROR[remote.direction_of(theirs)])
    if address is None:
        # RFC 3264 section 8.4: an address of zero is the old way to hold; nothing may be sent.
        direction = _both(direction, "recvonly")
    events = section_of.events(shared)
    digits = _digits(events, codecs[0].clock_rate)
    return NegotiatedMedia(
        address,
        codecs,
        digits,
        direction,
        section_of.packet_time(theirs),
        (*[event for event in events if event != digits], *_comfort_noise(listed)),
        crypto,
        theirs.has("rtcp-mux"),
        theirs.protocol,
    )


def _comfort_noise(theirs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Who names it sends it at times, agreed on or not (RFC 3389); at 8 kHz, as G.711 has it."""
    noise = [codec for codec in theirs if codec.name == CN.name]
    return tuple([codec for codec in noise if codec.encoding == CN.encoding][:1])


def _both(one: Direction, other: Direction) -> Direction:
    """The direction that both allow."""
    sends = one in _SENDING and other in _SENDING
    receives = one in _RECEIVING and other in _RECEIVING
    if sends:
        return "sendrecv" if receives else "sendonly"
    return "recvonly" if receives else "inactive"


def _answered(media: NegotiatedMedia, shared: _Shared) -> tuple[Codec, ...]:
    """What our answer lists: the shared codecs in the offer's order, with parameters of ours.

    Of the telephone-events those that fit a codec's clock, and the one that digits go by.
    """
    clocks = {codec.clock_rate for codec in media.codecs}
    # ``fmtp`` says what its writer receives, so theirs would be wrong in our mouth.
    return tuple(
        replace(codec, fmtp=own.fmtp)
        for codec, own in shared
        if codec.name != TELEPHONE_EVENT or codec.clock_rate in clocks or codec == media.digits
    )


def _renumbered(accepted: _Shared) -> tuple[Codec, ...]:
    """Accepted codecs under our own numbers, where the answer chose others.

    RFC 3264 section 6.1: each side receives under the numbers it wrote itself. Many send under
    the other's all the same, so both are understood unless they contradict each other.
    """
    taken = {codec.payload_type for codec, _ in accepted}
    return tuple([own for _, own in accepted if own.payload_type not in taken])
