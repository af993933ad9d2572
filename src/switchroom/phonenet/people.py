"""People who talk: what they listen for and what they say to it.

::

    maria = person(
        "Answers, and confirms her appointment when she is asked.",
        hello="Hello?",
        answers={
            "This is the dental office.": "",
            "Am I speaking with Maria?": "Yes, this is Maria.",
            "Can you come?": "Yes, I can.",
        },
        goodbyes={"Goodbye.": "Thank you, bye."},
    )
    NUMBERS = {"+12025550150": maria}

She picks up, says hello, waits until the caller has spoken and fallen silent, and answers whatever
she was asked; where she is the one who calls, it is the other side that says hello. A phrase with
an empty answer is one that she understands and has nothing to say to. She understands the phrases
of her script and no others, one or several of them at a time; how they may be written (``[now]``,
``(this | that)``) is told by `switchroom.speech.phrases`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from switchroom.base.records import record
from switchroom.phonenet.script import PhoneCall, Script
from switchroom.phonenet.talking import VOICE
from switchroom.speech.phrases import parse
from switchroom.speech.spoken import words


@record(kw_only=True)
class Person:
    """A person's script. Times are in seconds.

    `answers` and `goodbyes` map phrases to listen for to what is said then; after a goodbye the
    person hangs up when the caller has been silent for `lingers`. Whoever says one of `again` hears
    the last answer once more. `interrupts` maps the number of an utterance of the caller (the first
    is 1) to what the person says into it, `interrupts_after` its beginning. What was not understood
    is answered by `pardon`, and `patience` of silence by `are_you_there`; after the third time of
    either the person gives up and hangs up.
    """

    hello: str = "Hello?"
    answers: Mapping[str, str] = field(default_factory=dict)
    goodbyes: Mapping[str, str] = field(default_factory=dict)
    interrupts: Mapping[int, str] = field(default_factory=dict)
    interrupts_after: float = 1.0
    again: Sequence[str] = (
        "[Sorry] I did not catch that",
        "[Sorry] could you say (it | that) again?",
    )
    pardon: str = "Sorry, what did you say?"
    are_you_there: str = "Hello? Is anybody there?"
    rings: float = 1.0
    draws_breath: float = 0.5
    patience: float = 5.0
    lingers: float = 2.0
    voice: str = VOICE

    @property
    def phrases(self) -> tuple[str, ...]:
        """Everything that the person understands."""
        return (*self.answers, *self.goodbyes, *self.again)

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything that the person may say."""
        said = (self.hello, *self.answers.values(), *self.goodbyes.values())
        more = (*self.interrupts.values(), self.pardon, self.are_you_there)
        return tuple(dict.fromkeys(line for line in (*said, *more) if line))


@record
class Reply:
    """What a person says next (perhaps nothing), and whether that is the end."""

    says: str = ""
    ends: bool = False


class Conversation:
    """What a person makes of what is heard; pure."""

    _TIMES = 3

    def __init__(self, person: Person) -> None:
        self._person = person
        self._phrases = parse(person.phrases)
        self._confused = 0
        self._lonely = 0
        self._turn = 1
        self._last = person.hello

    def interruption(self) -> str:
        """What is to be said into the caller's next utterance; "" to hear it out."""
        return self._person.interrupts.get(self._turn, "")

    def heard(self, text: str, *, interrupted: bool = False) -> Reply:
        """The caller has spoken: `text` is what was understood.

        A caller who was `interrupted` had no time to make sense, and is not asked to.
        """
        self._turn += 1
        self._lonely = 0
        person = self._person
        known = [match.phrase for match in self._phrases.in_a_row(words(text))]
        if not known:
            return self._puzzled(interrupted=interrupted)
        self._confused = 0
        said = [self._answer(phrase) for phrase in known]
        ends = any(phrase in person.goodbyes for phrase in known)
        self._last = " ".join(dict.fromkeys(line for line in said if line)) or self._last
        return Reply(self._last if any(said) else "", ends)

    def _answer(self, phrase: str) -> str:
        if phrase in self._person.again:
            return self._last
        return self._person.answers.get(phrase) or self._person.goodbyes.get(phrase, "")

    def _puzzled(self, *, interrupted: bool) -> Reply:
        if interrupted:
            return Reply()
        self._confused += 1
        if self._confused >= self._TIMES:
            return Reply(ends=True)
        return Reply(self._person.pardon)

    def nothing_heard(self) -> Reply:
        """The caller has been silent for as long as the person's patience lasts."""
        self._lonely += 1
        if self._lonely >= self._TIMES:
            return Reply(ends=True)
        return Reply(self._person.are_you_there)


def person(
    does: str,
    *,
    hello: str = "Hello?",
    answers: Mapping[str, str],
    goodbyes: Mapping[str, str] | None = None,
    **habits: object,
) -> Script:
    """A phone with a person; `does` says in a line what they do, `habits` are `Person`'s fields."""
    who = Person(hello=hello, answers=answers, goodbyes=goodbyes or {}, **habits)  # type: ignore[arg-type]

    async def talk(call: PhoneCall) -> None:
        await _talk(call, who)

    talk.__name__, talk.__doc__ = "person", does
    return talk


async def _talk(call: PhoneCall, who: Person) -> None:
    await call.ring(seconds=0)
    await call.get_ready_to_talk(who.lines, who.phrases, voice=who.voice)
    await call.wait(who.rings)
    await call.answer()
    if not call.dialled:
        await call.wait(who.draws_breath)
        await call.say(who.hello, voice=who.voice)
    conversation = Conversation(who)
    reply = Reply()
    while not reply.ends:
        reply = await _turn(call, who, conversation)
        if reply.says:
            await call.say(reply.says, voice=who.voice)
    while await call.listen_for_speech(who.phrases, seconds=who.lingers):
        pass
    await call.hang_up()


async def _turn(call: PhoneCall, who: Person, conversation: Conversation) -> Reply:
    interruption = conversation.interruption()
    if interruption and await call.hear_speech_begin(seconds=who.patience):
        await call.wait(who.interrupts_after)
        await call.say(interruption, voice=who.voice)
    speech = await call.listen_for_speech(who.phrases, seconds=who.patience)
    if speech is None:
        return conversation.nothing_heard()
    return conversation.heard(speech.text, interrupted=bool(interruption))
