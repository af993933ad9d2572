"""How often calls that nobody wanted are written down. Pure.

Whoever knocks at every door of the Internet must not fill the disk: beyond a number a minute,
refused calls are only counted, and the count is told with the next one that is written down.
"""

from __future__ import annotations

_PER_MINUTE = 60


class RefusalBudget:
    """Lets so many through in each minute."""

    def __init__(self, per_minute: int = _PER_MINUTE) -> None:
        self._per_minute = per_minute
        self._minute = -1
        self._spent = 0
        self._left_out = 0

    def spend(self, now: float) -> bool:
        """Whether one more may be written down at `now` (monotonic s)."""
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._spent = minute, 0
        if self._spent >= self._per_minute:
            self._left_out += 1
            return False
        self._spent += 1
        return True

    def take_left_out(self) -> int:
        """How many were not written down since this was last asked."""
        left_out, self._left_out = self._left_out, 0
        return left_out
