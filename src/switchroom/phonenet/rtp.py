"""RTP as a telephone needs it (RFC 3550), and digits in it (RFC 4733). Pure: bytes in, bytes out.

This is written apart from the server's own media engine on purpose: two readings of an RFC that
agree are worth more than one that is used twice.
"""

from __future__ import annotations

import struct
from collections import deque

from switchroom.base.records import record

DIGITS = "0123456789*#ABCD"
"""Digits in the order of their event codes (RFC 4733 section 3.2)."""

_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")
_END_REPEATS = 3


@record
class Packet:
    """One RTP packet without its extensions and contributing sources."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def pack(self) -> bytes:
        """As it goes on the wire."""
        marked = self.payload_type | (0x80 if self.marker else 0)
        header = _HEADER.pack(0x80, marked, self.sequence, self.timestamp, self.ssrc)
        return header + self.payload


def unpack(datagram: bytes) -> Packet | None:
    """The packet in a datagram, None if it is none (or RTCP, RFC 5761 section 4)."""
    if len(datagram) < _HEADER.size or datagram[0] >> 6 != 2 or 192 <= datagram[1] <= 223:
        return None
    flags, marked, sequence, timestamp, ssrc = _HEADER.unpack_from(datagram)
    start = _HEADER.size + 4 * (flags & 0x0F)
    if flags & 0x10:
        if len(datagram) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4], "big")
    end = len(datagram)
    if flags & 0x20:
        end -= datagram[-1]
    if start > end or (flags & 0x20 and datagram[-1] == 0):
        return None
    payload = datagram[start:end]
    return Packet(marked & 0x7F, sequence, timestamp, ssrc, payload, bool(marked & 0x80))


class Sequence:
    """Follows the sequence numbers of one sender.

    `lost` counts numbers that were skipped, less those that came late after all. A jump of more
    than a second, or another sender, is a new beginning (RFC 3550 appendix A.1 in short).
    """

    _NEW_BEGINNING = 50

    def __init__(self) -> None:
        self.received = 0
        self.lost = 0
        self._ssrc: int | None = None
        self._next = 0

    def take(self, packet: Packet) -> int | None:
        """How many packets are missing before this one; None for one that is late or repeated."""
        ahead = (packet.sequence - self._next) & 0xFFFF
        behind = 0x10000 - ahead
        self.received += 1
        if packet.ssrc != self._ssrc or min(ahead, behind) > self._NEW_BEGINNING:
            self._ssrc = packet.ssrc
            ahead = 0
        elif behind <= self._NEW_BEGINNING:
            self.lost = max(0, self.lost - 1)
            return None
        self._next = (packet.sequence + 1) & 0xFFFF
        self.lost += ahead
        return ahead


class Jitter:
    """Interarrival jitter (RFC 3550 section 6.4.1), in milliseconds."""

    def __init__(self, clock_rate: int = 8000) -> None:
        self._rate = clock_rate
        self._transit: float | None = None
        self.ms = 0.0

    def arrived(self, timestamp: int, now: float) -> None:
        """A packet of that timestamp came at `now` (seconds)."""
        transit = now - timestamp / self._rate
        if self._transit is not None:
            change = abs(transit - self._transit)
            # A wrapped or restarted timestamp is no jitter.
            if change < 1:
                self.ms += (change * 1000 - self.ms) / 16
        self._transit = transit


@record
class PressedDigit:
    """A digit that was received; `duration_ms` is what its last packet said."""

    digit: str
    duration_ms: int


class DigitReader:
    """Makes one digit of the many packets of an event.

    All packets of an event share its timestamp, and the end is sent three times (RFC 4733 section
    2.5.1.4): whichever end comes first counts. An event whose ends are all lost counts when the
    next one begins or when audio is heard again.
    """

    def __init__(self) -> None:
        self._open: tuple[int, PressedDigit] | None = None
        self._told: int | None = None

    def take(self, packet: Packet) -> list[PressedDigit]:
        """The digits that this event packet completes."""
        if len(packet.payload) < _EVENT.size or packet.timestamp == self._told:
            return []
        code, flags, duration = _EVENT.unpack_from(packet.payload)
        if code >= len(DIGITS):
            return []
        done = self.flush() if self._open and self._open[0] != packet.timestamp else []
        self._open = (packet.timestamp, PressedDigit(DIGITS[code], duration // 8))
        return done + (self.flush() if flags & 0x80 else [])

    def flush(self) -> list[PressedDigit]:
        """The event that is still open, as one that has ended."""
        if self._open is None:
            return []
        self._told, digit = self._open
        self._open = None
        return [digit]


@record
class EventPacket:
    """What to send in place of an audio packet: `age` is the packets since the event began."""

    payload: bytes
    age: int


class DigitWriter:
    """Turns digits into event packets, one for each 20 ms.

    A digit lasts 100 ms and is followed by 60 ms of pause; ``w`` is half a second of pause.
    """

    _HELD = 5
    _PAUSE = 3
    _WAIT = 25

    def __init__(self) -> None:
        self._slots: deque[EventPacket | None] = deque()

    def __bool__(self) -> bool:
        return bool(self._slots)

    def press(self, digits: str) -> None:
        """Queue digits. Raises ValueError, before any is queued, for a character that is none."""
        wrong = [digit for digit in digits if digit.upper() not in DIGITS + "W"]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no digit")
        for digit in digits.upper():
            if digit == "W":
                self._slots.extend([None] * self._WAIT)
            else:
                self._slots.extend(self._event(DIGITS.index(digit)))
                self._slots.extend([None] * self._PAUSE)

    def next(self) -> EventPacket | None:
        """What this slot sends; None where it is audio's turn."""
        return self._slots.popleft() if self._slots else None

    def _event(self, code: int) -> list[EventPacket]:
        packets = [EventPacket(_EVENT.pack(code, 10, 160 * (n + 1)), n) for n in range(self._HELD)]
        end = _EVENT.pack(code, 0x80 | 10, 160 * self._HELD)
        return packets + [EventPacket(end, self._HELD + n) for n in range(_END_REPEATS)]
