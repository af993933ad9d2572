"""The worker protocol (`livekit_agent.proto`): frames to our records and back.

Together with LiveKit's forms of a dispatch this is the only module here that knows LiveKit's
message classes. A frame is a protobuf message, or the same as proto-JSON in a text frame.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from livekit.protocol import agent, agent_dispatch

from switchroom.agents.job import Acceptance
from switchroom.base.records import record
from switchroom.rooms.dispatches import (
    Dispatch,
    DispatchRecord,
    DispatchSpec,
    Job,
    JobKind,
    JobReason,
    JobStatus,
    RestartPolicy,
)
from switchroom.rooms.info import Permissions, RoomInfo
from switchroom.rooms.signal.convert import (
    number,
    participant_to_wire,
    permissions_from_wire,
    room_to_wire,
)
from switchroom.rooms.signal.proto_json import NotProtoJson, read_fields, read_json
from switchroom.rooms.signal.responses import server_info

MAX_CONFIGURED = 32
"""Dispatches that one room configuration may ask for; more are left out."""


class NotAMessage(ValueError):
    """A frame that is no WorkerMessage."""


# ── what workers say ─────────────────────────────────────────────────────────


@record
class Register:
    """A worker introduces itself. `kind` is None for a type that we don't know."""

    kind: JobKind | None
    agent_name: str
    version: str
    namespace: str
    deployment: str
    permissions: Permissions


@record
class Availability:
    """The answer to an offer."""

    job_id: str
    available: bool
    final: bool
    acceptance: Acceptance


@record
class WorkerReport:
    """`update_worker`: `full` is None when it does not say."""

    load: float
    full: bool | None
    draining: bool
    job_count: int


@record
class JobReport:
    """`update_job`."""

    job_id: str
    status: JobStatus
    error: str


@record
class Ping:
    """`timestamp` in the worker's own time."""

    timestamp: int


@record
class SimulateJob:
    """The worker wants a job of its own in a room."""

    kind: JobKind | None
    room_name: str
    participant_identity: str


@record
class MigrateJob:
    """The jobs that a worker still has, told after it connected again."""

    job_ids: tuple[str, ...]


@record
class Unknown:
    """A message of a newer protocol."""


WorkerMessage = (
    Register | Availability | WorkerReport | JobReport | Ping | SimulateJob | MigrateJob | Unknown
)


_MAX_JSON_VALUES = 10_000
"""Of one text frame. They cost by the piece: two MB of empty ones would take seconds."""


def decode(frame: bytes | str) -> WorkerMessage:
    """Read a binary or text frame. Raises NotAMessage."""
    message = agent.WorkerMessage()
    try:
        if isinstance(frame, bytes):
            message.ParseFromString(frame)
        else:
            _read_json(frame, message)
    except (DecodeError, ValueError) as wrong:
        raise NotAMessage(str(wrong)) from wrong
    which = message.WhichOneof("message")
    return Unknown() if which is None else _READERS[which](getattr(message, which))


def _register(message: agent.RegisterWorkerRequest) -> Register:
    given = message.HasField("allowed_permissions")
    return Register(
        kind=_known(JobKind, message.type),
        agent_name=message.agent_name,
        version=message.version,
        namespace=message.namespace,
        deployment=message.deployment,
        permissions=permissions_from_wire(message.allowed_permissions)
        if given
        else Permissions(can_update_metadata=True),
    )


def _availability(message: agent.AvailabilityResponse) -> Availability:
    acceptance = Acceptance(
        identity=message.participant_identity or f"agent-{message.job_id}",
        name=message.participant_name,
        metadata=message.participant_metadata,
        attributes=dict(message.participant_attributes),
    )
    return Availability(message.job_id, message.available, message.terminate, acceptance)


def _worker_report(message: agent.UpdateWorkerStatus) -> WorkerReport:
    full = message.status == agent.WS_FULL if message.HasField("status") else None
    return WorkerReport(message.load, full, message.draining, message.job_count)


def _job_report(message: agent.UpdateJobStatus) -> JobReport:
    status = _known(JobStatus, message.status) or JobStatus.PENDING
    return JobReport(message.job_id, status, message.error)


def _simulate(message: agent.SimulateJobRequest) -> SimulateJob:
    kind = _known(JobKind, message.type)
    return SimulateJob(kind, message.room.name, message.participant.identity)


def _migrate(message: agent.MigrateJobRequest) -> MigrateJob:
    return MigrateJob((*message.job_ids, *(job.id for job in message.jobs)))


_READERS: Mapping[str, Any] = {
    "register": _register,
    "availability": _availability,
    "update_worker": _worker_report,
    "update_job": _job_report,
    "ping": lambda message: Ping(message.timestamp),
    "simulate_job": _simulate,
    "migrate_job": _migrate,
}

_Number = TypeVar("_Number", JobKind, JobStatus, JobReason, RestartPolicy)


