"""What a phone can play: tones, a melody, silence, recordings.

A sound is samples at 8 kHz, signed 16 bit. Levels are in dBov as RFC 6464 counts: 0 is a square
wave of full scale, so that a sine of full scale is −3.
"""

from __future__ import annotations

import math
import wave
from array import array
from dataclasses import field
from functools import lru_cache
from pathlib import Path

from switchroom.base.records import record

RATE = 8000
"""Samples a second."""

FULL_SCALE = 32_768
_LONGEST_WAV_SECONDS = 600


class SoundError(ValueError):
    """A sound that cannot be made or a recording that cannot be read."""


@record(eq=False)
class Sound:
    """Something to play. ``endless`` ones are played over and over, without a seam."""

    name: str
    samples: array[int] = field(repr=False)
    endless: bool = False

    @property
    def seconds(self) -> float:
        """Its length; that of one round if it is endless."""
        return len(self.samples) / RATE


@record(eq=False)
class Tone(Sound):
    """A sine wave, which can be listened for as well."""

    hz: int = 0


@lru_cache(maxsize=64)
def tone(hz: int, level_dbov: float = -20.0) -> Tone:
    """An endless sine of `hz` (1–3999). Raises SoundError."""
    if not 0 < hz < RATE // 2:
        raise SoundError(f"a tone of {hz} Hz; a telephone line carries 1 to 3999")
    peak = _peak(level_dbov)
    step = 2 * math.pi * hz / RATE
    # A second holds a whole number of periods, so that its end meets its beginning.
    samples = array("h", [round(peak * math.sin(step * n)) for n in range(RATE)])
    return Tone(f"tone {hz} Hz", samples, endless=True, hz=hz)


@lru_cache(maxsize=1)
def silence() -> Sound:
    """Nothing, endlessly."""
    return Sound("silence", array("h", bytes(2 * RATE)), endless=True)


@lru_cache(maxsize=4)
def melody(level_dbov: float = -20.0) -> Sound:
    """A chime of about four seconds, loud enough to be heard and mild enough to like.

    `level_dbov` is its mean level. Notes are struck like bars of a marimba: a ground tone and its
    tenth and double octave, each dying away faster than the one below.
    """
    samples = [0.0] * int(_MELODY_SECONDS * RATE)
    for start, hz in _MELODY:
        _strike(samples, start, hz)
    mean = math.sqrt(sum(s * s for s in samples) / len(samples))
    gain = FULL_SCALE * 10 ** (level_dbov / 20) / mean
    loudest = max(abs(s) for s in samples) * gain
    if loudest >= FULL_SCALE:
        raise SoundError(f"a melody of {level_dbov} dBov would be cut off")
    return Sound("melody", array("h", [round(s * gain) for s in samples]))


def wav(path: str | Path) -> Sound:
    """A recording: 16 bit, mono or stereo, at 8 kHz or a whole multiple. Raises SoundError."""
    try:
        with wave.open(str(path), "rb") as file:
            return _read_wav(Path(path).name, file)
    except (OSError, EOFError, wave.Error) as error:
        raise SoundError(f"{path}: {error}") from error


def _read_wav(name: str, file: wave.Wave_read) -> Sound:
    rate, channels = file.getframerate(), file.getnchannels()
    if file.getsampwidth() != 2 or channels not in (1, 2) or rate % RATE or rate == 0:
        raise SoundError(f"{name}: 16 bit, mono or stereo, at 8, 16, 24, 32 or 48 kHz is needed")
    frames = min(file.getnframes(), _LONGEST_WAV_SECONDS * rate)
    samples = array("h")
    samples.frombytes(file.readframes(frames))
    # Averaging what falls into one sample is filter enough for speech on a telephone line.
    width = channels * (rate // RATE)
    whole = len(samples) - len(samples) % width
    return Sound(
        name, array("h", [sum(samples[n : n + width]) // width for n in range(0, whole, width)])
    )


#: Seconds and Hz: a rising figure in C, answered by a falling one.
_MELODY = (
    (0.00, 523.25),
    (0.30, 659.26),
    (0.60, 783.99),
    (0.90, 1046.50),
    (1.50, 880.00),
    (1.80, 783.99),
    (2.10, 659.26),
    (2.40, 587.33),
    (2.70, 523.25),
    (2.70, 392.00),
)
_MELODY_SECONDS = 4.0
_PARTIALS = ((1.0, 1.0, 3.5), (2.5, 0.25, 7.0), (4.0, 0.15, 10.0))
"""Ratio to the ground tone, strength, decay per second."""


def _strike(samples: list[float], start: float, hz: float) -> None:
    first = int(start * RATE)
    for ratio, strength, decay in _PARTIALS:
        step = 2 * math.pi * hz * ratio / RATE
        for n in range(len(samples) - first):
            fade = strength * math.exp(-decay * n / RATE)
            if fade < 0.001:
                break
            # 5 ms of attack, or each note would begin with a click.
            attack = min(1.0, n / 40)
            samples[first + n] += attack * fade * math.sin(step * n)


def _peak(level_dbov: float) -> float:
    peak = FULL_SCALE * math.sqrt(2) * 10 ** (level_dbov / 20)
    if peak >= FULL_SCALE:
        raise SoundError(f"a sine of {level_dbov} dBov; −3.02 is the loudest there is")
    return peak
