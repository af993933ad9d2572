"""Deadlines as a port: the running server uses the event loop's, tests fire them by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A deadline that is set."""

    def cancel(self) -> None: ...


class Timers(Protocol):
    """Where deadlines are set."""

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once after so many seconds, unless cancelled."""
        ...


class LoopTimers:
    """Deadlines of the running event loop."""

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(max(0.0, seconds), callback)
