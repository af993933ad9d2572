"""A beep is no speech, and speech is no beep."""

from __future__ import annotations

import math
import random
from array import array

import numpy as np
import pytest
from numpy.typing import NDArray

from switchroom.speech.pcm import Pcm, silence
from switchroom.speech.synthesis import say
from switchroom.speech.tones import is_tone
from unit.speech.local_speech import needs_flite, over_the_phone


def beep(*hz: float, seconds: float = 0.3, rate: int = 8000, noise: int = 0) -> Pcm:
    dice = random.Random(3)
    samples = [
        round(sum(6000 * math.sin(2 * math.pi * f * n / rate) for f in hz))
        + dice.randint(-noise, noise)
        for n in range(round(seconds * rate))
    ]
    return Pcm(array("h", samples).tobytes(), rate)


def with_margins(sound: Pcm) -> Pcm:
    quiet = silence(0.2, sound.rate).samples
    return Pcm(quiet + sound.samples + quiet, sound.rate)


@pytest.mark.parametrize("hz", [300, 440, 1000, 1400, 2600])
@pytest.mark.parametrize("rate", [8000, 16_000, 24_000])
def test_a_beep_is_a_tone(hz: int, rate: int) -> None:
    assert is_tone(with_margins(beep(hz, rate=rate)))


def test_so_is_one_over_a_telephone_line() -> None:
    assert is_tone(over_the_phone(with_margins(beep(1000))))
    assert is_tone(over_the_phone(with_margins(beep(1000))).at(16_000))
    assert is_tone(with_margins(beep(1000, noise=300)))


@pytest.mark.parametrize("seconds", [0.9, 1.1, 2, 2.7, 4])
def test_so_is_a_long_one(seconds: float) -> None:
    assert is_tone(with_margins(beep(1000, seconds=seconds)))
    assert is_tone(over_the_phone(with_margins(beep(440, seconds=seconds))))


def test_sound_that_goes_on_after_a_beep_is_not() -> None:
    words = Pcm(random.Random(1).randbytes(4000), 8000)
    for after in (beep(700, seconds=1), words):
        assert not is_tone(Pcm(beep(1000, seconds=2).samples + after.samples, 8000))


def test_sound_of_any_length_is_told_by_a_second_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file may be as large as a body: its spectrum in one would keep all callers waiting."""
    lengths: list[int] = []

    def measured(samples: NDArray[np.float64]) -> NDArray[np.complex128]:
        lengths.append(len(samples))
        return real(samples)

    real = np.fft.rfft
    monkeypatch.setattr(np.fft, "rfft", measured)
    assert is_tone(beep(1000, seconds=4, rate=48_000))
    assert max(lengths) <= 48_000
    lengths.clear()
    assert not is_tone(Pcm(beep(1000, seconds=1).samples * 60, 8000))
    assert not lengths


def test_other_sounds_are_not() -> None:
    glide = Pcm(b"".join(beep(f, seconds=0.02).samples for f in range(400, 1000, 30)), 8000)
    noise = Pcm(random.Random(1).randbytes(8000), 8000)
    for sound in (beep(350, 440, seconds=1), glide, noise, silence(1, 8000), Pcm(b"", 8000)):
        assert not is_tone(with_margins(sound))


@needs_flite
@pytest.mark.parametrize(
    "text", ["no", "oh", "mmm", "ah", "ooh", "one", "hello", "a", "e", "who", "um", "zoo"]
)
async def test_a_short_word_is_speech(text: str) -> None:
    for voice in ("rms", "slt"):
        spoken = await say(text, voice)
        assert not is_tone(spoken)
        assert not is_tone(over_the_phone(spoken))
