"""What the tests of the agents are handed: one server behind a real port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .house import House


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    await house.start()
    yield house
    await house.stop()
