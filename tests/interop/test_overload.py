"""A node that has as many calls as it bears: new ones are refused both ways, running ones go on."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path

import pytest
from livekit import api, rtc

from interop.hearing import Voice
from interop.server import call_to, server_here
from interop.test_serve import get
from interop.turns import takes_turns
from switchroom.phonenet.client import PhoneNetwork
from switchroom.phonenet.events import Ended, Hears

pytestmark = [pytest.mark.interop, takes_turns]

LISTENER = "+12025550103"
FLOOD = 500
"""Calls that come while one runs."""

INVITE = (
    "INVITE sip:+15550000000@{host}:{port} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {own};branch=z9hG4bK{mark}\r\n"
    "From: <sip:+15105550199@{own}>;tag={mark}\r\n"
    "To: <sip:+15550000000@{host}>\r\nCall-ID: {mark}@{own}\r\nCSeq: 1 INVITE\r\n"
    "Max-Forwards: 70\r\nContact: <sip:{own}>\r\nContent-Length: 0\r\n\r\n"
)


async def answer_to_an_invite(address: tuple[str, int], mark: str) -> str:
    """The first final response to a call from outside."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        own = "{}:{}".format(*phone.getsockname())
        text = INVITE.format(host=address[0], port=address[1], own=own, mark=mark)
        await loop.sock_sendto(phone, text.encode(), address)
        while True:
            answer = (await asyncio.wait_for(loop.sock_recv(phone, 65_536), 90)).decode()
            if not answer.startswith("SIP/2.0 1"):
                return answer


async def test_a_full_node_refuses_both_ways_and_its_call_goes_on(tmp_path: Path) -> None:
    async with (
        PhoneNetwork() as network,
        server_here(tmp_path, sip__max_active_calls=1) as server,
        server.api() as livekit,
    ):
        assert server.app is not None
        address = server.app._sip.bound[0]
        assert " 503 " not in (await answer_to_an_invite(address, "before")).splitlines()[0]
        first = await livekit.sip.create_sip_participant(
            call_to(LISTENER, network.address, "first")
        )
        with pytest.raises(api.TwirpError) as refused:
            await livekit.sip.create_sip_participant(call_to(LISTENER, network.address, "second"))
        assert refused.value.code == "unavailable"
        assert int(refused.value.metadata["retry_after"]) > 0
        assert [room.name for room in (await livekit.room.list_rooms(everything())).rooms] == [
            "first"
        ]
        turned_away = await answer_to_an_invite(address, "during")
        assert turned_away.startswith("SIP/2.0 503 ")
        assert re.search(r"^Retry-After: \d+\r$", turned_away, re.MULTILINE)
        assert await get(f"{server.url}/readyz") == "UnderLoad"
        await still_there(livekit, first)
        await livekit.room.delete_room(api.DeleteRoomRequest(room="first"))
        await network.expect(Ended)
        await server.app.telephony.running.until_idle(90)
        assert await get(f"{server.url}/readyz") == "OK"
        assert " 503 " not in (await answer_to_an_invite(address, "after")).splitlines()[0]


def everything() -> api.ListRoomsRequest:
    return api.ListRoomsRequest()


async def still_there(livekit: api.LiveKitAPI, phone: api.SIPParticipantInfo) -> None:
    found = await livekit.room.get_participant(
        api.RoomParticipantIdentity(room=phone.room_name, identity=phone.participant_identity)
    )
    assert found.attributes["sip.callStatus"] == "active"


async def test_a_flood_of_calls_to_a_full_node_leaves_the_sound_of_the_one_that_runs(
    tmp_path: Path,
) -> None:
    async with (
        PhoneNetwork() as network,
        server_here(tmp_path, sip__max_active_calls=1) as server,
        server.api() as livekit,
    ):
        assert server.app is not None
        address = server.app._sip.bound[0]
        room, voice = rtc.Room(), Voice(440, -20)
        await room.connect(server.ws_url, server.token("ann", "first"))
        await room.local_participant.publish_track(voice.track)
        async with voice.speaking():
            await livekit.sip.create_sip_participant(call_to(LISTENER, network.address, "first"))
            await network.expect(Hears, what="tone")
            answers = await answers_to_a_flood(address)
        await room.disconnect()
        await livekit.room.delete_room(api.DeleteRoomRequest(room="first"))
        ended = await network.expect(Ended)
    assert len(answers) == FLOOD
    assert all(answer.startswith("SIP/2.0 503 ") for answer in answers)
    assert all("\r\nRetry-After: " in answer for answer in answers)
    assert ended.lost == 0
    assert ended.heard.tone_hz == pytest.approx(440, abs=5)


async def answers_to_a_flood(address: tuple[str, int]) -> list[str]:
    """Fifty at a time, as fast as they are answered."""
    answers: list[str] = []
    for first in range(0, FLOOD, 50):
        marks = [f"flood{number}" for number in range(first, first + 50)]
        answers += await asyncio.gather(*(answer_to_an_invite(address, mark) for mark in marks))
    return answers


async def test_a_server_that_stops_takes_no_new_call_and_lets_the_running_one_end(
    tmp_path: Path,
) -> None:
    async with (
        PhoneNetwork() as network,
        server_here(tmp_path, shutdown__drain=60) as server,
        server.api() as livekit,
    ):
        assert server.app is not None
        address = server.app._sip.bound[0]
        phone = await livekit.sip.create_sip_participant(
            call_to(LISTENER, network.address, "first")
        )
        stopping = asyncio.create_task(server.app.stop())
        await asyncio.sleep(0)
        turned_away = await answer_to_an_invite(address, "late")
        assert turned_away.startswith("SIP/2.0 503 ")
        assert "\r\nRetry-After: " in turned_away
        with pytest.raises(api.TwirpError) as refused:
            await livekit.sip.create_sip_participant(call_to(LISTENER, network.address, "second"))
        assert refused.value.code == "unavailable"
        assert await get(f"{server.url}/readyz") == "Draining"
        assert await get(f"{server.url}/") == "Not Ready"
        assert await get(f"{server.url}/livez") == "OK"
        await still_there(livekit, phone)
        assert not stopping.done()
        await livekit.room.delete_room(api.DeleteRoomRequest(room="first"))
        await network.expect(Ended)
        await asyncio.wait_for(stopping, 90)
