"""Sound in memory and as WAV files."""

from __future__ import annotations

import io
import wave

import pytest

from switchroom.speech.errors import CannotHear
from switchroom.speech.pcm import Pcm, from_wav, silence


def wav(channels: int, width: int, rate: int, frames: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(frames)
    return file.getvalue()


def test_a_wav_file_goes_there_and_back() -> None:
    sound = Pcm(b"\x01\x00\xff\xff", 8000)
    assert from_wav(sound.wav()) == sound


def test_of_several_channels_the_first_is_read() -> None:
    assert from_wav(wav(2, 2, 16_000, b"\x01\x00\x02\x00\x03\x00\x04\x00")) == Pcm(
        b"\x01\x00\x03\x00", 16_000
    )


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "not a WAV file"),
        (b"RIFF1234WAVE", "not a WAV file"),
        (b"ID3 music", "not a WAV file"),
        (wav(1, 1, 8000, b"\x80"), "8 bit"),
        (wav(1, 2, 1234, b"\x00\x00"), "1234 samples a second"),
    ],
)
def test_what_is_no_such_file_is_refused_with_the_reason(data: bytes, complaint: str) -> None:
    with pytest.raises(CannotHear, match=complaint):
        from_wav(data)


def test_a_sound_knows_how_long_it_is() -> None:
    assert silence(0.5, 8000).seconds == 0.5
    assert Pcm(b"\x00\x00\x00", 8000).count == 1
