"""The client that livekit-agents pins, as a process of its own: it needs its own Python packages.

    python older_client.py WS_URL TOKEN

Joins, plays 700 Hz, sends `from the older client`, and writes what it heard and was sent, as one
line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys

from livekit import rtc

from interop.hearing import CLIENT_RATE, Voice, listen, windows

SECONDS = 4


async def main(url: str, token: str) -> None:
    room, voice = rtc.Room(), Voice(700, -20)
    tracks: asyncio.Queue[rtc.RemoteTrack] = asyncio.Queue()
    data: asyncio.Queue[rtc.DataPacket] = asyncio.Queue()
    room.on("track_subscribed", lambda track, *_: tracks.put_nowait(track))
    room.on("data_received", data.put_nowait)
    await room.connect(url, token)
    await room.local_participant.publish_track(voice.track)
    speaking = asyncio.create_task(voice.speak())
    heard = windows(await listen(await tracks.get(), SECONDS), CLIENT_RATE)
    await room.local_participant.publish_data(b"from the older client", reliable=True)
    told = (await data.get()).data.decode()
    tones = [[window.tone_hz, window.level_dbov, window.purity] for window in heard]
    sys.stdout.write(json.dumps({"version": rtc.__version__, "told": told, "heard": tones}) + "\n")
    speaking.cancel()
    await room.disconnect()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
