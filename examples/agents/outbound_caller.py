"""An agent that phones the number it was dispatched with, and joins when somebody has answered.

Whom to call, and why, comes as the metadata of the dispatch:

    {"phone_number": "+12025550123", "bicycle": "red bicycle"}

While the phone rings, the agent is in nobody's ear: it joins the room after the answer. A call that
fails raises a TwirpError with the carrier's SIP status, and the job is over.
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

logger = logging.getLogger("outbound-caller")

server = AgentServer()


class BicycleShop(Agent):
    """Asks when a repaired bicycle will be collected."""

    def __init__(self, bicycle: str) -> None:
        super().__init__(
            instructions=f"You call for a bicycle shop. The customer's {bicycle} is repaired. "
            "When they answer, tell them, and ask when they will collect it. "
            "Note the time with your tool, thank them and say goodbye."
        )

    @function_tool
    async def note_collection(self, context: RunContext[None], time: str) -> str:
        """Note when the customer will come.

        Args:
            time: the time in the customer's own words
        """
        logger.info("the customer comes: %s", time)
        return "noted"


@server.rtc_session(agent_name="outbound-caller")
async def call_customer(ctx: JobContext) -> None:
    """One job: dial, and talk if somebody answers."""
    order = json.loads(ctx.job.metadata)
    try:
        await ctx.api.sip.create_sip_participant(
            api.CreateSIPParticipantRequest(
                room_name=ctx.room.name,
                sip_trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
                sip_call_to=order["phone_number"],
                participant_identity=order["phone_number"],
                wait_until_answered=True,
            )
        )
    except api.TwirpError as error:
        logger.warning(
            "nobody to talk to: %s (SIP %s %s)",
            error.message,
            error.metadata.get("sip_status_code"),
            error.metadata.get("sip_status"),
        )
        ctx.shutdown(reason="the call was not answered")
        return
    session = AgentSession[None](
        stt="deepgram/nova-3",
        llm="openai/gpt-4.1-mini",
        tts="cartesia/sonic-3",
        turn_handling={"turn_detection": "vad"},
    )
    # Who is called speaks first, as people do: nothing is said until they have.
    await session.start(agent=BicycleShop(order["bicycle"]), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
