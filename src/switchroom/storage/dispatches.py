"""Agent dispatches and their jobs as rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from switchroom.rooms.dispatches import (
    Dispatch,
    DispatchOutcome,
    DispatchRecord,
    DispatchSpec,
    Job,
    JobKind,
    JobReason,
    JobStatus,
    RestartPolicy,
)
from switchroom.storage.connection import Database
from switchroom.storage.schema import agent_dispatches, agent_jobs


class SqlDispatchStore:
    """`agents.stores.DispatchStore` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Sequence[DispatchRecord]:
        def read(connection: Connection) -> list[DispatchRecord]:
            jobs: dict[str, list[Job]] = {}
            for row in connection.execute(select(agent_jobs).order_by(agent_jobs.c.updated_at_ns)):
                job = _job(row._asdict())
                jobs.setdefault(job.dispatch_id, []).append(job)
            found = connection.execute(
                select(agent_dispatches).order_by(agent_dispatches.c.created_at_ns)
            )
            dispatches = [_dispatch(row._asdict()) for row in found]
            return [DispatchRecord(one, tuple(jobs.get(one.id, ()))) for one in dispatches]

        return await self._database.run(read)

    def save(self, dispatch: Dispatch) -> None:
        self._database.put_soon(agent_dispatches, dispatch.id, lambda: dispatch, _dispatch_row)

    async def save_durably(self, dispatch: Dispatch) -> None:
        await self._database.put(agent_dispatches, dispatch.id, dispatch, _dispatch_row)

    def save_job(self, job: Job) -> None:
        self._database.put_soon(agent_jobs, job.id, lambda: job, _job_row)

    async def delete_jobs(self, job_ids: Collection[str]) -> None:
        def forget(connection: Connection) -> None:
            connection.execute(delete(agent_jobs).where(agent_jobs.c.job_id.in_(job_ids)))

        await self._database.run(forget)

    async def delete(self, dispatch_ids: Collection[str]) -> None:
        def forget(connection: Connection) -> None:
            connection.execute(delete(agent_jobs).where(agent_jobs.c.dispatch_id.in_(dispatch_ids)))
            connection.execute(
                delete(agent_dispatches).where(agent_dispatches.c.dispatch_id.in_(dispatch_ids))
            )

        await self._database.run(forget)


def _dispatch_row(dispatch: Dispatch) -> dict[str, Any]:
    spec = dispatch.spec
    return {
        "dispatch_id": dispatch.id,
        "room_name": dispatch.room_name,
        "room_sid": dispatch.room_sid,
        "agent_name": spec.agent_name,
        "metadata": spec.metadata,
        "attributes": dict(spec.attributes),
        "deployment": spec.deployment,
        "restart_policy": int(spec.restart_policy),
        "implicit": spec.implicit,
        "created_at_ns": dispatch.created_at_ns,
    }


def _dispatch(row: Mapping[str, Any]) -> Dispatch:
    return Dispatch(
        id=row["dispatch_id"],
        room_name=row["room_name"],
        room_sid=row["room_sid"],
        spec=DispatchSpec(
            agent_name=row["agent_name"],
            metadata=row["metadata"],
            attributes=row["attributes"],
            deployment=row["deployment"],
            restart_policy=RestartPolicy(row["restart_policy"]),
            implicit=row["implicit"],
        ),
        created_at_ns=row["created_at_ns"],
    )


def _job_row(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "dispatch_id": job.dispatch_id,
        "kind": int(job.kind),
        "outcome": job.outcome.value,
        "status": int(job.status),
        "reason": int(job.reason),
        "error": job.error,
        "participant_identity": job.participant_identity,
        "agent_identity": job.agent_identity,
        "namespace": job.namespace,
        "worker_id": job.worker_id,
        "api_key": job.api_key,
        "started_at_ns": job.started_at_ns,
        "ended_at_ns": job.ended_at_ns,
        "updated_at_ns": job.updated_at_ns,
    }


def _job(row: Mapping[str, Any]) -> Job:
    plain = {name: row[name] for name in row if name != "job_id"}
    plain.update(
        id=row["job_id"],
        kind=JobKind(row["kind"]),
        outcome=DispatchOutcome(row["outcome"]),
        status=JobStatus(row["status"]),
        reason=JobReason(row["reason"]),
    )
    return Job(**plain)
