"""Speaking by the sentence, and ahead of time."""

from __future__ import annotations

import pytest

from switchroom.offline.journal import Journal, Spoken
from switchroom.offline.speaking import _SENTENCE_END, Speaker, sentences_of
from unit.speech.local_speech import needs_flite


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hello there. How are you?  Fine!", ["Hello there.", "How are you?", "Fine!"]),
        ("At 3 p.m. sharp, Dr. Lee. Or 3.5?", ["At 3 p.m. sharp, Dr. Lee.", "Or 3.5?"]),
        ('He said "yes." And left...  ok', ['He said "yes."', "And left...", "ok"]),
        ("<emotion value='sad'/>Oh <break/>no.", ["Oh no."]),
        ("... ?! —", []),
        ("", []),
    ],
)
def test_a_text_is_cut_where_its_sentences_end(text: str, sentences: list[str]) -> None:
    assert sentences_of(text) == sentences


def test_a_text_without_an_end_is_cut_to_what_can_be_said() -> None:
    pieces = sentences_of("word " * 1000)
    assert len(pieces) == 3
    assert all(len(piece) <= 2000 for piece in pieces)
    assert [len(piece) for piece in sentences_of("x" * 50_000)] == [2000] * 10


@needs_flite
async def test_what_was_foreseen_is_there_when_it_is_needed() -> None:
    journal = Journal()
    speaker = Speaker("rms", journal)
    speaker.foresee(["Good morning, Maria. How are you?", "Good morning, Maria. Bye."])
    speaker.foresee(["How are you?"])
    (ahead,) = speaker._tasks._running
    await ahead
    flite_calls = len(speaker._synthesiser._said)
    await speaker.say("Good morning, Maria. How are you? Bye.", "some-voice-id", 24_000)
    assert len(speaker._synthesiser._said) == flite_calls
    said = [event.text for event in journal.events if isinstance(event, Spoken)]
    assert said == ["Good morning, Maria.", "How are you?", "Bye."]
    await speaker.aclose()


@needs_flite
async def test_the_voice_that_is_asked_for_is_used_if_flite_has_it() -> None:
    speaker = Speaker("rms", Journal())
    one, other = [await speaker.say("Hello.", voice, 16_000) for voice in ("slt", "alloy")]
    assert one != other


def test_a_long_row_of_full_stops_is_read_in_time_that_grows_as_its_length() -> None:
    """A search that starts again at every one of them would not end while anybody waits."""
    assert _SENTENCE_END.search("." * 1_000_000) is None
    assert sentences_of("Yes" + "." * 19_900 + " so")[0].startswith("Yes..")
