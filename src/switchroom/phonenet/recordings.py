"""Recording what a caller says, and keeping it as a message."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from switchroom.base.records import record
from switchroom.phonenet import events
from switchroom.phonenet.facilities import Facilities
from switchroom.phonenet.hearing import level_dbov
from switchroom.phonenet.sounds import RATE
from switchroom.speech.errors import SpeechError

_AUDIBLE_DBOV = -50.0
"""Speech is far above it, a quiet line far below."""

_AFTERGLOW = RATE // 5
"""What is kept of the silence after the last word: 200 ms, as a word may die away slowly."""


class Recording:
    """Everything heard, until it has been silent for long enough or the limit is reached; pure.

    `silence` and `limit` are seconds. Silence counts from the start, so that nobody who says
    nothing holds the line. `because` is ``silence``, ``limit``, or ``hung up`` as long as it runs.
    """

    def __init__(self, *, silence: float, limit: float) -> None:
        self._most_silence = int(silence * RATE)
        self._limit = int(limit * RATE)
        self._samples = array("h")
        self._sounded_until = 0
        self.because = "hung up"
        self.on_end: Callable[[], None] = lambda: None

    @property
    def ended(self) -> bool:
        return self.because != "hung up"

    def hear(self, frame: array[int]) -> None:
        """The next sound."""
        if self.ended:
            return
        self._samples.extend(frame)
        power = sum([sample * sample for sample in frame]) / max(len(frame), 1)
        if level_dbov(power) > _AUDIBLE_DBOV:
            self._sounded_until = len(self._samples)
        if len(self._samples) >= self._limit:
            self._end("limit")
        elif len(self._samples) - self._sounded_until >= self._most_silence:
            self._end("silence")

    def message(self) -> array[int]:
        """What was said, from the beginning to the last word; empty if nothing was."""
        if not self._sounded_until:
            return array("h")
        return self._samples[: self._sounded_until + _AFTERGLOW]

    def _end(self, because: str) -> None:
        self.because = because
        self.on_end()


@record
class Message:
    """A message that is to be kept: of which call, and which phrases it may have in it."""

    call: str
    number: str
    samples: array[int]
    because: str
    phrases: tuple[str, ...]


async def keep_message(message: Message, facilities: Facilities) -> None:
    """Write it, understand it, tell of it. One that cannot be understood is kept all the same."""
    name = f"{message.number}-{facilities.wall_clock():.0f}-{message.call}"
    try:
        path = await facilities.messages.keep(name, message.samples)
    except OSError as error:
        facilities.report(
            events.Noted(call=message.call, note=f"the message could not be kept: {error}")
        )
        return
    try:
        said = await facilities.talking.understood(message.samples, message.phrases)
    except SpeechError:
        said = ""
    facilities.report(
        events.MessageKept(
            call=message.call,
            path=str(path),
            seconds=round(len(message.samples) / RATE, 2),
            transcript=said,
            because=message.because,
        )
    )
