"""The whole server, put together: what a caller hears while it starts."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from switchroom.app import StartFailed, Switchroom
from switchroom.base.config import load_config

_INVITE = (
    "INVITE sip:+15550000000@127.0.0.1:{port} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {own};branch=z9hG4bKearly\r\n"
    "From: <sip:+15105550199@{own}>;tag=early\r\n"
    "To: <sip:+15550000000@127.0.0.1>\r\nCall-ID: early@{own}\r\nCSeq: 1 INVITE\r\n"
    "Max-Forwards: 70\r\nContact: <sip:{own}>\r\nContent-Length: 0\r\n\r\n"
)


async def test_a_call_that_comes_while_the_server_starts_is_to_come_again(tmp_path: Path) -> None:
    """Its trunks and rules are not read yet: to a carrier 404 would be the last word."""
    here = {"bind_addresses": "127.0.0.1", "rtc.node_ip": "127.0.0.1", "sip.listen_ip": "127.0.0.1"}
    free = dict.fromkeys(("port", "rtc.udp_port", "sip.port"), 0)
    kept = {"storage.url": f"sqlite:///{tmp_path}/a.db", "keys": f"key: {'s' * 32}"}
    server = Switchroom(load_config(overrides={**here, **free, **kept}))
    for name in ("database", "engine", "sip"):
        await server._parts[name].start()
        server._started.append(name)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        own, address = "{}:{}".format(*phone.getsockname()), server._sip.bound[0]
        invite = _INVITE.format(port=address[1], own=own)
        await loop.sock_sendto(phone, invite.encode(), address)
        answer = (await asyncio.wait_for(loop.sock_recv(phone, 65_536), 60)).decode()
    await server.stop()
    assert answer.startswith("SIP/2.0 503 ")
    assert "\r\nRetry-After: " in answer


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("storage.url", "mysql://host/db", "storage.url must name sqlite or postgresql"),
        ("sip.inbound.hold_music", "/nowhere.wav", "hold_music: there is no file /nowhere.wav"),
    ],
)
def test_a_setting_that_turns_out_to_be_of_no_use_is_told_in_a_sentence(
    setting: str, value: str, why: str
) -> None:
    config = load_config(overrides={"sip.inbound.answer": "hold_music", setting: value})
    with pytest.raises(StartFailed, match=why):
        Switchroom(config)
