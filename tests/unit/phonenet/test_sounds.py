from __future__ import annotations

import wave
from array import array
from pathlib import Path

import pytest

from switchroom.phonenet.hearing import goertzel, level_dbov
from switchroom.phonenet.sounds import SoundError, melody, silence, tone, wav


def power(samples: array[int]) -> float:
    return sum(sample * sample for sample in samples) / len(samples)


@pytest.mark.parametrize("hz", [50, 440, 1000, 3400])
def test_a_tone_has_the_level_it_was_asked_for_and_no_seam(hz: int) -> None:
    samples = tone(hz, -20).samples
    assert level_dbov(power(samples)) == pytest.approx(-20, abs=0.02)
    turned = samples[4000:] + samples[:4000]
    assert goertzel(turned, hz) == pytest.approx(power(samples), rel=0.001)


def test_a_melody_is_as_loud_as_asked_and_never_cut_off() -> None:
    sound = melody(-20)
    assert level_dbov(power(sound.samples)) == pytest.approx(-20, abs=0.02)
    assert max(abs(sample) for sample in sound.samples) < 32_767
    assert 3 < sound.seconds < 6
    assert not sound.endless


def test_silence_is_silent() -> None:
    assert not any(silence().samples)


@pytest.mark.parametrize(("hz", "level"), [(0, -20), (4000, -20), (-1, -20), (440, -3), (440, 1)])
def test_tones_that_a_line_cannot_carry_are_refused(hz: int, level: float) -> None:
    with pytest.raises(SoundError):
        tone(hz, level)


def write_wav(path: Path, rate: int, channels: int, samples: array[int], width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def test_a_recording_at_the_lines_own_rate_is_taken_as_it_is(tmp_path: Path) -> None:
    samples = tone(440).samples
    sound = wav(write_wav(tmp_path / "a.wav", 8000, 1, samples))
    assert (sound.samples, sound.name, sound.endless) == (samples, "a.wav", False)


def test_a_stereo_recording_at_a_multiple_is_brought_down(tmp_path: Path) -> None:
    stereo = array("h", [value for sample in tone(440).samples for value in (sample,) * 12])
    sound = wav(write_wav(tmp_path / "a.wav", 48_000, 2, stereo))
    assert sound.samples == tone(440).samples


def test_recordings_of_other_kinds_are_refused_with_a_reason(tmp_path: Path) -> None:
    odd = write_wav(tmp_path / "a.wav", 44_100, 1, array("h", [0] * 10))
    thin = write_wav(tmp_path / "b.wav", 8000, 1, array("h", [0] * 10), width=1)
    text = tmp_path / "c.wav"
    text.write_text("not a recording")
    for path in (odd, thin, text, tmp_path / "missing.wav"):
        with pytest.raises(SoundError, match=path.name):
            wav(path)
