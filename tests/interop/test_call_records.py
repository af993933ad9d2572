"""A call failed: why? Asked on the command line, of a server that SIPp's phone was called from."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from livekit import api
from livekit.protocol import sip as wire

from interop.server import KEY, SECRET, Server, call_to, server_here, server_process
from interop.sipp_phone import needs_sipp, receive, refusal, send, sipp_phone
from interop.test_crash import kill
from interop.test_documented_commands import SWITCHROOM, run

pytestmark = [pytest.mark.interop, needs_sipp]

PORT = 17880
SETTINGS = {"rtc__udp_port": 17882, "sip__port": 15060}
NUMBER = "+12025550155"
WHY = "The line is busy. (SIP 486 Busy Here)"


async def typed(server: Server, *words: str) -> str:
    """What a `switchroom` command about that server prints."""
    return await run(
        *(SWITCHROOM, "--url", server.url, "--api-key", KEY, "--api-secret", SECRET), *words
    )


async def refused_call(server: Server, address: str, **wishes: object) -> None:
    request = call_to(NUMBER, address, "hello")
    request.MergeFrom(wire.CreateSIPParticipantRequest(**wishes))  # type: ignore[arg-type]
    async with server.api() as livekit:
        with pytest.raises(api.TwirpError, match="486"):
            await livekit.sip.create_sip_participant(request)


async def test_why_a_call_failed_is_told_in_its_first_line_also_after_a_crash(
    tmp_path: Path,
) -> None:
    steps = refusal("486 Busy Here", 'Reason: Q.850;cause=17;text="User busy"')
    async with asyncio.timeout(180):
        async with server_process(tmp_path, PORT, **SETTINGS) as server:
            async with sipp_phone(tmp_path, steps) as phone:
                await refused_call(server, phone.address)
                assert await phone.finished() == 0
            (listed,) = json.loads(await typed(server, "call", "list", "--json"))
            assert listed["termination"]["sentence"] == WHY
            assert listed["remote_address"] == phone.address
            found = await typed(server, "call", "list", "--failed", "--number", NUMBER)
            assert _clock(listed["created_at"]) in found
            assert WHY in found
            before = await typed(server, "call", "show", listed["call_id"][:9])
            await kill(server)
        async with server_process(tmp_path, PORT, **SETTINGS) as server:
            after = await typed(server, "call", "show", listed["sip_call_id"])
    assert before.startswith(f"{WHY}\n\nCall")
    assert "SIP       486 Busy Here, Q.850 17 user busy\n" in before
    _assert_in_order(before, ["INVITE ──", "── 180 Ringing", "── 486 Busy Here", "ACK ──"])
    upper, _, ladder = after.partition("SIP messages\n")
    assert before.startswith(upper)
    assert ladder == "  none: the server keeps those of the last calls since its start\n"


async def test_a_call_that_is_up_is_listed_and_its_end_replaces_it(tmp_path: Path) -> None:
    steps = [
        receive("INVITE"),
        send("200 OK", codecs="0 101", repeat=True),
        *(receive("ACK"), receive("BYE"), send("200 OK")),
    ]
    async with server_here(tmp_path) as server, server.api() as livekit:
        async with sipp_phone(tmp_path, steps) as phone:
            placed = await livekit.sip.create_sip_participant(
                call_to(NUMBER, phone.address, "hello")
            )
            up = await typed(server, "call", "list", "--running")
            await livekit.room.remove_participant(
                api.RoomParticipantIdentity(room="hello", identity="phone")
            )
            assert await phone.finished() == 0
        over = await typed(server, "call", "list", "--room", "hello", "--json")
        shown = await typed(server, "call", "show", placed.sip_call_id)
    assert placed.sip_call_id[:9] in up
    assert "Still active." in up
    (call,) = json.loads(over)
    assert (call["call_id"], call["running"]) == (placed.sip_call_id, False)
    assert "PCMU/8000, not encrypted" in shown
    assert re.search(r"from the phone  \d+ packets, 0 lost \(0\.0 %\)", shown)


async def test_messages_are_shown_without_passwords_and_keys(tmp_path: Path) -> None:
    challenge = 'Proxy-Authenticate: Digest realm="carrier", nonce="n0nce", algorithm=MD5'
    steps = [
        receive("INVITE"),
        send("407 Proxy Authentication Required", headers=(challenge,)),
        receive("ACK"),
        *refusal("486 Busy Here"),
    ]
    trunk = wire.SIPOutboundConfig(auth_username="us3r", auth_password="s3cret")
    async with server_here(tmp_path) as server, sipp_phone(tmp_path, steps) as phone:
        await refused_call(
            server, phone.address, trunk=trunk, media_encryption=wire.SIP_MEDIA_ENCRYPT_REQUIRE
        )
        assert await phone.finished() == 0
        shown = await typed(server, "call", "show", "SCL_", "--messages")
    assert "  | Proxy-Authorization: (hidden)\n" in shown
    assert "inline:(hidden)" in shown
    assert 'nonce="n0nce"' in shown
    assert "us3r" not in shown


def _assert_in_order(text: str, parts: Sequence[str]) -> None:
    places = [text.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)


def _clock(told: str) -> str:
    return f"{datetime.fromisoformat(told).astimezone():%H:%M:%S}"
