"""A clock that stands still until a test moves it."""

from __future__ import annotations


class StoppedClock:
    """`now` is its monotonic time, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def unix_ns(self) -> int:
        return 0
