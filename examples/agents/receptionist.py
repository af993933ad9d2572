"""An agent that takes the calls of a dental office.

A dispatch rule names it (`room_config.agents`), so that it comes into the room of each caller. The
caller hears the phone ring until it is there. It greets, looks appointments up, says goodbye, and
hangs up. Whose call it is stands in the attributes of the participant: `sip.phoneNumber`, and
`sip.ruleID`, which only callers have.
"""

from __future__ import annotations

import logging

from livekit import api, rtc
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

logger = logging.getLogger("receptionist")

APPOINTMENTS = {"maria lopez": "Tuesday at three in the afternoon"}

server = AgentServer()


class Receptionist(Agent):
    """Talks with one caller."""

    def __init__(self) -> None:
        super().__init__(
            instructions="""
            You are the receptionist of Bright Smile Dental, on the phone. Be brief and friendly.
            Greet the caller and ask how you can help. If somebody asks for an appointment, ask for
            the name and look it up with your tool. When there is nothing more to do, say goodbye
            and end the call with your tool.
            """
        )

    async def on_enter(self) -> None:
        """The agent speaks first."""
        await self.session.generate_reply(instructions="greet the caller")

    @function_tool
    async def find_appointment(self, context: RunContext[None], patient_name: str) -> str:
        """Look up when a patient has an appointment.

        Args:
            patient_name: first and last name of the patient
        """
        return APPOINTMENTS.get(patient_name.lower(), "nothing")

    @function_tool
    async def end_call(self, context: RunContext[None]) -> None:
        """Call this after you have said goodbye."""
        # What is being said while this is called is said to its end.
        await context.wait_for_playout()
        ctx = get_job_context()
        await ctx.api.room.delete_room(api.DeleteRoomRequest(room=ctx.room.name))


@server.rtc_session(agent_name="receptionist")
async def take_call(ctx: JobContext) -> None:
    """One job: one caller."""
    await ctx.connect()
    caller = await ctx.wait_for_participant()
    if caller.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP:
        logger.info("call from %s", caller.attributes.get("sip.phoneNumber", "somebody"))
    session = AgentSession[None](
        stt="deepgram/nova-3",
        llm="openai/gpt-4.1-mini",
        tts="cartesia/sonic-3",
        turn_handling={"turn_detection": "vad"},
    )
    await session.start(agent=Receptionist(), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
