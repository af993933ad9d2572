"""Deadlines as a port: the running server uses the event loop's, tests fire them by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

TOO_EARLY: Final = 0.002
"""Seconds by which the loop may wake too early: uvloop's timers count whole milliseconds of a time
that it reads once a turn. Woken too early there is nothing to do but to arm the timer anew, turn
after turn until the moment has come."""


class Timer(Protocol):
    """A deadline that is set."""

    def cancel(self) -> None: ...


class Timers(Protocol):
    """Where deadlines are set."""

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once after so many seconds, unless cancelled."""
        ...


class LoopTimers:
    """Deadlines of the running event loop. None is told before so many seconds have passed."""

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        wait = seconds + TOO_EARLY if seconds > 0.0 else 0.0
        return asyncio.get_running_loop().call_later(wait, callback)


class Deadline:
    """One deadline, set and cleared again and again: for what somebody else is waited for."""

    def __init__(self, timers: Timers, seconds: float, missed: Callable[[], None]) -> None:
        self._timers = timers
        self._seconds = seconds
        self._missed = missed
        self._timer: Timer | None = None

    @property
    def running(self) -> bool:
        return self._timer is not None

    def set(self) -> None:
        """From now on."""
        self.clear()
        self._timer = self._timers.after(self._seconds, self._pass)

    def clear(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pass(self) -> None:
        self._timer = None
        self._missed()


class Soon:
    """Several wishes of one moment, such as those of a join, are fulfilled together, once."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._due = False

    def __call__(self) -> None:
        """At the end of this turn of the event loop."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._act)

    def _act(self) -> None:
        self._due = False
        self._action()
