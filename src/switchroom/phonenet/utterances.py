"""Cuts what a phone hears into utterances; pure.

Somebody speaks for sure after 60 ms of sound, and has ended after 0.7 s of silence: people pause
for less inside a sentence, and so do synthetic voices between two.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from switchroom.phonenet.hearing import level_dbov
from switchroom.phonenet.sounds import RATE

END_SILENCE = 0.7

_AUDIBLE_DBOV = -50.0
_SURE = RATE * 60 // 1000
_LEAD = RATE // 5
"""What an utterance holds of the quiet before it: 200 ms, as some consonants begin softly."""

_TAIL = RATE * 3 // 10
_LONGEST = 30 * RATE


@dataclass(frozen=True, slots=True)
class Utterance:
    """8 kHz samples with a little quiet around them; `seconds` is what lies between.

    `began_ago` is the time from its first sound to the moment when it was handed over.
    """

    samples: array[int]
    seconds: float
    began_ago: float


class UtteranceEar:
    """Follows a line. `on_begin` tells that somebody speaks, `on_utterance` what they have said."""

    def __init__(self, end_silence: float = END_SILENCE) -> None:
        self._most_silence = int(end_silence * RATE)
        self._before: deque[int] = deque(maxlen=_LEAD)
        self._samples = array("h")
        self._lead = 0
        self._sounded_until = 0
        self.hears_speech = False
        self.on_begin: Callable[[], None] = lambda: None
        self.on_utterance: Callable[[Utterance], None] = lambda _: None

    def hear(self, frame: array[int]) -> None:
        """The next sound."""
        power = sum([sample * sample for sample in frame]) / max(len(frame), 1)
        audible = level_dbov(power) > _AUDIBLE_DBOV
        if not self._samples:
            if not audible:
                self._before.extend(frame)
                return
            self._samples.extend(self._before)
            self._lead = len(self._samples)
            self._before.clear()
        self._samples.extend(frame)
        if audible:
            self._sounded_until = len(self._samples)
        self._decide()

    def end(self) -> None:
        """Nothing will be heard any more: what is being said ends here."""
        if self.hears_speech:
            self._hand_over()

    def _decide(self) -> None:
        if not self.hears_speech and self._sounded_until - self._lead >= _SURE:
            self.hears_speech = True
            self.on_begin()
        silent = len(self._samples) - self._sounded_until
        if silent >= self._most_silence or len(self._samples) >= _LONGEST:
            if self.hears_speech:
                self._hand_over()
            else:
                self._forget()

    def _hand_over(self) -> None:
        utterance = Utterance(
            samples=self._samples[: self._sounded_until + _TAIL],
            seconds=(self._sounded_until - self._lead) / RATE,
            began_ago=(len(self._samples) - self._lead) / RATE,
        )
        self._forget()
        self.on_utterance(utterance)

    def _forget(self) -> None:
        """A click or an utterance is over; its end is the quiet before the next one."""
        self._before.extend(self._samples[-_LEAD:])
        self._samples = array("h")
        self.hears_speech = False
