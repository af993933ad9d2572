"""A voicemail on a virtual clock (VirtualLoop): greeting, beep, and the message that is kept."""

from __future__ import annotations

import asyncio

import pytest

from switchroom.phonenet import events
from switchroom.phonenet.mailbox import mailbox
from switchroom.phonenet.script import Script
from unit.phonenet.virtual_call import Caller, hang_up, kinds, play_out, until_answered

MESSAGE = "This is the library and your book is here"


def box(**habits: object) -> Script:
    greeting = "Please leave a message after the tone"
    return mailbox("Takes messages.", greeting=greeting, expects=[MESSAGE], **habits)  # type: ignore[arg-type]


async def until_beep(caller: Caller) -> None:
    """Wait until the beep is over."""
    await caller.until_told(events.Plays)
    await asyncio.sleep(0.4)


async def leave_message(caller: Caller) -> None:
    await caller.says(MESSAGE)


def kept(caller: Caller) -> events.MessageKept:
    return caller.only(events.MessageKept)


def test_a_message_is_kept_from_the_beep_to_the_last_word_when_the_caller_hangs_up() -> None:
    caller = play_out(box(), until_answered, until_beep, leave_message, hang_up)
    told = [kind for kind in kinds(caller) if kind in {"said", "plays", "ended", "message_kept"}]
    assert told == ["said", "plays", "ended", "message_kept"]
    assert kept(caller).transcript == MESSAGE.lower()
    assert kept(caller).because == "hung up"
    (samples,) = caller.messages.kept.values()
    assert len(samples) / 8000 == pytest.approx(kept(caller).seconds, abs=0.01)
    assert kept(caller).seconds == pytest.approx(0.9 + 0.1, abs=0.15)


def test_the_beep_is_a_third_of_a_second_of_its_tone() -> None:
    heard: list[float | None] = []

    async def listen(caller: Caller) -> None:
        assert caller.line is not None
        caller.line.on_impression = lambda window: heard.append(window.tone_hz)

    caller = play_out(box(beep_hz=1400), until_answered, listen, until_beep, hang_up)
    assert caller.only(events.Plays).sound == "tone 1400 Hz"
    assert len([hz for hz in heard if hz == pytest.approx(1400, abs=2)]) in {2, 3}
    assert caller.all_of(events.MessageKept) == []


def test_what_is_said_before_the_beep_is_not_kept() -> None:
    async def talk_over_the_greeting(caller: Caller) -> None:
        await caller.says("Hello Hello")

    caller = play_out(box(), until_answered, talk_over_the_greeting, until_beep, hang_up)
    assert caller.all_of(events.MessageKept) == []
    assert caller.messages.kept == {}


def test_after_four_seconds_of_silence_the_mailbox_hangs_up() -> None:
    caller = play_out(box(), until_answered, until_beep, leave_message)
    assert caller.signals[-1] == "BYE"
    assert kept(caller).because == "silence"
    ended, began = caller.times_of(events.Ended)[0], caller.times_of(events.Plays)[0]
    assert ended - began == pytest.approx(0.4 + 0.9 + 4, abs=0.2)
    assert kept(caller).seconds < 2


def test_a_caller_who_says_nothing_leaves_no_message() -> None:
    caller = play_out(box())
    assert caller.signals == ["180", "200", "BYE"]
    assert caller.messages.kept == {}


def test_a_message_that_is_too_long_is_ended_at_the_limit() -> None:
    async def talk_on(caller: Caller) -> None:
        sound = await caller.talking.spoken(" ".join(["on"] * 9), "")
        while not caller.call.over:
            caller.say(sound, 0.9)
            await asyncio.sleep(0.9)

    caller = play_out(box(limit=5), until_answered, until_beep, talk_on)
    assert kept(caller).because == "limit"
    assert kept(caller).seconds == pytest.approx(5, abs=0.3)


def test_a_message_that_nobody_understands_is_kept_all_the_same() -> None:
    async def mumble(caller: Caller) -> None:
        await caller.says("Hm hm hm hm")

    caller = play_out(box(), until_answered, until_beep, mumble, hang_up)
    assert kept(caller).transcript == ""
    assert len(caller.messages.kept) == 1


def test_a_folder_that_cannot_be_written_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(caller: Caller) -> None:
        async def keep(name: str, samples: object) -> object:
            raise OSError("No space left on device")

        monkeypatch.setattr(caller.messages, "keep", keep)

    caller = play_out(box(), until_answered, full, until_beep, leave_message, hang_up)
    assert caller.only(events.Noted).note == (
        "the message could not be kept: No space left on device"
    )


def test_without_a_voice_the_mailbox_refuses_and_says_why() -> None:
    async def nothing(caller: Caller) -> None:
        caller.talking.missing = "flite is missing"

    caller = play_out(box(), nothing)
    assert caller.signals == ["180", "480"]
    assert caller.only(events.Rejected).reason == "flite is missing"
