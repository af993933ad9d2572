"""Fixtures of the interop tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from interop.datagrams import stand_in_front
from interop.server import Server, server_here
from interop.turns import one_turn


@pytest.fixture(autouse=True)
def _turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests that want most of the machine wait for theirs: see `turns.py`."""
    wanted = request.node.get_closest_marker("takes_turns") is not None
    with one_turn() if wanted else nullcontext():
        yield


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server in this process, with a database of its own."""
    async with server_here(tmp_path) as running:
        yield running


@pytest.fixture
async def front(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients reach media only where a path stands: see `datagrams.py`."""
    await stand_in_front(monkeypatch)
