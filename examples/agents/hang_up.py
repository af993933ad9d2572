"""An agent that ends the call itself, with the tool that livekit-agents brings for it.

EndCallTool lets the agent say goodbye, leaves the room, and then deletes it: the phone hears the
last word before it is hung up on.
"""

from __future__ import annotations

import json
import os

from livekit import api
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.agents.beta.tools import EndCallTool

server = AgentServer()


class Survey(Agent):
    """Asks one question."""

    def __init__(self) -> None:
        super().__init__(
            instructions="Ask whether the delivery came in time. When you have the answer, "
            "end the call.",
            tools=[EndCallTool(end_instructions="thank the customer and say goodbye")],
        )

    async def on_enter(self) -> None:
        """The agent speaks first."""
        await self.session.generate_reply(instructions="ask your question")


@server.rtc_session(agent_name="survey")
async def call_customer(ctx: JobContext) -> None:
    """One job: dial, ask, hang up."""
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
    await session.start(agent=Survey(), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
