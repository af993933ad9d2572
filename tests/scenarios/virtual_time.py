"""An event loop whose clock jumps: it never waits, it moves on to the next deadline."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class _JumpingSelector(selectors.DefaultSelector):
    """Looks for ready sockets without waiting, and moves the clock instead of sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, Any]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing will ever happen again: the scenario is stuck")
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Hours pass in milliseconds; what is due at the same time happens in its order."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class VirtualClock:
    """The running loop's time, counted from a Monday in 2026."""

    _START_NS = 1_772_409_600 * 1_000_000_000

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def unix_ns(self) -> int:
        return self._START_NS + round(self.monotonic() * 1e9)
