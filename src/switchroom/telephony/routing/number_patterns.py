"""Numbers in lists: a number, the beginning of numbers, or a range of extensions.

A plain number means itself, however it is written. Two signs make a pattern of an entry that
otherwise holds digits only: ``?`` stands for one digit, ``*`` at the end for any further digits
(and alone for anybody, also for callers without a number). In LiveKit such an entry meets no call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from switchroom.base.records import record
from switchroom.telephony.routing.numbers import bare, normalise

#: How closely an entry fits: the number itself, else the digits that a pattern spells out.
EXACT = 100
#: An empty list says nothing about numbers, so it fits all of them, less closely than any entry.
UNLISTED = -1
_MOST_DIGITS = EXACT - 1

_PATTERN = re.compile(r"\+?[\d\- ()?]*\*?", re.ASCII)
_ANYBODY = "*"


@record
class NumberEntry:
    """One entry of a list of numbers, read.

    ``text`` is normalised. ``closeness`` is `EXACT` for a plain number, else the count of digits
    that a pattern spells out.
    """

    text: str
    closeness: int

    @property
    def is_pattern(self) -> bool:
        return self.closeness != EXACT

    def fits(self, number: str) -> bool:
        """Whether a normalised number is meant."""
        if not self.is_pattern:
            return number == self.text
        if self.text == _ANYBODY:
            return True
        digits = number[1:]
        if not number.startswith("+") or not (digits.isascii() and digits.isdigit()):
            return False
        return _meet(self.text, number)

    def meets(self, other: NumberEntry) -> bool:
        """Whether some number fits both, and neither says it more closely."""
        return self.closeness == other.closeness and _meet(self.text, other.text)


@lru_cache(maxsize=65_536)
def read_entry(entry: str) -> NumberEntry:
    """An entry as it was written."""
    if not ("?" in entry or entry.endswith("*")) or not _PATTERN.fullmatch(entry):
        return NumberEntry(normalise(entry), EXACT)
    text = bare(entry)
    if text != _ANYBODY and not text.startswith("+"):
        text = f"+{text}"
    digits = sum(char.isdigit() for char in text)
    return NumberEntry(text, min(digits, _MOST_DIGITS))


def closeness(entries: Iterable[str], number: str) -> int | None:
    """How closely the best of `entries` fits a normalised number: more is closer, None not at all.

    No entries at all fit as `UNLISTED`.
    """
    listed = [read_entry(entry) for entry in entries]
    if not listed:
        return UNLISTED
    return max((entry.closeness for entry in listed if entry.fits(number)), default=None)


def share_a_number(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether a number fits both lists equally closely; two empty lists share every number."""
    mine, theirs = [[read_entry(entry) for entry in entries] for entries in (some, others)]
    if not mine or not theirs:
        return not mine and not theirs
    plain = {entry.text for entry in mine if not entry.is_pattern}
    if any(entry.text in plain for entry in theirs if not entry.is_pattern):
        return True
    patterns = [entry for entry in theirs if entry.is_pattern]
    return any(one.meets(other) for one in mine if one.is_pattern for other in patterns)


def names_a_digit(entry: str) -> bool:
    """Whether an entry limits calls at all: ``*`` and ``+*`` would let everybody in."""
    return read_entry(entry).closeness > 0


def _meet(one: str, other: str) -> bool:
    """Whether two texts of digits, ``?`` and a last ``*`` can be the same number."""
    if _ANYBODY in (one, other):
        return True
    heads = [text.removesuffix("*") for text in (one, other)]
    open_ended = [len(head) < len(text) for head, text in zip(heads, (one, other), strict=True)]
    if len(heads[0]) < len(heads[1]) and not open_ended[0]:
        return False
    if len(heads[1]) < len(heads[0]) and not open_ended[1]:
        return False
    return all(a == b or "?" in (a, b) for a, b in zip(*heads, strict=False))
