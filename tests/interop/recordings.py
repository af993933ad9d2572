"""WAV files: what phones say, and what they have heard."""

from __future__ import annotations

import math
import struct
import wave
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interop.hearing import Window, windows

RATE = 8000


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


def read_sound(path: Path) -> Sound:
    """A recording's first channel. A length that was never filled in is taken from the file's."""
    content = path.read_bytes()
    form = content.index(b"fmt ") + 8
    channels, rate = struct.unpack_from("<HI", content, form + 2)
    start = content.index(b"data", form) + 8
    usable = len(content[start:]) // (2 * channels) * (2 * channels)
    return Sound(array("h", content[start : start + usable])[::channels], rate)
