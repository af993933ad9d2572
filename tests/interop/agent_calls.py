"""A call by an agent: its worker, its models on this machine, a person at a phone not of ours."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from livekit import api
from livekit.protocol import models

from interop.agents import START, Worker, agent_worker, javascript_worker
from interop.dispatching import NUMBER, dispatch, trunk_to
from interop.server import KEY, SECRET, Server
from interop.talking_phone import TalkingPhone, talking_phone
from switchroom.offline.journal import Replied, to_line
from switchroom.offline.server import Gateway

ROOM = "call"
PATIENCE = 120.0


@dataclass
class AgentCall:
    """Everybody who takes part."""

    lk: api.LiveKitAPI
    person: TalkingPhone
    gateway: Gateway
    worker: Worker

    async def begin(self, agent: str, room: str = ROOM, **metadata: object) -> None:
        """Dispatch the agent, with the person's number, and let the person take the call.

        An agent without a name comes by itself into a new room, whose metadata has the number.
        """
        if agent:
            await dispatch(self.lk, agent, room, phone_number=NUMBER, **metadata)
        else:
            facts = json.dumps({"phone_number": NUMBER, **metadata})
            await self.lk.room.create_room(api.CreateRoomRequest(name=room, metadata=facts))
        await self.person.is_called()

    async def is_listened_to(self, room: str = ROOM) -> None:
        """Until the agent has its session, which is when it has a voice in the room.

        An agent that dials first joins only after the answer, and a busy machine takes its time; a
        machine that answers says its words once.
        """
        async with asyncio.timeout(PATIENCE):
            while not await self._agent_has_a_voice(room):  # noqa: ASYNC110  the API tells nothing
                await asyncio.sleep(0.1)

    async def _agent_has_a_voice(self, room: str) -> bool:
        listing = api.ListParticipantsRequest(room=room)
        people = (await self.lk.room.list_participants(listing)).participants
        return any(who.kind == models.ParticipantInfo.AGENT and who.tracks for who in people)

    async def leaves_no_room(self, room: str = ROOM) -> None:
        """Until the room is gone."""
        listing = api.ListRoomsRequest(names=[room])
        async with asyncio.timeout(PATIENCE):
            while (await self.lk.room.list_rooms(listing)).rooms:  # noqa: ASYNC110  as above
                await asyncio.sleep(0.1)

    def told(self) -> str:
        """What everybody knows of the call, for a failure's message."""
        events = "\n".join(map(to_line, self.gateway.journal.events))
        return f"{events}\nthe phone heard {self.person.heard}\n{self.worker.told()}\n"

    @property
    def tools(self) -> list[str]:
        """The tools that the model has called, in order."""
        events = self.gateway.journal.events
        return [event.tool for event in events if isinstance(event, Replied) and event.tool]


def worker_of(
    file: Path, url: str, inference: str, trunk: str, mode: Sequence[str] = START
) -> AbstractAsyncContextManager[Worker]:
    """Start a program in the language that it is written in; `mode` is for those in Python."""
    if file.suffix == ".mjs":
        return javascript_worker(file, url, inference, LIVEKIT_SIP_OUTBOUND_TRUNK=trunk)
    return agent_worker(file, url, inference, mode, LIVEKIT_SIP_OUTBOUND_TRUNK=trunk)


@asynccontextmanager
async def agent_call(
    server: Server,
    folder: Path,
    program: Path,
    script: Path,
    *,
    person_listens_for: Sequence[str],
    url: str = "",
    mode: Sequence[str] = START,
) -> AsyncIterator[AgentCall]:
    """An agent's program is registered, with its script, and a phone waits for its call.

    `url` is where the program reaches the server, if not at its own address; `mode` is how a
    program in Python is started.
    """
    async with (
        server.api() as lk,
        talking_phone(folder / "person", person_listens_for) as person,
        Gateway(script, keys={KEY: SECRET}) as gateway,
        worker_of(
            *(program, url or server.ws_url, gateway.inference_url),
            *(await trunk_to(lk, person.address), mode),
        ) as worker,
    ):
        call = AgentCall(lk, person, gateway, worker)
        try:
            yield call
        except BaseException:
            sys.stdout.write(call.told())
            raise
