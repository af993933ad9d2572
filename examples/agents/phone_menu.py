"""An agent that calls a phone menu and presses its way through.

The tool `send_dtmf_events` comes with livekit-agents; the digits reach the menu as telephone events
(RFC 4733), as if a person had pressed the keys.
"""

from __future__ import annotations

import json
import logging
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
from livekit.agents.beta.tools import send_dtmf_events

logger = logging.getLogger("phone-menu")

server = AgentServer()


class MenuCaller(Agent):
    """Finds out when a shop is open."""

    def __init__(self) -> None:
        super().__init__(
            instructions="You have called a shop and hear its phone menu. Choose the opening "
            "hours by pressing the key that it names, listen, and note what you have learnt.",
            tools=[send_dtmf_events],
        )

    @function_tool
    async def note_opening_hours(self, context: RunContext[None], hours: str) -> None:
        """Note the opening hours; that is all you wanted.

        Args:
            hours: what the menu said
        """
        logger.info("opening hours: %s", hours)
        context.session.shutdown()


@server.rtc_session(agent_name="phone-menu")
async def call_shop(ctx: JobContext) -> None:
    """One job: dial, choose, listen, hang up."""
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

    # When the session is over, so is the call.
    @session.on("close")
    def hang_up(_: object) -> None:
        ctx.delete_room()
        ctx.shutdown(reason="the menu was heard")

    await session.start(agent=MenuCaller(), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
