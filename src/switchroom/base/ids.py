"""Names for things: LiveKit's identifiers, and tokens nobody can guess."""

from __future__ import annotations

import secrets

# LiveKit's alphabet: digits and letters without those that are mistaken for one another.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ID_LENGTH = 12
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)


def new_id(prefix: str) -> str:
    """A fresh identifier such as ``RM_`` plus 12 characters (70 bits) of :data:`ALPHABET`."""
    # One draw for all characters: 128 bits leave a bias below 2^-57 in the last ones. Two of them
    # at a time halve the divisions of large numbers, which is most of the work.
    rest = secrets.randbits(128)
    pairs = []
    for _ in range(ID_LENGTH // 2):
        rest, place = divmod(rest, len(_PAIRS))
        pairs.append(_PAIRS[place])
    return prefix + "".join(pairs)


def random_token(bits: int = 128) -> str:
    """An unguessable lower-case hexadecimal string holding at least ``bits`` bits of randomness."""
    return secrets.token_hex((bits + 7) // 8)
