"""Where an utterance begins and ends, by loudness against the noise of the line. Pure.

Time is counted in samples. A frame is 20 ms; pieces of any length may be fed, odd ones too.
"""

from __future__ import annotations

import math
import operator
from array import array
from collections import deque
from dataclasses import dataclass, field

from switchroom.base.records import record
from switchroom.speech.pcm import SAMPLE_BYTES, Pcm

_FRAME_SECONDS = 0.02
_FULL_SCALE = 32_768.0
_QUIETEST = -96.0


@record
class SpeechStarted:
    """Somebody speaks since sample ``start`` (the first audible one, told a little later)."""

    start: int


@record
class SpeechEnded:
    """Nobody speaks any more: ``start`` and ``end`` frame what was audible, in samples.

    ``sound`` is that, with a margin on both sides.
    """

    start: int
    end: int
    sound: Pcm = field(repr=False)


@record
class EndpointSettings:
    """Levels in dB of full scale, times in seconds."""

    silence: float = 0.5
    """So much of it ends an utterance."""

    onset: float = 0.06
    """So much speech begins one; a click is shorter."""

    margin: float = 0.2
    """Sound kept before the first and after the last audible sample."""

    longest: float = 30.0
    """An utterance is ended after so long, whatever is heard."""

    above_noise: float = 12.0
    """Speech is so much louder than the noise of the line."""

    quietest_speech: float = -50.0
    """Nothing below is speech, however silent the line."""


class Endpointer:
    """Finds the utterances in a stream of samples, 16 bit little-endian, one channel."""

    def __init__(self, rate: int, settings: EndpointSettings | None = None) -> None:
        self._rate = rate
        self._settings = settings or EndpointSettings()
        self._frame = round(rate * _FRAME_SECONDS)
        self._rest = b""
        self._at = 0
        self._noise = _NoiseFloor()
        frames = self._frames(self._settings.margin) + self._frames(self._settings.onset)
        self._before: deque[bytes] = deque(maxlen=max(1, frames))
        self._loud_frames = 0
        self._utterance: _Utterance | None = None

    @property
    def speaking(self) -> bool:
        """Whether an utterance is under way."""
        return self._utterance is not None

    def feed(self, samples: bytes) -> list[SpeechStarted | SpeechEnded]:
        """Take the next samples; returns what began and ended in them."""
        data = self._rest + samples
        size = self._frame * SAMPLE_BYTES
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        news: list[SpeechStarted | SpeechEnded] = []
        for start in range(0, whole, size):
            news += self._take(data[start : start + size])
        return news

    def finish(self) -> list[SpeechStarted | SpeechEnded]:
        """The stream is over, or whoever feeds it says that the utterance is: end it now."""
        return self._end() if self._utterance is not None else []

    def _take(self, frame: bytes) -> list[SpeechStarted | SpeechEnded]:
        level = level_of(frame)
        floor = self._noise.follow(level)
        loud = level > max(floor + self._settings.above_noise, self._settings.quietest_speech)
        self._at += self._frame
        if self._utterance is None:
            return self._wait(frame, loud=loud)
        return self._continue(self._utterance, frame, loud=loud)

    def _wait(self, frame: bytes, *, loud: bool) -> list[SpeechStarted | SpeechEnded]:
        self._before.append(frame)
        self._loud_frames = self._loud_frames + 1 if loud else 0
        if self._loud_frames < self._frames(self._settings.onset):
            return []
        start = self._at - self._loud_frames * self._frame
        self._utterance = _Utterance(start, self._at, list(self._before))
        self._before.clear()
        self._loud_frames = 0
        return [SpeechStarted(start)]

    def _continue(
        self, utterance: _Utterance, frame: bytes, *, loud: bool
    ) -> list[SpeechStarted | SpeechEnded]:
        utterance.frames.append(frame)
        if loud:
            utterance.end = self._at
        silent = (self._at - utterance.end) / self._rate
        lasted = (self._at - utterance.start) / self._rate
        if silent >= self._settings.silence or lasted >= self._settings.longest:
            return self._end()
        return []

    def _end(self) -> list[SpeechStarted | SpeechEnded]:
        utterance, self._utterance = self._utterance, None
        if utterance is None:
            return []
        silent_frames = (self._at - utterance.end) // self._frame
        surplus = max(0, silent_frames - self._frames(self._settings.margin))
        kept = utterance.frames[: len(utterance.frames) - surplus]
        sound = Pcm(b"".join(kept), self._rate)
        return [SpeechEnded(utterance.start, utterance.end, sound)]

    def _frames(self, seconds: float) -> int:
        return round(seconds / _FRAME_SECONDS)


@dataclass(slots=True)
class _Utterance:
    start: int
    end: int
    frames: list[bytes]


class _NoiseFloor:
    """The level of the line when nobody speaks: falls at once, rises slowly.

    Half a second of digital silence or a pause between words pulls it down; steady noise becomes
    the floor after some seconds, so that it is not heard as an utterance without an end.
    """

    _RISE = 3.0 * _FRAME_SECONDS
    _START = -60.0
    _LOWEST = -70.0
    _HIGHEST = -25.0

    def __init__(self) -> None:
        self._level = self._START

    def follow(self, level: float) -> float:
        self._level = min(level, self._level + self._RISE)
        self._level = min(max(self._level, self._LOWEST), self._HIGHEST)
        return self._level


def level_of(samples: bytes) -> float:
    """The mean level in dB, 0 for a square wave of full scale; −96 for silence."""
    values = array("h", samples[: len(samples) - len(samples) % SAMPLE_BYTES])
    if not values:
        return _QUIETEST
    power = sum(map(operator.mul, values, values)) / len(values)
    return 10 * math.log10(power / _FULL_SCALE**2) if power else _QUIETEST
