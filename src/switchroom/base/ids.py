"""Names for things: LiveKit's identifiers, and tokens nobody can guess."""

from __future__ import annotations

import os
import secrets

# LiveKit's alphabet: digits and letters without those that are mistaken for one another.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ID_LENGTH = 12

_DRAWN_BYTES = 2048
# A byte becomes a letter; the highest bytes are dropped, or the first letters would be likelier.
_FAIR = 256 - 256 % len(ALPHABET)
_LETTERS = bytes(ord(ALPHABET[byte % len(ALPHABET)]) for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))

# Drawn ahead, some 150 at a time: one question to the system costs as much as one for each.
_ready: list[str] = []
# A forked process must not hand out the same.
os.register_at_fork(after_in_child=_ready.clear)


def new_id(prefix: str) -> str:
    """A fresh identifier such as ``RM_`` plus 12 characters (70 bits) of :data:`ALPHABET`."""
    while True:
        try:
            return prefix + _ready.pop()
        except IndexError:
            _draw()


def _draw() -> None:
    letters = secrets.token_bytes(_DRAWN_BYTES).translate(_LETTERS, _UNFAIR).decode()
    whole = len(letters) - len(letters) % ID_LENGTH
    _ready.extend(letters[at : at + ID_LENGTH] for at in range(0, whole, ID_LENGTH))


def random_token(bits: int = 128) -> str:
    """An unguessable lower-case hexadecimal string holding at least ``bits`` bits of randomness."""
    return secrets.token_hex((bits + 7) // 8)
