"""An agent whose own tool ends the call: it waits until all was said, then deletes the room.

The job is in the room until the end, and everybody leaves it at once. `hang_up.py` does the same
with the tool that livekit-agents brings.
"""

from __future__ import annotations

import json
import os

from livekit import api
from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    JobContext,
    RunContext,
    cli,
    function_tool,
)
from livekit.agents.job import get_job_context

server = AgentServer()


class Reminder(Agent):
    """Reminds of a parcel."""

    def __init__(self) -> None:
        super().__init__(
            instructions="Remind the customer that a parcel is waiting at the post office. "
            "When they have understood, say goodbye and end the call with your tool."
        )

    async def on_enter(self) -> None:
        """The agent speaks first."""
        await self.session.generate_reply(instructions="remind the customer")

    @function_tool
    async def end_call(self, context: RunContext[None]) -> None:
        """Call this after you have said goodbye."""
        await context.wait_for_playout()
        ctx = get_job_context()
        await ctx.api.room.delete_room(api.DeleteRoomRequest(room=ctx.room.name))


@server.rtc_session(agent_name="reminder")
async def call_customer(ctx: JobContext) -> None:
    """One job: dial, remind, hang up."""
    number = json.loads(ctx.job.metadata)["phone_number"]
    await ctx.api.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(
            room_name=ctx.room.name,
            sip_trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
            sip_call_to=number,
            participant_identity=number,
            wait_until_answered=True,
        )
    )
    session = AgentSession[None](
        stt="deepgram/nova-3",
        llm="openai/gpt-4.1-mini",
        tts="cartesia/sonic-3",
        turn_handling={"turn_detection": "vad"},
    )
    await session.start(agent=Reminder(), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