def _known(kind: type[_Number], value: int) -> _Number | None:
    try:
        return kind(value)
    except ValueError:
        return None


def _read_json(text: str, message: Message) -> None:
    if sum(map(text.count, "{[,")) > _MAX_JSON_VALUES:
        raise NotAMessage("too many values")
    try:
        read_json(text, message)
    except NotProtoJson as wrong:
        raise NotAMessage(str(wrong)) from wrong


# ── what we say ──────────────────────────────────────────────────────────────


def registered(worker_id: str, node_id: str) -> bytes:
    """The first message that a worker gets."""
    return _message(
        register=agent.RegisterWorkerResponse(worker_id=worker_id, server_info=server_info(node_id))
    )


def offer(room: RoomInfo, dispatch: Dispatch, job: Job) -> bytes:
    """Does the worker want this job?"""
    return _message(availability=agent.AvailabilityRequest(job=job_to_wire(room, dispatch, job)))


def assignment(room: RoomInfo, dispatch: Dispatch, job: Job, token: str) -> bytes:
    """The job is the worker's; `token` lets its agent into the room.

    No URL: the agent goes where its worker went.
    """
    wire = job_to_wire(room, dispatch, job)
    return _message(assignment=agent.JobAssignment(job=wire, token=token))


def termination(job_id: str) -> bytes:
    """The job is over, whatever the worker thinks."""
    return _message(termination=agent.JobTermination(job_id=job_id))


def pong(ping: Ping, now_ms: int) -> bytes:
    """The answer to a ping; `now_ms` in Unix milliseconds."""
    return _message(pong=agent.WorkerPong(last_timestamp=ping.timestamp, timestamp=now_ms))


def as_json(message: bytes) -> str:
    """One of our messages for a worker that speaks JSON."""
    return json_format.MessageToJson(agent.ServerMessage.FromString(message), indent=None)


def _message(**which: Any) -> bytes:
    return agent.ServerMessage(**which).SerializeToString()


# ── dispatches and jobs ──────────────────────────────────────────────────────


def job_to_wire(room: RoomInfo, dispatch: Dispatch, job: Job) -> agent.Job:
    """LiveKit's Job."""
    spec = dispatch.spec
    return agent.Job(
        id=job.id,
        dispatch_id=dispatch.id,
        type=number(job.kind),
        room=room_to_wire(room),
        participant=None if job.participant is None else participant_to_wire(job.participant),
        namespace=job.namespace,
        metadata=spec.metadata,
        agent_name=spec.agent_name,
        deployment=spec.deployment,
        attributes=spec.attributes,
        state=agent.JobState(
            status=number(job.status),
            error=job.error,
            started_at=job.started_at_ns,
            ended_at=job.ended_at_ns,
            updated_at=job.updated_at_ns,
            participant_identity=job.agent_identity,
            worker_id=job.worker_id,
            reason=number(job.reason),
        ),
    )


def dispatch_to_wire(room: RoomInfo, record: DispatchRecord) -> agent_dispatch.AgentDispatch:
    """LiveKit's AgentDispatch."""
    dispatch = record.dispatch
    return agent_dispatch.AgentDispatch(
        id=dispatch.id,
        agent_name=dispatch.spec.agent_name,
        room=dispatch.room_name,
        metadata=dispatch.spec.metadata,
        restart_policy=number(dispatch.spec.restart_policy),
        deployment=dispatch.spec.deployment,
        attributes=dispatch.spec.attributes,
        state=agent_dispatch.AgentDispatchState(
            jobs=[job_to_wire(room, dispatch, job) for job in record.jobs],
            created_at=dispatch.created_at_ns,
            deleted_at=record.deleted_at_ns,
        ),
    )


def spec_from_wire(
    message: agent_dispatch.CreateAgentDispatchRequest | agent_dispatch.RoomAgentDispatch,
) -> DispatchSpec:
    """What is asked for, unchecked."""
    return DispatchSpec(
        agent_name=message.agent_name,
        metadata=message.metadata,
        attributes=dict(message.attributes),
        deployment=message.deployment,
        restart_policy=_known(RestartPolicy, message.restart_policy) or RestartPolicy.ON_FAILURE,
    )


def specs_from_configuration(configuration: str) -> tuple[DispatchSpec, ...]:
    """The `agents` of a proto-JSON RoomConfiguration; what can't be read is left out."""
    if not configuration:
        return ()
    try:
        given = json.loads(configuration)
    except (ValueError, RecursionError):
        return ()
    listed = given.get("agents") if isinstance(given, dict) else None
    if not isinstance(listed, list):
        return ()
    return tuple(_readable(listed[:MAX_CONFIGURED]))


def _readable(listed: Iterable[Any]) -> Iterable[DispatchSpec]:
    for entry in listed:
        message = agent_dispatch.RoomAgentDispatch()
        try:
            read_fields(entry, message)
        except NotProtoJson:
            continue
        yield spec_from_wire(message)
