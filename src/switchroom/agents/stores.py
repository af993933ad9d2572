"""What the agents ask of storage: dispatches and their jobs are there again after a restart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from switchroom.rooms.dispatches import Dispatch, DispatchRecord, Job


class DispatchStore(Protocol):
    """Implemented in `storage`. Jobs come back without `participant`, which was of that moment."""

    async def load(self) -> Sequence[DispatchRecord]:
        """Everything that was saved and not deleted, the oldest first."""
        ...

    def save(self, dispatch: Dispatch) -> None:
        """Insert or replace a dispatch, in a moment."""
        ...

    async def save_durably(self, dispatch: Dispatch) -> None:
        """The same; it is on disk when this returns."""
        ...

    def save_job(self, job: Job) -> None:
        """Insert or replace a job, in a moment."""
        ...

    async def delete_jobs(self, job_ids: Collection[str]) -> None:
        """Forget these jobs, as far as they are there."""
        ...

    async def delete(self, dispatch_ids: Collection[str]) -> None:
        """Forget these dispatches and their jobs, as far as they are there."""
        ...
