"""An agent that finds out who has answered, a person or a machine, before it says a word.

AMD, the detector that comes with livekit-agents, holds the agent's speech back while it listens: a
short "hello" is a person at once, and the agent answers it; a longer greeting is judged by the
model, and a voicemail gets a message.
"""

from __future__ import annotations

import json
import logging
import os

from livekit import api
from livekit.agents import AMD, Agent, AgentServer, AgentSession, AMDCategory, JobContext, cli

logger = logging.getLogger("answering-machine")

MESSAGE = "This is a message from the town. Your road is closed tomorrow. Goodbye."

server = AgentServer()


@server.rtc_session(agent_name="answering-machine")
async def announce(ctx: JobContext) -> None:
    """One job: dial, find out who is there, and say the right thing."""
    number = json.loads(ctx.job.metadata)["phone_number"]
    session = AgentSession[None](
        stt="deepgram/nova-3",
        llm="openai/gpt-4.1-mini",
        tts="cartesia/sonic-3",
        turn_handling={"turn_detection": "vad"},
    )
    await session.start(agent=Agent(instructions="You announce closed roads."), room=ctx.room)
    async with AMD(session, participant_identity=number) as detector:
        try:
            await ctx.api.sip.create_sip_participant(
                api.CreateSIPParticipantRequest(
                    room_name=ctx.room.name,
                    sip_trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
                    sip_call_to=number,
                    participant_identity=number,
                    wait_until_answered=True,
                )
            )
        except api.TwirpError as error:
            logger.warning("not answered: %s", error.message)
            ctx.shutdown(reason="the call was not answered")
            return
        verdict = await detector.execute()
    logger.info("answered by: %s (%s)", verdict.category.value, verdict.reason)
    if verdict.category == AMDCategory.MACHINE_VM:
        await session.say(MESSAGE, allow_interruptions=False).wait_for_playout()
    if verdict.is_machine:
        await ctx.delete_room()
        ctx.shutdown(reason="no person there")


if __name__ == "__main__":
    cli.run_app(server)
