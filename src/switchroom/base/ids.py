"""Names for things: LiveKit's identifiers, and tokens nobody can guess."""

from __future__ import annotations

import secrets

# LiveKit's alphabet: digits and letters without those that are mistaken for one another.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ID_LENGTH = 12


def new_id(prefix: str) -> str:
    """A fresh identifier such as ``RM_`` plus 12 characters (70 bits) of :data:`ALPHABET`."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))


def random_token(bits: int = 128) -> str:
    """An unguessable lower-case hexadecimal string holding at least ``bits`` bits of randomness."""
    return secrets.token_hex((bits + 7) // 8)
