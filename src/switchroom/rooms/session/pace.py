"""How fast a client may speak: what one sends must not keep others from being heard. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """So much a second for long, and so much at once."""

    rate: float
    burst: float


DATA = Allowance(rate=1000.0, burst=5000.0)
"""Messages on the data channels."""

SIGNALS = Allowance(rate=100.0, burst=2000.0)
"""Signal messages; each kibibyte counts as one more, for what is said is told to all the others."""


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


def signal_cost(message: bytes) -> float:
    """What a signal message takes of SIGNALS."""
    return 1.0 + len(message) / 1024


def telling_cost(metadata: str, attributes: Mapping[str, str]) -> float:
    """What a change takes of it besides: with it all that is known of the participant is told."""
    return (len(metadata) + sum(len(key) + len(attributes[key]) for key in attributes)) / 1024
