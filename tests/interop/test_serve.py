"""`switchroom serve` as operators run it: LiveKit's files, certificates, figures, a full node."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import copy

import httpx
import pytest
from livekit import api

from interop.peer_process import free_port
from interop.server import KEY, SECRET, Server, call_to, outward_address, server_here
from interop.test_documented_commands import run
from switchroom.phonenet.client import PhoneNetwork
from unit.base.pem_files import make, put_in_place
from unit.base.test_stun import serve as stun_server

pytestmark = pytest.mark.interop

ROOT = Path(__file__).resolve().parents[2]
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
        async with asyncio.timeout(180):
            yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]


def blocks(paper: str, language: str) -> list[str]:
    """Code of a paper, also such as stands in a list."""
    text = (ROOT / paper).read_text(encoding="utf-8")
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


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
        remarks = [str(line["event"]) for line in running.log if line["room"] == "config"]
        said = [remark.partition(" in ")[0] for remark in remarks]
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


@pytest.mark.parametrize("paper", ["docs/configuration.md", "docs/moving.md"])
async def test_the_papers_commands_are_understood_with_the_papers_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paper: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("docs/configuration.md", "yaml")
    (tmp_path / "switchroom.yaml").write_text(example)
    (tmp_path / "livekit.yaml").write_text("redis: {address: r:6379}\nport: 7880\n")
    (tmp_path / "sip.yaml").write_text(f"api_key: {KEY}\napi_secret: {SECRET}\nsip_port: 5060\n")
    commands = [line.strip() for block in blocks(paper, "sh") for line in block.splitlines()]
    assert commands
    for command in commands:
        words = shlex.split(command)
        assert words[:2] == ["switchroom", "serve"]
        told = await run(
            SWITCHROOM, *words[1:], *(() if "--print-config" in words else ("--check",))
        )
        assert "The configuration can be used." in told or "--print-config" in words, told


async def test_the_external_address_is_what_a_stun_server_says(tmp_path: Path) -> None:
    port, udp, sip = ports(3)
    stun, loopback = await stun_server()
    address = f"{outward_address()}:{loopback.rpartition(':')[2]}"
    body = (
        f"port: {port}\nbind_addresses: ['127.0.0.1']\nkeys: {{{KEY}: {SECRET}}}\n"
        f"rtc: {{udp_port: {udp}, use_external_ip: true, stun_servers: ['{address}']}}\n"
        f"sip: {{port: {sip}}}\nstorage: {{url: 'sqlite:///{tmp_path / 's.db'}'}}\n"
        "logging: {json: true}\n"
    )
    try:
        async with served(env={"LIVEKIT_CONFIG": body, "PATH": "/usr/bin:/bin"}) as running:
            told = await running.until("external address")
            await running.until("ready")
    finally:
        stun.transport.close()
    assert told["address"] == "198.51.100.7"


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
    assert found["livekit_sip_packets_rtp"] > 0
    gone = re.search(r"^switchroom_engine_open\{.*legs.*\} (\d+)$", told, re.MULTILINE)
    assert gone is not None
    assert gone.group(1) == "0"


async def call_and_hang_up(server: Server, network: PhoneNetwork) -> None:
    async with server.api() as livekit:
        await livekit.sip.create_sip_participant(call_to(LISTENER, network.address, "r"))
        await livekit.room.delete_room(api.DeleteRoomRequest(room="r"))
