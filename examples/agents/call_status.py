"""A program that dials without waiting and follows the call by its attributes.

`create_sip_participant` returns as soon as the phone is being dialled. What becomes of the call is
then told by the attribute `sip.callStatus` of its participant (dialing, ringing, automation,
active, hangup), and by the reason with which it leaves.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os

from livekit import api, rtc
from livekit.agents import AgentServer, AutoSubscribe, JobContext, cli

logger = logging.getLogger("call-status")

server = AgentServer()


@server.rtc_session(agent_name="call-status")
async def follow_call(ctx: JobContext) -> None:
    """One job: dial, tell each change, and end when the phone has gone."""
    number = json.loads(ctx.job.metadata)["phone_number"]
    gone = asyncio.Event()
    await ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)

    @ctx.room.on("participant_connected")
    def phone_joined(participant: rtc.RemoteParticipant) -> None:
        if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP:
            status = participant.attributes.get("sip.callStatus")
            logger.info("%s: joined with status %s", participant.identity, status)

    @ctx.room.on("participant_attributes_changed")
    def attributes_changed(changed: dict[str, str], participant: rtc.Participant) -> None:
        if "sip.callStatus" in changed:
            logger.info("%s: status %s", participant.identity, changed["sip.callStatus"])

    @ctx.room.on("participant_disconnected")
    def phone_left(participant: rtc.RemoteParticipant) -> None:
        reason = participant.disconnect_reason or rtc.DisconnectReason.UNKNOWN_REASON
        logger.info("%s: left, %s", participant.identity, rtc.DisconnectReason.Name(reason))
        gone.set()

    await ctx.api.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(
            room_name=ctx.room.name,
            sip_trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
            sip_call_to=number,
            participant_identity=number,
        )
    )
    await gone.wait()
    ctx.shutdown(reason="the phone has gone")


if __name__ == "__main__":
    cli.run_app(server)
