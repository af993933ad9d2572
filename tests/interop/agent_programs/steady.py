"""An agent without models, for tests of what happens around a job: workers that die, drain, return.

It does what the metadata of its dispatch says:

    {}                        join the room and play 440 Hz until the room is over
    {"call": "+1202…"}        the same, and phone that number first
    {"fail": "before"}        raise before joining; "after": raise in the room
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
from array import array

from livekit import api, rtc
from livekit.agents import AgentServer, JobContext, cli

RATE = 48_000
FRAME = RATE // 50
TONE = 440

logger = logging.getLogger("steady")

# Any port for its health page: two of these workers share a machine in some tests.
server = AgentServer(port=0)


@server.rtc_session(agent_name="steady")
async def hold_a_tone(ctx: JobContext) -> None:
    """One job."""
    wishes = json.loads(ctx.job.metadata or "{}")
    logger.info("job %s begins in %s", ctx.job.id, ctx.job.room.name)
    if wishes.get("fail") == "before":
        raise RuntimeError("as wished, before joining")
    await ctx.connect()
    ctx.add_shutdown_callback(say_end)
    source = rtc.AudioSource(RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("tone", source)
    await ctx.room.local_participant.publish_track(track)
    if "call" in wishes:
        await dial(ctx, wishes["call"])
    if wishes.get("fail") == "after":
        raise RuntimeError("as wished, in the room")
    logger.info("job %s plays", ctx.job.id)
    ctx.room.on("disconnected", lambda reason: logger.info("left: %s", reason_name(reason)))
    ctx.room.on("reconnecting", lambda: logger.info("reconnecting"))
    ctx.room.on("reconnected", lambda: logger.info("reconnected"))
    ctx.tone = asyncio.create_task(play(source))  # type: ignore[attr-defined]


async def dial(ctx: JobContext, number: str) -> None:
    """Phone somebody into the room."""
    await ctx.api.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(
            room_name=ctx.room.name,
            sip_trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
            sip_call_to=number,
            participant_identity="phone",
            wait_until_answered=True,
        )
    )


async def play(source: rtc.AudioSource) -> None:
    """For ever; the source paces it."""
    turn = 2 * math.pi * TONE / RATE
    wave = array("h", (round(6000 * math.sin(turn * at)) for at in range(RATE)))
    while True:
        for start in range(0, RATE, FRAME):
            part = wave[start : start + FRAME].tobytes()
            await source.capture_frame(rtc.AudioFrame(part, RATE, 1, FRAME))


async def say_end(reason: str) -> None:
    """The last word of a job."""
    logger.info("job over: %s", reason)


def reason_name(reason: rtc.DisconnectReason.ValueType) -> str:
    """As the protocol writes it."""
    return rtc.DisconnectReason.Name(reason)


if __name__ == "__main__":
    cli.run_app(server)
