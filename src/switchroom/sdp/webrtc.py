"""The two ends of a WebRTC negotiation that a client begins: its offer in, our answer out.

The media engine answers as a browser would; LiveKit's clients expect a LiveKit server's answer.
`finish_answer` makes the one from the other. What it promises, whatever comes in:

- the answer has the offer's sections: same count, order, kinds and mids;
- no port is 0 unless the offer's was;
- every live section is in the BUNDLE group;
- a section with a track names participant and track in ``a=msid``; no other section has an msid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from switchroom.base.ip_addresses import is_ip
from switchroom.base.records import record
from switchroom.sdp.codecs import Codec, listed_codecs
from switchroom.sdp.description import Direction
from switchroom.sdp.errors import SdpError
from switchroom.sdp.webrtc_text import Section, WebRtcText, without_attributes

_STEREO = ("stereo=1", "maxaveragebitrate=510000")
"""What livekit-server asks of a stereo track."""

_TRANSPORT = ("ice-ufrag", "ice-pwd", "ice-options", "fingerprint", "setup")


@record
class TrackLabel:
    """Whose track a section carries: sids with their ``PA_`` and ``TR_`` prefixes."""

    participant_sid: str
    track_sid: str

    @property
    def msid(self) -> str:
        """What clients take the track's and its publisher's sids from.

        A stream id without exactly one ``|`` means a spare section to them.
        """
        return f"{self.participant_sid}|{self.track_sid} {self.track_sid}"


@record
class PublishedAudio:
    """How the client wants to send a track that it publishes.

    ``dtx`` pauses in silence, ``redundant`` repeats what may have been lost (RED, RFC 2198).
    """

    dtx: bool = True
    redundant: bool = True
    stereo: bool = False


@record
class OfferedSection:
    """One section of a client's offer.

    ``kind`` is audio, video or application; ``direction`` is the client's: it publishes where that
    is sendonly or sendrecv, and can be sent a track where it is recvonly or sendrecv.
    ``msid_track`` is the client's id of the track published there (AddTrack's ``cid``).
    """

    mid: str
    kind: str
    direction: Direction
    rejected: bool
    msid_track: str | None
    codecs: tuple[Codec, ...]


def prepare_offer(text: str) -> str:
    """A client's offer as the media engine should read it. Raises SdpError.

    Without ``sctp-init``, since a re-offer that lacks the line after an answer that had it is
    refused, and without candidates that lead nowhere for us: host names (mDNS) and TCP.
    """
    offer = WebRtcText.parse(text)
    offer.distinct_mids()
    sections = (
        Section(tuple(filter(_is_usable, without_attributes(section.lines, "sctp-init"))))
        for section in offer.sections
    )
    return str(WebRtcText(offer.session, tuple(sections)))


def offered_sections(text: str) -> tuple[OfferedSection, ...]:
    """What a client offers, section by section. Raises SdpError."""
    offer = WebRtcText.parse(text)
    offer.distinct_mids()
    return tuple(
        OfferedSection(
            section.mid,
            section.kind,
            section.direction,
            section.rejected,
            _msid_track(section),
            section_codecs(section),
        )
        for section in offer.sections
    )


def finish_answer(
    offer: str,
    answer: str,
    tracks: Mapping[str, TrackLabel],
    published: Mapping[str, PublishedAudio] | None = None,
) -> str:
    """The media engine's answer as the client should read it.

    `offer` is the client's text, `tracks` says by mid which track we send in which section,
    `published` how the client sends where it does. A label for a section that the offer does not
    let us send in has no effect. Raises SdpError if the answer does not fit the offer: better no
    answer than one that confuses a client for good.
    """
    offered = WebRtcText.parse(offer)
    answered = WebRtcText.parse(answer)
    if offered.distinct_mids() != _answered_mids(offered, answered):
        raise SdpError("the answer's sections are not the offer's")
    transport = _transport_lines(answered)
    sections = tuple(
        _as_published(
            _finish_section(question, reply, tracks.get(question.mid), transport),
            (published or {}).get(question.mid),
        )
        for question, reply in zip(offered.sections, answered.sections, strict=True)
    )
    # The engine lists the streams of its own invention there; clients look at the sections only.
    session = without_attributes(answered.session, "msid-semantic")
    return str(WebRtcText((*session, "a=msid-semantic: WMS *"), sections).bundled())


def section_codecs(section: Section) -> tuple[Codec, ...]:
    """The codecs of an RTP section in its order of preference."""
    return listed_codecs(section.formats, section.values("rtpmap"), section.values("fmtp"))


def _is_usable(line: str) -> bool:
    """False for a candidate that we could not send to (RFC 8839 section 5.1)."""
    if not line.startswith("a=candidate:"):
        return True
    fields = line.split()
    return len(fields) >= 8 and fields[2].lower() == "udp" and is_ip(fields[4])


def _msid_track(section: Section) -> str | None:
    """The second word of ``a=msid``, or of the ``a=ssrc … msid`` lines of older clients."""
    msid = section.value("msid")
    if msid is None:
        by_ssrc = (value.partition(" msid:") for value in section.values("ssrc"))
        msid = next((text for _, found, text in by_ssrc if found), "")
    words = msid.split()
    return words[1] if len(words) > 1 else None


def _answered_mids(offered: WebRtcText, answered: WebRtcText) -> tuple[str, ...]:
    """The answer's mids; a refused section without one keeps the place it has."""
    if [s.kind for s in offered.sections] != [s.kind for s in answered.sections]:
        raise SdpError("the answer's sections are not the offer's")
    return tuple(
        question.mid if reply.rejected and reply.value("mid") is None else reply.mid
        for question, reply in zip(offered.sections, answered.sections, strict=True)
    )


