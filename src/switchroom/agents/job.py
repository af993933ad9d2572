"""The life of one job, pure: an event and the time in; the new progress and what to do out.

`step` looks the event up in `TRANSITIONS`, which is the whole behaviour. Workers answer late,
twice, or for jobs that are none of theirs, so an event without an entry changes nothing.

The room is believed, not the worker: an agent that is in the room works, whatever its worker says,
and one that left for good has ended its job, whether or not its worker ever says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from typing import Any

from switchroom.base.records import record, replace
from switchroom.rooms.dispatches import DispatchOutcome, JobReason, JobStatus

OFFER_TIMEOUT = 10.0
"""Seconds that a worker has to answer an offer, livekit-server's."""

WORKER_RETURN = 5.0
"""Seconds that a job without an agent in the room waits for its worker's next connection."""

AGENT_RETURN = 10.0
"""Seconds that an agent which lost its connection has to come back."""

STOP_LIMIT = 20.0
"""Seconds after the loss of its worker in which an agent's good-bye may be the worker's doing."""

ORPHAN_PATIENCE = 10.0
"""Seconds for which no agent leaves because its worker was killed.

Agents of livekit-agents never say good-bye then, those for Node 12.5 to 15 s later: a job process
gives up 15 s after the last ping of its worker, and there is one every 2.5 s."""

ROOM_END_LIMIT = 3.0
"""Seconds after such a good-bye in which the room's end shows that the agent had done its job.

Agents that hang up leave first and delete the room then."""

JOIN_LIMIT = 3600.0
"""Seconds from the assignment in which an agent can join at all: its token is good for no more.

Agents that dial first join after their call is answered, so there is no shorter limit."""


class Stage(Enum):
    """Where a job stands. The first is where it begins."""

    WAITING = "no worker has it"
    OFFERED = "one worker was asked"
    ASSIGNED = "a worker has it; its agent has not come into the room yet"
    ADRIFT = "as assigned, but its worker's socket is lost"
    JOINED = "its agent is in the room"
    UNATTENDED = "as joined, but its worker's socket is lost"
    PARTED = "its agent said good-bye soon after its worker's socket was lost"
    AWAY = "its agent dropped out of the room without good-bye, its worker is there"
    ENDED = "it is over"


class Parting(Enum):
    """How an agent left its room."""

    GOODBYE = "it left by itself"
    DISMISSED = "it was sent away, or the room was closed"
    ERROR = "it left because of an error of its own"
    LOST = "its connection was lost"


@record
class Acceptance:
    """Who the agent will be, as its worker says."""

    identity: str
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@record
class Ending:
    """How a job ended. `retry`: another worker may take over what it was for."""

    outcome: DispatchOutcome
    status: JobStatus
    reason: JobReason = JobReason.UNSPECIFIED
    error: str = ""
    retry: bool = False


@record
class Progress:
    """Where one job stands.

    `deadline`, `wait_until` and `lost_at` (when the worker's socket closed) are monotonic seconds.
    `stopped` says that the worker closed it itself. `asked` are the workers that may answer,
    `refused` those that did not want it. `report` is what the worker said of the job's end while
    the agent was still in the room. `interrupted` jobs were running when the server was stopped.
    """

    wait_until: float
    stage: Stage = Stage.WAITING
    deadline: float | None = None
    worker_id: str = ""
    asked: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    lost_at: float = 0.0
    stopped: bool = False
    acceptance: Acceptance | None = None
    report: JobStatus | None = None
    interrupted: bool = False
    ending: Ending | None = None


# ── what happens ─────────────────────────────────────────────────────────────


@record
class Offered:
    """A worker was chosen."""

    worker_id: str


@record
class Accepted:
    """A worker wants the job."""

    worker_id: str
    acceptance: Acceptance


@record
class Declined:
    """A worker does not want the job; if `final`, nobody is to have it."""

    worker_id: str
    final: bool = False


@record
class Reconsidered:
    """A worker that had refused has room again."""

    worker_id: str


@record
class WorkerLost:
    """A worker's socket closed; `stopped` when the worker closed it, as one does that stops."""

    worker_id: str
    stopped: bool = False


@record
class Claimed:
    """A worker that just connected says that it has this job (`migrate_job`)."""

    worker_id: str


@record
class Reported:
    """A worker tells the job's status (`update_job`)."""

    worker_id: str
    status: JobStatus
    error: str = ""


@record
class AgentJoined:
    """The agent is in the room and connected."""


@record
class AgentLeft:
    """The agent is not in the room any more."""

    parting: Parting


@record
class Due:
    """The deadline has come.

    `shortage` is the end of a job that still waits for a worker. `silent` says that the agent,
    which is still in the room, has no signal connection any more.
    """

    shortage: Ending
    silent: bool = False


