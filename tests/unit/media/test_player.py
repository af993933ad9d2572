"""Tones and files, recognised at a phone."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path

import pytest

from switchroom.media import Engine, Finished, PlayerError, PlayerEvent, Tone, WavFile
from switchroom.media.player import DIAL_TONE

from .telephone import Telephone, assert_continuous, decoded, level_of


@pytest.fixture
async def phone(engine: Engine) -> Telephone:
    phone = Telephone(engine, "PCMA")
    await phone.connect()
    return phone


def write_wav(path: Path, rate: int, channels: int, hz: float, seconds: float) -> WavFile:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        for n in range(int(rate * seconds)):
            sample = round(4_634 * math.sin(2 * math.pi * hz * n / rate))  # -20 dBov
            file.writeframesraw(struct.pack("<h", sample) * channels)
    return WavFile(path)


async def test_the_dial_tone_is_425_hz_for_one_second_in_five(
    engine: Engine, phone: Telephone
) -> None:
    player = engine.play(DIAL_TONE)
    phone.leg.sink.set_inputs({player.source: 1.0})
    loud = decoded(await phone.hear_sound(40))
    assert abs(level_of(loud, 425.0) + 19.0) < 1.0
    await phone.hear(15)
    assert max(map(abs, decoded(await phone.hear(40)))) <= 8
    assert_continuous(phone.heard)
    player.stop()


async def test_two_frequencies_sound_together(engine: Engine, phone: Telephone) -> None:
    player = engine.play(Tone((((350.0, 440.0), 60.0),), level_dbov=-25.0))
    phone.leg.sink.set_inputs({player.source: 1.0})
    samples = decoded(await phone.hear_sound(50))
    assert abs(level_of(samples, 350.0) + 25.0) < 1.0
    assert abs(level_of(samples, 440.0) + 25.0) < 1.0
    player.stop()


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 2), (24_000, 1), (48_000, 2)])
async def test_a_file_of_any_usual_form_is_heard_as_it_was(
    engine: Engine, phone: Telephone, tmp_path: Path, rate: int, channels: int
) -> None:
    file = write_wav(tmp_path / "tone.wav", rate, channels, 1_000.0, 2.0)
    player = engine.play(file)
    phone.leg.sink.set_inputs({player.source: 1.0})
    samples = decoded(await phone.hear_sound(50))
    assert abs(level_of(samples, 1_000.0) + 20.0) < 1.0
    player.stop()


async def test_the_end_of_a_file_is_told_and_silence_follows(
    engine: Engine, phone: Telephone, tmp_path: Path
) -> None:
    events: list[PlayerEvent] = []
    file = write_wav(tmp_path / "short.wav", 8_000, 1, 1_000.0, 0.2)
    player = engine.play(file, events.append)
    phone.leg.sink.set_inputs({player.source: 1.0})
    await phone.hear_sound(30)
    assert events == [Finished()]
    assert max(map(abs, decoded(await phone.hear(10)))) <= 8
    player.stop()
    player.stop()
    assert (await engine.stats()).players == 0


async def test_what_cannot_be_played_is_refused_by_name(engine: Engine, tmp_path: Path) -> None:
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"not a sound at all")
    with pytest.raises(PlayerError, match=r"noise\.wav cannot be played: not a WAV file"):
        engine.play(WavFile(noise))
    with pytest.raises(PlayerError, match=r"absent\.wav cannot be played"):
        engine.play(WavFile(tmp_path / "absent.wav"))
    for segments in ((), (((5_000.0,), 1.0),), (((440.0,), -1.0),), (((440.0,), math.nan),)):
        with pytest.raises(PlayerError):
            engine.play(Tone(segments))
    assert (await engine.stats()).players == 0
