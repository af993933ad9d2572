"""Waits for the answer by looking at the attribute again and again, as a support thread advises."""

import asyncio
import json
import os
from time import perf_counter

from livekit import api
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli

server = AgentServer()


@server.rtc_session(agent_name="my-telephony-agent")
async def my_agent(ctx: JobContext) -> None:
    """Dial without waiting, poll, then greet."""
    await ctx.connect()
    user_identity = "phone_user"
    await ctx.api.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(
            room_name=ctx.room.name,
            sip_trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
            sip_call_to=json.loads(ctx.job.metadata)["phone_number"],
            participant_identity=user_identity,
        )
    )
    participant = await ctx.wait_for_participant(identity=user_identity)
    start_time = perf_counter()
    while perf_counter() - start_time < 30:
        call_status = participant.attributes.get("sip.callStatus", None)
        if call_status == "active":
            print("user has picked up")
            break
        if call_status == "automation":
            print("automation is playing digits")
        elif call_status == "hangup":
            print("user hung up")
            break
        # Polling is what is taught here (ASYNC110 would want an event).
        await asyncio.sleep(0.1)
    session = AgentSession(stt="deepgram/nova-3", llm="openai/gpt-4.1-mini", tts="cartesia/sonic-3")
    await session.start(agent=Agent(instructions="You are helpful."), room=ctx.room)
    await session.say("Hello, how can I help you today?")


if __name__ == "__main__":
    cli.run_app(server)
