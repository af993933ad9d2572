"""Speaking what agents say: whatever voice they ask for, one of flite's answers."""

from __future__ import annotations

import re
import time

from switchroom.offline.journal import Journal, Spoken
from switchroom.speech.pcm import Pcm, silence
from switchroom.speech.spoken import words
from switchroom.speech.synthesis import LONGEST_TEXT, VOICES, Synthesiser

# Marks that agents put into a text for a voice that can act.
_MARKUP = re.compile(r"<[^<>]{1,200}>")
_PIECE = re.compile(rf"(?s).{{1,{LONGEST_TEXT}}}(?=\s|\Z)|\S{{1,{LONGEST_TEXT}}}")
_LONGEST = 20_000
"""Characters of one text; what is beyond would take twenty minutes to hear."""


class Speaker:
    """Says texts of any length. ``voice`` is used where the one asked for is not flite's."""

    def __init__(self, voice: str, journal: Journal) -> None:
        self._journal = journal
        self._voice = voice
        self._synthesiser = Synthesiser()

    async def say(self, text: str, voice: str, rate: int, job: str = "") -> Pcm:
        """Speak ``text``. Raises SpeechUnavailable and CannotSay."""
        begun = time.perf_counter()
        plain = _MARKUP.sub(" ", text[:_LONGEST])
        if not words(plain):
            return silence(0, rate)
        chosen = voice if voice in VOICES else self._voice
        pieces = [piece for piece in _PIECE.findall(plain) if words(piece)]
        sounds = [await self._synthesiser.say(piece, chosen, rate) for piece in pieces]
        sound = Pcm(b"".join(sound.samples for sound in sounds), rate)
        took = time.perf_counter() - begun
        self._journal.record(Spoken(text=plain.strip(), seconds=sound.seconds, took=took, job=job))
        return sound
