"""Where utterances begin and end, on sound made here."""

from __future__ import annotations

import random
from array import array

import pytest

from switchroom.speech.endpoint import (
    Endpointer,
    EndpointSettings,
    SpeechEnded,
    SpeechStarted,
    level_of,
)

RATE = 8000


def loud(seconds: float, amplitude: int = 6000) -> bytes:
    return array("h", [amplitude, -amplitude] * round(seconds * RATE / 2)).tobytes()


def quiet(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE))


def noise(seconds: float, amplitude: int) -> bytes:
    dice = random.Random(7)
    return array(
        "h", [dice.randint(-amplitude, amplitude) for _ in range(round(seconds * RATE))]
    ).tobytes()


def heard(*pieces: bytes, step: int = 320, **settings: float) -> list[SpeechStarted | SpeechEnded]:
    ears = Endpointer(RATE, EndpointSettings(**settings))
    sound = b"".join(pieces)
    return [n for at in range(0, len(sound), step) for n in ears.feed(sound[at : at + step])]


def test_an_utterance_is_framed_by_its_audible_samples() -> None:
    started, ended = heard(quiet(0.4), loud(1), quiet(1))
    assert started == SpeechStarted(3200)
    assert isinstance(ended, SpeechEnded)
    assert (ended.start, ended.end) == (3200, 11_200)


def test_its_sound_has_a_margin_on_both_sides() -> None:
    _, ended = heard(quiet(0.4), loud(1), quiet(1), margin=0.2)
    assert isinstance(ended, SpeechEnded)
    assert ended.sound.seconds == pytest.approx(1.4)
    assert ended.sound.samples[: 2 * 1600] == quiet(0.2)
    assert ended.sound.samples[-2 * 1600 :] == quiet(0.2)


def test_the_end_is_told_after_the_silence_that_was_asked_for() -> None:
    assert len(heard(loud(1), quiet(0.68), silence=0.7)) == 1
    assert len(heard(loud(1), quiet(0.72), silence=0.7)) == 2


def test_a_pause_shorter_than_that_is_part_of_the_utterance() -> None:
    _, ended = heard(loud(0.5), quiet(0.4), loud(0.5), quiet(1))
    assert isinstance(ended, SpeechEnded)
    assert ended.end == round(1.4 * RATE)


def test_a_click_is_no_speech() -> None:
    assert heard(quiet(0.5), loud(0.04), quiet(1)) == []


def test_the_length_of_the_pieces_does_not_matter() -> None:
    sound = (quiet(0.4), loud(1), quiet(1))
    whole = heard(*sound)
    for step in (1, 7, 333, 160_000):
        assert heard(*sound, step=step) == whole


def test_noise_of_the_line_is_not_speech_and_speech_above_it_is() -> None:
    line = noise(4, 60)
    assert heard(line) == []
    started, _ = heard(line, loud(0.5), line)
    assert abs(started.start - 4 * RATE) <= 160


def test_steady_noise_becomes_the_floor_instead_of_an_endless_utterance() -> None:
    news = heard(quiet(1), noise(25, 800))
    assert isinstance(news[-1], SpeechEnded)
    assert len(news) == 2


def test_an_utterance_has_a_longest() -> None:
    news = heard(*(loud(0.5), quiet(0.2)) * 4, longest=1.0)
    assert [type(piece).__name__ for piece in news[:3]] == [
        "SpeechStarted",
        "SpeechEnded",
        "SpeechStarted",
    ]


def test_whoever_feeds_it_may_end_the_utterance() -> None:
    ears = Endpointer(RATE)
    ears.feed(loud(0.5))
    assert ears.speaking
    (ended,) = ears.finish()
    assert isinstance(ended, SpeechEnded)
    assert (ended.start, ended.end) == (0, 4000)
    assert ears.finish() == []
    assert not ears.speaking


def test_levels_are_relative_to_a_square_wave_of_full_scale() -> None:
    assert level_of(loud(0.1, 32_767)) == pytest.approx(0, abs=0.01)
    assert level_of(loud(0.1, 3277)) == pytest.approx(-20, abs=0.01)
    assert level_of(b"") == level_of(quiet(0.1)) == level_of(b"\x01") == -96
