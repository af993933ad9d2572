"""One agent for both directions: a number in the metadata means dialling; who is called begins."""

import json
import os

from livekit import api
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli

server = AgentServer()


@server.rtc_session(agent_name="my-telephony-agent")
async def my_agent(ctx: JobContext) -> None:
    """Dial if there is a number; greet only if there is none."""
    phone_number = json.loads(ctx.job.metadata)["phone_number"] if ctx.job.metadata else None
    if phone_number is not None:
        try:
            await ctx.api.sip.create_sip_participant(
                api.CreateSIPParticipantRequest(
                    room_name=ctx.room.name,
                    sip_trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
                    sip_call_to=phone_number,
                    participant_identity=phone_number,
                    wait_until_answered=True,
                )
            )
            print("call picked up")
        except api.TwirpError as e:
            print(
                f"error: {e.message}, SIP status: {e.metadata.get('sip_status_code')} "
                f"{e.metadata.get('sip_status')}"
            )
            ctx.shutdown()
            return
    session = AgentSession(stt="deepgram/nova-3", llm="openai/gpt-4.1-mini", tts="cartesia/sonic-3")
    await session.start(agent=Agent(instructions="You are helpful."), room=ctx.room)
    if phone_number is None:
        await session.generate_reply(instructions="Greet the user and offer your assistance.")


if __name__ == "__main__":
    cli.run_app(server)
