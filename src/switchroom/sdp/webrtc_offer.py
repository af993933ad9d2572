"""The offer that we write ourselves: the subscriber connection of the two-connection mode.

There the server offers and the client answers. The connection carries our data channels and every
track the client hears, each in a section of its own, sent by us and never by the client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from switchroom.base.records import record
from switchroom.sdp.codecs import G722, PCMA, PCMU, Codec
from switchroom.sdp.description import Direction
from switchroom.sdp.errors import SdpError
from switchroom.sdp.webrtc import TrackLabel, section_codecs
from switchroom.sdp.webrtc_text import Section, WebRtcText

OPUS = Codec("opus", 111, 48_000, 2, "minptime=10;useinbandfec=1")

#: What we can send, Opus first: the client may be sent any of them without a word (RFC 3264).
OFFERED_CODECS = (OPUS, PCMU, PCMA, G722)

#: Header extensions by id; the ids are those the media engine uses by default.
HEADER_EXTENSIONS: Mapping[int, str] = MappingProxyType(
    {
        1: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        4: "urn:ietf:params:rtp-hdrext:sdes:mid",
    }
)

MAX_MESSAGE_BYTES = 262_144


class OfferedTransport(Protocol):
    """How our side of the connection is reached (the media engine's description of a peer).

    `fingerprint` is ``sha-256 AA:BB:…``; `candidates` are ``candidate:…`` values.
    """

    @property
    def ice_ufrag(self) -> str: ...
    @property
    def ice_pwd(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def candidates(self) -> Sequence[str]: ...


@record
class SubscriberSection:
    """A section for one track, or, with `label` None, one that is free and stays in its place."""

    mid: str
    ssrc: int
    label: TrackLabel | None


@record
class DataSection:
    """The section of the data channels."""

    mid: str


@record
class AnsweredSection:
    """What the client made of one of our sections.

    ``payload_types`` are the numbers to send with, by codec name (``opus``, ``PCMU``, …); empty if
    the client refused the section or hears nothing there.
    """

    mid: str
    kind: str
    direction: Direction
    rejected: bool
    payload_types: Mapping[str, int]


@record
class SubscriberAnswer:
    """A client's answer: its transport, and its sections in our order.

    ``setup`` is ``active`` or ``passive``, the client's part in the DTLS handshake.
    """

    ice_ufrag: str
    ice_pwd: str
    fingerprint: str
    setup: str
    candidates: tuple[str, ...]
    sections: tuple[AnsweredSection, ...]


def subscriber_offer(
    transport: OfferedTransport,
    sections: Sequence[SubscriberSection | DataSection],
    version: int,
    *,
    session_id: int = 1,
) -> str:
    """Our offer. `sections` keep their places over the connection's life; `version` rises."""
    session = (
        "v=0",
        f"o=- {session_id} {version} IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS *",
    )
    written = tuple(
        _data_section(section, transport)
        if isinstance(section, DataSection)
        else _audio_section(section, transport)
        for section in sections
    )
    text = WebRtcText(session, written)
    text.distinct_mids()
    return str(text.bundled())


def read_subscriber_answer(text: str) -> SubscriberAnswer:
    """A client's answer to `subscriber_offer`. Raises SdpError."""
    answer = WebRtcText.parse(text)
    answer.distinct_mids()
    live = next((section for section in answer.sections if not section.rejected), None)
    if live is None:
        raise SdpError("every section was refused")
    setup = _needed(answer, live, "setup")
    if setup not in ("active", "passive"):
        raise SdpError(f"a=setup:{setup[:20]} in an answer (RFC 8842 section 5.3)")
    return SubscriberAnswer(
        _needed(answer, live, "ice-ufrag"),
        _needed(answer, live, "ice-pwd"),
        _needed(answer, live, "fingerprint"),
        setup,
        tuple(f"candidate:{value}" for value in live.values("candidate")),
        tuple(_answered_section(section) for section in answer.sections),
    )


def _needed(answer: WebRtcText, live: Section, name: str) -> str:
    value = live.value(name) or answer.session_value(name)
    if not value:
        raise SdpError(f"an answer without a={name}")
    return value


def _answered_section(section: Section) -> AnsweredSection:
    hears = not section.rejected and section.direction in ("recvonly", "sendrecv")
    codecs = section_codecs(section) if hears and section.kind == "audio" else ()
    payload_types: dict[str, int] = {}
    for codec in codecs:
        payload_types.setdefault(codec.name, codec.payload_type)
    return AnsweredSection(
        section.mid,
        section.kind,
        section.direction,
        section.rejected,
        MappingProxyType(payload_types),
    )


def _audio_section(section: SubscriberSection, transport: OfferedTransport) -> Section:
    formats = " ".join(str(codec.payload_type) for codec in OFFERED_CODECS)
    lines = [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {formats}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        *_transport_lines(transport),
        f"a=mid:{section.mid}",
        *(f"a=extmap:{number} {uri}" for number, uri in HEADER_EXTENSIONS.items()),
        "a=sendonly" if section.label is not None else "a=inactive",
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]
    for codec in OFFERED_CODECS:
        lines.append(f"a=rtpmap:{codec.rtpmap}")
        if codec.fmtp:
            lines.append(f"a=fmtp:{codec.payload_type} {codec.fmtp}")
    if section.label is not None:
        lines.append(f"a=msid:{section.label.msid}")
        lines.append(f"a=ssrc:{section.ssrc} cname:{section.label.participant_sid}")
    return Section(tuple(lines))


def _data_section(section: DataSection, transport: OfferedTransport) -> Section:
    return Section(
        (
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "c=IN IP4 0.0.0.0",
            *_transport_lines(transport),
            f"a=mid:{section.mid}",
            "a=sctp-port:5000",
            f"a=max-message-size:{MAX_MESSAGE_BYTES}",
        )
    )


def _transport_lines(transport: OfferedTransport) -> tuple[str, ...]:
    candidates = (value.removeprefix("a=") for value in transport.candidates)
    return (
        f"a=ice-ufrag:{transport.ice_ufrag}",
        f"a=ice-pwd:{transport.ice_pwd}",
        f"a=fingerprint:{transport.fingerprint}",
        "a=setup:actpass",
        *(f"a={value}" for value in candidates),
        "a=end-of-candidates",
    )
