"""Texts with ``{names}`` in them: filling them in, and reading them out of instructions. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from switchroom.base.records import record
from switchroom.offline.errors import CannotAnswer

_PLACE = re.compile(r"\{\s*([A-Za-z_][\w.]*)\s*\}")
_NAME = re.compile(r"[A-Za-z_]\w*")


def names_in(text: str) -> list[str]:
    """The names of a template, in order; ``result.day`` counts as it stands."""
    return [match[1] for match in _PLACE.finditer(text)]


def fill(text: str, known: Mapping[str, str]) -> str:
    """Put in what is known. Raises CannotAnswer, naming what is not."""

    def put(match: re.Match[str]) -> str:
        value = known.get(match[1])
        if value is None:
            raise CannotAnswer(
                f"nothing is known for {{{match[1]}}} in {text!r}: neither the agent's "
                "instructions nor the conversation gave it, and it has no default"
            )
        return value

    return _PLACE.sub(put, text)


@record
class Fact:
    """A sentence of the instructions with places to read, such as "the name is {name}."."""

    written: str
    names: tuple[str, ...]
    _pattern: re.Pattern[str]

    def read(self, text: str) -> dict[str, str]:
        """What stands in its places; empty if the text has no such sentence."""
        found = self._pattern.search(text)
        return {name: value.strip() for name, value in found.groupdict().items()} if found else {}


def fact(written: str) -> Fact:
    """Read a fact. A place at the end takes the rest of its line. Raises ValueError.

    Capitals and the width of spaces do not matter. ``/…/`` is a regular expression with named
    groups.
    """
    if len(written) > 2 and written[0] == written[-1] == "/":
        try:
            pattern = re.compile(written[1:-1])
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
    else:
        pattern = re.compile(_pattern(written), re.IGNORECASE)
    if not pattern.groupindex:
        raise ValueError("a fact has at least one {name} to read")
    return Fact(written, tuple(pattern.groupindex), pattern)


def _pattern(written: str) -> str:
    pieces = _PLACE.split(written.strip())
    names = pieces[1::2]
    for name in names:
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            raise ValueError(f"{{{name}}} is no plain name, or stands twice")
    parts = []
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            parts.append(re.sub(r"(\\\s|\s)+", r"\\s+", re.escape(piece)))
        elif number == len(pieces) - 2 and not pieces[-1]:
            parts.append(rf"(?P<{piece}>[^\n]+?)(?=[.!;,]?\s*(?:\n|\Z))")
        else:
            parts.append(rf"(?P<{piece}>[^\n]+?)")
    return "".join(parts)
