"""`switchroom serve` as operators run it: LiveKit's files, certificates, figures, a full node."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import copy

import httpx
import pytest
from livekit import api

from interop.server import KEY, SECRET, Server, call_to, server_here
from switchroom.phonenet.client import PhoneNetwork
from switchroom.phonenet.events import Ended
from unit.base.pem_files import make, put_in_place

pytestmark = pytest.mark.interop

SWITCHROOM = Path(sys.executable).with_name("switchroom")
LISTENER = "+12025550103"
SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)$", re.MULTILINE)


class Process:
    """A server started with its own command line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[dict[str, object]] = []

    async def until(self, event: str) -> dict[str, object]:
        """Read the log up to a line of this event."""
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == event:
                return self.log[-1]
        raise AssertionError(f"no {event!r} in {self.log}")


@asynccontextmanager
async def served(*arguments: str, env: Mapping[str, str]) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        SWITCHROOM, "serve", *arguments, stderr=asyncio.subprocess.PIPE, env=dict(env)
    )
    try:
        async with asyncio.timeout(60):
            yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def ports(count: int) -> list[int]:
    """Free TCP ports; nobody else uses this network."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return found


async def get(url: str, trust: str = "", credentials: tuple[str, str] | None = None) -> str:
    context = ssl.create_default_context(cafile=trust or None)
    async with httpx.AsyncClient(verify=context, trust_env=False, auth=credentials) as client:
        return (await client.get(url)).text


async def test_both_of_livekits_files_start_a_server_that_says_what_it_leaves_out(
    tmp_path: Path,
) -> None:
    port, figures, health, udp, sip = ports(5)
    server_file, sip_file = tmp_path / "livekit.yaml", tmp_path / "sip.yaml"
    server_file.write_text(
        f"port: {port}\nbind_addresses: ['127.0.0.1']\nredis: {{address: 'localhost:6379'}}\n"
        f"rtc: {{udp_port: {udp}, tcp_port: 7881, use_external_ip: false}}\n"
        f"keys: {{{KEY}: {SECRET}}}\nlogging: {{json: true, pion_level: error}}\n"
        f"prometheus: {{port: {figures}, username: prom, password: hunter2}}\n"
        "turn: {enabled: true, domain: turn.example.com}\n"
    )
    sip_file.write_text(
        f"api_key: {KEY}\napi_secret: {SECRET}\nws_url: ws://localhost:{port}\n"
        f"redis: {{address: 'localhost:6379'}}\nsip_port: {sip}\nhealth_port: {health}\n"
        "rtp_port: 21000-21100\nlog_level: info\n"
    )
    env = {"SWITCHROOM_STORAGE_URL": f"sqlite:///{tmp_path / 's.db'}", "PATH": "/usr/bin:/bin"}
    arguments = ("--config", str(server_file), "--sip-config", str(sip_file))
    async with served(*arguments, env=env) as running:
        await running.until("ready")
        notices = [str(line["event"]) for line in running.log if line["room"] == "config"]
        said = [notice.partition(" in ")[0] for notice in notices]
        assert said == ["redis", "rtc.tcp_port", "logging.pion_level", "turn", "ws_url", "redis"]
        async with api.LiveKitAPI(f"http://127.0.0.1:{port}", KEY, SECRET) as livekit:
            await livekit.room.create_room(api.CreateRoomRequest(name="r"))
        assert await get(f"http://127.0.0.1:{health}/") == "OK"
        assert "livekit" not in await get(f"http://127.0.0.1:{figures}/metrics")
        told = await get(f"http://127.0.0.1:{figures}/metrics", credentials=("prom", "hunter2"))
        samples = {name: value for name, labels, value in SAMPLE.findall(told)}
        assert samples["livekit_room_total"] == "1"
        assert 'method="CreateRoom",status="2xx"' in told
        running.process.terminate()
        assert await running.process.wait() == 0


async def test_a_certificate_is_renewed_under_way_on_sighup(tmp_path: Path) -> None:
    port, udp, sip = ports(3)
    chain, key = make(tmp_path, "old.example.com")
    trust = tmp_path / "trust.pem"
    copy(chain, trust)
    config = tmp_path / "switchroom.yaml"
    config.write_text(
        f"port: {port}\nbind_addresses: ['127.0.0.1']\nrtc: {{udp_port: {udp}}}\n"
        f"sip: {{port: {sip}}}\nhttps: {{cert_file: '{chain}', key_file: '{key}'}}\n"
        f"storage: {{url: 'sqlite:///{tmp_path / 's.db'}'}}\nlogging: {{json: true}}\n"
    )
    env = {"LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET, "PATH": "/usr/bin:/bin"}
    async with served("--config", str(config), env=env) as running:
        ready = await running.until("ready")
        assert ready["url"] == f"https://127.0.0.1:{port}"
        assert await get(f"https://127.0.0.1:{port}/", str(trust)) == "OK"
        put_in_place((chain, key), make(tmp_path, "new.example.com"))
        running.process.send_signal(signal.SIGHUP)
        await running.until("certificate renewed")
        assert await get(f"https://127.0.0.1:{port}/", chain) == "OK"
        with pytest.raises(httpx.ConnectError):
            await get(f"https://127.0.0.1:{port}/", str(trust))


async def test_a_file_that_cannot_be_used_starts_nothing(tmp_path: Path) -> None:
    config = tmp_path / "switchroom.yaml"
    config.write_text("keys: {a: b}\nsip:\n  rtp_prot: 1-2\n")
    process = await asyncio.create_subprocess_exec(
        SWITCHROOM, "serve", "--config", str(config), stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    assert process.returncode == 1
    assert told.decode() == (
        f"error: unknown setting sip.rtp_prot in {config}, line 3: did you mean sip.rtp_port?\n"
    )


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
            answer = (await asyncio.wait_for(loop.sock_recv(phone, 65_536), 10)).decode()
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
        await server.app.telephony.running.until_idle(10)
        assert await get(f"{server.url}/readyz") == "OK"
        assert " 503 " not in (await answer_to_an_invite(address, "after")).splitlines()[0]


def everything() -> api.ListRoomsRequest:
    return api.ListRoomsRequest()


async def still_there(livekit: api.LiveKitAPI, phone: api.SIPParticipantInfo) -> None:
    found = await livekit.room.get_participant(
        api.RoomParticipantIdentity(room=phone.room_name, identity=phone.participant_identity)
    )
    assert found.attributes["sip.callStatus"] == "active"


async def test_figures_follow_a_call_to_its_end(tmp_path: Path) -> None:
    (figures,) = ports(1)
    settings = {"prometheus__port": figures}
    async with PhoneNetwork() as network, server_here(tmp_path, **settings) as server:
        await call_and_hang_up(server, network)
        assert server.app is not None
        await server.app.telephony.running.until_idle(10)
        told = await get(f"http://127.0.0.1:{figures}/metrics")
    found = {
        name: float(value)
        for name, labels, value in SAMPLE.findall(told)
        if 'dir="out"' in labels and 'le="' not in labels
    }
    assert found["livekit_sip_invite_requests"] == 1
    assert found["livekit_sip_invite_accepted"] == 1
    assert found["livekit_sip_calls_active"] == 0
    assert found["livekit_sip_calls_terminated"] == 1
    assert found["livekit_sip_dur_call_sec_count"] == 1
    assert found["livekit_sip_packets_rtp"] >= 0
    gone = re.search(r"^switchroom_engine_open\{.*legs.*\} (\d+)$", told, re.MULTILINE)
    assert gone is not None
    assert gone.group(1) == "0"


async def call_and_hang_up(server: Server, network: PhoneNetwork) -> None:
    async with server.api() as livekit:
        await livekit.sip.create_sip_participant(call_to(LISTENER, network.address, "r"))
        await livekit.room.delete_room(api.DeleteRoomRequest(room="r"))
