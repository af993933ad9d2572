"""Speaking what agents say: whatever voice they ask for, one of flite's answers."""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise

from switchroom.base.log import get_logger
from switchroom.base.tasks import Tasks
from switchroom.offline.journal import Journal, Spoken
from switchroom.speech.errors import SpeechError
from switchroom.speech.pcm import Pcm, silence
from switchroom.speech.spoken import words
from switchroom.speech.synthesis import LONGEST_TEXT, VOICES, Synthesiser

_log = get_logger("offline")

# Marks that agents put into a text for a voice that can act.
_MARKUP = re.compile(r"<[^<>]{1,200}>")
_LONGEST = 20_000
"""Characters of one text; what is beyond would take twenty minutes to hear."""

# Where a sentence ends and another begins, but not after "Dr." and the like.
_SENTENCE_END = re.compile(
    r"(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bSt)(?<!\b[ap]\.m)(?<![.!?])[.!?]++[\"')]*\s+"
)
_PIECE = re.compile(rf"(?s).{{1,{LONGEST_TEXT}}}(?=\s|\Z)|\S{{1,{LONGEST_TEXT}}}")

_MOST_FORESEEN = 200
_RATE = 24_000
"""Samples a second that agents in Python ask for; those for Node take 16,000."""


class Speaker:
    """Says texts of any length. ``voice`` is used where the one asked for is not flite's.

    A text is spoken by the sentence, however the agent cuts it, so that what was foreseen is found
    again.
    """

    def __init__(self, voice: str, journal: Journal) -> None:
        self._voice = voice
        self._journal = journal
        self._synthesiser = Synthesiser()
        self._tasks = Tasks("offline speaker")
        self._foreseen: OrderedDict[str, None] = OrderedDict()
        self._ahead: asyncio.Queue[str] = asyncio.Queue()

    async def say(self, text: str, voice: str, rate: int, job: str = "") -> Pcm:
        """Speak ``text`` as one sound. Raises SpeechUnavailable and CannotSay."""
        sounds = [sound async for sound in self.sentences(text, voice, rate, job)]
        return (
            Pcm(b"".join(sound.samples for sound in sounds), rate) if sounds else silence(0, rate)
        )

    async def sentences(
        self, text: str, voice: str, rate: int, job: str = ""
    ) -> AsyncIterator[Pcm]:
        """Speak ``text``, a sentence after the other. Raises SpeechUnavailable and CannotSay."""
        chosen = voice if voice in VOICES else self._voice
        for sentence in sentences_of(text):
            begun = time.perf_counter()
            sound = await self._synthesiser.say(sentence, chosen, rate)
            took = time.perf_counter() - begun
            self._journal.record(Spoken(text=sentence, seconds=sound.seconds, took=took, job=job))
            yield sound

    def foresee(self, texts: Iterable[str]) -> None:
        """Make the sound of what may have to be said soon, one after the other, while it is quiet.

        What is foreseen a second time costs nothing, nor does what turns out to be needed.
        """
        for text in texts:
            for sentence in sentences_of(text):
                if sentence in self._foreseen or self._ahead.qsize() >= _MOST_FORESEEN:
                    continue
                self._foreseen[sentence] = None
                if len(self._foreseen) > _MOST_FORESEEN:
                    self._foreseen.popitem(last=False)
                self._ahead.put_nowait(sentence)
        if not len(self._tasks) and not self._ahead.empty():
            self._tasks.spawn(self._make_ahead(), name="speaking ahead")

    async def aclose(self) -> None:
        """Stop speaking ahead."""
        await self._tasks.aclose()

    async def _make_ahead(self) -> None:
        while not self._ahead.empty():
            sentence = self._ahead.get_nowait()
            try:
                await self._synthesiser.say(sentence, self._voice, _RATE)
            except SpeechError as failure:
                _log.warning("could not speak ahead", text=sentence, reason=str(failure))


def sentences_of(text: str) -> list[str]:
    """The sentences of a text that have a word in them, without markup."""
    plain = " ".join(_MARKUP.sub(" ", text[:_LONGEST]).split())
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(plain)), len(plain)]
    whole = (plain[start:end].strip() for start, end in pairwise(cuts))
    pieces = (piece.strip() for sentence in whole for piece in _PIECE.findall(sentence))
    return [piece for piece in pieces if words(piece)]
