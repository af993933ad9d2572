"""An agent that asks for a number which is keyed in on the phone.

GetDtmfTask collects the digits until all are there, a `#` comes, or no key was pressed for some
seconds.
"""

from __future__ import annotations

import json
import logging
import os

from livekit import api
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.agents.beta.workflows.dtmf_inputs import GetDtmfTask
from livekit.agents.llm import ToolError

logger = logging.getLogger("key-in-number")

server = AgentServer()


class MeterReading(Agent):
    """Takes the reading of an electricity meter."""

    def __init__(self) -> None:
        super().__init__(instructions="You take the readings of electricity meters.")

    async def on_enter(self) -> None:
        """Ask, collect, confirm, hang up."""
        ctx = self.session.userdata
        try:
            reading = await GetDtmfTask(
                num_digits=4,
                extra_instructions="Ask for the four digits of the meter, and for the hash key.",
            )
        except ToolError as error:
            logger.warning("no reading: %s", error.message)
            await self.session.say("I did not get four digits. Goodbye.")
        else:
            logger.info("the meter reads %s", reading.user_input)
            await self.session.say("Thank you. Your reading is noted. Goodbye.")
        ctx.delete_room()


@server.rtc_session(agent_name="key-in-number")
async def call_customer(ctx: JobContext) -> None:
    """One job: dial, ask, note."""
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
    session = AgentSession[JobContext](
        userdata=ctx,
        stt="deepgram/nova-3",
        llm="openai/gpt-4.1-mini",
        tts="cartesia/sonic-3",
        turn_handling={"turn_detection": "vad"},
    )
    await session.start(agent=MeterReading(), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
