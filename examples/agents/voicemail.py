"""An agent that recognises a voicemail by its greeting, leaves a message and hangs up.

The model decides: it has a tool for it. The message is spoken to its end before the room, and with
it the call, is ended.
"""

from __future__ import annotations

import json
import os

from livekit import api
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, function_tool
from livekit.agents.job import get_job_context

MESSAGE = "This is the library. The book that you asked for is here. Goodbye."

server = AgentServer()


async def hang_up() -> None:
    """End the call for everybody."""
    ctx = get_job_context()
    await ctx.api.room.delete_room(api.DeleteRoomRequest(room=ctx.room.name))


class Library(Agent):
    """Tells a reader, or the reader's voicemail, that a book has come."""

    def __init__(self) -> None:
        super().__init__(
            instructions="You call for a library: a book has come for the person you call. "
            "If you hear a voicemail greeting, use the tool for it."
        )

    @function_tool
    async def detected_answering_machine(self) -> None:
        """Call this when a voicemail has answered, after its greeting."""
        await self.session.say(MESSAGE, allow_interruptions=False).wait_for_playout()
        await hang_up()


@server.rtc_session(agent_name="voicemail")
async def call_reader(ctx: JobContext) -> None:
    """One job: dial, and listen to who or what answers."""
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
    await session.start(agent=Library(), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
