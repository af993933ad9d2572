"""People on a virtual clock (VirtualLoop): who speaks when, what is answered, when they hang up."""

from __future__ import annotations

import asyncio

import pytest

from switchroom.phonenet import events
from switchroom.phonenet.people import Conversation, Person, Reply, person
from switchroom.phonenet.script import Script
from unit.phonenet.virtual_call import Caller, after, hang_up, kinds, play_out, until_answered

ANSWERS = {
    "This is the dental office": "",
    "Am I speaking with Maria?": "Yes, this is Maria.",
    "Can you come on (Monday | Tuesday)?": "Yes, I can.",
}
GOODBYES = {"Goodbye": "Thank you, bye."}
MARIA = Person(answers=ANSWERS, goodbyes=GOODBYES)


def maria(**habits: object) -> Script:
    return person("Answers.", answers=ANSWERS, goodbyes=GOODBYES, **habits)  # type: ignore[arg-type]


def texts(caller: Caller) -> list[str]:
    return [said.text for said in caller.all_of(events.Said)]


def spoken_to(text: str) -> Reply:
    return Conversation(MARIA).heard(text)


async def until_said(caller: Caller, count: int) -> None:
    """Wait until the phone has begun to say so many things."""
    await caller.until_told(events.Said, count)
    await asyncio.sleep(2)


# ── what is answered ─────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("heard", "says"),
    [
        ("am i speaking with maria", "Yes, this is Maria."),
        ("This is the dental office! Am I speaking with Maria?", "Yes, this is Maria."),
        ("can you come on tuesday", "Yes, I can."),
        ("am i speaking with maria can you come on monday", "Yes, this is Maria. Yes, I can."),
        ("am i speaking with maria am i speaking with maria", "Yes, this is Maria."),
        ("this is the dental office", ""),
    ],
)
def test_what_was_asked_is_answered_once_and_in_order(heard: str, says: str) -> None:
    assert spoken_to(heard) == Reply(says)


def test_a_goodbye_is_answered_and_ends_the_talk() -> None:
    assert spoken_to("goodbye") == Reply("Thank you, bye.", ends=True)
    said = spoken_to("can you come on monday goodbye")
    assert said == Reply("Yes, I can. Thank you, bye.", ends=True)


def test_what_makes_no_sense_is_asked_again_twice_and_then_given_up() -> None:
    talk = Conversation(MARIA)
    assert [talk.heard("") for _ in range(3)] == [
        Reply(MARIA.pardon),
        Reply(MARIA.pardon),
        Reply(ends=True),
    ]


def test_patience_is_new_after_everything_that_was_understood() -> None:
    talk = Conversation(MARIA)
    talk.heard("")
    talk.nothing_heard()
    talk.heard("am i speaking with maria")
    assert talk.heard("") == Reply(MARIA.pardon)
    assert talk.nothing_heard() == Reply(MARIA.are_you_there)


def test_whoever_asks_her_to_say_it_again_hears_her_last_answer() -> None:
    talk = Conversation(MARIA)
    assert talk.heard("could you say that again") == Reply("Hello?")
    talk.heard("am i speaking with maria")
    assert talk.heard("sorry i did not catch that could you say it again") == Reply(
        "Yes, this is Maria."
    )


def test_a_caller_who_was_interrupted_is_not_asked_to_repeat_it() -> None:
    assert Conversation(MARIA).heard("", interrupted=True) == Reply()


def test_everything_she_may_say_is_known_beforehand() -> None:
    assert MARIA.lines == (
        "Hello?",
        "Yes, this is Maria.",
        "Yes, I can.",
        "Thank you, bye.",
        MARIA.pardon,
        MARIA.are_you_there,
    )


# ── when ─────────────────────────────────────────────────────────────────────


def test_a_person_waits_until_the_caller_has_finished_and_answers_what_was_asked() -> None:
    async def ask(caller: Caller) -> None:
        await until_said(caller, 1)
        await caller.says("Am I speaking with Maria?")
        await until_said(caller, 2)
        await caller.says("Can you come on Monday?")
        await until_said(caller, 3)

    caller = play_out(maria(), until_answered, ask, hang_up)
    assert texts(caller) == ["Hello?", "Yes, this is Maria.", "Yes, I can."]
    understood = caller.all_of(events.Understood)
    assert [each.text for each in understood] == [
        "am i speaking with maria",
        "can you come on monday",
    ]
    for each, answer in zip(understood, caller.times_of(events.Said)[1:], strict=True):
        assert answer + caller.started - each.ended == pytest.approx(0.7, abs=0.1)


