"""What the tests of the rooms are handed: a house, its time, its engine, and a door for clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest

from switchroom.base.config import Config
from switchroom.media import Engine
from switchroom.rooms.events import RoomEvent
from switchroom.rooms.registry import Rooms

from .clients import Door
from .fake_engine import FakeEngine
from .house import House, MemoryStore, Time


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def house(time: Time, engine: FakeEngine) -> AsyncIterator[House]:
    store = MemoryStore()
    events: list[RoomEvent] = []
    rooms = Rooms(
        cast("Engine", engine), Config(), time, store, listeners=(events.append,), timers=time
    )
    yield House(rooms, time, store, events)
    await rooms.stop()


@pytest.fixture
def door(house: House, engine: FakeEngine) -> Door:
    return Door(house, engine)
