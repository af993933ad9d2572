"""Noise on every socket while a call runs: the call goes on, and nobody learns anything."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from livekit import api

from interop.server import Server, call_to, server_process
from switchroom.phonenet.client import PhoneNetwork
from switchroom.phonenet.events import Answered, Ended

pytestmark = pytest.mark.interop

PORT, RTC_PORT, SIP_PORT = 17890, 17892, 15070
ROOM = "garbage"
LISTENER, VANISHER = "+12025550103", "+12025550108"
ROUNDS = 300


def noise(seed: int) -> Iterator[bytes]:
    """Datagrams that mean nothing, and some that nearly mean something."""
    source = random.Random(seed)
    beginnings = (
        b"",
        b"\x80\x00",  # RTP
        b"\x80\xc8\x00\x06",  # RTCP
        b"\x00\x01\x00\x08\x21\x12\xa4\x42",  # STUN
        b"\x16\xfe\xfd\x00\x00",  # DTLS
        b"INVITE sip:a@b SIP/2.0\r\nVia: ",
        b"SIP/2.0 200 OK\r\n",
        b"\r\n\r\n",
    )
    while True:
        yield source.choice(beginnings) + source.randbytes(source.randrange(0, 1400))


async def test_noise_on_every_socket_disturbs_no_call(tmp_path: Path) -> None:
    async with asyncio.timeout(180), PhoneNetwork() as network:
        settings = {"rtc__udp_port": RTC_PORT, "sip__port": SIP_PORT}
        async with server_process(tmp_path, PORT, **settings) as server, server.api() as livekit:
            await livekit.sip.create_sip_participant(call_to(LISTENER, network.address, ROOM))
            answered = await network.expect(Answered)
            leg_port = int(answered.media.rpartition(":")[2])
            await asyncio.to_thread(shout, (RTC_PORT, SIP_PORT, leg_port, leg_port + 1))
            await asyncio.to_thread(shout_over_tcp, (PORT, SIP_PORT))
            await shout_at_the_signal_door(server)
            rooms = await livekit.room.list_rooms(api.ListRoomsRequest())
            assert {room.name: room.num_participants for room in rooms.rooms}[ROOM] == 1
            await livekit.room.delete_room(api.DeleteRoomRequest(room=ROOM))
            ended = await network.expect(Ended, call=answered.call)
        assert (ended.by, ended.heard.audible_seconds) == ("caller", 0)
        assert not [
            line for line in server.log if "Traceback" in line or '"level": "error"' in line
        ]


async def test_a_stranger_is_answered_with_no_more_than_he_sent(tmp_path: Path) -> None:
    async with server_process(tmp_path, PORT, rtc__udp_port=RTC_PORT, sip__port=SIP_PORT):
        sent, received = await asyncio.to_thread(talk_to, SIP_PORT, noise(7), ROUNDS)
        assert received <= sent
        sent, received = await asyncio.to_thread(talk_to, RTC_PORT, noise(8), ROUNDS)
        assert received == 0


async def test_a_carrier_that_vanishes_is_a_named_ending(tmp_path: Path) -> None:
    async with asyncio.timeout(180), PhoneNetwork() as network:
        settings = {"rtc__udp_port": RTC_PORT, "sip__port": SIP_PORT, "sip__media_timeout": 1}
        async with server_process(tmp_path, PORT, **settings) as server, server.api() as livekit:
            await livekit.sip.create_sip_participant(call_to(VANISHER, network.address, ROOM))
            answered = await network.expect(Answered)
            await network.expect(Ended, call=answered.call)
            await livekit.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        assert any('"ending": "media-timeout"' in line for line in server.log)


def shout(ports: tuple[int, ...]) -> None:
    """A burst of datagrams to each port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for port in ports:
            for datagram, _ in zip(noise(port), range(ROUNDS), strict=False):
                stranger.sendto(datagram, ("127.0.0.1", port))


def shout_over_tcp(ports: tuple[int, ...]) -> None:
    """Connections that say what no protocol says, and one that says nothing and stays."""
    for port in ports:
        for said, _ in zip(noise(port), range(20), strict=False):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as stranger:
                try:
                    stranger.sendall(said)
                    stranger.shutdown(socket.SHUT_WR)
                    while stranger.recv(65536):
                        pass
                except (ConnectionError, TimeoutError):
                    continue


async def shout_at_the_signal_door(server: Server) -> None:
    """A client with a good token that speaks no protobuf."""
    headers = {"Authorization": f"Bearer {server.token('noisy', 'another room')}"}
    query = "protocol=16&sdk=python&version=1.0.0&auto_subscribe=1"
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{server.ws_url}/rtc?{query}", headers=headers) as socket_:
            for said, _ in zip(noise(1), range(20), strict=False):
                await socket_.send_bytes(said)
            while (await socket_.receive()).type != aiohttp.WSMsgType.CLOSE:
                pass
        for path in ("/rtc", "/rtc/v1", "/twirp/livekit.SIP/CreateSIPParticipant", "/nothing"):
            async with session.post(f"{server.url}{path}", data=next(noise(2))) as response:
                assert response.status in (400, 401, 404)
                assert "Traceback" not in await response.text(errors="replace")


def talk_to(port: int, datagrams: Iterator[bytes], rounds: int) -> tuple[int, int]:
    """Bytes sent to a port and bytes that came back, once it has gone quiet."""
    sent = received = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram, _ in zip(datagrams, range(rounds), strict=False):
            sent += stranger.sendto(datagram, ("127.0.0.1", port))
        stranger.settimeout(1)
        while True:
            try:
                received += len(stranger.recv(65536))
            except TimeoutError:
                return sent, received
