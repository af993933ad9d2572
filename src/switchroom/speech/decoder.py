"""``python -m switchroom.speech.decoder``: PocketSphinx as a child process.

It holds the interpreter's lock while it thinks (160 ms to load, 20 ms a second of speech), too long
for a process that sends sound every 20 ms. So it lives in one of its own, answers one request after
the other on standard output, and ends when its input does.

A request is two blocks, each with its length before it (4 bytes, big-endian): JSON, then samples.
The answer is one block of JSON. See :class:`Request`.
"""

from __future__ import annotations

import json
import math
import re
import struct
import subprocess
import sys
from collections import OrderedDict
from typing import Any, BinaryIO, TypedDict

from switchroom.speech.pcm import SAMPLE_BYTES, Pcm

RATE = 16_000
"""The bundled model hears up to 6.8 kHz, so everything is brought to this rate."""

LENGTH = struct.Struct(">I")
_KEPT_GRAMMARS = 32

# A higher price for each word than PocketSphinx' own: without it, noise after a short phrase is
# heard as the beginning of another.
_WORD_PRICE = 0.01

# How improbable a reading may be compared with the best so far; PocketSphinx' own are 1e-48,
# 7e-29 and 1e-48. With those, a sentence with a gap in it may end in no reading at all.
_WIDE_BEAMS = {"beam": 1e-60, "wbeam": 1e-40, "pbeam": 1e-60}

_NOTHING: dict[str, Any] = {"text": "", "score": 0.0, "strain": 0.0}

# How flite names what the dictionary names otherwise.
_PHONES = {"ax": "AH", "axr": "ER", "ix": "IH", "dx": "T", "nx": "N", "hv": "HH", "el": "AH L"}
_PHONES |= {"em": "AH M", "en": "AH N", "pau": ""}
_GUESSABLE = re.compile(r"[a-z][a-z.']*")


class Request(TypedDict, total=False):
    """What to do: listen by a grammar or, without one, to anything; ``words`` are in the grammar.

    ``thorough`` gives up fewer readings on the way, which takes twice as long. The answer
    holds ``text``, ``score`` and ``strain``, or ``unknown``: the words without a pronunciation.
    """

    grammar: str | None
    words: list[str]
    rate: int
    thorough: bool


class GrammarDecoder:
    """A decoder that listens by grammars, and those it was given lately."""

    def __init__(self, **settings: float) -> None:
        self._decoder = _decoder(lm=None, wip=_WORD_PRICE, **settings)
        self._grammars: OrderedDict[str, str] = OrderedDict()
        self._made = 0

    def use(self, grammar: str, words: list[str]) -> list[str]:
        """Listen by this grammar from now on; returns words that nobody can pronounce."""
        unknown = _teach(self._decoder, words)
        if not unknown:
            self._activate(grammar)
        return unknown

    def decode(self, samples: bytes) -> dict[str, Any]:
        """What was said."""
        return _decode(self._decoder, samples)

    def _activate(self, grammar: str) -> None:
        name = self._grammars.pop(grammar, None)
        if name is None:
            self._made += 1
            name = f"grammar{self._made}"
            self._decoder.add_jsgf_string(name, grammar)
            if len(self._grammars) >= _KEPT_GRAMMARS:
                _, oldest = self._grammars.popitem(last=False)
                self._decoder.remove_search(oldest)
        self._grammars[grammar] = name
        self._decoder.activate_search(name)


class Decoders:
    """Three decoders, each loaded when it is first needed."""

    def __init__(self) -> None:
        self._quick: GrammarDecoder | None = None
        self._thorough: GrammarDecoder | None = None
        self._free: Any = None

    def answer(self, request: Request, samples: bytes) -> dict[str, Any]:
        """Do what is asked."""
        sound = Pcm(samples, request["rate"]).at(RATE).samples
        grammar = request.get("grammar")
        if grammar is None:
            self._free = self._free or _decoder()
            return _decode(self._free, sound)
        by_grammar = self._by_grammar(thorough=request.get("thorough", False))
        unknown = by_grammar.use(grammar, request.get("words", []))
        return {"unknown": unknown} if unknown else by_grammar.decode(sound)

    def _by_grammar(self, *, thorough: bool) -> GrammarDecoder:
        if thorough:
            self._thorough = self._thorough or GrammarDecoder(**_WIDE_BEAMS)
            return self._thorough
        self._quick = self._quick or GrammarDecoder()
        return self._quick


def _decoder(**settings: Any) -> Any:
    # Here, so that this module can be imported without the extra; it brings no types.
    import pocketsphinx  # type: ignore[import-untyped]  # noqa: PLC0415

    return pocketsphinx.Decoder(loglevel="FATAL", **settings)


def _decode(decoder: Any, samples: bytes) -> dict[str, Any]:
    """``strain`` is how badly the text fits, per second: speech 0.2 to 0.5, other words more."""
    if not samples:
        return _NOTHING
    decoder.start_utt()
    try:
        # The whole utterance at once: its mean spectrum is then known from the start.
        decoder.process_raw(samples, full_utt=True)
    finally:
        decoder.end_utt()
    best = decoder.hyp()
    if best is None:
        return _NOTHING
    seconds = len(samples) / SAMPLE_BYTES / RATE
    strain = -math.log(max(best.score, sys.float_info.min)) / seconds
    return {"text": best.hypstr, "score": best.prob, "strain": strain}


def _teach(decoder: Any, words: list[str]) -> list[str]:
    """Give words that are not in the dictionary flite's pronunciation; returns the rest."""
    missing = [word for word in words if decoder.lookup_word(word) is None]
    unknown = []
    for word in missing:
        phones = _guess(word)
        if phones:
            decoder.add_word(word, phones, update=True)
        else:
            unknown.append(word)
    return unknown


def _guess(word: str) -> str:
    """The phones that flite would say, in the dictionary's alphabet; empty if it can't."""
    if not _GUESSABLE.fullmatch(word):
        return ""
    try:
        said = subprocess.run(  # noqa: S603 - without a shell, and the word is letters only
            ["flite", "-voice", "rms", "-ps", "-t", word, "none"],  # noqa: S607 - from PATH
            capture_output=True,
            check=True,
            timeout=5,
            text=True,
        ).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return ""
    return " ".join(" ".join(_PHONES.get(phone, phone.upper()) for phone in said).split())


def _block(source: BinaryIO) -> bytes | None:
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return source.read(LENGTH.unpack(head)[0])


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests until there are no more."""
    decoders = Decoders()
    while (asked := _block(source)) is not None and (samples := _block(source)) is not None:
        try:
            answer = decoders.answer(json.loads(asked), samples)
        except Exception as failure:  # noqa: BLE001 - told to the one who asked
            answer = {"error": f"{type(failure).__name__}: {failure}"}
        said = json.dumps(answer).encode()
        sink.write(LENGTH.pack(len(said)) + said)
        sink.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
