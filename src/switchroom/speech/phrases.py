"""Phrases to listen for: a small notation, its grammar for the recogniser, and its matcher. Pure.

A phrase is a sentence; capitals, punctuation and the way numbers are written do not matter.

=================== =====================================================================
``yes, I confirm``   these words
``[yes] I confirm``  square brackets: may be left out
``(sure | of course)``  round brackets: one of several
``on {day}``         a slot: one of the phrases listed for ``day``, remembered by its name
``... cancel ...``   dots: any words, or none
=================== =====================================================================

A recogniser is told every word it may hear, so it listens for a phrase without its dots; the dots
help to match what was heard without a grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import TypeAlias

from switchroom.base.records import record
from switchroom.speech.errors import PhraseError
from switchroom.speech.spoken import words

MOST_PHRASES = 1000
LONGEST_PHRASE = 1000
"""Characters."""

_DEEPEST = 20
"""Brackets within brackets."""


@record
class Word:
    """One word, as the recogniser writes it."""

    text: str


@record
class Slot:
    """One of several phrases, remembered by a name."""

    name: str
    choices: tuple[Node, ...]


@record
class Choice:
    """One of several; an optional part is a choice with nothing as its last."""

    choices: tuple[Node, ...]


@record
class Gap:
    """Any words."""


@record
class Row:
    """One after the other."""

    parts: tuple[Node, ...]


Node: TypeAlias = Word | Slot | Choice | Gap | Row


_NOTATION = re.compile(r"[\[\](){}|…]|\.\.\.")


@record
class Match:
    """A phrase that was said: as it is written in the list, its words, and what its slots held."""

    phrase: str
    said: str
    slots: Mapping[str, str]

    @property
    def written(self) -> str:
        """The phrase as it is written if it is a plain sentence, else the words that were said."""
        return self.said if _NOTATION.search(self.phrase) else self.phrase


@record(eq=False)
class Phrases:
    """Phrases that may be heard. Made by :func:`parse`."""

    written: tuple[str, ...]
    _trees: tuple[Node, ...] = field(repr=False)
    _patterns: tuple[re.Pattern[str], ...] = field(repr=False)
    _heard: tuple[re.Pattern[str], ...] = field(repr=False)
    _spellings: Mapping[str, Mapping[str, str]] = field(repr=False)

    def vocabulary(self) -> frozenset[str]:
        """Every word that occurs."""
        return frozenset(word for tree in self._trees for word in _words_of(tree))

    def jsgf(self, *, several: bool = False) -> str:
        """A grammar in the JSpeech Grammar Format of one phrase, or of one or more in a row."""
        forms = [form for tree in self._trees if (form := _jsgf(tree))]
        if not forms:
            raise PhraseError("there is nothing to listen for in these phrases")
        repeat = "+" if several else ""
        return (
            "#JSGF V1.0;\ngrammar phrases;\n"
            f"public <utterance> = <phrase>{repeat} ;\n<phrase> = {' | '.join(forms)} ;\n"
        )

    def match(self, text: str) -> Match | None:
        """The first phrase that is the whole of ``text``, which may be written in any way."""
        said = _line(words(text))
        for written, pattern in zip(self.written, self._patterns, strict=True):
            found = pattern.fullmatch(said)
            if found is not None:
                return Match(written, said.strip(), self._slots(found))
        return None

    def in_a_row(self, heard: Sequence[str]) -> list[Match]:
        """The phrases that ``heard`` begins with, one after the other, the longest that fits each.

        Of a phrase with dots it is the words between them, as the grammar has it. What is left
        at the end is the beginning of a phrase that was not finished, or noise.
        """
        said = _line(heard)
        found: list[Match] = []
        at = 0
        while at < len(said):
            longest, phrase = None, ""
            for written, pattern in zip(self.written, self._heard, strict=True):
                here = pattern.match(said, at)
                if here is not None and (longest is None or here.end() > longest.end()):
                    longest, phrase = here, written
            if longest is None or longest.end() == at:
                break
            found.append(Match(phrase, longest[0].strip(), self._slots(longest)))
            at = longest.end()
        return found

    def _slots(self, found: re.Match[str]) -> dict[str, str]:
        """What was said for each slot, spelt as in its list."""
        held = {name: said.strip() for name, said in found.groupdict().items() if said is not None}
        return {name: self._spellings[name].get(said, said) for name, said in held.items()}


def parse(phrases: Sequence[str], slots: Mapping[str, Sequence[str]] | None = None) -> Phrases:
    """Read phrases; ``slots`` lists what each ``{name}`` may be. Raises PhraseError."""
    if len(phrases) > MOST_PHRASES:
        raise PhraseError(f"{len(phrases)} phrases; {MOST_PHRASES} are the most")
    trees = tuple(_Reader(phrase, slots or {}).whole() for phrase in phrases)
    patterns = tuple(re.compile(_pattern(tree) + _WORD_END) for tree in trees)
    heard = tuple(re.compile(_pattern(_without_gaps(tree)) + _WORD_END) for tree in trees)
    spellings = {
        name: {" ".join(words(choice)): choice for choice in choices}
        for name, choices in (slots or {}).items()
    }
    return Phrases(tuple(phrases), trees, patterns, heard, spellings)


def _line(said: Sequence[str]) -> str:
    """Each word with a space before it: what the patterns are made for."""
    return "".join(f" {word}" for word in said)


# ── reading ──────────────────────────────────────────────────────────────────

_TOKEN = re.compile(
    r"(?P<gap>\.\.\.|…)|\{(?P<slot>[^{}]*)\}|(?P<mark>[\[\]()|])|(?P<text>(?:(?!\.\.\.|…)[^\[\](){}|])+)"
    r"|(?P<stray>.)"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Reader:
    """A recursive descent over one phrase."""

    def __init__(
        self, phrase: str, slots: Mapping[str, Sequence[str]], *, in_list: bool = False
    ) -> None:
        if len(phrase) > LONGEST_PHRASE:
            raise PhraseError(
                f"a phrase of {len(phrase)} characters; {LONGEST_PHRASE} are the most"
            )
        self._phrase = phrase
        self._slots = slots
        self._in_list = in_list
        self._depth = 0
        self._tokens = list(_TOKEN.finditer(phrase))
        self._at = 0
        self._named: set[str] = set()

    def whole(self) -> Node:
        """The tree of the whole phrase."""
        tree = self._choice()
        if self._at < len(self._tokens):
            raise self._error(f"{self._tokens[self._at][0]!r} closes nothing")
        if next(_leaves(tree), None) is None:
            raise self._error("there is no word in it")
        return tree

    def _choice(self) -> Node:
        choices = [self._row()]
        while self._takes("|"):
            choices.append(self._row())
        return choices[0] if len(choices) == 1 else Choice(tuple(choices))

    def _row(self) -> Node:
        parts: list[Node] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token["mark"] and token["mark"] in ")]|":
                break
            self._at += 1
            parts += self._part(token)
        return parts[0] if len(parts) == 1 else Row(tuple(parts))

    def _part(self, token: re.Match[str]) -> list[Node]:
        if token["gap"]:
            return [Gap()]
        if token["slot"] is not None:
            return [self._slot(token["slot"].strip())]
        if token["text"]:
            return [Word(word) for word in words(token["text"])]
        if token["mark"] == "(":
            return [self._until(")")]
        if token["mark"] == "[":
            return [Choice((self._until("]"), Row(())))]
        raise self._error(f"{token[0]!r} is not understood")

    def _until(self, closing: str) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error("there are too many brackets within brackets")
        inside = self._choice()
        if not self._takes(closing):
            raise self._error(f"{closing!r} is missing")
        self._depth -= 1
        return inside

    def _slot(self, name: str) -> Slot:
        if not _NAME.fullmatch(name):
            raise self._error(f"{{{name}}} is not a name of letters, digits and _")
        if name not in self._slots:
            known = ", ".join(sorted(self._slots)) or "none"
            raise self._error(f"there is no list for {{{name}}} (there are: {known})")
        if name in self._named or self._in_list:
            raise self._error(f"{{{name}}} may stand once in a phrase, and in no list")
        self._named.add(name)
        choices = (_Reader(choice, {}, in_list=True).whole() for choice in self._slots[name])
        return Slot(name, tuple(choices))

    def _takes(self, mark: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at]["mark"] == mark:
            self._at += 1
            return True
        return False

    def _error(self, what: str) -> PhraseError:
        return PhraseError(f"in {self._phrase!r}: {what}")


def _leaves(node: Node) -> Iterator[Word | Gap]:
    match node:
        case Word() | Gap():
            yield node
        case Slot(choices=inner) | Choice(choices=inner) | Row(parts=inner):
            for part in inner:
                yield from _leaves(part)


def _words_of(node: Node) -> Iterator[str]:
    return (leaf.text for leaf in _leaves(node) if isinstance(leaf, Word))


# ── writing ──────────────────────────────────────────────────────────────────


def _jsgf(node: Node) -> str:
    """The node as JSGF; empty where nothing is to be heard."""
    match node:
        case Word(text=text):
            return text
        case Gap():
            return ""
        case Row(parts=parts):
            return " ".join(form for part in parts if (form := _jsgf(part)))
        case Slot(choices=choices) | Choice(choices=choices):
            forms = [_jsgf(choice) for choice in choices]
            said = " | ".join(form for form in forms if form)
            if not said:
                return ""
            return f"( {said} )" if all(forms) else f"[ {said} ]"


_ANY = r"(?: [^ ]+)*?"

# A word ends where the next begins, or the text does.
_WORD_END = r"(?= |\Z)"


def _row_pattern(parts: Sequence[Node]) -> str:
    """After dots, the first place where the words up to the next dots stand is taken for good:
    trying others as well would take time that grows with a power of the text's length.
    """
    rows: list[list[Node]] = [[]]
    for part in parts:
        if isinstance(part, Gap):
            rows.append([])
        else:
            rows[-1].append(part)
    first, *others = ("".join(_pattern(part) for part in row) for row in rows)
    if not others:
        return first
    middle = "".join(f"(?>{_ANY}{row}{_WORD_END})" for row in others[:-1])
    return f"{first}{_WORD_END}{middle}{_ANY}{others[-1]}"


def _without_gaps(node: Node) -> Node:
    """The node as a recogniser can hear it."""
    match node:
        case Word():
            return node
        case Gap():
            return Row(())
        case Row(parts=parts):
            return Row(tuple(_without_gaps(part) for part in parts))
        case Slot(name=name, choices=choices):
            return Slot(name, tuple(_without_gaps(choice) for choice in choices))
        case Choice(choices=choices):
            return Choice(tuple(_without_gaps(choice) for choice in choices))


def _pattern(node: Node) -> str:
    """The node as a regular expression over words with a space before each."""
    match node:
        case Word(text=text):
            return " " + re.escape(text)
        case Gap():
            return _ANY
        case Row(parts=parts):
            return _row_pattern(parts)
        case Slot(name=name, choices=choices):
            return f"(?P<{name}>{'|'.join(_pattern(choice) for choice in choices)})"
        case Choice(choices=choices):
            return f"(?:{'|'.join(_pattern(choice) for choice in choices)})"
