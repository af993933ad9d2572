"""Who was asked to send an agent into a room, and what became of it.

A *dispatch* asks for an agent in one room; a *job* is one attempt at it by one worker. A room keeps
its dispatches; `agents` finds the workers and reports here, so that everybody who waits in the room
can learn how it went. The enumerations carry the numbers of LiveKit's protocol where it has some.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from enum import IntEnum, StrEnum

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.base.records import record, replace
from switchroom.rooms.info import ParticipantInfo

MAX_DISPATCHES = 256
"""Dispatches that one room holds at most."""

KEPT_JOBS = 64
"""Ended jobs that a dispatch remembers; the oldest are forgotten first."""


class JobKind(IntEnum):
    """LiveKit's JobType: what a worker wants a job for."""

    ROOM = 0
    PUBLISHER = 1
    PARTICIPANT = 2


class JobStatus(IntEnum):
    """LiveKit's JobStatus."""

    PENDING = 0
    RUNNING = 1
    SUCCESS = 2
    FAILED = 3
    CANCELLED = 4


class JobReason(IntEnum):
    """LiveKit's JobStateReason: why a job is as it is, where the status alone does not say."""

    UNSPECIFIED = 0
    NO_CAPACITY = 1
    ROOM_CLOSED = 2
    DISPATCH_DELETED = 3
    RETRYING = 4


class RestartPolicy(IntEnum):
    """LiveKit's JobRestartPolicy: whether a job that failed may be given to another worker."""

    ON_FAILURE = 0
    NEVER = 1


class DispatchOutcome(StrEnum):
    """How far a dispatch has come. The last four are ends."""

    WAITING = "waiting"
    OFFERED = "offered"
    ASSIGNED = "assigned"
    JOINED = "joined"
    DECLINED = "declined"
    NO_WORKER = "no_worker"
    FAILED = "failed"
    ENDED = "ended"


@record
class DispatchSpec:
    """An agent as someone asks for it.

    An empty `agent_name` reaches the workers that registered without a name. `implicit` marks the
    dispatch that a room gets when nobody asked for anything in particular.
    """

    agent_name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    deployment: str = ""
    restart_policy: RestartPolicy = RestartPolicy.ON_FAILURE
    implicit: bool = False


@record
class Dispatch:
    """A dispatch that a room holds. Times are Unix nanoseconds."""

    id: str
    room_name: str
    room_sid: str
    spec: DispatchSpec
    created_at_ns: int


@record
class Job:
    """One attempt at a dispatch. Times are Unix nanoseconds, 0 where it has not come to that.

    `participant` is whom the job is for (kinds PUBLISHER and PARTICIPANT). `error` is a sentence
    for people. `agent_identity` is who joins the room for it, known once a worker has accepted.
    """

    id: str
    dispatch_id: str
    kind: JobKind
    outcome: DispatchOutcome = DispatchOutcome.WAITING
    status: JobStatus = JobStatus.PENDING
    reason: JobReason = JobReason.UNSPECIFIED
    error: str = ""
    participant: ParticipantInfo | None = None
    participant_identity: str = ""
    agent_identity: str = ""
    namespace: str = ""
    worker_id: str = ""
    api_key: str = ""
    started_at_ns: int = 0
    ended_at_ns: int = 0
    updated_at_ns: int = 0

    @property
    def ended(self) -> bool:
        return self.ended_at_ns != 0


@record
class DispatchRecord:
    """A dispatch with its jobs, the oldest first; `deleted_at_ns` once it was taken back."""

    dispatch: Dispatch
    jobs: tuple[Job, ...] = ()
    deleted_at_ns: int = 0


class DispatchNotFound(ServiceError):
    """The room holds no such dispatch; livekit-server's words."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.NOT_FOUND, "dispatch ID not found")


class TooManyDispatches(ServiceError):
    """The room holds as many dispatches as it may."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.RESOURCE_EXHAUSTED, f"a room holds at most {MAX_DISPATCHES} dispatches"
        )


class Dispatches:
    """The dispatches of one room."""

    def __init__(self) -> None:
        self._records: dict[str, DispatchRecord] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Dispatch]:
        return iter([record.dispatch for record in self._records.values()])

    @property
    def ids(self) -> Collection[str]:
        """Of all of them, as they are at the moment."""
        return self._records.keys()

    def add(self, dispatch: Dispatch, jobs: Sequence[Job] = ()) -> None:
        """Take in a dispatch. Raises TooManyDispatches."""
        if len(self._records) >= MAX_DISPATCHES:
            raise TooManyDispatches
        self._records[dispatch.id] = DispatchRecord(dispatch, tuple(jobs))

    def get(self, dispatch_id: str) -> DispatchRecord:
        """Raises DispatchNotFound."""
        record = self._records.get(dispatch_id)
        if record is None:
            raise DispatchNotFound
        return record

    def list(self, dispatch_id: str = "") -> tuple[DispatchRecord, ...]:
        """All, or the one of that id if it is there."""
        records = self._records.values()
        return tuple(r for r in records if dispatch_id in ("", r.dispatch.id))

    def remove(self, dispatch_id: str) -> DispatchRecord:
        """Take a dispatch out. Raises DispatchNotFound."""
        record = self.get(dispatch_id)
        del self._records[dispatch_id]
        return record

    def put_job(self, job: Job) -> tuple[str, ...]:
        """Insert or replace a job; without effect when its dispatch is gone.

        Returns the ids of the jobs that are forgotten for it.
        """
        record = self._records.get(job.dispatch_id)
        if record is None:
            return ()
        jobs = [job if known.id == job.id else known for known in record.jobs]
        if all(known.id != job.id for known in record.jobs):
            jobs.append(job)
        kept = _bounded(jobs)
        self._records[job.dispatch_id] = replace(record, jobs=tuple(kept))
        if len(kept) == len(jobs):
            return ()
        left = {known.id for known in kept}
        return tuple(known.id for known in jobs if known.id not in left)


def _bounded(jobs: Sequence[Job]) -> Sequence[Job]:
    """Leave out the oldest ended jobs beyond KEPT_JOBS."""
    surplus = sum(1 for job in jobs if job.ended) - KEPT_JOBS
    if surplus <= 0:
        return jobs
    kept = []
    for job in jobs:
        if job.ended and surplus > 0:
            surplus -= 1
        else:
            kept.append(job)
    return kept
