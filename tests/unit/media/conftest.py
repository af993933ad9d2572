"""A running engine on loopback, and a leak check behind every test that uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from switchroom.media import Engine, EngineConfig

from .telephone import Telephone

RTP_PORTS = (45_000, 45_199)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine(EngineConfig(("127.0.0.1",), 0, RTP_PORTS))
    await engine.start()
    try:
        async with asyncio.timeout(60):
            yield engine
    finally:
        Telephone.hang_up_all()
        await engine.stop()
