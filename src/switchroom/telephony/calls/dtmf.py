"""Telephone keys: as people write them, as RFC 4733 numbers them, as INFO requests carry them."""

from __future__ import annotations

import re

#: RFC 4733 section 3.2: event code -> key.
KEYS = "0123456789*#ABCD"
_PAUSES = "wW"
_LONGEST_INFO = 200
_SIGNAL = re.compile(r"(?im)^[ \t]*signal[ \t]*=[ \t]*([0-9*#A-D]|1[0-5])[ \t\r]*$", re.ASCII)


def playable(text: str) -> str:
    """The keys and pauses (``w``, half a second) of `text`; all else cannot be sent."""
    return "".join(
        "w" if char in _PAUSES else char.upper()
        for char in text
        if char in _PAUSES or char.upper() in KEYS
    )


def code_of(key: str) -> int:
    """The event code of a key (RFC 4733 section 3.2). Raises ValueError for what is no key."""
    return KEYS.index(key.upper())


def digit_of_info(content_type: str, body: bytes) -> str | None:
    """The key that an INFO request reports, None if it reports none.

    Two forms are in use without a standard: ``application/dtmf-relay`` with a line ``Signal=5`` and
    ``application/dtmf`` with the bare key. Numbers 10-15 are the event codes of ``*#ABCD``.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if len(body) > _LONGEST_INFO:
        return None
    text = body.decode("ascii", "replace")
    if kind == "application/dtmf-relay":
        found = _SIGNAL.search(text)
        return None if found is None else _key(found[1])
    return _key(text.strip()) if kind == "application/dtmf" else None


def _key(signal: str) -> str | None:
    if signal.isascii() and signal.isdigit() and int(signal) < len(KEYS):
        return KEYS[int(signal)]
    return signal.upper() if len(signal) == 1 and signal.upper() in KEYS else None