def test_the_silence_before_a_reply_is_measured_from_the_phones_last_word() -> None:
    async def ask(caller: Caller) -> None:
        await caller.until_told(events.Said)
        hello = caller.all_of(events.Said)[0]
        await asyncio.sleep(hello.seconds + 1.5)
        await caller.says("Can you come on Monday?")
        await until_said(caller, 2)

    caller = play_out(maria(), until_answered, ask, hang_up)
    assert caller.only(events.Understood).replied_after == pytest.approx(1.5, abs=0.1)


def test_what_is_said_while_the_phone_speaks_is_not_lost() -> None:
    async def talk_over(caller: Caller) -> None:
        await caller.until_told(events.Said)
        await caller.says("Am I speaking with Maria?")
        await until_said(caller, 2)

    caller = play_out(maria(hello="Hello? " * 10), until_answered, talk_over, hang_up)
    assert texts(caller)[1:] == ["Yes, this is Maria."]
    assert caller.only(events.Understood).replied_after is None


def test_a_silent_caller_is_asked_twice_and_then_hung_up_on() -> None:
    caller = play_out(maria())
    assert texts(caller) == ["Hello?", MARIA.are_you_there, MARIA.are_you_there]
    assert caller.signals == ["180", "200", "BYE"]


def test_after_a_goodbye_the_person_hangs_up_when_it_is_quiet() -> None:
    async def leave(caller: Caller) -> None:
        await until_said(caller, 1)
        await caller.says("Goodbye")

    caller = play_out(maria(lingers=3.0), until_answered, leave)
    assert texts(caller) == ["Hello?", "Thank you, bye."]
    ended = caller.only(events.Ended)
    assert (ended.by, ended.reason) == ("phone", "hung up")
    bye = caller.all_of(events.Said)[-1]
    quiet = caller.times_of(events.Ended)[0] - caller.times_of(events.Said)[-1] - bye.seconds
    assert quiet == pytest.approx(3.0, abs=0.1)


def test_a_person_told_to_interrupt_speaks_into_the_callers_words() -> None:
    async def ask(caller: Caller) -> None:
        await until_said(caller, 1)
        await caller.says(
            "This is the dental office. Am I speaking with Maria? Can you come on Monday?"
        )
        await until_said(caller, 3)

    impatient = maria(interrupts={1: "Who is it?"}, interrupts_after=0.4)
    caller = play_out(impatient, until_answered, ask, hang_up)
    assert texts(caller)[:2] == ["Hello?", "Who is it?"]
    understood = caller.all_of(events.Understood)[0]
    interrupted = caller.times_of(events.Said)[1] + caller.started
    assert interrupted - understood.began == pytest.approx(0.4, abs=0.1)
    assert interrupted < understood.ended


def test_last_words_before_a_hang_up_are_understood_and_told_after_the_end() -> None:
    async def leave(caller: Caller) -> None:
        await until_said(caller, 1)
        await caller.says("Goodbye")
        caller.hangs_up()

    caller = play_out(maria(), until_answered, leave)
    assert kinds(caller)[-2:] == ["ended", "understood"]
    assert caller.only(events.Understood).text == "goodbye"


def test_a_caller_who_sends_no_sound_at_all_counts_as_silent() -> None:
    async def begin_and_vanish(caller: Caller) -> None:
        await until_said(caller, 1)
        assert caller.line is not None
        caller.say((await caller.talking.spoken("Can you come on Monday?", "")), 0.4)
        await asyncio.sleep(0.4)
        caller.line.muted = True
        await until_said(caller, 2)

    caller = play_out(maria(), until_answered, begin_and_vanish, hang_up)
    assert texts(caller)[1] == "Yes, I can."


def test_a_person_without_speech_refuses_and_says_what_is_missing() -> None:
    async def nothing(caller: Caller) -> None:
        caller.talking.missing = "flite is missing; Debian: apt-get install flite"

    caller = play_out(maria(), nothing)
    assert caller.signals == ["180", "480"]
    assert caller.only(events.Rejected).reason.startswith("flite is missing")
    assert caller.only(events.Ended).reason.startswith("cannot talk here: flite")


def test_a_script_that_never_listened_is_not_told_what_was_said() -> None:
    async def mute(caller: Caller) -> None:
        await until_said(caller, 1)
        await caller.says("Goodbye")
        await after(5)(caller)

    async def talker(call: object) -> None:
        """Says something and never listens."""
        await call.answer()  # type: ignore[attr-defined]
        await call.say("Hello?")  # type: ignore[attr-defined]
        await call.wait(None)  # type: ignore[attr-defined]

    caller = play_out(talker, until_answered, mute, hang_up)
    assert caller.all_of(events.Understood) == []
