"""WAV files: what phones say, and what they have heard."""

from __future__ import annotations

import asyncio
import math
import struct
import wave
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from interop.hearing import Window, steady_stretch, windows
from interop.peer_process import PATIENCE

RATE = 8000
_HEADER = 44


@dataclass(frozen=True)
class Sound:
    """Samples of one channel, `rate` of them a second."""

    samples: array[int]
    rate: int

    @property
    def windows(self) -> list[Window]:
        """By tenths of a second."""
        return windows(self.samples, self.rate)


def write_tone(
    path: Path, hz: float, level_dbov: float, seconds: float, *, rate: int = RATE, channels: int = 1
) -> None:
    """A WAV file of a sine; 0 dBov is a square wave of full scale (RFC 6464)."""
    peak = 32_767 * math.sqrt(2) * 10 ** (level_dbov / 20)
    times = np.arange(int(seconds * rate)) / rate
    one = np.rint(peak * np.sin(2 * np.pi * hz * times)).astype("<i2")
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(np.repeat(one, channels).tobytes())


def read_sound(path: Path, *, unfinished_rate: int = 0) -> Sound:
    """A recording's first channel. A length that was never filled in is taken from the file's.

    Who writes the header last of all leaves room for it, in front of one channel at a rate that
    only who knows the program can tell.
    """
    content = path.read_bytes()
    if unfinished_rate and not content.startswith(b"RIFF"):
        whole = content[_HEADER:]
        return Sound(array("h", whole[: len(whole) // 2 * 2]), unfinished_rate)
    form = content.index(b"fmt ") + 8
    channels, rate = struct.unpack_from("<HI", content, form + 2)
    start = content.index(b"data", form) + 8
    usable = len(content[start:]) // (2 * channels) * (2 * channels)
    return Sound(array("h", content[start : start + usable])[::channels], rate)


async def has_heard(recording: Callable[[], Sound], hz: float, *, tenths: int = 5) -> None:
    """Until a recording that grows holds the tone for so long without a gap; else it fails.

    Whoever ends a call waits for this first: that one end has heard the other says nothing of what
    the other has heard.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            while _steady_tenths(recording, hz) < tenths:  # noqa: ASYNC110  a file tells nothing
                await asyncio.sleep(0.1)
    except TimeoutError:
        steady = _steady_tenths(recording, hz) / 10
        pytest.fail(f"only {steady} s of {hz} Hz without a gap were heard, not {tenths / 10}")


def _steady_tenths(recording: Callable[[], Sound], hz: float) -> int:
    try:
        return len(steady_stretch(recording().windows, hz))
    except (OSError, ValueError, struct.error):
        return 0  # not begun: no file, or half of its header
