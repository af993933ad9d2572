"""A hang-up that removes the phone from the room, and a voicemail tool that uses it."""

import json
import os

from livekit import agents, api, rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, function_tool

server = AgentServer()


class Assistant(Agent):
    """Leaves a message."""

    def __init__(self) -> None:
        super().__init__(instructions="You are a helpful assistant.")

    @function_tool
    async def detected_answering_machine(self) -> str:
        """Call this tool if you have detected a voicemail system, AFTER hearing the greeting."""
        await self.session.say("I will call back later. Goodbye.").wait_for_playout()
        await self.hangup_call()
        return "left a message"

    async def hangup_call(self) -> None:
        """Remove every phone from the room."""
        ctx = agents.job.get_current_job_context()
        if ctx is None:
            return
        for participant in ctx.room.remote_participants.values():
            if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP:
                await ctx.api.room.remove_participant(
                    api.RoomParticipantIdentity(room=ctx.room.name, identity=participant.identity)
                )


@server.rtc_session(agent_name="my-telephony-agent")
async def my_agent(ctx: JobContext) -> None:
    """Dial and talk."""
    await ctx.connect()
    await ctx.api.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(
            room_name=ctx.room.name,
            sip_trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
            sip_call_to=json.loads(ctx.job.metadata)["phone_number"],
            participant_identity="phone_user",
            wait_until_answered=True,
        )
    )
    session = AgentSession(stt="deepgram/nova-3", llm="openai/gpt-4.1-mini", tts="cartesia/sonic-3")
    await session.start(agent=Assistant(), room=ctx.room)


if __name__ == "__main__":
    agents.cli.run_app(server)
