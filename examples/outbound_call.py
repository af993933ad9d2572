"""Call a phone, wait until somebody answers, talk for a while, hang up.

Start ``switchroom dev`` first; it prints the trunk's id and the numbers that can be called. Then:

    python examples/outbound_call.py ST_xxxxxxxxxxxx +12025550100

The address and keys are those of ``switchroom dev``; LIVEKIT_URL, LIVEKIT_API_KEY and
LIVEKIT_API_SECRET point it at any other server that speaks LiveKit's protocols.
"""

from __future__ import annotations

import asyncio
import os
import sys

from livekit import api


async def main(trunk_id: str, number: str) -> int:
    async with api.LiveKitAPI(
        os.environ.get("LIVEKIT_URL", "http://127.0.0.1:7880"),
        os.environ.get("LIVEKIT_API_KEY", "devkey"),
        os.environ.get("LIVEKIT_API_SECRET", "secret"),
    ) as livekit:
        try:
            call = await livekit.sip.create_sip_participant(
                api.CreateSIPParticipantRequest(
                    sip_trunk_id=trunk_id,
                    sip_call_to=number,
                    room_name="outbound-call",
                    participant_identity="phone",
                    wait_until_answered=True,
                )
            )
        except api.TwirpError as refused:
            print("not answered:", refused.code, refused.metadata.get("sip_status", ""))
            return 1
        print("answered:", call.sip_call_id)
        await asyncio.sleep(5)
        await livekit.room.delete_room(api.DeleteRoomRequest(room="outbound-call"))
        print("hung up")
        return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(*sys.argv[1:])))
