"""What a program does to get an agent onto the phone, with the official SDK."""

from __future__ import annotations

import asyncio
import json

from livekit import api
from livekit.protocol.agent import Job
from livekit.protocol.agent_dispatch import AgentDispatch

NUMBER = "+12025550123"


async def trunk_to(lk: api.LiveKitAPI, address: str) -> str:
    """The id of a new trunk whose calls all reach the phone at `address`."""
    trunk = api.SIPOutboundTrunkInfo(name="tests", address=address, numbers=["+12025550100"])
    made = await lk.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=trunk))
    return made.sip_trunk_id


async def dispatch(lk: api.LiveKitAPI, agent: str, room: str, **metadata: object) -> AgentDispatch:
    """Ask for an agent in a room, as `lk dispatch create` does."""
    return await lk.agent_dispatch.create_dispatch(
        api.CreateAgentDispatchRequest(
            agent_name=agent, room=room, metadata=json.dumps(metadata) if metadata else ""
        )
    )


async def jobs_of(lk: api.LiveKitAPI, room: str) -> list[Job]:
    """The jobs of all dispatches of a room, the oldest first."""
    return [
        job for listed in await lk.agent_dispatch.list_dispatch(room) for job in listed.state.jobs
    ]


async def job_with(lk: api.LiveKitAPI, room: str, status: int) -> Job:
    """The first job of a room that has this status, once there is one."""
    async with asyncio.timeout(180):
        while True:
            for job in await jobs_of(lk, room):
                if job.state.status == status:
                    return job
