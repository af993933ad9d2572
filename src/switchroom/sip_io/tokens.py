"""Random tokens for tags, branches and cnonces."""

from __future__ import annotations

import secrets
from typing import Final

_TOKEN_CHARS: Final = 16
_TOKENS_A_DRAW: Final = 256


class Tokens:
    """64 random bits each, as hex digits. Drawn from the system in batches: a call takes five."""

    def __init__(self) -> None:
        self._digits = ""
        self._used = 0

    def take(self) -> str:
        """A token that was never given out before."""
        if self._used == len(self._digits):
            self._digits = secrets.token_hex(_TOKEN_CHARS // 2 * _TOKENS_A_DRAW)
            self._used = 0
        token = self._digits[self._used : self._used + _TOKEN_CHARS]
        self._used += _TOKEN_CHARS
        return token
