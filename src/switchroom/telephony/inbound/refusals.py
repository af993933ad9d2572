"""How often calls that nobody wanted are written down. Pure.

Whoever knocks at every door of the Internet must not fill the disk: beyond a number a minute,
refused calls are only counted.
"""

from __future__ import annotations

_PER_MINUTE = 60


class RefusalBudget:
    """Lets so many through in each minute."""

    def __init__(self, per_minute: int = _PER_MINUTE) -> None:
        self._per_minute = per_minute
        self._minute = -1
        self._spent = 0
        self.left_out = 0
        """Refusals that were not written down, since the start."""

    def spend(self, now: float) -> bool:
        """Whether one more may be written down at `now` (monotonic s)."""
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._spent = minute, 0
        if self._spent >= self._per_minute:
            self.left_out += 1
            return False
        self._spent += 1
        return True
