"""A client in a loop is held up; nobody else notices, and nothing piles up."""

from __future__ import annotations

import pytest

from switchroom.rooms.errors import TooManyArrivals
from switchroom.rooms.turnstile import BURST, INTERVAL, Turnstile

from .clients import Door
from .house import House


def arrivals(turnstile: Turnstile, count: int, now: float, identity: str = "ann") -> int:
    return sum(turnstile.passes("r", identity, now) for _ in range(count))


def test_a_burst_passes_and_then_one_now_and_then() -> None:
    turnstile = Turnstile()
    assert arrivals(turnstile, 100, 0.0) == BURST
    assert arrivals(turnstile, 100, INTERVAL) == 1
    assert arrivals(turnstile, 100, 3 * INTERVAL) == 2


def test_refused_attempts_cost_no_further_time() -> None:
    turnstile = Turnstile()
    arrivals(turnstile, BURST, 0.0)
    for tenth in range(10):
        assert arrivals(turnstile, 10, tenth * INTERVAL / 10) == 0
    assert arrivals(turnstile, 1, INTERVAL) == 1


def test_others_in_the_room_and_the_same_identity_elsewhere_come_in() -> None:
    turnstile = Turnstile()
    arrivals(turnstile, 100, 0.0)
    assert arrivals(turnstile, 1, 0.0, "bob") == 1
    assert turnstile.passes("other", "ann", 0.0)


def test_who_has_rested_is_forgotten() -> None:
    turnstile = Turnstile()
    for number in range(1000):
        turnstile.passes("r", str(number), 0.0)
    assert len(turnstile) == 1000
    turnstile.passes("r", "late", INTERVAL)
    assert len(turnstile) == 1


def test_only_the_first_refusal_is_worth_a_line() -> None:
    turnstile = Turnstile()
    arrivals(turnstile, BURST + 1, 0.0)
    assert [turnstile.first_refusal("r", "ann") for _ in range(3)] == [True, False, False]
    arrivals(turnstile, 1, INTERVAL)
    assert turnstile.first_refusal("r", "ann")


async def test_a_client_that_joins_in_a_loop_is_refused_before_it_costs_anything(
    door: Door, house: House
) -> None:
    clients = [await door.join("ann") for _ in range(BURST)]
    peers = len(door.engine.peers)
    with pytest.raises(TooManyArrivals, match="joins too often"):
        await door.join("ann")
    assert len(door.engine.peers) == peers
    assert not clients[-1].is_closed(), "who is in, stays"
    await door.join("bob")
    await house.time.pass_(INTERVAL)
    await door.join("ann")


async def test_a_client_that_resumes_in_a_loop_is_refused_and_keeps_its_seat(
    door: Door, house: House
) -> None:
    client = await door.join("ann", connect=True)
    sid = house.room().participants["ann"].sid
    for _ in range(BURST - 1):
        await door.join("ann", connect=False, reconnect=True, participant_sid=sid)
    with pytest.raises(TooManyArrivals):
        await door.join("ann", connect=False, reconnect=True, participant_sid=sid)
    assert house.room().participants["ann"].sid == sid
    assert not client.is_closed()
