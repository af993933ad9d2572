"""Rooms and agents behind a real port, time by hand, and workers that do as a test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

import websockets.asyncio.client
from livekit import api
from livekit.protocol import agent

from switchroom.agents.dispatcher import Dispatcher
from switchroom.agents.events import JobEvent
from switchroom.api.agent_socket import AgentSockets
from switchroom.api.dispatch_service import DispatchService
from switchroom.api.listener import HttpListener
from switchroom.api.room_service import RoomService
from switchroom.api.server import build_app
from switchroom.auth.tokens import TokenVerifier
from switchroom.base.config import Config
from switchroom.media import Engine
from switchroom.rooms.dispatches import Dispatch, DispatchRecord, Job
from switchroom.rooms.info import ParticipantKind, Permissions, RoomSpec
from switchroom.rooms.local import LocalParticipantSpec, Seat
from switchroom.rooms.participant import Participant
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.registry import Rooms
from switchroom.rooms.room import Room
from unit.rooms.fake_engine import FakeEngine
from unit.rooms.house import MemoryStore, Phone, Recorder, Time

KEY, SECRET = "devkey", "secret-that-is-long-enough-for-hs256"
OTHER_KEY, OTHER_SECRET = "otherkey", "another-secret-long-enough-for-hs256"
ROOM = "call"


class MemoryDispatches:
    """A DispatchStore in dictionaries."""

    def __init__(self) -> None:
        self.dispatches: dict[str, Dispatch] = {}
        self.jobs: dict[str, Job] = {}

    async def load(self) -> Sequence[DispatchRecord]:
        return [
            DispatchRecord(one, tuple(j for j in self.jobs.values() if j.dispatch_id == one.id))
            for one in self.dispatches.values()
        ]

    def save(self, dispatch: Dispatch) -> None:
        self.dispatches[dispatch.id] = dispatch

    async def save_durably(self, dispatch: Dispatch) -> None:
        self.save(dispatch)

    def save_job(self, job: Job) -> None:
        self.jobs[job.id] = job

    async def delete_jobs(self, job_ids: Collection[str]) -> None:
        for one in job_ids:
            self.jobs.pop(one, None)

    async def delete(self, dispatch_ids: Collection[str]) -> None:
        for one in dispatch_ids:
            self.dispatches.pop(one, None)
        self.jobs = {j.id: j for j in self.jobs.values() if j.dispatch_id not in dispatch_ids}


@dataclass
class Kept:
    """What is on disk when a server is gone."""

    rooms: MemoryStore = field(default_factory=MemoryStore)
    dispatches: MemoryDispatches = field(default_factory=MemoryDispatches)


class TimeOfDay(Time):
    """Time by hand that begins now: the tokens of the official SDK are of today."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.time_ns() - int(self.now * 1e9)

    def unix_ns(self) -> int:
        return self._began + int(self.now * 1e9)


