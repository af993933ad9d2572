"""Deletes the records of old calls, little by little: at the start and every day."""

from __future__ import annotations

from switchroom.base.clock import Clock
from switchroom.base.log import get_logger
from switchroom.base.tasks import Tasks
from switchroom.base.timers import LoopTimers, Timer, Timers
from switchroom.storage.calls import SqlCallStore
from switchroom.storage.errors import StorageError

_log = get_logger("storage")

BATCH = 500
"""Records that are deleted in one transaction: others wait for the disk no longer than usual."""

BREATH = 0.2
"""Seconds between two batches."""

DAY = 86400.0


class Pruning:
    """Keeps the table of calls from growing for ever. `keep` is in seconds; 0 keeps everything."""

    def __init__(
        self, calls: SqlCallStore, keep: float, clock: Clock, *, timers: Timers | None = None
    ) -> None:
        self._calls = calls
        self._keep = keep
        self._clock = clock
        self._timers = timers or LoopTimers()
        self._tasks = Tasks("pruning")
        self._timer: Timer | None = None
        self._deleted = 0

    async def start(self) -> None:
        """Begin; the work is done beside everything else."""
        if self._keep:
            self._begin()

    async def stop(self) -> None:
        """What is left waits for the next start."""
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.aclose()

    def _begin(self) -> None:
        self._timer = None
        self._tasks.spawn(self._delete_batch(), name="delete old calls")

    async def _delete_batch(self) -> None:
        # Before 1970 there were none, and no database has numbers for the beginning of the world.
        before = max(0, self._clock.unix_ns() - int(self._keep * 1e9))
        try:
            deleted = await self._calls.delete_ended(before, BATCH)
        except StorageError:
            deleted = 0  # the database has said why; tomorrow is another day
        self._deleted += deleted
        more = deleted == BATCH
        if self._deleted and not more:
            _log.info("old call records deleted", records=self._deleted)
            self._deleted = 0
        self._timer = self._timers.after(BREATH if more else DAY, self._begin)
