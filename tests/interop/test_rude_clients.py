"""Clients that take no heed of others: each has a named end, and another room goes on as it was."""

from __future__ import annotations

import asyncio

import pytest
from livekit import api, rtc

from interop.clients import NEWEST, OLDER, ROOM, Client, joined, payload_of, token_for
from interop.datagrams import needs_private_network
from interop.server import Server
from switchroom.base.pace import Allowance
from switchroom.rooms.session import session

pytestmark = [pytest.mark.interop, needs_private_network]

NEEDS_OLDER = pytest.mark.skipif(
    OLDER.needs is not None and not OLDER.needs.exists(),
    reason="livekit 1.1.21 is missing: tools/set-up peers",
)
TURNS = 100
UPGRADE = (
    "GET /rtc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Authorization: Bearer {token}\r\n\r\n"
)


@NEEDS_OLDER
@pytest.mark.parametrize("reliable", [True, False], ids=["reliable", "lossy"])
async def test_a_flood_of_data_is_stopped_and_no_other_room_notices(
    server: Server, reliable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With less allowed than usual: the package itself can't send so very fast everywhere.

    Who sends too many reliable messages has to go; lossy ones are lost.
    """
    monkeypatch.setattr(session, "DATA", Allowance(rate=50, burst=300))
    async with (
        joined(server, NEWEST, "anna") as anna,
        joined(server, NEWEST, "ben") as ben,
        joined(server, NEWEST, "witness", token=token_for("witness", room="flooded")) as witness,
        joined(server, OLDER, "flooder", token=token_for("flooder", room="flooded")) as flooder,
    ):
        flood = asyncio.ensure_future(flooder.do("flood", size=1_000, reliable=reliable))
        assert await converse(anna, ben) == TURNS
        if reliable:
            await flooder.next("disconnected", reason=rtc.DisconnectReason.STATE_MISMATCH)
            await witness.next("left", who="flooder")
        flood.cancel()


async def converse(anna: Client, ben: Client) -> int:
    """Questions and answers, one after the other; how many were answered."""
    for number in range(TURNS):
        text = str(number).encode()
        await anna.send(text)
        assert payload_of(await ben.next("data")) == text
        await ben.send(text)
        assert payload_of(await anna.next("data")) == text
    return number + 1


async def test_a_client_that_does_not_read_its_socket_is_gone_and_the_others_read_on(
    server: Server,
) -> None:
    assert server.app is not None
    async with server.api() as service, joined(server, NEWEST, "anna") as anna:
        port = int(server.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(UPGRADE.format(token=token_for("deaf")).encode())
        assert b"101" in await reader.readline()
        await anna.next("came", who="deaf")
        for number in range(100):
            metadata = str(number) + "x" * 250_000
            await service.room.update_room_metadata(
                api.UpdateRoomMetadataRequest(room=ROOM, metadata=metadata)
            )
            told = await anna.next("room_metadata")
            assert told["now"] == metadata
            if anna.told("left", who="deaf"):
                break
        await anna.next("left", who="deaf")
        writer.transport.abort()
