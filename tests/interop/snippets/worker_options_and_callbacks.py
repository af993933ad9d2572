"""The older way: WorkerOptions, connect first, a dial that does not wait, callbacks of the room.

Taught as a plain `def`, which can't await; this is the form that runs.
"""

import json
import os

from livekit import agents, api, rtc
from livekit.agents import Agent, AgentSession, AutoSubscribe


async def entrypoint(ctx: agents.JobContext) -> None:
    """Dial, watch the attributes, talk when the phone is there."""
    await ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)
    phone_number = json.loads(ctx.job.metadata)["phone_number"]

    @ctx.room.on("participant_attributes_changed")
    def on_attributes_changed(
        changed_attributes: dict[str, str], participant: rtc.Participant
    ) -> None:
        if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP:
            print("call status:", participant.attributes.get("sip.callStatus"))

    @ctx.room.on("participant_disconnected")
    def on_participant_disconnected(participant: rtc.RemoteParticipant) -> None:
        print("disconnected:", participant.identity, participant.disconnect_reason)

    await ctx.api.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(
            room_name=ctx.room.name,
            sip_trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
            sip_call_to=phone_number,
            participant_identity="phone_user",
        )
    )
    participant = await ctx.wait_for_participant(identity="phone_user")
    print("participant joined:", participant.identity)
    session = AgentSession(stt="deepgram/nova-3", llm="openai/gpt-4.1-mini", tts="cartesia/sonic-3")
    await session.start(agent=Agent(instructions="You are helpful."), room=ctx.room)
    await session.say("Hello, how can I help you today?")


if __name__ == "__main__":
    agents.cli.run_app(
        agents.WorkerOptions(entrypoint_fnc=entrypoint, agent_name="my-telephony-agent")
    )
