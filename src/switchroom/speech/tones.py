"""Telling a beep from speech: a sine has nearly all its power at one frequency. Pure."""

from __future__ import annotations

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


def is_tone(sound: Pcm) -> bool:
    """Whether all that can be heard is one steady sine, such as a voicemail's beep.

    Raises SpeechUnavailable without numpy.
    """
    try:
        import numpy as np  # noqa: PLC0415 - the extra may be missing; then the sentence helps
    except ImportError as missing:
        raise SpeechUnavailable(NUMPY_MISSING) from missing
    size = round(sound.rate * _FRAME_SECONDS)
    count = sound.count // size
    samples = np.frombuffer(sound.samples[: count * size * SAMPLE_BYTES], "<i2").astype(np.float64)
    powers = np.square(samples.reshape(count, size)).sum(axis=1)
    loud = np.flatnonzero(powers > _LOUD * powers.max(initial=0.0))
    if len(loud) * _FRAME_SECONDS < _SHORTEST_SECONDS:
        return False
    heard = samples[loud[0] * size : (loud[-1] + 1) * size]
    spectrum = np.square(np.abs(np.fft.rfft(heard * np.hanning(len(heard)))))
    peak = int(spectrum.argmax())
    at_peak = spectrum[max(0, peak - _LOBE) : peak + _LOBE + 1].sum()
    return bool(at_peak > _AT_ONE_FREQUENCY * spectrum.sum())
