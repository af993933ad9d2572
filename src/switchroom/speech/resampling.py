"""Another number of samples a second, by a windowed-sinc filter.

A resampler without a proper low-pass folds what lies above half the rate back into speech, and a
recogniser hears digits worse for it. numpy does the work and lets go of the interpreter's lock.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from switchroom.speech.errors import NUMPY_MISSING, SpeechUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ZERO_CROSSINGS = 24
"""Of the sinc on each side: a transition band of about 6 % of the lower rate."""

_PASS = 0.94
"""The cut-off as a part of the lower half rate."""

_KAISER_BETA = 7.0
"""A stop band of −70 dB."""


def resample(samples: bytes, rate: int, new_rate: int) -> bytes:
    """Signed 16-bit samples at ``rate``, as they are at ``new_rate``: equally long, no delay.

    Raises SpeechUnavailable without numpy.
    """
    try:
        import numpy as np  # noqa: PLC0415 - the extra may be missing; then the sentence helps
    except ImportError as missing:
        raise SpeechUnavailable(NUMPY_MISSING) from missing
    common = math.gcd(rate, new_rate)
    up, down = new_rate // common, rate // common
    sound = np.frombuffer(samples[: len(samples) & ~1], dtype="<i2").astype(np.float32)
    if up == down or not len(sound):
        return samples[: len(samples) & ~1]
    taps = _low_pass(up, down)
    # Silence on both sides, so that the filter's middle begins on the first sample.
    padded = np.pad(sound, len(taps) // up // 2)
    fine = np.empty(len(sound) * up, np.float32)
    for phase in range(up):
        fine[phase::up] = np.convolve(padded, taps[phase::up], "valid")
    return np.clip(np.rint(fine[::down]), -32_768, 32_767).astype("<i2").tobytes()


@lru_cache(maxsize=32)
def _low_pass(up: int, down: int) -> NDArray[np.float32]:
    """A symmetric filter, with zeros at its end that make its ``up`` phases equally long."""
    import numpy as np  # noqa: PLC0415 - as above

    widest = max(up, down)
    half = up * math.ceil(_ZERO_CROSSINGS * widest / up)
    at = np.arange(-half, half + 1)
    cut = _PASS / widest
    taps = np.sinc(at * cut) * np.kaiser(2 * half + 1, _KAISER_BETA) * cut * up
    return np.pad(taps, (0, up - 1)).astype(np.float32)
