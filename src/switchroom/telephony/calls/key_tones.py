"""Telephone keys as tones in the sound (ITU-T Q.23), for phones that take no telephone events."""

from __future__ import annotations

from collections.abc import Mapping

from switchroom.media import Tone

_LOW = (697.0, 770.0, 852.0, 941.0)
_HIGH = (1209.0, 1336.0, 1477.0, 1633.0)
_KEYPAD = ("123A", "456B", "789C", "*0#D")
_PAIRS: Mapping[str, tuple[float, ...]] = {
    key: (low, high)
    for low, row in zip(_LOW, _KEYPAD, strict=True)
    for high, key in zip(_HIGH, row, strict=True)
}
#: Seconds of a key, of the pause after it, and of ``w``: as long as telephone events are here.
_PRESSED = 0.25
_RELEASED = 0.25
_WAIT = 0.5
#: Each of the two frequencies; Q.23 receivers want -26 dBm0 and more.
_LEVEL_DBOV = -13.0


def key_tones(digits: str) -> Tone:
    """``0-9 * # A-D`` and ``w`` as what is to be played; other characters are left out."""
    parts: list[tuple[tuple[float, ...], float]] = []
    for key in digits:
        pair = _PAIRS.get(key.upper())
        if pair is not None:
            parts += [(pair, _PRESSED), ((), _RELEASED)]
        elif key in "wW":
            parts.append(((), _WAIT))
    return Tone(tuple(parts), _LEVEL_DBOV, repeat=False)
