"""What phones talk with: a voice that says a text, and an understanding of what was said.

Both are the machine's own (``switchroom.speech``) and work in processes apart, so that the sound of
all calls keeps its beat while one phone thinks. What was said once is kept.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from switchroom.phonenet.sounds import RATE, Sound
from switchroom.speech.errors import CannotHear
from switchroom.speech.pcm import Pcm
from switchroom.speech.recognition import DecoderProcess, Recogniser
from switchroom.speech.synthesis import say

VOICE = "rms"
"""The voice that is understood best over a telephone line."""

_MOST_SOUNDS = 200

_QUIET = 160
"""Samples up to here are the silence around a sentence; −46 dBov."""


class Talking(Protocol):
    """The voice and the understanding of all phones.

    Every method raises SpeechUnavailable where a program that it needs is missing, and another
    SpeechError for a text that cannot be said and a phrase that cannot be listened for.
    """

    async def spoken(self, text: str, voice: str) -> Sound:
        """The text as it sounds, without silence around it."""
        ...

    async def understood(self, samples: array[int], phrases: tuple[str, ...]) -> str:
        """What was said, as one or several of the phrases; "" if none of them was.

        Without phrases anything may have been said, which is harder to understand. 8 kHz samples.
        """
        ...

    async def get_ready(self, lines: Sequence[str], phrases: tuple[str, ...], voice: str) -> None:
        """Do beforehand whatever saying and understanding these would take time for."""
        ...

    async def aclose(self) -> None:
        """No phone talks any more."""
        ...


class LocalTalking:
    """By the speech programs of this machine, one recogniser for all phones."""

    def __init__(self) -> None:
        self._sounds: OrderedDict[tuple[str, str], Sound] = OrderedDict()
        self._decoder = DecoderProcess()

    async def spoken(self, text: str, voice: str) -> Sound:
        known = self._sounds.get((text, voice))
        if known is not None:
            self._sounds.move_to_end((text, voice))
            return known
        pcm = await say(text, voice, RATE)
        sound = Sound(text, without_silence(pcm.samples))
        self._sounds[text, voice] = sound
        while len(self._sounds) > _MOST_SOUNDS:
            self._sounds.popitem(last=False)
        return sound

    async def understood(self, samples: array[int], phrases: tuple[str, ...]) -> str:
        try:
            heard = await self._recogniser(phrases).recognise(Pcm(samples.tobytes(), RATE))
        except CannotHear:
            return ""
        return heard.text

    async def get_ready(self, lines: Sequence[str], phrases: tuple[str, ...], voice: str) -> None:
        await self._recogniser(phrases).prepare()
        for line in lines:
            await self.spoken(line, voice)

    async def aclose(self) -> None:
        await self._decoder.aclose()

    def _recogniser(self, phrases: tuple[str, ...]) -> Recogniser:
        return Recogniser(phrases or None, several=True, decoder=self._decoder)


def without_silence(pcm: bytes) -> array[int]:
    """From the first to the last sample that can be heard; empty if there is none."""
    samples = array("h")
    samples.frombytes(pcm)
    loud = [place for place, sample in enumerate(samples) if not -_QUIET <= sample <= _QUIET]
    return samples[loud[0] : loud[-1] + 1] if loud else array("h")
