"""One job on its way: its record, its progress, its deadline."""

from __future__ import annotations

from switchroom.agents.job import Progress, Stage
from switchroom.agents.pool import PoolKey
from switchroom.agents.worker import Worker
from switchroom.base.records import replace
from switchroom.base.timers import Timer
from switchroom.rooms.dispatches import (
    Dispatch,
    DispatchOutcome,
    Job,
    JobKind,
    JobReason,
    JobStatus,
)
from switchroom.rooms.room import Room

_OUTCOMES = {
    Stage.WAITING: DispatchOutcome.WAITING,
    Stage.OFFERED: DispatchOutcome.OFFERED,
    Stage.ASSIGNED: DispatchOutcome.ASSIGNED,
    Stage.ADRIFT: DispatchOutcome.ASSIGNED,
    Stage.JOINED: DispatchOutcome.JOINED,
    Stage.UNATTENDED: DispatchOutcome.JOINED,
    Stage.PARTED: DispatchOutcome.JOINED,
    Stage.AWAY: DispatchOutcome.JOINED,
}
_UNASSIGNED = (Stage.WAITING, Stage.OFFERED)


def pool_key(dispatch: Dispatch, kind: JobKind) -> PoolKey:
    """Who does that kind of job of a dispatch."""
    return PoolKey(dispatch.spec.agent_name, kind, dispatch.spec.deployment)


def is_quiet(dispatch: Dispatch, kind: JobKind) -> bool:
    """Nobody in particular asked for such a job, so nobody is told if no worker wants it."""
    return dispatch.spec.implicit or kind is not JobKind.ROOM


class Run:
    """A job that has not ended. Changed by the desk only.

    `attempt` counts the workers that had it before, from 0. `only` is the one worker it is for
    (a job that a worker wanted for itself). `restored` marks a job of before a restart.
    """

    __slots__ = (
        "attempt",
        "dispatch",
        "job",
        "key",
        "only",
        "progress",
        "restored",
        "room",
        "shown",
        "timer",
    )

    def __init__(
        self,
        room: Room,
        dispatch: Dispatch,
        job: Job,
        progress: Progress,
        *,
        attempt: int = 0,
        only: str = "",
    ) -> None:
        self.room = room
        self.dispatch = dispatch
        self.job = job
        self.progress = progress
        self.attempt = attempt
        self.only = only
        self.key = pool_key(dispatch, job.kind)
        self.shown = not self.quiet
        self.restored = False
        self.timer: Timer | None = None

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def stage(self) -> Stage:
        return self.progress.stage

    @property
    def quiet(self) -> bool:
        """As `is_quiet` says."""
        return is_quiet(self.dispatch, self.job.kind)

    @property
    def assigned(self) -> bool:
        """Whether a worker ever had it."""
        return self.job.started_at_ns != 0

    def may_be_claimed_by(self, worker: Worker) -> bool:
        """Whether a worker may say that it has this job: same work, same API key."""
        return worker.key == self.key and worker.api_key == self.job.api_key

    def note(self, now_ns: int) -> None:
        """Bring the record up to the progress, at `now_ns` (Unix nanoseconds)."""
        progress, job = self.progress, self.job
        self.shown = self.shown or progress.stage not in (Stage.WAITING, Stage.ENDED)
        if progress.ending is not None:
            self.job = replace(
                job,
                outcome=progress.ending.outcome,
                status=progress.ending.status,
                reason=progress.ending.reason,
                error=progress.ending.error,
                ended_at_ns=now_ns,
                updated_at_ns=now_ns,
            )
            return
        unassigned = progress.stage in _UNASSIGNED
        acceptance = progress.acceptance
        self.job = replace(
            job,
            outcome=_OUTCOMES[progress.stage],
            status=JobStatus.PENDING if unassigned else JobStatus.RUNNING,
            agent_identity=acceptance.identity if acceptance else "",
            worker_id=progress.worker_id,
            started_at_ns=job.started_at_ns or (0 if unassigned else now_ns),
            updated_at_ns=now_ns,
        )

    def superseded(self, error: str) -> None:
        """It ended, and another run takes over what it was for."""
        self.job = replace(self.job, reason=JobReason.RETRYING, error=error)
