"""Waits for whoever comes first, and chooses its models by the kind and the number of the caller.

Taught with a speech model for telephones; the names are those of the gateway here. The agent has no
name, so it comes into every new room by itself, as a course teaches; the room says whom to call.
"""

import json
import os

from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli

server = AgentServer()


@server.rtc_session
async def my_agent(ctx: JobContext) -> None:
    """Dial in the background, wait for the participant, look at it, talk."""
    await ctx.connect()
    ctx.add_sip_participant(
        call_to=json.loads(ctx.room.metadata)["phone_number"],
        trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
        participant_identity="phone_user",
    )
    participant = await ctx.wait_for_participant()
    stt = "deepgram/nova-3"
    if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP:
        if participant.attributes["sip.phoneNumber"].startswith("+1"):
            print("caller from +1")
        print("trunk:", participant.attributes["sip.trunkID"])
        print("rule:", participant.attributes.get("sip.ruleID"))
        stt = "deepgram/nova-2-phonecall"
    session = AgentSession(stt=stt, llm="openai/gpt-4.1-mini", tts="cartesia/sonic-3")
    await session.start(agent=Agent(instructions="You are helpful."), room=ctx.room)
    await session.say("Hello, how can I help you today?")


if __name__ == "__main__":
    cli.run_app(server)
