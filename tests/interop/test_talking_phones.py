"""Phones that talk, called over real sockets by somebody who talks: flite and PocketSphinx."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interop.baresip import baresip
from interop.talking_caller import TalkingCaller, call
from switchroom.phonenet import events
from switchroom.phonenet.client import PhoneNetwork
from switchroom.phonenet.sounds import wav
from switchroom.speech.pcm import Pcm, silence
from switchroom.speech.recognition import Recogniser
from switchroom.speech.synthesis import say

pytestmark = pytest.mark.interop

needs_speech = pytest.mark.skipif(
    shutil.which("flite") is None or importlib.util.find_spec("pocketsphinx") is None,
    reason="local speech is missing: apt-get install flite; pip install 'switchroom[offline]'",
)

MARIA, RECEPTIONIST, VOICEMAIL, MARIA_IN_A_HURRY = (f"+1202555012{n}" for n in range(4))
TEST_TONE = "+12025550102"
PATIENCE = 120.0
WHO = "Hello, this is Bright Smile Dental. Am I speaking with Maria Lopez?"
WHEN = "You have an appointment on Tuesday at three in the afternoon. Can you come?"
CONFIRMED = "Thank you. Your appointment is confirmed. Goodbye."


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[PhoneNetwork]:
    async with PhoneNetwork(messages=tmp_path / "messages") as running:
        yield running


async def reply(caller: TalkingCaller, network: PhoneNetwork, text: str) -> str:
    """What the phone says after this was said to it."""
    await caller.says(text)
    return (await network.expect(events.Said)).text


@needs_speech
async def test_a_patient_answers_what_she_is_asked_and_hears_the_last_word_before_the_hang_up(
    network: PhoneNetwork,
) -> None:
    async with asyncio.timeout(PATIENCE), call(MARIA, network.address) as caller:
        assert (await network.expect(events.Said)).text == "Hello?"
        assert await reply(caller, network, WHO) == "Yes, this is Maria."
        assert await reply(caller, network, WHEN) == "Yes, I confirm."
        await caller.says(CONFIRMED)
        caller.hang_up()
        ended = await network.expect(events.Ended)
        assert (ended.by, ended.reason) == ("caller", "hung up")
    understood = [await network.expect(events.Understood) for _ in range(3)]
    assert [each.text for each in understood] == [
        "hello this is bright smile dental am i speaking with maria lopez",
        "you have an appointment on tuesday at three in the afternoon can you come",
        "thank you your appointment is confirmed goodbye",
    ]
    assert all(each.began < each.ended for each in understood)


@needs_speech
async def test_a_patient_hangs_up_when_a_goodbye_is_followed_by_silence(
    network: PhoneNetwork,
) -> None:
    async with asyncio.timeout(PATIENCE), call(MARIA, network.address) as caller:
        await network.expect(events.Said)
        assert await reply(caller, network, "Goodbye.") == "Goodbye."
        ended = await network.expect(events.Ended)
        assert (ended.by, ended.reason) == ("phone", "hung up")
        await caller.ended.wait()


@needs_speech
async def test_a_patient_in_a_hurry_speaks_into_the_callers_first_words(
    network: PhoneNetwork,
) -> None:
    async with asyncio.timeout(PATIENCE), call(MARIA_IN_A_HURRY, network.address) as caller:
        await network.expect(events.Said)
        await caller.says(WHO)
        interruption = await network.expect(events.Said)
        assert interruption.text == "Who is calling please?"
        assert (await network.expect(events.Said)).text == "Yes, this is Maria."
        understood = await network.expect(events.Understood)
        assert understood.began < interruption.time < understood.ended


@needs_speech
async def test_a_receptionist_understands_what_she_is_asked(network: PhoneNetwork) -> None:
    async with asyncio.timeout(PATIENCE), call(RECEPTIONIST, network.address) as caller:
        assert (await network.expect(events.Said)).text.startswith("Riverside Clinic")
        answer = await reply(caller, network, "May I speak to Doctor Brown?")
        assert answer == "I am sorry. The doctor is not in today."
        assert (await reply(caller, network, "When are you open?")).startswith("We are open")


@needs_speech
async def test_voicemail_keeps_what_is_said_after_the_beep(network: PhoneNetwork) -> None:
    message = (
        "Hello, this is Bright Smile Dental with a message for Maria Lopez. "
        "Please call us back. Goodbye."
    )
    async with asyncio.timeout(PATIENCE), call(VOICEMAIL, network.address) as caller:
        await network.expect(events.Said)
        await network.expect(events.Plays, sound="tone 1000 Hz")
        await caller.hears_beep(1000)
        await caller.says(message)
        caller.hang_up()
        kept = await network.expect(events.MessageKept)
    assert kept.transcript == (
        "hello this is bright smile dental with a message for maria lopez "
        "please call us back goodbye"
    )
    assert kept.because == "hung up"
    recorded = wav(kept.path)
    assert recorded.seconds == pytest.approx(kept.seconds, abs=0.01)
    async with Recogniser(["Please call us back", "Goodbye"], several=True) as recogniser:
        end = recorded.samples[-2 * 8000 :]
        assert (await recogniser.recognise(Pcm(end.tobytes(), 8000))).text.endswith("goodbye")


@needs_speech
@pytest.mark.skipif(
    shutil.which("baresip") is None, reason="baresip is missing: apt-get install baresip-core"
)
async def test_a_patient_and_a_baresip_phone_understand_each_other(
    network: PhoneNetwork, tmp_path: Path
) -> None:
    voice, quiet = tmp_path / "who.wav", tmp_path / "quiet.wav"
    # baresip hangs up at the end of its file.
    minute = silence(60, 8000)
    voice.write_bytes(Pcm((await say(WHO, rate=8000)).samples + minute.samples, 8000).wav())
    quiet.write_bytes(minute.wav())
    async with (
        asyncio.timeout(PATIENCE),
        baresip(tmp_path / "baresip", "127.0.0.1", 25_300, quiet) as phone,
    ):
        phone.dial(MARIA, network.address)
        await network.expect(events.Said, text="Hello?")
        phone.play(voice)
        answer = await network.expect(events.Said, text="Yes, this is Maria.")
        understood = await network.expect(events.Understood)
        assert understood.text == "hello this is bright smile dental am i speaking with maria lopez"
        assert understood.ended < answer.time
        # All of that was heard when Maria asks whether anybody is there.
        await network.expect(events.Said, text="Hello? Is anybody there?")
        phone.hang_up()
        await network.expect(events.Ended)
        heard = phone.heard().tobytes()
    async with Recogniser(["Hello", "Yes, this is Maria"], several=True) as recogniser:
        text = (await recogniser.recognise(Pcm(heard[: 2 * 8000 * 12], 8000))).text
    assert text.startswith("hello yes this is maria")


@needs_speech
async def test_nobodys_sound_is_late_for_phones_that_talk(network: PhoneNetwork) -> None:
    """A tone is heard without a gap while four phones are made ready, speak and understand."""
    async with asyncio.timeout(PATIENCE), call(TEST_TONE, network.address) as listener:
        await listener.answered.wait()
        async with asyncio.TaskGroup() as talking:
            for _ in range(4):
                talking.create_task(say_goodbye_to(network))
        assert listener.line is not None
        heard = listener.line.ear.heard()
        assert heard.tone_hz == pytest.approx(1000, abs=1)
        assert (heard.gaps, listener.line.arrivals.lost) == (0, 0)


async def say_goodbye_to(network: PhoneNetwork) -> None:
    async with asyncio.timeout(PATIENCE), call(MARIA, network.address) as caller:
        await caller.answered.wait()
        await caller.says("Goodbye.")
        await caller.ended.wait()


async def test_without_flite_phones_that_talk_refuse_and_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with PhoneNetwork() as network:
        for number in (MARIA, VOICEMAIL):
            async with asyncio.timeout(PATIENCE), call(number, network.address) as caller:
                await caller.ended.wait()
            assert (caller.status, "flite is missing" in caller.reason) == (480, True)
            refused = await network.expect(events.Rejected)
            assert "apt-get install flite" in refused.reason
        async with asyncio.timeout(PATIENCE), call(TEST_TONE, network.address) as caller:
            await caller.answered.wait()
