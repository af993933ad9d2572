"""Telling a beep from speech: a sine has nearly all its power at one frequency. Pure."""

from __future__ import annotations

import math

from switchroom.speech.errors import NUMPY_MISSING, SpeechUnavailable
from switchroom.speech.pcm import SAMPLE_BYTES, Pcm

_FRAME_SECONDS = 0.02
_LOUD = 0.1
"""Frames of less than so much of the loudest one's power are edges, or silence."""

_SHORTEST_SECONDS = 0.12
"""Below, a vowel is as steady as a tone."""

_AT_ONE_FREQUENCY = 0.93
"""So much of its power, at least; of spoken words "who" comes nearest, with 0.9."""

_LOBE = 2
"""A sine under a Hann window fills so many lines of the spectrum on each side."""

_LONGEST_SECONDS = 5.0
"""No beep lasts longer, and what is said after one within it must not be lost."""

_PIECE_SECONDS = 1.0
"""The spectrum is of so much at a time: in one of any length, other callers would wait for it."""

_STEADY_HZ = 2.0 / _PIECE_SECONDS * _LOBE
"""Between the pieces of one tone: each is half as long as that or longer, so two lines at most."""


def is_tone(sound: Pcm) -> bool:
    """Whether all that can be heard is one steady sine, such as a voicemail's beep.

    What lasts longer than five seconds is none, whatever it is.

    Raises SpeechUnavailable without numpy.
    """
    try:
        import numpy as np  # noqa: PLC0415 - the extra may be missing; then the sentence helps
    except ImportError as missing:
        raise SpeechUnavailable(NUMPY_MISSING) from missing
    if not 0 < sound.seconds <= _LONGEST_SECONDS:
        return False
    size = round(sound.rate * _FRAME_SECONDS)
    count = sound.count // size
    samples = np.frombuffer(sound.samples[: count * size * SAMPLE_BYTES], "<i2").astype(np.float64)
    powers = np.square(samples.reshape(count, size)).sum(axis=1)
    loud = np.flatnonzero(powers > _LOUD * powers.max(initial=0.0))
    if len(loud) * _FRAME_SECONDS < _SHORTEST_SECONDS:
        return False
    heard = samples[loud[0] * size : (loud[-1] + 1) * size]
    pitches = []
    for piece in np.array_split(heard, math.ceil(len(heard) / (_PIECE_SECONDS * sound.rate))):
        spectrum = np.square(np.abs(np.fft.rfft(piece * np.hanning(len(piece)))))
        peak = int(spectrum.argmax())
        at_peak = spectrum[max(0, peak - _LOBE) : peak + _LOBE + 1].sum()
        if not at_peak > _AT_ONE_FREQUENCY * spectrum.sum():
            return False
        pitches.append(peak * sound.rate / len(piece))
    return max(pitches) - min(pitches) <= _STEADY_HZ
