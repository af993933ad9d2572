"""A person at a baresip phone: says sentences, and understands what the other end says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from interop.baresip import RATE, Baresip, BaresipWishes, baresip
from interop.dispatching import NUMBER
from interop.server import outward_address
from switchroom.offline.model import DID_NOT_CATCH
from switchroom.speech.endpoint import Endpointer, SpeechEnded, SpeechStarted
from switchroom.speech.pcm import Pcm, silence
from switchroom.speech.recognition import Recogniser
from switchroom.speech.synthesis import say

SAY_AGAIN = ("Sorry, could you say that again?", DID_NOT_CATCH)
"""How the agents' models ask for what they did not understand."""

_LOOK_AGAIN = 0.02
_WAV_HEADER = 44
_PATIENCE = 120.0
_BETWEEN_GREETINGS = 3.0
_SILENT_AFTERWARDS = 120.0
"""Seconds: baresip sends nothing at all when its file is over."""


@dataclass
class TalkingPhone:
    """A phone and who holds it."""

    phone: Baresip
    folder: Path
    recogniser: Recogniser
    heard: list[str] = field(default_factory=list)
    """What was understood, an utterance each, in the words of the phrases it listens for.

    Asked to say something again, the person does so; that is not noted.
    """
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _said: int = 0
    _last: Path = Path()
    """What it has said last, to say it again."""
    _greets: bool = False
    """Whether that is said until somebody speaks."""
    _greeting: bool = False
    _heard_all: bool = False

    @property
    def address(self) -> str:
        return self.phone.address

    async def say(self, text: str, *, after: float = 0.0) -> None:
        """Begin to say a sentence, after so many seconds of silence."""
        spoken = await say(text, rate=RATE)
        sound = with_silence(Pcm(silence(after, RATE).samples + spoken.samples, RATE))
        self._said += 1
        self._greets = False
        self._last = written(self.folder / f"{self._said}.wav", sound)
        self.phone.play(self._last)

    async def greet(self, text: str) -> None:
        """Say it again and again, as people do, until somebody speaks at the other end."""
        sound = await say(text, rate=RATE)
        again = Pcm(sound.samples + silence(_BETWEEN_GREETINGS, RATE).samples, RATE)
        self._last = written(self.folder / "greeting.wav", Pcm(again.samples * 10, RATE))
        self._greets = self._greeting = True
        self.phone.play(self._last)

    async def hears(self, words: str) -> None:
        """Until these words were said at the other end and silence followed."""
        async with self.changed:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.changed.wait_for(lambda: self._heard(words) or self._heard_all)
            except TimeoutError:
                pytest.fail(f"nobody said {words!r}; heard was {self.heard}")
        assert self._heard(words), f"nobody said {words!r} in this call; heard was {self.heard}"

    def _heard(self, words: str) -> bool:
        return any(words in utterance for utterance in self.heard)

    async def is_called(self) -> None:
        """Until it has answered a call."""
        await self._sees("Call established")

    async def is_hung_up_on(self) -> None:
        """Until the other end has hung up."""
        await self._sees("session closed: Connection reset by")

    async def is_free(self) -> None:
        """Until the call is over, whoever ended it."""
        await self._sees("terminated (duration")

    async def is_sent(self, keys: str) -> None:
        """Until these keys were pressed at the other end."""
        async with asyncio.timeout(_PATIENCE), self.phone.changed:
            await self.phone.changed.wait_for(lambda: self.phone.pressed() == keys)

    async def _sees(self, words: str) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.phone.wait_for(words)
        except TimeoutError:
            pytest.fail(f"the phone never saw {words!r}:\n" + "\n".join(self.phone.log))

    async def listen(self) -> None:
        """For the length of one call; run it as a task."""
        await self.phone.wait_for("dumping decode audio to ")
        (recording,) = self.phone.recordings.glob("*-dec.wav")
        with recording.open("rb") as file:
            file.seek(_WAV_HEADER)
            ears = Endpointer(RATE)
            while True:
                sound = await self._next_sound(file)
                for news in ears.feed(sound) if sound else ears.finish():
                    await self._take(news)
                if not sound:
                    break
        async with self.changed:
            self._heard_all = True
            self.changed.notify_all()

    async def _next_sound(self, file: BinaryIO) -> bytes:
        """What was recorded since; nothing when the call is over."""
        while not (sound := file.read()) and not self._over:  # noqa: ASYNC110  files tell nothing
            await asyncio.sleep(_LOOK_AGAIN)
        return sound or file.read()

    @property
    def _over(self) -> bool:
        return any("audio: destroyed" in line for line in self.phone.log)

    async def _take(self, news: SpeechStarted | SpeechEnded) -> None:
        if isinstance(news, SpeechEnded):
            await self._understand(news.sound)
        elif self._greeting:
            self._greeting = False
            self.phone.play(self.folder / "silence.wav")

    async def _understand(self, sound: Pcm) -> None:
        heard = (await self.recogniser.recognise(sound)).written
        if heard in SAY_AGAIN:
            self._greeting = self._greets
            self.phone.play(self._last)
        elif heard:
            async with self.changed:
                self.heard.append(heard)
                self.changed.notify_all()


def with_silence(sound: Pcm) -> Pcm:
    """The sound and a long silence."""
    return Pcm(sound.samples + silence(_SILENT_AFTERWARDS, sound.rate).samples, sound.rate)


def written(path: Path, sound: Pcm) -> Path:
    """The path, with the sound in it as a WAV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sound.wav())
    return path


@asynccontextmanager
async def talking_phone(
    folder: Path, phrases: Sequence[str], port: int = 5080
) -> AsyncIterator[TalkingPhone]:
    """A phone that takes one call and understands sentences made of these phrases."""
    quiet = written(folder / "silence.wav", silence(_SILENT_AFTERWARDS, RATE))
    async with (
        Recogniser([*phrases, *SAY_AGAIN], several=True) as recogniser,
        baresip(
            folder / "phone", outward_address(), port, quiet, BaresipWishes(user=NUMBER)
        ) as phone,
    ):
        await recogniser.prepare()
        person = TalkingPhone(phone, folder, recogniser)
        listening = asyncio.create_task(person.listen())
        try:
            yield person
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
