from __future__ import annotations

from array import array

import pytest

from switchroom.phonenet.sounds import tone
from switchroom.phonenet.utterances import Utterance, UtteranceEar

QUIET = array("h", bytes(320))


def heard(*parts: float, frame: int = 160) -> tuple[list[Utterance], list[int]]:
    """Utterances, and the samples after which somebody began, of seconds of sound and quiet."""
    utterances: list[Utterance] = []
    begun: list[int] = []
    ear = UtteranceEar()
    ear.on_utterance = utterances.append
    line = array("h")
    for number, seconds in enumerate(parts):
        sound = tone(400).samples if number % 2 else array("h", bytes(16_000))
        line.extend((sound * 60)[: int(seconds * 8000)])
    for place in range(0, len(line), frame):
        ear.on_begin = lambda at=place: begun.append(at)  # type: ignore[misc]
        ear.hear(line[place : place + frame])
    ear.end()
    return utterances, begun


def test_an_utterance_is_what_lies_between_two_silences() -> None:
    ((utterance,), begun) = heard(1.0, 2.0, 1.0)
    assert utterance.seconds == pytest.approx(2.0, abs=0.02)
    assert utterance.began_ago == pytest.approx(2.0 + 0.7, abs=0.03)
    assert begun == [pytest.approx(8000 + 480, abs=320)]


def test_a_pause_inside_a_sentence_is_not_its_end() -> None:
    (utterances, _) = heard(0.5, 1.0, 0.6, 1.0, 1.0)
    assert [round(u.seconds, 1) for u in utterances] == [2.6]


def test_two_sentences_with_a_silence_between_are_two_utterances() -> None:
    (utterances, begun) = heard(0.5, 1.0, 0.8, 1.0, 1.0)
    assert [round(u.seconds, 1) for u in utterances] == [1.0, 1.0]
    assert len(begun) == 2


def test_what_was_being_said_at_the_end_counts() -> None:
    ((utterance,), _) = heard(0.5, 1.0)
    assert utterance.seconds == pytest.approx(1.0, abs=0.02)
    assert utterance.began_ago == pytest.approx(1.0, abs=0.02)


def test_frames_of_any_length_make_the_same_utterance() -> None:
    ((utterance,), _) = heard(0.5, 1.0, 1.0, frame=37)
    assert utterance.seconds == pytest.approx(1.0, abs=0.03)


def test_a_click_is_no_utterance() -> None:
    assert heard(0.5, 0.02, 1.0) == ([], [])


def test_the_samples_have_a_little_quiet_around_them() -> None:
    ((utterance,), _) = heard(1.0, 1.0, 1.0)
    assert utterance.samples[0] == utterance.samples[-1] == 0
    assert 1.2 * 8000 <= len(utterance.samples) <= 1.6 * 8000