@record
class RoomClosed:
    """The room is over."""


@record
class Pointless:
    """Whom the job was for has left."""


@record
class Deleted:
    """The dispatch was taken back."""


Event = (
    Offered
    | Accepted
    | Declined
    | Reconsidered
    | WorkerLost
    | Claimed
    | Reported
    | AgentJoined
    | AgentLeft
    | Due
    | RoomClosed
    | Pointless
    | Deleted
)


# ── what to do ───────────────────────────────────────────────────────────────


@record
class Offer:
    """Ask this worker."""

    worker_id: str


@record
class Withdraw:
    """An open offer is settled; `lapsed` when the worker did not answer it in time."""

    worker_id: str
    lapsed: bool = False


@record
class Assign:
    """Give this worker the token."""

    worker_id: str


@record
class Terminate:
    """Tell this worker to stop the job."""

    worker_id: str


Command = Offer | Withdraw | Assign | Terminate
Outcome = tuple[Progress, tuple[Command, ...]]


def step(progress: Progress, event: Event, now: float) -> Outcome:
    """What comes of an event at `now` (monotonic seconds)."""
    transition = TRANSITIONS.get((progress.stage, type(event)))
    return (progress, ()) if transition is None else transition(progress, event, now)


def begin(now: float, wait: float) -> Progress:
    """A job that waits so many seconds for a worker that takes it."""
    return Progress(wait_until=now + wait, deadline=now + wait)


def resume(
    now: float, wait: float, worker_id: str, identity: str, *, interrupted: bool = False
) -> Progress:
    """A job of before a restart: its agent or its worker may come back within `wait` seconds.

    `interrupted` by a planned stop, which sent its agent home.
    """
    return Progress(
        wait_until=now,
        stage=Stage.ADRIFT,
        lost_at=now,
        interrupted=interrupted,
        deadline=now + wait,
        worker_id=worker_id,
        acceptance=Acceptance(identity),
    )


_DONE = Ending(DispatchOutcome.ENDED, JobStatus.SUCCESS)
_PARTINGS = {
    Parting.GOODBYE: _DONE,
    Parting.DISMISSED: _DONE,
    Parting.ERROR: Ending(
        DispatchOutcome.FAILED, JobStatus.FAILED, error="the agent left because of an error"
    ),
}
_WORKER_GONE = Ending(
    DispatchOutcome.FAILED,
    JobStatus.FAILED,
    error="the connection to the worker was lost and it did not come back",
    retry=True,
)
_INTERRUPTED = Ending(
    DispatchOutcome.FAILED, JobStatus.FAILED, error="the server was stopped", retry=True
)
_STOPPED = Ending(
    DispatchOutcome.FAILED,
    JobStatus.FAILED,
    error="the agent left when its worker stopped",
    retry=True,
)
_AGENT_GONE = Ending(
    DispatchOutcome.FAILED,
    JobStatus.FAILED,
    error="the agent lost its connection and did not come back",
    retry=True,
)
_BOTH_GONE = Ending(
    DispatchOutcome.FAILED, JobStatus.FAILED, error="the worker and its agent are gone", retry=True
)
_NEVER_CAME = Ending(
    DispatchOutcome.FAILED,
    JobStatus.FAILED,
    error="the agent did not join while its token was valid",
)
_ROOM_CLOSED = Ending(
    DispatchOutcome.ENDED, JobStatus.CANCELLED, JobReason.ROOM_CLOSED, "the room was closed"
)
_POINTLESS = Ending(
    DispatchOutcome.ENDED, JobStatus.CANCELLED, error="the participant it was for left"
)
_DELETED = Ending(
    DispatchOutcome.ENDED,
    JobStatus.CANCELLED,
    JobReason.DISPATCH_DELETED,
    "the dispatch was deleted",
)
_FINAL_NO = Ending(
    DispatchOutcome.DECLINED, JobStatus.SUCCESS, error="a worker declined the job for all"
)


def _end(progress: Progress, ending: Ending, *commands: Command) -> Outcome:
    return replace(progress, stage=Stage.ENDED, deadline=None, ending=ending), commands


def _offered(progress: Progress, event: Offered, now: float) -> Outcome:
    worker_id = event.worker_id
    asked = replace(
        progress,
        stage=Stage.OFFERED,
        worker_id=worker_id,
        deadline=now + OFFER_TIMEOUT,
        asked=progress.asked | {worker_id},
    )
    return asked, (Offer(worker_id),)


def _assigned(progress: Progress, event: Accepted, now: float) -> Progress:
    return replace(
        progress,
        stage=Stage.ASSIGNED,
        worker_id=event.worker_id,
        acceptance=event.acceptance,
        deadline=now + JOIN_LIMIT,
    )