def _transport_lines(answered: WebRtcText) -> tuple[str, ...]:
    """How the first live section says that it is reached; all bundled sections share it."""
    live = next((section for section in answered.sections if not section.rejected), None)
    if live is None:
        return ()
    return tuple(line for line in live.lines if _attribute_name(line) in _TRANSPORT)


def _attribute_name(line: str) -> str:
    return line[2:].partition(":")[0] if line.startswith("a=") else ""


def _finish_section(
    offered: Section, answered: Section, label: TrackLabel | None, transport: tuple[str, ...]
) -> Section:
    if offered.rejected:
        return _with_mid(answered, offered.mid)
    if offered.kind == "application":
        return answered
    if answered.rejected:
        return _kept_alive(offered, transport)
    if answered.direction in ("sendonly", "sendrecv"):
        return _labelled(answered, label) if label is not None else _silenced(answered)
    return Section(_without_msid(answered.lines))


def _with_mid(answered: Section, mid: str) -> Section:
    """The media engine leaves the mid out of sections that it refuses."""
    if answered.value("mid") is not None:
        return answered
    return Section((*answered.lines, f"a=mid:{mid}"))


def _labelled(answered: Section, label: TrackLabel) -> Section:
    return Section((*_without_msid(answered.lines), f"a=msid:{label.msid}"))


def _silenced(answered: Section) -> Section:
    """A section with nothing to send: clients would take a sending one for a track without name."""
    lines = without_attributes(_without_msid(answered.lines), "ssrc", "ssrc-group")
    direction = "recvonly" if answered.direction == "sendrecv" else "inactive"
    return Section(
        tuple(f"a={direction}" if line in ("a=sendonly", "a=sendrecv") else line for line in lines)
    )


def _without_msid(lines: Iterable[str]) -> tuple[str, ...]:
    kept = without_attributes(lines, "msid")
    return tuple(line for line in kept if not (line.startswith("a=ssrc:") and " msid:" in line))


def _kept_alive(offered: Section, transport: tuple[str, ...]) -> Section:
    """An inactive section in place of one the media engine refused for want of a codec.

    libwebrtc forgets a refused section's transceiver, and its next offer then fails ("Transceiver
    not found based on m-line index"). One offered codec is enough to keep it.
    """
    chosen = offered.formats[0]
    fields = offered.fields
    return Section(
        (
            f"m={fields[0]} 9 {fields[2]} {chosen}",
            "c=IN IP4 0.0.0.0",
            "a=rtcp:9 IN IP4 0.0.0.0",
            *transport,
            f"a=mid:{offered.mid}",
            "a=inactive",
            "a=rtcp-mux",
            *(line for line in offered.lines if _describes(line, chosen)),
        )
    )


def _as_published(answered: Section, wish: PublishedAudio | None) -> Section:
    """The section, asking the client to send as it wants to.

    libwebrtc sends what the answer prefers: Opus with ``usedtx=1`` pauses in silence (RFC 7587
    section 7.1), RED is used where it is listed.
    """
    if wish is None or answered.rejected or answered.direction not in ("recvonly", "sendrecv"):
        return answered
    section = answered if wish.redundant else _without_red(answered)
    parameters = (("usedtx=1",) if wish.dtx else ()) + (_STEREO if wish.stereo else ())
    opus = {codec.payload_type for codec in section_codecs(section) if codec.name.lower() == "opus"}
    return Section(tuple(_with_parameters(line, opus, parameters) for line in section.lines))


def _without_red(section: Section) -> Section:
    red = {str(c.payload_type) for c in section_codecs(section) if c.name.lower() == "red"}
    formats = " ".join(format_ for format_ in section.formats if format_ not in red)
    first = " ".join((*section.lines[0].split()[:3], formats))
    kept = (line for line in section.lines[1:] if not any(_describes(line, pt) for pt in red))
    return Section((first, *kept))


def _with_parameters(line: str, payload_types: set[int], parameters: Iterable[str]) -> str:
    if not any(line.startswith(f"a=fmtp:{payload_type} ") for payload_type in payload_types):
        return line
    listed = line.partition(" ")[2].split(";")
    return ";".join((line, *(new for new in parameters if new not in listed)))


def _describes(line: str, payload_type: str) -> bool:
    prefixes = ("a=rtpmap:", "a=fmtp:", "a=rtcp-fb:")
    return line.startswith(tuple(f"{prefix}{payload_type} " for prefix in prefixes))
