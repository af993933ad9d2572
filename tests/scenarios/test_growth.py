"""What finished calls leave behind: nothing."""

from __future__ import annotations

import asyncio
import gc

from scenarios.house import House


async def _short_call(house: House, number: int) -> None:
    house.call(room_name=f"room-{number}", call_to=f"+1555{number:07}")
    await house.calm()
    house.carrier.call.says(180)
    house.carrier.call.answers()
    await house.calm()
    await house.rooms.delete(f"room-{number}")
    await asyncio.sleep(30)
    _forget(house)


def _forget(house: House) -> None:
    """What the scenario's own people have written down."""
    house.timeline.clear()
    house.calls.records.clear()
    house.calls.history.clear()
    house.carrier.calls.clear()
    house.engine.legs.clear()
    house.forget_requests()


async def test_finished_calls_leave_nothing_behind(house: House) -> None:
    for number in range(50):
        await _short_call(house, number)
    gc.collect()
    before = len(gc.get_objects())
    for number in range(50, 450):
        await _short_call(house, number)
    gc.collect()
    # One object for every fourth call would show.
    assert len(gc.get_objects()) - before < 100