def _accepted(progress: Progress, event: Accepted, now: float) -> Outcome:
    if event.worker_id != progress.worker_id:
        return progress, ()
    worker_id = event.worker_id
    return _assigned(progress, event, now), (Withdraw(worker_id), Assign(worker_id))


def _accepted_late(progress: Progress, event: Accepted, now: float) -> Outcome:
    """Better late than never, as long as nobody else is being asked."""
    if event.worker_id not in progress.asked - progress.refused:
        return progress, ()
    return _assigned(progress, event, now), (Assign(event.worker_id),)


def _wait_again(progress: Progress) -> Progress:
    return replace(progress, stage=Stage.WAITING, worker_id="", deadline=progress.wait_until)


def _declined(progress: Progress, event: Declined, _now: float) -> Outcome:
    if event.worker_id != progress.worker_id:
        return progress, ()
    if event.final:
        return _end(progress, _FINAL_NO, Withdraw(event.worker_id))
    waiting = replace(_wait_again(progress), refused=progress.refused | {event.worker_id})
    return waiting, (Withdraw(event.worker_id),)


def _reconsidered(progress: Progress, event: Reconsidered, _now: float) -> Outcome:
    if event.worker_id not in progress.refused | progress.asked:
        return progress, ()
    refused = progress.refused - {event.worker_id}
    # What it answered before does not count any more either: it will be asked anew.
    return replace(progress, refused=refused, asked=progress.asked - {event.worker_id}), ()


def _lapsed(progress: Progress, _event: Due, _now: float) -> Outcome:
    return _wait_again(progress), (Withdraw(progress.worker_id, lapsed=True),)


def _asked_one_lost(progress: Progress, event: WorkerLost, _now: float) -> Outcome:
    if event.worker_id != progress.worker_id:
        return replace(progress, asked=progress.asked - {event.worker_id}), ()
    return replace(_wait_again(progress), asked=progress.asked - {event.worker_id}), ()


def _worker_lost(progress: Progress, event: WorkerLost, now: float) -> Outcome:
    if event.worker_id != progress.worker_id:
        return progress, ()
    if progress.stage is Stage.AWAY:
        return _end(progress, _BOTH_GONE)
    joined = progress.stage is Stage.JOINED
    lost = replace(
        progress,
        stage=Stage.UNATTENDED if joined else Stage.ADRIFT,
        deadline=now + WORKER_RETURN,
        lost_at=now,
        stopped=event.stopped,
    )
    return lost, ()


def _claimed(progress: Progress, event: Claimed, now: float) -> Outcome:
    """Also while the old socket still looks alive: a broken connection is noticed late."""
    attended = {Stage.ADRIFT: Stage.ASSIGNED, Stage.UNATTENDED: Stage.JOINED}
    stage = attended.get(progress.stage, progress.stage)
    deadline = progress.deadline
    if stage is not progress.stage:
        deadline = now + JOIN_LIMIT if stage is Stage.ASSIGNED else None
    return replace(progress, stage=stage, worker_id=event.worker_id, deadline=deadline), ()


def _reported(progress: Progress, event: Reported, _now: float) -> Outcome:
    if event.worker_id != progress.worker_id or event.status <= JobStatus.RUNNING:
        return progress, ()
    if progress.stage is Stage.JOINED:
        return replace(progress, report=event.status), ()
    return _end(progress, _as_reported(event.status, event.error))


def _as_reported(status: JobStatus, error: str) -> Ending:
    if status is JobStatus.SUCCESS:
        return Ending(DispatchOutcome.ENDED, JobStatus.SUCCESS)
    said = error or "the worker reported that the job failed"
    return Ending(DispatchOutcome.FAILED, status, error=said, retry=status is JobStatus.FAILED)


def _agent_joined(progress: Progress, _event: AgentJoined, _now: float) -> Outcome:
    attended = progress.stage in (Stage.ASSIGNED, Stage.AWAY)
    if attended:
        return replace(progress, stage=Stage.JOINED, deadline=None), ()
    return replace(progress, stage=Stage.UNATTENDED, deadline=None), ()


def _agent_left(progress: Progress, event: AgentLeft, now: float) -> Outcome:
    """A worker that stops takes its agents with it: they say good-bye right after its socket.

    So may an agent that is done. What comes next tells.
    """
    if event.parting is Parting.GOODBYE and _may_be_taken_along(progress, now):
        return replace(progress, stage=Stage.PARTED, deadline=now + ROOM_END_LIMIT), ()
    parting = _PARTINGS.get(event.parting)
    if parting is not None:
        return _end(progress, parting)
    if progress.stage is Stage.UNATTENDED:
        return _end(progress, _BOTH_GONE)
    if progress.report is not None:
        return _end(progress, _as_reported(progress.report, ""))
    return replace(progress, stage=Stage.AWAY, deadline=now + AGENT_RETURN), ()


