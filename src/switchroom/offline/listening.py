"""Understanding what callers say: by the script's phrases first, freely if it was none of them."""

from __future__ import annotations

import asyncio
import time

from switchroom.base.log import get_logger
from switchroom.offline.journal import Journal, Understood
from switchroom.offline.script import Script
from switchroom.speech.errors import SpeechError
from switchroom.speech.pcm import Pcm
from switchroom.speech.recognition import DecoderProcess, Recogniser
from switchroom.speech.tones import is_tone

_log = get_logger("offline")


class Listener:
    """Turns utterances into text, as phrases are written in the script.

    The free recogniser has a process of its own, so that its slow work keeps nobody else waiting.
    """

    def __init__(self, script: Script, journal: Journal) -> None:
        self._journal = journal
        self._processes = (DecoderProcess(), DecoderProcess())
        phrases = script.book if script.book.vocabulary() else None
        self._phrases: Recogniser | None = None
        if phrases is not None and not script.listens_freely:
            self._phrases = Recogniser(phrases, several=True, decoder=self._processes[0])
        self._free = Recogniser(decoder=self._processes[1])
        self._loading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load what the script needs, so that the first caller waits no longer than the others.

        Where there are phrases, the free recogniser loads while the first of them are heard.
        Raises UnknownWords and SpeechUnavailable.
        """
        loading = asyncio.create_task(self._free.prepare(), name="free recogniser")
        self._loading = loading
        if self._phrases is not None:
            await self._phrases.prepare()
        else:
            await loading

    async def stop(self) -> None:
        """End the processes."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        for process in self._processes:
            await process.aclose()

    async def understand(self, sound: Pcm, job: str = "") -> str:
        """What was said; empty if nothing could be made of it. Never raises SpeechError."""
        begun = time.perf_counter()
        text = await self._text_of(sound)
        took = time.perf_counter() - begun
        self._journal.record(Understood(text=text, seconds=sound.seconds, took=took, job=job))
        return text

    async def _text_of(self, sound: Pcm) -> str:
        try:
            if is_tone(sound):
                return ""  # a voicemail's beep, which the free recogniser takes for "oh"
            if self._phrases is not None:
                heard = await self._phrases.recognise(sound)
                if heard.text:
                    return heard.written
            return (await self._free.recognise(sound)).text
        except SpeechError as failure:
            _log.warning("could not listen", reason=str(failure))
            return ""
