"""Time as an argument: rooms that act in time are handed a clock, and tests hand in their own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What a room may ask of time."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    def unix_ns(self) -> int:
        """Nanoseconds since 1970 in UTC, for records and for the wire."""
        ...


class SystemClock:
    """The machine's clocks: the functions themselves, since a call asks some seventy times."""

    monotonic = staticmethod(time.monotonic)
    unix_ns = staticmethod(time.time_ns)