def _may_be_taken_along(progress: Progress, now: float) -> bool:
    """Whether an agent that leaves now may do so because of its worker.

    One whose worker's line was merely cut knows nothing of that: its good-bye is its own.
    """
    earliest = 0.0 if progress.stopped else ORPHAN_PATIENCE
    since = now - progress.lost_at
    return progress.stage is Stage.UNATTENDED and earliest <= since <= STOP_LIMIT


def _done_after_all(progress: Progress, _event: Event, _now: float) -> Outcome:
    """The room ended with its agent, or the worker is still there: the good-bye was its own."""
    return _end(progress, _DONE)


def _left_while_away(progress: Progress, event: AgentLeft, _now: float) -> Outcome:
    """It was coming back, and went for good before it had arrived."""
    parting = _PARTINGS.get(event.parting)
    return (progress, ()) if parting is None else _end(progress, parting)


def _unattended_due(progress: Progress, event: Due, _now: float) -> Outcome:
    """An agent that died with its worker stays in the room until its media is given up."""
    if event.silent:
        return _end(progress, _BOTH_GONE)
    return replace(progress, deadline=None), ()


def _due(progress: Progress, event: Due, _now: float) -> Outcome:
    match progress.stage:
        case Stage.WAITING:
            return _end(progress, event.shortage)
        case Stage.ADRIFT:
            return _end(progress, _INTERRUPTED if progress.interrupted else _WORKER_GONE)
        case Stage.PARTED:
            return _end(progress, _STOPPED)
        case Stage.AWAY:
            return _end(progress, _AGENT_GONE, Terminate(progress.worker_id))
        case _:
            return _end(progress, _NEVER_CAME, Terminate(progress.worker_id))


def _given_up(progress: Progress, ending: Ending) -> Outcome:
    match progress.stage:
        case Stage.OFFERED:
            return _end(progress, ending, Withdraw(progress.worker_id))
        case Stage.ASSIGNED | Stage.JOINED | Stage.AWAY:
            return _end(progress, ending, Terminate(progress.worker_id))
        case _:
            return _end(progress, ending)


def _room_closed(progress: Progress, _event: RoomClosed, _now: float) -> Outcome:
    return _given_up(progress, _ROOM_CLOSED)


def _pointless(progress: Progress, _event: Pointless, _now: float) -> Outcome:
    return _given_up(progress, _POINTLESS)


def _deleted(progress: Progress, _event: Deleted, _now: float) -> Outcome:
    return _given_up(progress, _DELETED)


_Transition = Callable[[Progress, Any, float], Outcome]
_ALIVE = tuple(stage for stage in Stage if stage is not Stage.ENDED)
_HELD = (Stage.ASSIGNED, Stage.ADRIFT, Stage.JOINED, Stage.UNATTENDED, Stage.AWAY)


def _rows(
    stages: tuple[Stage, ...], event: type[Event], transition: _Transition
) -> dict[tuple[Stage, type[Event]], _Transition]:
    return {(stage, event): transition for stage in stages}


TRANSITIONS: Mapping[tuple[Stage, type[Event]], _Transition] = {
    (Stage.WAITING, Offered): _offered,
    (Stage.WAITING, Accepted): _accepted_late,
    (Stage.WAITING, Reconsidered): _reconsidered,
    (Stage.OFFERED, Accepted): _accepted,
    (Stage.OFFERED, Declined): _declined,
    (Stage.OFFERED, Due): _lapsed,
    **_rows((Stage.WAITING, Stage.OFFERED), WorkerLost, _asked_one_lost),
    **_rows((Stage.ASSIGNED, Stage.JOINED, Stage.AWAY), WorkerLost, _worker_lost),
    **_rows((Stage.ASSIGNED, Stage.JOINED, Stage.AWAY), Reported, _reported),
    **_rows(_HELD, Claimed, _claimed),
    **_rows((Stage.ASSIGNED, Stage.ADRIFT, Stage.PARTED, Stage.AWAY), AgentJoined, _agent_joined),
    **_rows((Stage.JOINED, Stage.UNATTENDED), AgentLeft, _agent_left),
    (Stage.AWAY, AgentLeft): _left_while_away,
    **_rows((Stage.WAITING, Stage.ASSIGNED, Stage.ADRIFT, Stage.PARTED, Stage.AWAY), Due, _due),
    (Stage.UNATTENDED, Due): _unattended_due,
    **_rows(_ALIVE, RoomClosed, _room_closed),
    (Stage.PARTED, RoomClosed): _done_after_all,
    (Stage.PARTED, Claimed): _done_after_all,
    **_rows((Stage.WAITING, Stage.OFFERED), Pointless, _pointless),
    **_rows(_ALIVE, Deleted, _deleted),
}
"""Every event that means something at a stage; all others are ignored there."""
