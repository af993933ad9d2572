"""Text to speech by flite, a program of a few megabytes with its voices inside.

Each text is a process of its own, started without a shell, bounded in text and time. What was said
lately is remembered, so that saying it again costs nothing.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections import OrderedDict

from switchroom.speech.errors import FLITE_MISSING, CannotSay, SpeechUnavailable
from switchroom.speech.pcm import RATES, SAMPLE_BYTES, Pcm
from switchroom.speech.spoken import spoken

VOICES = ("rms", "slt", "awb", "kal16", "kal")
"""The voices in flite; ``rms`` is the one that the recogniser understands best."""

LONGEST_TEXT = 2000
"""Characters."""

_OWN_RATE = 16_000
"""Samples a second of flite's better voices; other rates are made of these."""

_PATIENCE = 20.0
"""Seconds for one text; the longest takes about two."""

_REMEMBERED_BYTES = 32 * 1024 * 1024
_MOST_SOUND = 64 * 1024 * 1024
_PROGRAM = "flite"


_Key = tuple[str, str, int]
"""Text, voice, samples a second."""


class Synthesiser:
    """Says texts, and remembers what it said lately (bounded by its size in memory)."""

    def __init__(self, *, remembered_bytes: int = _REMEMBERED_BYTES) -> None:
        self._room = remembered_bytes
        self._said: OrderedDict[_Key, Pcm] = OrderedDict()
        self._making: dict[_Key, asyncio.Future[Pcm]] = {}
        self._size = 0

    async def say(self, text: str, voice: str = "rms", rate: int = 16_000) -> Pcm:
        """Speak an English text. Numbers, times and dates are read as in :mod:`.spoken`.

        Raises SpeechUnavailable without flite, and CannotSay for an unknown voice or rate, a text
        that is too long, or when flite fails.
        """
        _check(text, voice, rate)
        key = (text, voice, rate)
        sound = self._said.get(key)
        if sound is None:
            making = self._making.get(key)
            if making is None:
                making = asyncio.ensure_future(self._make(text, voice, rate))
                self._making[key] = making
                making.add_done_callback(lambda made: self._made(key, made))
            # Whoever gives up waiting does not take the sound away from others.
            return await asyncio.shield(making)
        self._said.move_to_end(key)
        return sound

    async def _make(self, text: str, voice: str, rate: int) -> Pcm:
        if rate == _OWN_RATE:
            sound = await _flite(spoken(text), voice)
        else:
            sound = await self.say(text, voice, _OWN_RATE)
        # numpy lets go of the interpreter's lock, so that a thread keeps the loop on its beat.
        return await asyncio.to_thread(sound.at, rate)

    def _made(self, key: _Key, made: asyncio.Future[Pcm]) -> None:
        del self._making[key]
        if not made.cancelled() and made.exception() is None:
            self._remember(key, made.result())

    def _remember(self, key: _Key, sound: Pcm) -> None:
        if key in self._said or len(sound.samples) > self._room:
            return
        self._said[key] = sound
        self._size += len(sound.samples)
        while self._size > self._room:
            _, oldest = self._said.popitem(last=False)
            self._size -= len(oldest.samples)


_shared = Synthesiser()


async def say(text: str, voice: str = "rms", rate: int = 16_000) -> Pcm:
    """Speak a text; see :meth:`Synthesiser.say`. One memory for the whole process."""
    return await _shared.say(text, voice, rate)


def _check(text: str, voice: str, rate: int) -> None:
    if voice not in VOICES:
        raise CannotSay(f"there is no voice {voice!r}; there are {', '.join(VOICES)}")
    if rate not in RATES:
        raise CannotSay(f"{rate} samples a second; known are {', '.join(map(str, RATES))}")
    if len(text) > LONGEST_TEXT:
        raise CannotSay(f"a text of {len(text)} characters; {LONGEST_TEXT} are the most")


async def _flite(text: str, voice: str) -> Pcm:
    # Spaces for everything that is not to be read: a NUL can't be an argument of a program.
    said = "".join(letter if letter.isprintable() else " " for letter in text)
    try:
        process = await asyncio.create_subprocess_exec(
            *(_PROGRAM, "-voice", voice, "-o", "/dev/stdout", "-t", said),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except FileNotFoundError as missing:
        raise SpeechUnavailable(FLITE_MISSING) from missing
    try:
        async with asyncio.timeout(_PATIENCE):
            output, _ = await process.communicate()
    except TimeoutError as late:
        raise CannotSay(f"flite did not finish within {_PATIENCE:g} s") from late
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise CannotSay(f"flite ended with status {process.returncode}")
    return _read(output)


def _read(output: bytes) -> Pcm:
    try:
        with wave.open(io.BytesIO(output), "rb") as file:
            if file.getsampwidth() != SAMPLE_BYTES or file.getnchannels() != 1:
                raise CannotSay("flite's sound is not 16 bit of one channel")
            return Pcm(file.readframes(min(file.getnframes(), _MOST_SOUND)), file.getframerate())
    except (wave.Error, EOFError) as error:
        raise CannotSay(f"flite's sound can't be read: {error}") from error
