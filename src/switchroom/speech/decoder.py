"""``python -m switchroom.speech.decoder``: PocketSphinx as a child process.

It holds the interpreter's lock while it thinks (160 ms to load, 20 ms a second of speech), too long
for a process that sends sound every 20 ms. So it lives in one of its own, answers one request after
the other on standard output, and ends when its input does.

A request is two blocks, each with its length before it (4 bytes, big-endian): JSON, then samples.
The answer is one block of JSON. See :class:`Request`.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from collections import OrderedDict
from typing import Any, BinaryIO, TypedDict

from switchroom.speech.pcm import Pcm

RATE = 16_000
"""The bundled model hears up to 6.8 kHz, so everything is brought to this rate."""

LENGTH = struct.Struct(">I")
_KEPT_GRAMMARS = 32

# A higher price for each word than PocketSphinx' own: without it, noise after a short phrase is
# heard as the beginning of another.
_WORD_PRICE = 0.01

# How flite names what the dictionary names otherwise.
_PHONES = {"ax": "AH", "axr": "ER", "ix": "IH", "dx": "T", "nx": "N", "hv": "HH", "el": "AH L"}
_PHONES |= {"em": "AH M", "en": "AH N", "pau": ""}
_GUESSABLE = re.compile(r"[a-z][a-z.']*")


class Request(TypedDict, total=False):
    """What to do: listen by a grammar or, without one, to anything; ``words`` are in the grammar.

    The answer holds ``text`` and ``score``, or ``unknown``: the words that have no pronunciation.
    """

    grammar: str | None
    words: list[str]
    rate: int


class Decoders:
    """The two decoders, each loaded when it is first needed, and the grammars made lately."""

    def __init__(self) -> None:
        self._by_grammar: Any = None
        self._free: Any = None
        self._grammars: OrderedDict[str, str] = OrderedDict()
        self._made = 0

    def answer(self, request: Request, samples: bytes) -> dict[str, Any]:
        """Do what is asked."""
        grammar = request.get("grammar")
        if grammar is None:
            decoder = self._free = self._free or _decoder(grammars=False)
        else:
            decoder = self._by_grammar = self._by_grammar or _decoder(grammars=True)
            unknown = _teach(decoder, request.get("words", []))
            if unknown:
                return {"unknown": unknown}
            self._activate(grammar)
        if not samples:
            return {"text": "", "score": 0.0}
        return _decode(decoder, Pcm(samples, request["rate"]).at(RATE).samples)

    def _activate(self, grammar: str) -> None:
        name = self._grammars.pop(grammar, None)
        if name is None:
            self._made += 1
            name = f"grammar{self._made}"
            self._by_grammar.add_jsgf_string(name, grammar)
            if len(self._grammars) >= _KEPT_GRAMMARS:
                _, oldest = self._grammars.popitem(last=False)
                self._by_grammar.remove_search(oldest)
        self._grammars[grammar] = name
        self._by_grammar.activate_search(name)


def _decoder(*, grammars: bool) -> Any:
    # Here, so that this module can be imported without the extra; it brings no types.
    import pocketsphinx  # type: ignore[import-untyped]  # noqa: PLC0415

    if grammars:
        return pocketsphinx.Decoder(lm=None, loglevel="FATAL", wip=_WORD_PRICE)
    return pocketsphinx.Decoder(loglevel="FATAL")


def _decode(decoder: Any, samples: bytes) -> dict[str, Any]:
    decoder.start_utt()
    try:
        # The whole utterance at once: its mean spectrum is then known from the start.
        decoder.process_raw(samples, full_utt=True)
    finally:
        decoder.end_utt()
    best = decoder.hyp()
    if best is None:
        return {"text": "", "score": 0.0}
    return {"text": best.hypstr, "score": best.prob}


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
