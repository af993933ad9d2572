"""Lets the load's WebRTC agents join rooms, by the public signal protocol."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import jwt
from livekit.protocol import models, rtc
from rig import Phones, Server
from websockets.asyncio.client import ClientConnection, connect

_PROTOCOL = 17


@asynccontextmanager
async def joined(server: Server, phones: Phones, agent: int, room: str) -> AsyncIterator[int]:
    """Agent `agent` in a room, publishing a track and hearing what is there when it comes.

    Yields when its request left, in nanoseconds since 1970; its media connects by itself.
    """
    offered = await phones.ask(f"agent {agent}", "offer", agent)
    request = _join_request(agent, offered["sdp"])
    url = f"ws://{server.host}:{server.port}/rtc/v1?join_request={quote(request)}"
    began = time.time_ns()
    headers = {"Authorization": f"Bearer {_token(server, agent, room)}"}
    async with connect(url, additional_headers=headers, compression=None) as socket:
        talking = asyncio.create_task(_talk(socket, phones, agent))
        try:
            yield began
        finally:
            talking.cancel()


async def _talk(socket: ClientConnection, phones: Phones, agent: int) -> None:
    """Answers go to the agent, and what it is asked to offer to the server."""
    offers = 1
    async for frame in socket:
        assert isinstance(frame, bytes)
        response = rtc.SignalResponse.FromString(frame)
        match response.WhichOneof("message"):
            case "answer":
                lines = response.answer.sdp.replace("\r\n", "\\n")
                phones.say(f"answer-agent {agent} {lines}")
            case "media_sections_requirement":
                offers += 1
                wanted = response.media_sections_requirement.num_audios
                sdp = await phones.ask(f"widen-agent {agent} {wanted}", "offer", agent)
                offer = rtc.SessionDescription(type="offer", sdp=sdp["sdp"], id=offers)
                await socket.send(rtc.SignalRequest(offer=offer).SerializeToString())
            case _:
                continue


def _join_request(agent: int, sdp: str) -> str:
    message = rtc.JoinRequest(
        client_info=models.ClientInfo(sdk=models.ClientInfo.PYTHON, protocol=_PROTOCOL),
        connection_settings=rtc.ConnectionSettings(auto_subscribe=True),
        publisher_offer=rtc.SessionDescription(type="offer", sdp=sdp, id=1),
        add_track_requests=[
            rtc.AddTrackRequest(
                cid=f"agent-{agent}",
                name="roomio_audio",
                type=models.AUDIO,
                source=models.MICROPHONE,
                disable_dtx=True,
                disable_red=True,
            )
        ],
    )
    wrapped = rtc.WrappedJoinRequest(join_request=message.SerializeToString())
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def _token(server: Server, agent: int, room: str) -> str:
    grants = {
        "iss": server.key,
        "sub": f"agent-{agent}",
        "kind": "agent",
        "exp": int(time.time()) + 86_400,
        "video": {"roomJoin": True, "room": room, "canPublish": True, "canSubscribe": True},
    }
    return jwt.encode(grants, server.secret, algorithm="HS256")
