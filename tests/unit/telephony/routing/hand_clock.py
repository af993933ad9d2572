"""A clock that a test sets by hand."""

from __future__ import annotations


class HandClock:
    """`now` is its time, monotonic in seconds and by the calendar in nanoseconds."""

    now = 1000

    def monotonic(self) -> float:
        return float(self.now)

    def unix_ns(self) -> int:
        return self.now
