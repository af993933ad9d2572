"""How often one identity may come into a room: a client in a loop is held up, nobody else. Pure."""

from __future__ import annotations

from collections import OrderedDict

BURST = 20
"""Joins and returns that an identity has at once, after a while without any."""

INTERVAL = 0.5
"""Seconds after which it has one more."""


class Turnstile:
    """Counts arrivals by room and identity. Forgets who has not been seen for BURST * INTERVAL."""

    def __init__(self) -> None:
        # When each has all of its burst again, in the order of the last arrival.
        self._whole_at: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._refused: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self._whole_at)

    def passes(self, room: str, identity: str, now: float) -> bool:
        """Whether somebody may come in at `now` (monotonic seconds); if so, it is counted."""
        self._forget(now)
        key = (room, identity)
        whole_at = max(now, self._whole_at.get(key, now)) + INTERVAL
        if whole_at > now + BURST * INTERVAL:
            return False
        self._whole_at[key] = whole_at
        self._whole_at.move_to_end(key)
        self._refused.discard(key)
        return True

    def first_refusal(self, room: str, identity: str) -> bool:
        """Whether this refusal is the first since the last arrival: worth one line in the log."""
        key = (room, identity)
        if key in self._refused:
            return False
        self._refused.add(key)
        return True

    def _forget(self, now: float) -> None:
        while self._whole_at:
            key, whole_at = next(iter(self._whole_at.items()))
            if whole_at > now:
                return
            del self._whole_at[key]
            self._refused.discard(key)
