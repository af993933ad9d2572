"""A stretch of sound in memory, and its WAV form."""

from __future__ import annotations

import io
import wave
from dataclasses import field

from switchroom.base.records import record
from switchroom.speech.errors import CannotHear
from switchroom.speech.resampling import resample

SAMPLE_BYTES = 2

RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Samples a second that sound may have here."""


@record
class Pcm:
    """Sound: signed 16-bit little-endian samples of one channel, and their number a second."""

    samples: bytes = field(repr=False)
    rate: int

    @property
    def count(self) -> int:
        """The number of whole samples."""
        return len(self.samples) // SAMPLE_BYTES

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return self.count / self.rate

    def at(self, rate: int) -> Pcm:
        """The same sound with ``rate`` samples a second. Raises SpeechUnavailable without numpy."""
        if rate == self.rate:
            return self
        return Pcm(resample(self.samples, self.rate, rate), rate)

    def wav(self) -> bytes:
        """As a WAV file."""
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(SAMPLE_BYTES)
            out.setframerate(self.rate)
            out.writeframes(self.samples)
        return file.getvalue()


def silence(seconds: float, rate: int) -> Pcm:
    """Nothing, for so long."""
    return Pcm(bytes(SAMPLE_BYTES * round(seconds * rate)), rate)


def from_wav(data: bytes) -> Pcm:
    """Read a WAV file of 16 bit; of several channels, the first. Raises CannotHear."""
    try:
        with wave.open(io.BytesIO(data), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            samples = file.readframes(file.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise CannotHear(f"this is not a WAV file that can be read: {error}") from error
    if width != SAMPLE_BYTES:
        raise CannotHear(f"a WAV file of {8 * width} bit; 16 bit is needed")
    if rate not in RATES:
        raise CannotHear(f"a WAV file with {rate} samples a second; known are {RATES}")
    samples = samples[: len(samples) - len(samples) % (SAMPLE_BYTES * channels)]
    if channels > 1:
        samples = b"".join(
            samples[at : at + SAMPLE_BYTES]
            for at in range(0, len(samples), SAMPLE_BYTES * channels)
        )
    return Pcm(samples, rate)
