"""Deadlines of the event loop that the server runs on."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import uvloop

from switchroom.base.timers import LoopTimers


def test_no_deadline_is_told_before_it_has_come() -> None:
    """uvloop fires early; whoever looked at the clock then set a timer again, turn after turn."""
    early: list[float] = []

    async def wait_for_many() -> None:
        timers, done = LoopTimers(), asyncio.Event()
        last = 200

        def told(due: float) -> None:
            early.append(due - time.monotonic())
            if len(early) == last:
                done.set()

        for number in range(last):  # fractions of a millisecond apart
            seconds = number * 0.000_17
            timers.after(seconds, partial(told, time.monotonic() + seconds))
        async with asyncio.timeout(60):
            await done.wait()

    uvloop.run(wait_for_many())
    assert max(early) <= 0.0


async def test_what_is_due_already_is_told_in_the_next_turn() -> None:
    told = asyncio.Event()
    LoopTimers().after(-1.0, told.set)
    async with asyncio.timeout(60):
        await told.wait()
