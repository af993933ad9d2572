"""Keeps the rooms created by API in the store: one write after the other, in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from switchroom.base.tasks import Tasks
from switchroom.rooms.stores import RoomStore, StoredRoom


class RoomKeeper:
    """The registry's side of a RoomStore.

    A room may be forgotten and another of its name saved in the same moment, so the order of writes
    must not depend on how tasks happen to run.
    """

    def __init__(self, store: RoomStore, tasks: Tasks) -> None:
        self._store = store
        self._tasks = tasks
        self._kept: set[str] = set()
        self._last: asyncio.Task[None] | None = None

    async def load(self) -> Sequence[StoredRoom]:
        """Every room that is kept."""
        rooms = await self._store.load()
        self._kept.update(room.name for room in rooms)
        return rooms

    def keeps(self, name: str) -> bool:
        """Whether a room of that name would be there after a restart."""
        return name in self._kept

    async def save(self, room: StoredRoom) -> None:
        """Keep a room as it is now; returns when it is written. Raises what the store raises."""
        self._kept.add(room.name)
        await asyncio.shield(self._after_the_last(partial(self._store.save, room)))

    def forget(self, name: str) -> None:
        """Keep a room no longer."""
        if name in self._kept:
            self._kept.discard(name)
            self._after_the_last(partial(self._store.delete, name))

    async def flush(self) -> None:
        """Wait until everything is written."""
        if self._last is not None:
            await asyncio.wait((self._last,))

    def _after_the_last(self, write: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        previous = self._last

        async def in_turn() -> None:
            if previous is not None:
                await asyncio.wait((previous,))
            await write()

        self._last = self._tasks.spawn(in_turn(), name="keep rooms")
        return self._last
