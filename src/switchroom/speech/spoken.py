"""Numbers, times and dates as words: how a text sounds when it is read aloud. Pure, English.

Speaker and listener use the same words: what ``spoken`` makes of "at 2:30 pm" is what flite says
and what the recogniser's grammar expects.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_ONES = _NUMBERS.split()
_MULTIPLES = "zero ten twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = _MULTIPLES.split()
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_CALENDAR = "January February March April May June July August September October November December"
_MONTHS = _CALENDAR.split()
_MONTH = "|".join(_MONTHS)

_LARGEST = 999_999_999
_MOST_DIGITS = len(str(_LARGEST))
"""Beyond, a number is read digit by digit."""

_READ_AS_NUMBER = 4
"""The most digits without separators that are read as one number; more are a phone number."""

_REMEMBERED = 500
"""The longest text whose words are remembered: a conversation is gone through again and again."""


def spoken(text: str) -> str:
    """The text with every number, time, date and sign written as it is said.

    Punctuation and capitals stay, for the melody of the sentence.
    """
    text = unicodedata.normalize("NFKC", text).translate(_PLAIN)
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return text


def words(text: str) -> list[str]:
    """What is said, as the recogniser writes it: lower case, no punctuation, numbers as words."""
    return list(_words(text) if len(text) <= _REMEMBERED else _words.__wrapped__(text))


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(spoken(text).lower()))


def number(value: int) -> str:
    """A cardinal from 0 to 999,999,999. Raises ValueError."""
    if not 0 <= value <= _LARGEST:
        raise ValueError(f"{value} is not read as one number")
    if value < 20:
        return _ONES[value]
    if value < 100:
        tens, ones = divmod(value, 10)
        return _TENS[tens] + (f" {_ONES[ones]}" if ones else "")
    for size, name in ((1_000_000, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= size:
            many, rest = divmod(value, size)
            return f"{number(many)} {name}" + (f" {number(rest)}" if rest else "")
    raise AssertionError


def ordinal(value: int) -> str:
    """A number of order: 1 → first, 22 → twenty second. Raises ValueError."""
    head, _, last = number(value).rpartition(" ")
    if last in _IRREGULAR_ORDINALS:
        last = _IRREGULAR_ORDINALS[last]
    else:
        last = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return f"{head} {last}".lstrip()


def digits(text: str) -> str:
    """Each digit by itself, as telephone numbers are read."""
    return " ".join(_ONES[int(digit)] for digit in text if digit in "0123456789")


def year(value: int) -> str:
    """A year from 1000 to 9999 as it is read: 1985 → nineteen eighty five."""
    century, rest = divmod(value, 100)
    if century % 10 == 0 and rest < 10:
        return number(value)
    if rest == 0:
        return f"{number(century)} hundred"
    return f"{number(century)} {'oh ' if rest < 10 else ''}{number(rest)}"


def _clock(match: re.Match[str]) -> str:
    hour, minute, half = int(match["hour"]), int(match["minute"] or 0), match["half"]
    if minute:
        said = f"{number(hour)} {'oh ' if minute < 10 else ''}{number(minute)}"
    else:
        said = number(hour) if half else f"{number(hour)} o'clock"
    return f"{said} {half[0].lower()}.m." if half else said


def _iso_date(match: re.Match[str]) -> str:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return f"{_MONTHS[month - 1]} {ordinal(day)}, {year(int(match['year']))}"


def _month_day(match: re.Match[str]) -> str:
    said = f"{match['name']} {ordinal(int(match['day']))}"
    return f"{said}, {year(int(match['year']))}" if match["year"] else said


def _money(match: re.Match[str]) -> str:
    whole, cents = _whole(match["whole"]), match["cents"]
    said = f"{whole} dollar" + ("" if whole == "one" else "s")
    if cents and int(cents):
        said += f" and {number(int(cents))} cent" + ("" if int(cents) == 1 else "s")
    return said


def _number(match: re.Match[str]) -> str:
    whole, part = _whole(match["whole"]), match["part"]
    return f"{whole} point {digits(part)}" if part else whole


def _whole(text: str) -> str:
    plain = text.replace(",", "")
    if len(plain) == 4 and plain[:2] in ("19", "20") and "," not in text:
        return year(int(plain))
    grouped = "," in text
    if (plain[0] == "0" and len(plain) > 1) or (len(plain) > _READ_AS_NUMBER and not grouped):
        return digits(plain)
    # Not by its value: Python makes no integer of some thousand digits.
    return number(int(plain)) if len(plain) <= _MOST_DIGITS else digits(plain)


def _rule(
    pattern: str, words: str | Callable[[re.Match[str]], str]
) -> tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]:
    return re.compile(pattern, re.IGNORECASE | re.ASCII), words


_PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " "})

# In this order: each leaves no digit behind of what it has read.
_RULES = (
    _rule(r"\b(?P<year>[12]\d{3})-(?P<month>\d\d)-(?P<day>\d\d)\b", _iso_date),
    _rule(
        rf"\b(?P<name>{_MONTH})\s+(?P<day>[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?\b(?!:)"
        r"(?:,?\s+(?P<year>[12]\d{3})\b)?",
        _month_day,
    ),
    _rule(r"\b(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?:\s*(?P<half>[ap])\.?m\b\.?)?", _clock),
    _rule(r"\b(?P<hour>1[0-2]|0?[1-9])(?P<minute>)\s*(?P<half>[ap])\.?m\b\.?", _clock),
    _rule(r"\$\s?(?P<whole>\d{1,3}(?:,\d{3})+|\d{1,9})(?:\.(?P<cents>\d\d))?\b", _money),
    _rule(r"\b(\d{1,4})(?:st|nd|rd|th)\b", lambda match: ordinal(int(match[1]))),
    _rule(r"\+\d[\d ()./-]{4,}\d", lambda match: digits(match[0])),
    _rule(r"(?<![\d\w])\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b", lambda match: digits(match[0])),
    _rule(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", " "),
    # Whole and part in one, and runs begun once only: a search that goes to the end of a long run
    # in vain, and does so again from its next sign, takes minutes for what one request may hold.
    _rule(r"(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.(?P<part>\d+))?", _number),
    _rule(r"%", " percent"),
    _rule(r"(?<!\s)\s*&\s*", " and "),
    _rule(r"@", " at "),
)

# Half days are one word with its dots in the recogniser's dictionary; other initials are letters.
_WORD = re.compile(r"(?<!\w)[ap]\.m\.|[^\W\d_]+(?:'[^\W\d_]+)*")
