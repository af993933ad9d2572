"""Agent jobs: how soon a worker has one, and a burst of them to four workers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import quantiles
from typing import Any

import jwt
import machine
import websockets.asyncio.client
from livekit.protocol import agent, agent_dispatch
from rig import FailedError, Rig, rig

_AGENT = "bench"
_JOBS = 200
_BURST = 200
_WORKERS = 4
_PATIENCE = 30.0


async def measure(*, quick: bool) -> dict[str, Any]:
    """All of it: half a minute; ``quick`` is one run each."""
    runs = 1 if quick else 3
    return {
        **machine.describe(),
        "runs": runs,
        "load_before": machine.load_average(),
        "latency": [await _latency(_JOBS // (4 if quick else 1)) for _ in range(runs)],
        "burst": [await _burst() for _ in range(runs)],
        "load_after": machine.load_average(),
    }


class _Worker:
    """A worker that takes every job and notes when it came (nanoseconds since 1970)."""

    def __init__(self, socket: websockets.asyncio.client.ClientConnection) -> None:
        self._socket = socket
        self.offered: dict[str, int] = {}
        self.assigned: Counter[str] = Counter()
        self.news = asyncio.Condition()

    async def work(self) -> None:
        """Serves until the connection ends."""
        async for data in self._socket:
            came = time.time_ns()
            assert isinstance(data, bytes)
            message = agent.ServerMessage.FromString(data)
            match message.WhichOneof("message"):
                case "availability":
                    job = message.availability.job
                    self.offered[job.dispatch_id] = came
                    yes = agent.AvailabilityResponse(job_id=job.id, available=True)
                    answer = agent.WorkerMessage(availability=yes)
                    await self._socket.send(answer.SerializeToString())
                case "assignment":
                    self.assigned[message.assignment.job.dispatch_id] += 1
            async with self.news:
                self.news.notify_all()

    async def until_assigned(self, dispatch_id: str) -> None:
        """Waits for the job of a dispatch."""
        async with asyncio.timeout(_PATIENCE), self.news:
            await self.news.wait_for(lambda: dispatch_id in self.assigned)


@asynccontextmanager
async def _worker(on: Rig) -> AsyncIterator[_Worker]:
    server = on.server
    grants = {"iss": server.key, "exp": int(time.time()) + 3600, "video": {"agent": True}}
    token = jwt.encode(grants, server.secret, algorithm="HS256")
    connect = websockets.asyncio.client.connect(
        f"ws://{server.host}:{server.port}/agent",
        additional_headers={"Authorization": f"Bearer {token}"},
        proxy=None,
    )
    async with connect as socket:
        register = agent.RegisterWorkerRequest(agent_name=_AGENT)
        await socket.send(agent.WorkerMessage(register=register).SerializeToString())
        await socket.recv()
        worker = _Worker(socket)
        working = asyncio.create_task(worker.work())
        yield worker
        working.cancel()


async def _create(on: Rig, room: str) -> tuple[agent_dispatch.AgentDispatch, int, int]:
    request = agent_dispatch.CreateAgentDispatchRequest(agent_name=_AGENT, room=room)
    answer = await on.api.call(
        *("AgentDispatchService", "CreateDispatch", request, agent_dispatch.AgentDispatch),
        room=room,
    )
    return answer.body, answer.sent, answer.returned


async def _latency(jobs: int) -> dict[str, Any]:
    """One dispatch after another, each into a new room."""
    after_room: list[float] = []
    after_post: list[float] = []
    async with rig() as on, _worker(on) as worker:
        for number in range(-10, jobs):
            dispatch, sent, _ = await _create(on, f"one-{number}")
            await worker.until_assigned(dispatch.id)
            came = worker.offered[dispatch.id]
            if number >= 0:
                after_room.append((came - dispatch.state.created_at) / 1e6)
                after_post.append((came - sent) / 1e6)
    figures = {"after_room": _percentiles(after_room), "after_post": _percentiles(after_post)}
    load = machine.load_average()
    p50 = figures["after_room"]["p50"]
    print(f"room to job p50 {p50:.2f} ms (load average {load:.2f})", flush=True)
    return {**figures, "jobs": jobs, "load": load}


async def _burst() -> dict[str, Any]:
    """All dispatches at once, each into a new room."""
    async with rig() as on, AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(_worker(on)) for _ in range(_WORKERS)]
        began = time.time_ns()
        made = await asyncio.gather(*(_create(on, f"burst-{number}") for number in range(_BURST)))
        posted = time.time_ns()
        for dispatch, _, _ in made:
            await _anybody(workers, dispatch.id)
        ended = max(time.time_ns(), posted)
        counts = _assigned(workers)
        lost = sum(1 for dispatch, _, _ in made if not counts[dispatch.id])
        doubled = sum(1 for count in counts.values() if count > 1)
        if lost or doubled:
            raise FailedError(f"{lost} dispatches lost, {doubled} doubled")
        share = sorted(worker.assigned.total() for worker in workers)
        seconds = (ended - began) / 1e9
    print(f"burst of {_BURST} to {_WORKERS} workers: {seconds * 1000:.0f} ms, {share}", flush=True)
    return {"seconds": seconds, "share": share, "lost": lost, "doubled": doubled}


async def _anybody(workers: list[_Worker], dispatch_id: str) -> None:
    """Waits until some worker has the job of a dispatch."""
    waiting = [asyncio.ensure_future(worker.until_assigned(dispatch_id)) for worker in workers]
    done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    for task in done:
        task.result()


def _assigned(workers: list[_Worker]) -> Counter[str]:
    return sum((worker.assigned for worker in workers), Counter())


def _percentiles(values: list[float]) -> dict[str, float]:
    cuts = quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98]}