class House:
    """One server, without media and telephony."""

    def __init__(self, kept: Kept | None = None, draw: float = 0.0) -> None:
        self.kept = kept or Kept()
        self.time = TimeOfDay()
        self.events: list[JobEvent] = []
        self.draw = draw
        self.draws = 0
        self.rooms = Rooms(
            cast("Engine", FakeEngine()),
            Config(),
            self.time,
            self.kept.rooms,
            timers=self.time,
        )
        tokens = TokenVerifier({KEY: SECRET, OTHER_KEY: OTHER_SECRET}, self.time)
        self.agents = Dispatcher(
            self.rooms,
            tokens,
            self.kept.dispatches,
            wait=10.0,
            listeners=(self.events.append,),
            draw=self._drawn,
        )
        self.rooms.attended_by(self.agents)
        self._listener = HttpListener(
            build_app(
                tokens=tokens,
                clock=self.time,
                services=(RoomService(self.rooms), DispatchService(self.rooms, self.agents)),
                routes=AgentSockets(self.agents).routes,
            ),
            ("127.0.0.1",),
            0,
        )

    def _drawn(self) -> float:
        self.draws += 1
        return self.draw

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.port}"

    async def start(self) -> None:
        await self.agents.start()
        await self.rooms.start()
        await self._listener.start()

    async def stop(self) -> None:
        self.agents.drain()
        await self.agents.stop()
        await self.rooms.stop()
        await self._listener.stop()

    def api(self, key: str = KEY, secret: str = SECRET) -> api.LiveKitAPI:
        """The official SDK, pointed here. Close it."""
        return api.LiveKitAPI(self.url, key, secret)

    def open(self, name: str = ROOM, configuration: str = "") -> Room:
        """A room, made as a joining client makes it."""
        return self.rooms.find_or_create(RoomSpec(name, configuration=configuration))

    async def dispatch(self, agent_name: str = "clerk", room: str = ROOM, **fields: Any) -> str:
        """CreateDispatch by the official SDK; the id of the dispatch."""
        async with self.api() as livekit:
            request = api.CreateAgentDispatchRequest(agent_name=agent_name, room=room, **fields)
            return (await livekit.agent_dispatch.create_dispatch(request)).id

    async def jobs(self, dispatch_id: str, room: str = ROOM) -> list[agent.Job]:
        """The jobs of a dispatch as ListDispatch tells them."""
        async with self.api() as livekit:
            found = await livekit.agent_dispatch.get_dispatch(dispatch_id, room)
            return list(found.state.jobs) if found else []

    def person(self, identity: str, room: str = ROOM, **facts: Any) -> tuple[Participant, Recorder]:
        """Somebody joins with a client, and is connected."""
        member = Recorder()
        participant = Participant(identity, member, **facts)
        there = self.open(room)
        there.join(participant)
        there.activate(participant)
        return participant, member

    def agent(self, identity: str, room: str = ROOM) -> tuple[Participant, Recorder]:
        """An agent joins with the token of its job."""
        permissions = Permissions(agent=True)
        return self.person(identity, room, kind=ParticipantKind.AGENT, permissions=permissions)

    def leave(
        self,
        participant: Participant,
        reason: DisconnectReason = DisconnectReason.CLIENT_INITIATED,
        room: str = ROOM,
    ) -> None:
        """A participant leaves."""
        self.rooms.get(room).leave(participant, reason)

    async def phone(self, identity: str = "phone", room: str = ROOM) -> tuple[Seat, Phone]:
        """A phone joins."""
        phone = Phone()
        return self.rooms.join_local(LocalParticipantSpec(room, identity), phone), phone

    @asynccontextmanager
    async def worker(
        self, agent_name: str = "clerk", *, key: str = KEY, secret: str = SECRET, **register: Any
    ) -> AsyncIterator[Worker]:
        """A worker that is registered."""
        async with self.socket(key=key, secret=secret) as worker:
            await worker.register(agent_name, **register)
            yield worker
        async with asyncio.timeout(60):
            while worker.id in self.agents.desk.workers:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0)

    @asynccontextmanager
    async def socket(
        self,
        *,
        key: str = KEY,
        secret: str = SECRET,
        grants: Mapping[str, bool] = MappingProxyType({"agent": True}),
    ) -> AsyncIterator[Worker]:
        """A connection to `/agent` on which nothing was said yet."""
        token = api.AccessToken(key, secret)
        token = token.with_grants(api.VideoGrants(**grants))  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {token.to_jwt()}"}
        address = "ws" + self.url.removeprefix("http") + "/agent"
        connect = websockets.asyncio.client.connect(
            address, additional_headers=headers, max_size=None, proxy=None
        )
        async with connect as socket:
            yield Worker(socket)


class Worker:
    """A worker's side of one connection. It answers only what a test lets it answer."""

    def __init__(self, socket: websockets.asyncio.client.ClientConnection) -> None:
        self.socket = socket
        self.id = ""

    async def say(self, **message: Any) -> None:
        """Send a WorkerMessage."""
        await self.socket.send(agent.WorkerMessage(**message).SerializeToString())

    async def hear(self) -> agent.ServerMessage:
        """The next message, whatever it is."""
        async with asyncio.timeout(60):
            data = await self.socket.recv()
        assert isinstance(data, bytes)
        return agent.ServerMessage.FromString(data)

    async def expect(self, kind: str) -> Any:
        """The next message, which is of that kind."""
        message = await self.hear()
        assert message.WhichOneof("message") == kind, message
        return getattr(message, kind)

    async def nothing(self) -> None:
        """Nothing had been sent to it by now: an answer to a ping comes first."""
        await self.say(ping=agent.WorkerPing(timestamp=7))
        assert (await self.expect("pong")).last_timestamp == 7

    def cut(self) -> None:
        """Lose the line, without a close frame."""
        self.socket.transport.abort()

    async def closed(self) -> str:
        """Read until the server closes; the reason it gives."""
        async with asyncio.timeout(60):
            async for _ in self.socket:
                pass
        return self.socket.close_reason or ""

    async def register(self, agent_name: str, **fields: Any) -> None:
        await self.say(register=agent.RegisterWorkerRequest(agent_name=agent_name, **fields))
        self.id = (await self.expect("register")).worker_id

    async def offer(self) -> agent.Job:
        """The job that it is offered next."""
        return cast("agent.Job", (await self.expect("availability")).job)

    async def answer(self, job: agent.Job, *, available: bool = True, **fields: Any) -> None:
        await self.say(
            availability=agent.AvailabilityResponse(job_id=job.id, available=available, **fields)
        )

    async def take(self, **fields: Any) -> agent.JobAssignment:
        """Accept the next offer and get the assignment."""
        await self.answer(await self.offer(), **fields)
        return cast("agent.JobAssignment", await self.expect("assignment"))

    async def busy(self, *, full: bool, load: float = 0.5) -> None:
        """Say how busy it is, and wait until that is known."""
        status = agent.WS_FULL if full else agent.WS_AVAILABLE
        await self.say(update_worker=agent.UpdateWorkerStatus(status=status, load=load))
        await self.nothing()
