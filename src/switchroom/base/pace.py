"""How fast somebody may go on: so much a second, and so much at once. Pure."""

from __future__ import annotations

from switchroom.base.records import record


@record
class Allowance:
    """So much a second for long, and so much at once."""

    rate: float
    burst: float


class Pace:
    """What of its allowance a sender has left."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._left = allowance.burst
        self._counted_at = 0.0

    def allows(self, now: float, cost: float = 1.0) -> bool:
        """Whether something at `now` (monotonic seconds) is not too much; if so, it is counted."""
        earned = (now - self._counted_at) * self._allowance.rate
        self._left = min(self._allowance.burst, self._left + earned)
        self._counted_at = now
        if self._left < cost:
            return False
        self._left -= cost
        return True
