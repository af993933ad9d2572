"""A telephone line: what one phone sends and hears in 20 ms steps. Pure; the time is handed in."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol

from switchroom.base.records import record
from switchroom.phonenet.g711 import LAWS, Law
from switchroom.phonenet.hearing import FRAME, Ear, Impression
from switchroom.phonenet.rtp import (
    DigitReader,
    DigitWriter,
    Jitter,
    Packet,
    PressedDigit,
    Sequence,
    unpack,
)
from switchroom.phonenet.sounds import Sound
from switchroom.sdp.offer_answer import NegotiatedMedia

_STALL = 10
"""Beats without a packet after which a caller that sends nothing counts as silent: 200 ms."""

_LONGEST_LOSS = 50
"""Frames of silence that a jump in the sequence is worth at most; beyond, it is a new beginning."""


@record
class LineCodecs:
    """What was agreed: laws by payload type, the first one to send with, and the type of digits.

    `digits` is None if the far end takes no telephone-events.
    """

    laws: Mapping[int, Law]
    digits: int | None = None

    @classmethod
    def of(cls, media: NegotiatedMedia) -> LineCodecs:
        """What an offer and its answer settled."""
        codecs = (*media.codecs, *media.also_received)
        laws = {codec.payload_type: LAWS[codec.name] for codec in codecs if codec.name in LAWS}
        return cls(laws, media.digits.payload_type if media.digits else None)

    @property
    def payload_type(self) -> int:
        return next(iter(self.laws))

    @property
    def law(self) -> Law:
        return self.laws[self.payload_type]


class Follower(Protocol):
    """Somebody who follows what the line hears, in time: where nothing comes, it hears silence."""

    def hear(self, frame: array[int]) -> object:
        """The next sound, 20 ms or less."""
        ...


@lru_cache(maxsize=64)
def _encoded(sound: Sound, law: Law) -> bytes:
    return law.encode(sound.samples)


class Playing:
    """A sound on its way out. Ends by itself, after `frames`, or when the line is told to stop."""

    def __init__(self, octets: bytes, *, endless: bool, frames: int | None) -> None:
        self._octets = octets
        self._endless = endless and bool(octets)
        self._left = frames
        self._place = 0

    def frame(self, padding: int) -> bytes | None:
        """The next 20 ms; None once it is over. The last piece is filled up with silence."""
        if self._left is not None:
            if self._left == 0:
                return None
            self._left -= 1
        octets = self._octets
        piece = octets[self._place : self._place + FRAME]
        self._place += len(piece)
        while self._endless and len(piece) < FRAME:
            self._place = FRAME - len(piece)
            piece += octets[: self._place]
        if not piece:
            return None
        return piece + bytes([padding]) * (FRAME - len(piece))


class Line:
    """One call's sound, both ways.

    The owner calls `next_packet` every 20 ms and sends what it returns, and hands every received
    datagram to `receive`. `on_digit`, `on_impression` and `on_played` are told what happens.
    """

    def __init__(self, codecs: LineCodecs, *, ssrc: int, sequence: int, timestamp: int) -> None:
        self.codecs = codecs
        self.ear = Ear()
        self.listening: Ear | None = None
        self.followers: list[Follower] = []
        self.echoing = False
        self.muted = False
        self.sent = 0
        self.arrivals = Sequence()
        self.jitter = Jitter()
        self.on_digit: Callable[[PressedDigit], None] = lambda _: None
        self.on_impression: Callable[[Impression], None] = lambda _: None
        self.on_played: Callable[[], None] = lambda: None
        self.on_pressed: Callable[[], None] = lambda: None
        self._ssrc, self._sequence, self._timestamp = ssrc, sequence & 0xFFFF, timestamp
        self._playing: Playing | None = None
        self._echo: bytes | None = None
        self._digits_out = DigitWriter()
        self._digits_in = DigitReader()
        self._fresh = True
        self._beats_alone = 0

    @property
    def received(self) -> int:
        """Audio and digit packets that came."""
        return self.arrivals.received

    def play(self, sound: Sound, seconds: float | None = None) -> None:
        """Send this from the next packet on, in place of whatever was sent."""
        frames = None if seconds is None else max(1, round(seconds * 50))
        octets = _encoded(sound, self.codecs.law)
        self._playing = Playing(octets, endless=sound.endless, frames=frames)

    def stop(self) -> None:
        """Send silence from the next packet on."""
        self._playing = None

    def press(self, digits: str) -> None:
        """Send digits; `on_pressed` tells when the last one is out. Raises ValueError."""
        if self.codecs.digits is None:
            raise ValueError("the far end takes no telephone-events")
        self._digits_out.press(digits)

    def next_packet(self) -> bytes | None:
        """The packet for this 20 ms; None while the line is dead (`muted`)."""
        timestamp = self._timestamp & 0xFFFFFFFF
        self._timestamp += FRAME
        self._beats_alone += 1
        if self._beats_alone > _STALL:
            self._tell_followers(array("h", bytes(2 * FRAME)))
        if self.muted:
            return None
        pressing = bool(self._digits_out)
        event = self._digits_out.next()
        if event is not None and self.codecs.digits is not None:
            began = (timestamp - event.age * FRAME) & 0xFFFFFFFF
            packet = self._packet(self.codecs.digits, began, event.payload, event.age == 0)
        else:
            audio = self._audio()
            packet = self._packet(self.codecs.payload_type, timestamp, audio, self._fresh)
            self._fresh = False
        if pressing and not self._digits_out:
            self.on_pressed()
        return packet

    def receive(self, datagram: bytes, now: float) -> None:
        """Take a datagram that came at `now` (seconds); what is no RTP of this call is ignored."""
        packet = unpack(datagram)
        if packet is None or not self._is_ours(packet.payload_type):
            return
        missing = self.arrivals.take(packet)
        if packet.payload_type == self.codecs.digits:
            self._digits(self._digits_in.take(packet))
        elif missing is not None:
            self.jitter.arrived(packet.timestamp, now)
            self._digits(self._digits_in.flush())
            self._hear(self.codecs.laws[packet.payload_type], packet.payload, missing)

    def _is_ours(self, payload_type: int) -> bool:
        return payload_type in self.codecs.laws or payload_type == self.codecs.digits

    def _packet(self, payload_type: int, timestamp: int, payload: bytes, marker: bool) -> bytes:
        packet = Packet(payload_type, self._sequence, timestamp, self._ssrc, payload, marker)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.sent += 1
        return packet.pack()

    def _audio(self) -> bytes:
        silence = self.codecs.law.silence
        if self.echoing and self._echo is not None:
            frame, self._echo = self._echo, None
            return frame
        if self._playing is not None:
            piece = self._playing.frame(silence)
            if piece is not None:
                return piece
            self._playing = None
            self.on_played()
        return bytes([silence]) * FRAME

    def _digits(self, digits: list[PressedDigit]) -> None:
        for digit in digits:
            self.on_digit(digit)

    def _hear(self, law: Law, payload: bytes, missing: int) -> None:
        self._beats_alone = 0
        self._echo = payload if law is self.codecs.law else None
        for _ in range(min(missing, _LONGEST_LOSS)):
            self._hear_frame(array("h", bytes(2 * FRAME)))
        samples = law.decode(payload)
        # Packets of other lengths than 20 ms are heard all the same, in frames of ours.
        for start in range(0, len(samples), FRAME):
            self._hear_frame(samples[start : start + FRAME])

    def _hear_frame(self, frame: array[int]) -> None:
        if self.listening is not None:
            self.listening.hear(frame)
        self._tell_followers(frame)
        impression = self.ear.hear(frame)
        if impression is not None:
            self.on_impression(impression)

    def _tell_followers(self, frame: array[int]) -> None:
        for follower in tuple(self.followers):
            follower.hear(frame)
