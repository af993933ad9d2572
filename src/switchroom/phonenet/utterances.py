"""Cuts what a phone hears into utterances; pure.

An utterance has ended after 0.7 s of silence: people pause for less inside a sentence, and so do
synthetic voices between two.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

from switchroom.base.records import record
from switchroom.phonenet.sounds import RATE
from switchroom.speech.endpoint import Endpointer, EndpointSettings, SpeechEnded, SpeechStarted

END_SILENCE = 0.7


@record
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
        self._endpointer = Endpointer(RATE, EndpointSettings(silence=end_silence))
        self._heard = 0
        self.on_begin: Callable[[], None] = lambda: None
        self.on_utterance: Callable[[Utterance], None] = lambda _: None

    @property
    def hears_speech(self) -> bool:
        """Whether somebody is speaking."""
        return self._endpointer.speaking

    def hear(self, frame: array[int]) -> None:
        """The next sound."""
        self._heard += len(frame)
        for news in self._endpointer.feed(frame.tobytes()):
            self._tell(news)

    def end(self) -> None:
        """Nothing will be heard any more: what is being said ends here."""
        for news in self._endpointer.finish():
            self._tell(news)

    def _tell(self, news: SpeechStarted | SpeechEnded) -> None:
        if isinstance(news, SpeechStarted):
            self.on_begin()
            return
        samples = array("h")
        samples.frombytes(news.sound.samples)
        self.on_utterance(
            Utterance(
                samples=samples,
                seconds=(news.end - news.start) / RATE,
                began_ago=(self._heard - news.start) / RATE,
            )
        )
