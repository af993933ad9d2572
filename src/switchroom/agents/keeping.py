"""What of dispatches and jobs outlives the process, and how it is taken up again.

After a restart a room is made anew, either at once (it was created by API) or when its first client
comes back. Then its dispatches come back too. A job that no worker had begins anew; one that was
running waits for its agent or its worker, both of which come back by themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from switchroom.agents.job import Claimed, begin, resume
from switchroom.agents.run import Run
from switchroom.agents.stores import DispatchStore
from switchroom.agents.worker import Worker
from switchroom.base.log import get_logger
from switchroom.base.records import replace
from switchroom.rooms.dispatches import Dispatch, DispatchRecord, Job, JobReason
from switchroom.rooms.room import Room

_log = get_logger("agents")

PATIENCE = 60.0
"""Seconds after the start in which clients come back; what is then without a room is forgotten."""

RETURN_LIMIT = 15.0
"""Seconds that a running job has to be claimed: workers try to connect every ten at the latest."""


class Keeper:
    """The dispatcher's side of a DispatchStore: nothing is deleted that was never written."""

    def __init__(self, store: DispatchStore) -> None:
        self._store = store
        self._kept: set[str] = set()
        self._left: dict[str, list[DispatchRecord]] = {}
        self._left_jobs: set[str] = set()
        self._claims: dict[str, Worker] = {}

    async def load(self) -> None:
        """Read what the last process left."""
        for record in await self._store.load():
            self._kept.add(record.dispatch.id)
            self._left.setdefault(record.dispatch.room_name, []).append(record)
            self._left_jobs.update(job.id for job in record.jobs if not job.ended)

    def take(self, room_name: str) -> list[DispatchRecord]:
        """What was left for a room of that name, once."""
        return self._left.pop(room_name, [])

    def claim(self, job_id: str, worker: Worker) -> bool:
        """A worker has a job whose room is not back yet; False when it was never left."""
        if job_id not in self._left_jobs:
            return False
        self._claims[job_id] = worker
        return True

    def run_again(self, room: Room, dispatch: Dispatch, job: Job, now: float, wait: float) -> Run:
        """A job that had not ended, as it stands at `now` (monotonic seconds)."""
        self._left_jobs.discard(job.id)
        if job.started_at_ns == 0:
            return Run(room, dispatch, job, begin(now, wait))
        # At a planned stop agents are sent home: nobody comes back to such a job.
        interrupted = job.reason is JobReason.RETRYING
        progress = resume(
            now,
            0.0 if interrupted else RETURN_LIMIT,
            job.worker_id,
            job.agent_identity,
            interrupted=interrupted,
        )
        run = Run(room, dispatch, job, progress)
        run.shown = run.restored = True
        return run

    def claim_of(self, run: Run) -> Claimed | None:
        """What a worker said of the job before its room was back."""
        worker = self._claims.pop(run.id, None)
        if worker is None or worker.closed_for is not None:
            return None
        return Claimed(worker.id) if run.may_be_claimed_by(worker) else None

    async def forget_the_rest(self) -> None:
        """Delete what belongs to rooms that did not come back."""
        rest = [record.dispatch.id for records in self._left.values() for record in records]
        self._left.clear()
        self._left_jobs.clear()
        self._claims.clear()
        if rest:
            _log.info("dispatches of rooms that did not come back", count=len(rest))
            await self.delete(rest)

    def save(self, dispatch: Dispatch) -> None:
        """Keep a dispatch, in a moment."""
        if dispatch.id not in self._kept:
            self._kept.add(dispatch.id)
            self._store.save(dispatch)

    async def save_durably(self, dispatch: Dispatch) -> None:
        """Keep a dispatch; it is on disk when this returns."""
        self._kept.add(dispatch.id)
        await self._store.save_durably(dispatch)

    def interrupted(self, job: Job) -> None:
        """The server stops while this job runs."""
        self.save_job(replace(job, reason=JobReason.RETRYING))

    def save_job(self, job: Job) -> None:
        """Keep a job of a dispatch that is kept."""
        if job.dispatch_id in self._kept:
            self._store.save_job(job)

    def keeps_any(self, dispatch_ids: Iterable[str]) -> bool:
        """Whether there is anything to delete."""
        return not self._kept.isdisjoint(dispatch_ids)

    async def forget_jobs(self, job_ids: Collection[str]) -> None:
        """Keep these jobs no longer; their dispatch stays."""
        await self._store.delete_jobs(job_ids)

    async def delete(self, dispatch_ids: Iterable[str]) -> None:
        """Keep these no longer."""
        kept = self._kept.intersection(dispatch_ids)
        self._kept -= kept
        if kept:
            await self._store.delete(kept)
