"""Codecs as session descriptions name them: a payload type number, a name and a clock."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain

from switchroom.base.records import record, replace
from switchroom.sdp.errors import SdpError

TELEPHONE_EVENT = "telephone-event"

_REMEMBERED_CHARACTERS = 1000

#: The spelling this project uses for names that RFC 8866 section 6.6 compares without case.
_SPELLING = {
    name.lower(): name
    for name in ("PCMU", "PCMA", "G722", "G729", "GSM", "CN", "opus", "red", TELEPHONE_EVENT)
}


@record
class Codec:
    """One entry of an ``m=`` line's format list.

    ``payload_type`` is 0–127, ``clock_rate`` is the RTP clock in Hz (8000 for G722, whatever its
    sampling rate, RFC 3551 section 4.5.2), ``fmtp`` the parameters without the payload type.
    """

    name: str
    payload_type: int
    clock_rate: int
    channels: int = 1
    fmtp: str = ""

    @property
    def encoding(self) -> tuple[str, int, int]:
        """What it codes: the number, the name's case and ``fmtp`` aside."""
        name = self.name.lower()
        # RFC 7587 section 7: Opus has always two, and some write one.
        return name, self.clock_rate, 2 if name == "opus" else self.channels

    @property
    def rtpmap(self) -> str:
        """The value of its ``a=rtpmap`` line."""
        channels = f"/{self.channels}" if self.channels > 1 else ""
        return f"{self.payload_type} {self.name}/{self.clock_rate}{channels}"


PCMU = Codec("PCMU", 0, 8000)
PCMA = Codec("PCMA", 8, 8000)
G722 = Codec("G722", 9, 8000)
CN = Codec("CN", 13, 8000)
#: Mono both ways; what was lost may be in the next packet (RFC 7587 section 6.1).
OPUS = Codec("opus", 111, 48_000, 2, "useinbandfec=1")


def telephone_event(payload_type: int = 101, clock_rate: int = 8000) -> Codec:
    """The digits 0–9, * # A–D as RTP events (RFC 4733), at the clock of the audio beside them."""
    return Codec(TELEPHONE_EVENT, payload_type, clock_rate, fmtp="0-15")


#: Payload types that need no ``a=rtpmap`` (RFC 3551 table 4); those of audio that still occur.
STATIC = {
    codec.payload_type: codec
    for codec in (
        PCMU,
        Codec("GSM", 3, 8000),
        Codec("G723", 4, 8000),
        PCMA,
        G722,
        CN,
        Codec("G728", 15, 8000),
        Codec("G729", 18, 8000),
    )
}


def parse_rtpmap(value: str) -> Codec:
    """``111 opus/48000/2`` as a codec. Raises SdpError."""
    number, _, encoding = value.strip().partition(" ")
    name, *rest = encoding.strip().split("/")
    if not name or not rest or len(rest) > 2:
        raise SdpError(f"a=rtpmap:{value[:80]} is not '<type> <name>/<clock>'")
    clock_rate = bounded_number(rest[0], 1_000_000, "clock rate")
    if clock_rate == 0:
        raise SdpError("a clock rate of zero")
    # Some devices write an empty or zero channel count where they mean one.
    channels = bounded_number(rest[1] or "1", 255, "channel count") if len(rest) == 2 else 1
    if name.upper() == "G722" and clock_rate == 16_000:
        clock_rate = 8_000  # its sampling rate by mistake (RFC 3551 section 4.5.2)
    return Codec(
        _SPELLING.get(name.lower(), name),
        bounded_number(number, 127, "payload type"),
        clock_rate,
        max(channels, 1),
    )


def listed_codecs(
    formats: Iterable[str], rtpmaps: Iterable[str], fmtps: Iterable[str]
) -> tuple[Codec, ...]:
    """The codecs of one RTP section in its own order of preference.

    A static payload type needs no rtpmap, and a line that cannot be read takes its codec away,
    not the call: what is left can still be agreed on.
    """
    texts = tuple(formats), tuple(rtpmaps), tuple(fmtps)
    # A carrier writes the same lines in every call. Only short ones are remembered: what
    # strangers can make us hold stays small.
    if sum(map(len, chain(*texts))) <= _REMEMBERED_CHARACTERS:
        return _remembered(*texts)
    return _read(*texts)


def _read(
    formats: tuple[str, ...], rtpmaps: tuple[str, ...], fmtps: tuple[str, ...]
) -> tuple[Codec, ...]:
    mapped = _by_number(rtpmaps)
    parameters = _parameters(fmtps)
    found: dict[int, Codec] = {}
    for text in formats:
        number = _number_or_none(text)
        codec = mapped.get(number, STATIC.get(number)) if number is not None else None
        if codec is not None:
            found.setdefault(codec.payload_type, replace(codec, fmtp=parameters.get(text, "")))
    return tuple(found.values())


_remembered = lru_cache(maxsize=256)(_read)


def _by_number(rtpmaps: Iterable[str]) -> dict[int | None, Codec]:
    mapped: dict[int | None, Codec] = {}
    for value in rtpmaps:
        try:
            codec = parse_rtpmap(value)
        except SdpError:
            continue
        mapped.setdefault(codec.payload_type, codec)
    return mapped


def _parameters(fmtps: Iterable[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for value in fmtps:
        number, _, text = value.strip().partition(" ")
        parameters.setdefault(number, text.strip())
    return parameters


def _number_or_none(text: str) -> int | None:
    try:
        return bounded_number(text, 127, "payload type")
    except SdpError:
        return None


def bounded_number(text: str, highest: int, what: str) -> int:
    """A decimal number between 0 and `highest`. Raises SdpError.

    ``int()`` alone would take signs, underscores and other scripts' digits.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) > highest:
        raise SdpError(f"{what} {text[:20]!r} is not a number up to {highest}")
    return int(text)
