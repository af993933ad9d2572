"""Resampling keeps length, time and pitch, and folds nothing back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from switchroom.speech.resampling import resample


def sine(hz: float, rate: int, seconds: float = 0.5) -> NDArray[np.float64]:
    return 8000 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


def resampled(sound: NDArray[np.float64], rate: int, new_rate: int) -> NDArray[np.float64]:
    out = resample(sound.astype("<i2").tobytes(), rate, new_rate)
    return np.frombuffer(out, "<i2").astype(np.float64)


@pytest.mark.parametrize(
    ("rate", "new_rate"),
    [(8000, 16_000), (16_000, 8000), (16_000, 24_000), (24_000, 16_000), (22_050, 16_000)],
)
def test_a_tone_stays_what_it_was_when_it_was(rate: int, new_rate: int) -> None:
    out = resampled(sine(1000, rate), rate, new_rate)
    expected = sine(1000, new_rate)
    assert abs(len(out) - len(expected)) <= 1
    edge = new_rate // 50
    middle = slice(edge, min(len(out), len(expected)) - edge)
    assert np.max(np.abs(out[middle] - expected[middle])) < 40


def test_what_a_lower_rate_cannot_carry_is_gone_and_not_folded_back() -> None:
    out = resampled(sine(5000, 16_000), 16_000, 8000)
    assert np.max(np.abs(out[200:-200])) < 8


def test_a_click_stays_in_its_place() -> None:
    click = np.zeros(1600)
    click[800] = 8000
    for new_rate in (8000, 24_000, 48_000):
        out = resampled(click, 16_000, new_rate)
        assert np.argmax(out) == 800 * new_rate // 16_000


def test_full_scale_is_clipped_and_does_not_wrap_round() -> None:
    square = np.where(np.arange(1600) % 40 < 20, 32_767.0, -32_768.0)
    out = resampled(square, 8000, 16_000)
    assert np.array_equal(np.sign(out[20:30]), np.ones(10))


def test_odd_and_empty_inputs_are_no_trouble() -> None:
    assert resample(b"", 8000, 16_000) == b""
    assert resample(b"\x01", 8000, 16_000) == b""
    assert resample(b"\x01\x02\x03", 8000, 8000) == b"\x01\x02"
    assert len(resample(b"\x01\x02", 8000, 16_000)) == 4
