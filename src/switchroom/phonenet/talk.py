"""What is said and understood in one call.

From its first word on a talking phone listens all the time, also while it speaks: what the caller
says meanwhile is not lost, but waits until the script listens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from switchroom.base.records import record
from switchroom.phonenet import events
from switchroom.phonenet.facilities import Facilities
from switchroom.phonenet.line import Line
from switchroom.phonenet.utterances import Utterance, UtteranceEar

_MOST_UNHEARD = 20
"""Utterances that wait for a script that does not listen; older ones are forgotten."""


@record
class Speech:
    """An utterance of the caller. `text` is "" if it was not understood."""

    text: str
    seconds: float


class Talk:
    """One call's talking, from its first word to `over`."""

    def __init__(self, call: str, line: Line, facilities: Facilities) -> None:
        self._call = call
        self._facilities = facilities
        self._ear = UtteranceEar()
        self._ear.on_begin = self._tell
        self._ear.on_utterance = self._take
        line.followers.append(self._ear)
        self._changed = asyncio.Event()
        self._unheard: deque[tuple[float, Utterance]] = deque(maxlen=_MOST_UNHEARD)
        self._phrases: tuple[str, ...] | None = None
        self._last_word: float | None = None

    def has_spoken(self) -> None:
        """The phone has just said its last word: replies are timed from here."""
        self._last_word = self._facilities.wall_clock()

    async def begins(self, seconds: float) -> bool:
        """Wait until the caller speaks, at most so long; true if so (or if it has spoken)."""
        try:
            async with asyncio.timeout(seconds):
                await self._until(lambda: bool(self._unheard) or self._ear.hears_speech)
        except TimeoutError:
            return False
        return True

    async def listen(self, phrases: Sequence[str], seconds: float) -> Speech | None:
        """The caller's next utterance; None if none begins within so many seconds."""
        self._phrases = tuple(phrases)
        if not await self.begins(seconds):
            return None
        await self._until(lambda: bool(self._unheard))
        # The caller may hang up meanwhile; what was said is to be understood all the same.
        return await asyncio.shield(self._start_understanding(self._phrases))

    def over(self) -> None:
        """The call has ended: understand what was still said, if the script ever listened."""
        self._ear.end()
        while self._unheard and self._phrases is not None:
            self._start_understanding(self._phrases)

    def _start_understanding(self, phrases: tuple[str, ...]) -> asyncio.Task[Speech]:
        began, utterance = self._unheard.popleft()
        understanding = self._understand(began, utterance, phrases)
        return self._facilities.after_calls.spawn(understanding, name=f"{self._call} understands")

    async def _understand(
        self, began: float, utterance: Utterance, phrases: tuple[str, ...]
    ) -> Speech:
        last = self._last_word
        text = await self._facilities.talking.understood(utterance.samples, phrases)
        self._facilities.report(
            events.Understood(
                call=self._call,
                text=text,
                began=round(began, 3),
                ended=round(began + utterance.seconds, 3),
                replied_after=None if last is None or last > began else round(began - last, 3),
            )
        )
        return Speech(text, utterance.seconds)

    def _take(self, utterance: Utterance) -> None:
        self._unheard.append((self._facilities.wall_clock() - utterance.began_ago, utterance))
        self._tell()

    def _tell(self) -> None:
        self._changed.set()

    async def _until(self, satisfied: Callable[[], bool]) -> None:
        while not satisfied():
            self._changed.clear()
            await self._changed.wait()
