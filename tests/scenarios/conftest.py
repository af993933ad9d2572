"""Every scenario runs on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from scenarios.house import House
from scenarios.virtual_time import VirtualLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], VirtualLoop]]:
    return {"virtual": VirtualLoop}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Rooms and telephony at work, with a scripted carrier and an engine of paper."""
    house = House()
    await house.start()
    yield house
    await house.stop()
