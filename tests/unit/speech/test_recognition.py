"""Listening with PocketSphinx, to flite over a telephone line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from switchroom.speech.errors import CannotHear, PhraseError, TooBusy, UnknownWords
from switchroom.speech.pcm import Pcm, silence
from switchroom.speech.recognition import DecoderProcess, Recogniser
from switchroom.speech.spoken import words
from switchroom.speech.synthesis import say
from unit.speech.local_speech import needs_flite, needs_recogniser, over_the_phone

pytestmark = [needs_flite, needs_recogniser]

PHRASES = [
    "Yes, I confirm.",
    "no",
    "No, I can't come.",
    "please call me back tomorrow",
    "press 1 for sales",
    "+1 202 555 0100",
    "Can I move it to March 3rd at 2:30 pm?",
    "speak to a person, please",
    "Am I speaking with Maria Lopez?",
    "Hello, this is Bright Smile Dental.",
]


@pytest.fixture
async def decoder() -> AsyncIterator[DecoderProcess]:
    process = DecoderProcess()
    yield process
    await process.aclose()


async def phoned(text: str, voice: str = "rms") -> Pcm:
    return over_the_phone(await say(text, voice, 8000))


@pytest.mark.parametrize("several", [False, True])
async def test_ten_phrases_over_the_phone_are_heard_without_an_error(
    decoder: DecoderProcess, several: bool
) -> None:
    listener = Recogniser(PHRASES, several=several, decoder=decoder)
    heard = [(await listener.recognise(await phoned(phrase))).written for phrase in PHRASES]
    assert heard == PHRASES


async def test_what_was_heard_is_in_plain_words(decoder: DecoderProcess) -> None:
    heard = await Recogniser(PHRASES, decoder=decoder).recognise(await phoned(PHRASES[6]))
    assert heard.text == "can i move it to march third at two thirty p.m."
    assert heard.phrases[0].phrase == PHRASES[6]


async def test_several_sentences_in_a_row_are_all_heard(decoder: DecoderProcess) -> None:
    listener = Recogniser(PHRASES, several=True, decoder=decoder)
    heard = await listener.recognise(await phoned(f"{PHRASES[9]} {PHRASES[8]}"))
    assert [match.phrase for match in heard.phrases] == [PHRASES[9], PHRASES[8]]


async def test_a_sentence_with_gaps_where_packets_were_lost_is_understood(
    decoder: DecoderProcess,
) -> None:
    """Three gaps once left the decoder without any reading of the whole sentence."""
    phrases = [
        "Hello, this is Bright Smile Dental.",
        "[and] Am I speaking with Maria Lopez?",
        "You have an appointment on (Monday | Tuesday) at (two | three) in the afternoon.",
        "Can you come?",
        "Your appointment is (confirmed | cancelled).",
        "I am sorry.",
        "Goodbye.",
        "[Sorry] I did not catch that",
        "Could you say (it | that) again?",
    ]
    sentence = "You have an appointment on Tuesday at three in the afternoon. Can you come?"
    samples = bytearray((await phoned(sentence)).samples)
    for start, length in ((25_084, 320), (4996, 960)):
        samples[start : start + length] = bytes(length)
    del samples[54_990 : 54_990 + 320]
    listener = Recogniser(phrases, several=True, decoder=decoder)
    heard = await listener.recognise(Pcm(bytes(samples), 8000))
    assert heard.text == " ".join(words(sentence))


async def test_what_is_no_phrase_is_not_taken_for_one(decoder: DecoderProcess) -> None:
    listener = Recogniser(PHRASES, decoder=decoder)
    for other in ("the weather in paris is lovely today", "banana", "hello who is this"):
        assert (await listener.recognise(await phoned(other))).text == ""
    assert (await listener.recognise(silence(1, 8000))).text == ""
    assert (await listener.recognise(Pcm(b"", 8000))).text == ""


async def test_a_name_in_no_dictionary_is_heard_as_flite_says_it(decoder: DecoderProcess) -> None:
    names = ["Jayla Kowalczykowska", "Maria Lopez"]
    listener = Recogniser(names, decoder=decoder)
    for name in names:
        assert (await listener.recognise(await phoned(name))).written == name


async def test_a_word_that_nobody_can_pronounce_is_named(decoder: DecoderProcess) -> None:
    listener = Recogniser(["say жизнь", "say yes"], decoder=decoder)
    with pytest.raises(UnknownWords, match="жизнь") as refused:
        await listener.prepare()
    assert refused.value.words == ("жизнь",)
    # The process goes on: another recogniser is served.
    await Recogniser(["yes"], decoder=decoder).prepare()


async def test_malformed_phrases_are_refused_at_once() -> None:
    with pytest.raises(PhraseError):
        Recogniser(["(yes"])


async def test_without_phrases_it_listens_freely(decoder: DecoderProcess) -> None:
    heard = await Recogniser(decoder=decoder).recognise(await say("yes i confirm"))
    assert heard.text == "yes i confirm"
    assert heard.phrases == ()


async def test_more_grammars_than_are_kept_still_work(decoder: DecoderProcess) -> None:
    sound = await phoned("yes please")
    for number in range(40):
        listener = Recogniser([f"room {number}", "yes please"], decoder=decoder)
        assert (await listener.recognise(sound)).text == "yes please"


async def test_the_queue_is_bounded_and_the_others_are_served(decoder: DecoderProcess) -> None:
    listener = Recogniser(["yes"], decoder=decoder)
    sound = await phoned("yes")
    answers = await asyncio.gather(
        *(listener.recognise(sound) for _ in range(40)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, TooBusy)]
    assert len(refused) == 8
    assert all(getattr(answer, "text", "yes") == "yes" for answer in answers)


async def test_a_listener_that_gave_up_does_not_confuse_the_next(decoder: DecoderProcess) -> None:
    listener = Recogniser(PHRASES, decoder=decoder)
    await listener.prepare()
    first = asyncio.ensure_future(listener.recognise(await phoned(PHRASES[0])))
    await asyncio.sleep(0)
    first.cancel()
    assert (await listener.recognise(await phoned(PHRASES[2]))).written == PHRASES[2]


async def test_a_decoder_that_dies_is_an_error_and_then_a_new_one(decoder: DecoderProcess) -> None:
    listener = Recogniser(["yes"], decoder=decoder)
    await listener.prepare()
    process = decoder._process
    assert process is not None
    process.kill()
    waiting = listener.recognise(await phoned("yes"))
    try:
        heard = await waiting
    except CannotHear:
        heard = await listener.recognise(await phoned("yes"))
    assert heard.text == "yes"


async def test_sound_that_is_too_long_or_of_no_known_rate_is_refused(
    decoder: DecoderProcess,
) -> None:
    listener = Recogniser(["yes"], decoder=decoder)
    with pytest.raises(CannotHear, match="may last 60 s"):
        await listener.recognise(silence(61, 8000))
    with pytest.raises(CannotHear, match="samples a second"):
        await listener.recognise(Pcm(b"\x00\x00", 1))


async def test_the_process_ends_with_its_owner(tmp_path: Path) -> None:
    async with Recogniser(["yes"]) as listener:
        await listener.prepare()
        process = listener._decoder._process
        assert process is not None
        assert process.returncode is None
    assert process.returncode is not None
