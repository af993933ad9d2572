"""Keeps in the store what is not told yet: one batch at a time, and nothing that is told sooner.

A single notice is written at once. When many come, what gathers while a batch is written, and for a
moment after it, goes into the next.
"""

from __future__ import annotations

import asyncio

from switchroom.base.errors import ServiceError
from switchroom.base.log import get_logger
from switchroom.base.tasks import Tasks
from switchroom.base.timers import Timer, Timers
from switchroom.webhooks.stores import Delivery, DeliveryStore, Kept

_log = get_logger("webhooks")

PAUSE = 0.05
"""Seconds between two batches."""

RETRY = 5.0
"""Seconds after which a batch that could not be written is tried again."""

_Key = tuple[str, str]


class DeliveryKeeper:
    """The deliverer's side of a DeliveryStore."""

    def __init__(self, store: DeliveryStore, tasks: Tasks, timers: Timers) -> None:
        self._store = store
        self._tasks = tasks
        self._timers = timers
        self._added: dict[_Key, Kept] = {}
        self._removed: dict[_Key, Kept] = {}
        self._batch: asyncio.Task[None] | None = None
        self._pause: Timer | None = None

    def add(self, kept: Kept) -> None:
        """Keep it until it is removed."""
        self._added[_key(kept)] = kept
        self._begin()

    def remove(self, kept: Kept) -> None:
        """Keep it no longer; if it was not written yet, it never will be."""
        key = _key(kept)
        if self._added.pop(key, None) is None:
            self._removed[key] = kept
            self._begin()

    async def flush(self) -> None:
        """Write what is not written yet, and wait for it."""
        if self._batch is not None:
            await asyncio.wait((self._batch,))
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        await self._write_batch()

    def _begin(self) -> None:
        if self._batch is None and self._pause is None:
            self._batch = self._tasks.spawn(self._write(), name="keep notices")

    async def _write(self) -> None:
        # Whoever is heard in the same turn of the loop goes into the same batch.
        await asyncio.sleep(0)
        pause = PAUSE if await self._write_batch() else RETRY
        self._batch = None
        self._pause = self._timers.after(pause, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        if self._added or self._removed:
            self._begin()

    async def _write_batch(self) -> bool:
        added, self._added = self._added, {}
        removed, self._removed = self._removed, {}
        if not added and not removed:
            return True
        try:
            await self._store.write(tuple(added.values()), tuple(removed.values()))
        except ServiceError as failure:
            _log.error("notices not written", reason=failure.message)
            # What was told meanwhile need not be added any more.
            still = {key: kept for key, kept in added.items() if key not in self._removed}
            self._added = still | self._added
            self._removed = removed | self._removed
            return False
        return True


def _key(kept: Kept) -> _Key:
    if isinstance(kept, Delivery):
        return str(kept.notice.sequence), kept.url
    return kept.room_sid, kept.participant_sid
