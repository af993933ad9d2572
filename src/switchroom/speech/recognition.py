"""Speech to text by PocketSphinx in a child process, by a grammar of phrases or freely.

With a grammar it is quick (0.02 s for a second of speech) and right about 8 kHz telephone sound in
flite's voice ``rms``; without one it is ten times slower and wrong in every tenth word.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from switchroom.base.records import record
from switchroom.speech.decoder import LENGTH, Request
from switchroom.speech.errors import (
    NUMPY_MISSING,
    POCKETSPHINX_MISSING,
    CannotHear,
    SpeechUnavailable,
    TooBusy,
    UnknownWords,
)
from switchroom.speech.pcm import RATES, SAMPLE_BYTES, Pcm
from switchroom.speech.phrases import Match, Phrases, parse

LONGEST_UTTERANCE = 60.0
"""Seconds of speech in one request."""

_MOST_WAITING = 32
_PATIENCE = 30.0
"""Seconds until a decoder that does not answer is given up; loading and a minute take about ten."""

# How badly words may fit the sound. The thorough decoder nearly always finds words that end well,
# so its own must fit better, and leave nothing over.
_MOST_STRAIN = 0.6
_MOST_STRAIN_IF_THOROUGH = 0.5

# A breath before and after: a decoder that begins in the middle of a word misses it.
_PADDING = 0.15


@record
class Heard:
    """What was heard: words in lower case, without punctuation; empty if nothing was understood.

    With phrases, ``phrases`` are those that were said, in order, and ``text`` is theirs alone: what
    is no whole phrase is left out. ``score`` is the decoder's belief between 0 and 1.
    """

    text: str
    phrases: tuple[Match, ...] = ()
    score: float = 0.0

    @property
    def written(self) -> str:
        """As the phrases are written in the list; where they have a choice, the words."""
        return " ".join(match.written for match in self.phrases) or self.text


class DecoderProcess:
    """The child process: started at the first request, started again after a failure.

    It answers one request at a time, so a bounded number may wait. One serves a whole program: many
    recognisers may share it.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def ask(self, request: Request, samples: bytes) -> dict[str, Any]:
        """Ask and wait for the answer. Raises TooBusy, CannotHear or SpeechUnavailable."""
        if self._waiting >= _MOST_WAITING:
            raise TooBusy(f"{self._waiting} utterances wait to be heard already")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._exchange(request, samples)
        finally:
            self._waiting -= 1

    async def aclose(self) -> None:
        """End the process; a request under way fails."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _exchange(self, request: Request, samples: bytes) -> dict[str, Any]:
        process = await self._running()
        finished = False
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await _talk(process, request, samples)
            finished = True
        except (OSError, asyncio.IncompleteReadError) as ended:
            raise CannotHear("the recogniser's process ended unexpectedly") from ended
        except TimeoutError as late:
            raise CannotHear(f"the recogniser did not answer within {_PATIENCE:g} s") from late
        finally:
            # Also when the one who asked was cancelled: the next would read the wrong answer.
            if not finished:
                await self.aclose()
        if "error" in answer:
            raise CannotHear(f"the recogniser failed: {answer['error']}")
        return answer

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        _check_installed()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "switchroom.speech.decoder"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C is for its parent; it ends when its input does.
            start_new_session=True,
        )
        return self._process


async def _talk(
    process: asyncio.subprocess.Process, request: Request, samples: bytes
) -> dict[str, Any]:
    if process.stdin is None or process.stdout is None:
        raise BrokenPipeError
    asked = json.dumps(request).encode()
    process.stdin.write(LENGTH.pack(len(asked)) + asked + LENGTH.pack(len(samples)) + samples)
    await process.stdin.drain()
    (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
    answer: dict[str, Any] = json.loads(await process.stdout.readexactly(length))
    return answer


def _check_installed() -> None:
    if importlib.util.find_spec("pocketsphinx") is None:
        raise SpeechUnavailable(POCKETSPHINX_MISSING)
    if importlib.util.find_spec("numpy") is None:
        raise SpeechUnavailable(NUMPY_MISSING)


class Recogniser:
    """Listens for phrases, or for anything.

    ``phrases`` are in the notation of :mod:`.phrases` (plain sentences are phrases); with
    ``several`` an utterance may be more than one of them. None listens freely. ``decoder`` shares
    a process; without one the recogniser has its own and ends it in :meth:`aclose`. Raises
    PhraseError at once when a phrase is malformed.
    """

    def __init__(
        self,
        phrases: Sequence[str] | Phrases | None = None,
        *,
        several: bool = False,
        decoder: DecoderProcess | None = None,
    ) -> None:
        if phrases is None or isinstance(phrases, Phrases):
            self._phrases = phrases
        else:
            self._phrases = parse(phrases)
        self._several = several
        self._grammar = self._phrases.jsgf(several=several) if self._phrases else None
        self._words = sorted(self._phrases.vocabulary()) if self._phrases else []
        self._own = decoder is None
        self._decoder = decoder or DecoderProcess()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def prepare(self) -> None:
        """Load everything, so that the first utterance is heard as quickly as the others.

        Raises UnknownWords, and what :meth:`recognise` raises.
        """
        await self._ask(b"", 16_000)

    async def recognise(self, sound: Pcm) -> Heard:
        """What was said in ``sound``, one utterance. Does not hold the event loop.

        Raises UnknownWords, CannotHear (TooBusy is one) and SpeechUnavailable.
        """
        if sound.rate not in RATES:
            raise CannotHear(f"{sound.rate} samples a second; known are {RATES}")
        if sound.seconds > LONGEST_UTTERANCE:
            raise CannotHear(
                f"{sound.seconds:.0f} s of sound; an utterance may last {LONGEST_UTTERANCE:g} s"
            )
        if not sound.count:
            return Heard("")
        quiet = bytes(SAMPLE_BYTES * round(_PADDING * sound.rate))
        samples = quiet + sound.samples[: SAMPLE_BYTES * sound.count] + quiet
        answer = await self._ask(samples, sound.rate)
        if self._phrases is None:
            return Heard(answer["text"], score=answer["score"])
        heard = self._understood(self._phrases, answer, thorough=False)
        if heard.text:
            return heard
        # Where packets were lost, the right reading may have been given up on the way.
        answer = await self._ask(samples, sound.rate, thorough=True)
        return self._understood(self._phrases, answer, thorough=True)

    async def aclose(self) -> None:
        """End the process, if it is this recogniser's own."""
        if self._own:
            await self._decoder.aclose()

    async def _ask(self, samples: bytes, rate: int, *, thorough: bool = False) -> dict[str, Any]:
        request = Request(grammar=self._grammar, words=self._words, rate=rate, thorough=thorough)
        answer = await self._decoder.ask(request, samples)
        if "unknown" in answer:
            raise UnknownWords(answer["unknown"])
        return answer

    def _understood(self, phrases: Phrases, answer: dict[str, Any], *, thorough: bool) -> Heard:
        said = answer["text"].split()
        found = phrases.in_a_row(said)
        if not self._several:
            found = found[:1]
        text = " ".join(match.said for match in found)
        most_strain = _MOST_STRAIN_IF_THOROUGH if thorough else _MOST_STRAIN
        left_over = thorough and text != " ".join(said)
        if not found or left_over or answer["strain"] > most_strain:
            return Heard("")
        return Heard(text, tuple(found), answer["score"])
