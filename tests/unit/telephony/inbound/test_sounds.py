from __future__ import annotations

import wave
from pathlib import Path

import pytest

from switchroom.media import WavFile
from switchroom.media.player import DIAL_TONE
from switchroom.telephony.inbound.inbound_events import Sound
from switchroom.telephony.inbound.sounds import SoundMissing, sounds

RECORDED = [sound for sound in Sound if sound is not Sound.RING_TONE]


@pytest.mark.parametrize("sound", RECORDED)
def test_each_recording_of_ours_is_8_khz_mono_and_neither_silent_nor_long(sound: Sound) -> None:
    played = sounds()[sound]
    assert isinstance(played, WavFile)
    assert played.repeat is (sound is Sound.HOLD_MUSIC)
    with wave.open(str(played.path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        seconds = file.getnframes() / 8000
        assert 1 < seconds < (30 if played.repeat else 6)
        assert max(file.readframes(file.getnframes())) > 0


def test_the_ring_tone_is_made_and_not_recorded() -> None:
    assert sounds()[Sound.RING_TONE] is DIAL_TONE


def test_a_folder_of_ones_own_stands_in_for_what_it_holds(tmp_path: Path) -> None:
    own = tmp_path / "enter_pin.wav"
    own.write_bytes(b"")
    music = tmp_path / "jazz.wav"
    music.write_bytes(b"")
    found = sounds(str(tmp_path), str(music))
    assert found[Sound.ENTER_PIN] == WavFile(own)
    assert found[Sound.HOLD_MUSIC] == WavFile(music, repeat=True)
    assert found[Sound.GOODBYE] == sounds()[Sound.GOODBYE]


@pytest.mark.parametrize(("prompts", "music"), [("/nowhere", ""), ("", "/nowhere.wav")])
def test_what_is_not_there_is_said_by_its_name(prompts: str, music: str) -> None:
    with pytest.raises(SoundMissing, match="/nowhere"):
        sounds(prompts, music)
