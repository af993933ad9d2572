"""Recognises tones, for tests that prove sound by content."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from livekit import rtc

CLIENT_RATE = 48_000


@dataclass(frozen=True)
class Window:
    """A tenth of a second of sound."""

    level_dbov: float
    tone_hz: float
    purity: float


def windows(samples: Sequence[int] | array[int], rate: int) -> list[Window]:
    """The sound in windows of 100 ms: level, strongest frequency, and its share of the power."""
    wave = np.asarray(samples, dtype=np.float64) / 32_768
    size = rate // 10
    return [_judge(wave[at : at + size], rate) for at in range(0, len(wave) - size + 1, size)]


def _judge(wave: np.ndarray[tuple[int], np.dtype[np.float64]], rate: int) -> Window:
    power = float(np.mean(wave**2))
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    peak = int(np.argmax(spectrum))
    share = float(spectrum[max(peak - 2, 0) : peak + 3].sum() / max(spectrum.sum(), 1e-15))
    return Window(10 * math.log10(max(power, 1e-13)), peak * rate / len(wave), share)


def steady_stretch(found: Sequence[Window], hz: float, within: float = 10.0) -> list[Window]:
    """The longest run of windows that hold this tone, without its first and last one."""
    best: list[Window] = []
    run: list[Window] = []
    for window in found:
        if abs(window.tone_hz - hz) <= within and window.purity > 0.9 and window.level_dbov > -50:
            run.append(window)
        else:
            best, run = max(best, run, key=len), []
    return max(best, run, key=len)[1:-1]


def longest_gap(found: Sequence[Window], hz: float, within: float = 10.0) -> float:
    """The longest time without this tone, in seconds."""
    longest = gap = 0
    for window in found:
        there = abs(window.tone_hz - hz) <= within and window.level_dbov > -50
        gap = 0 if there else gap + 1
        longest = max(longest, gap)
    return longest / 10


class Voice:
    """A track of a client that plays a sine, paced by the SDK."""

    def __init__(self, hz: float, level_dbov: float) -> None:
        self.source = rtc.AudioSource(CLIENT_RATE, 1)
        self.track = rtc.LocalAudioTrack.create_audio_track("voice", self.source)
        self._hz = hz
        self._peak = 32_767 * math.sqrt(2) * 10 ** (level_dbov / 20)

    @asynccontextmanager
    async def speaking(self) -> AsyncIterator[None]:
        """Speaks meanwhile, and is silent afterwards.

        That is to be before its room ends: LiveKit's client may crash (a call into freed memory, in
        a thread of its own) when the connection is closed under a track that is fed.
        """
        task = asyncio.create_task(self.speak())
        try:
            yield
        finally:
            task.cancel()
            self.source.clear_queue()

    async def speak(self) -> None:
        """For ever; run it as a task."""
        size = CLIENT_RATE // 50
        at = 0
        while True:
            n = np.arange(at, at + size)
            wave = (self._peak * np.sin(2 * np.pi * self._hz * n / CLIENT_RATE)).astype(np.int16)
            await self.source.capture_frame(rtc.AudioFrame(wave.tobytes(), CLIENT_RATE, 1, size))
            at += size


async def listen(track: rtc.Track, seconds: float) -> list[int]:
    """The next `seconds` of a track, at CLIENT_RATE."""
    stream = rtc.AudioStream(track, sample_rate=CLIENT_RATE, num_channels=1)
    heard: list[int] = []
    try:
        async for event in stream:
            heard.extend(event.frame.data)
            if len(heard) >= seconds * CLIENT_RATE:
                break
    finally:
        await stream.aclose()
    return heard
