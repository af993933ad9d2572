"""`RoomService.PerformRpc`: a program outside the room calls a method of an official client."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from livekit import api, rtc

from interop.server import KEY, SECRET, Server

pytestmark = pytest.mark.interop

ROOM = "methods"


async def perform(server: Server, method: str, payload: str, identity: str = "ann") -> Any:
    """As the SDKs speak Twirp; none of them has the method yet."""
    grants = api.VideoGrants(room_admin=True, room=ROOM)
    token = api.AccessToken(KEY, SECRET).with_grants(grants).to_jwt()
    request = {
        "room": ROOM,
        "destination_identity": identity,
        "method": method,
        "payload": payload,
        "response_timeout_ms": 60_000,
    }
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.post(f"{server.url}/twirp/livekit.RoomService/PerformRpc", json=request) as answer,
    ):
        return await answer.json()


async def test_a_method_is_called_its_failure_told_and_an_unknown_one_named(
    server: Server,
) -> None:
    room = rtc.Room()
    async with asyncio.timeout(180):
        await room.connect(server.ws_url, server.token("ann", ROOM))

        async def greet(call: rtc.RpcInvocationData) -> str:
            if call.payload == "nobody":
                raise rtc.RpcError(77, "there is nobody", "{}")
            return f"hello {call.payload}"

        room.local_participant.register_rpc_method("greet", greet)

        assert await perform(server, "greet", "wörld") == {"payload": "hello wörld"}
        failed = await perform(server, "greet", "nobody")
        assert (failed["msg"], failed["meta"]["rpc_code"]) == ("there is nobody", "77")
        unknown = await perform(server, "curse", "")
        assert (unknown["code"], unknown["meta"]["rpc_code"]) == ("unimplemented", "1400")
        assert (await perform(server, "greet", "", "bob"))["code"] == "not_found"
        await room.disconnect()
