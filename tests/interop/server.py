"""A server of ours for the interop tests: in this process, or as a process that can be killed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livekit import api

from switchroom.app import Switchroom
from switchroom.base.config import Config, load_config
from switchroom.base.node_address import reach

_READY = '"event": "ready"'
KEY, SECRET = "devkey", "secret-that-is-long-enough-for-hs256"


@dataclass(frozen=True)
class Server:
    """Where a running server is, and how to talk to it."""

    url: str
    app: Switchroom | None = None
    process: asyncio.subprocess.Process | None = None
    log: list[str] = field(default_factory=list)
    """What a process has written, line by line."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ws_url(self) -> str:
        return "ws" + self.url.removeprefix("http")

    def api(self) -> api.LiveKitAPI:
        """The official SDK, pointed here. Close it."""
        return api.LiveKitAPI(self.url, KEY, SECRET)

    def token(self, identity: str, room: str) -> str:
        """To join a room with all rights."""
        grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
        return api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants).to_jwt()


def database_url(data: Path) -> str:
    """Where both kinds of server keep what they keep."""
    return f"sqlite:///{data / 'switchroom.db'}"


def in_database(data: Path, query: str) -> list[Any]:
    """The first column of what another program reads in the database of a server that runs."""
    connection = sqlite3.connect(f"file:{data / 'switchroom.db'}?mode=ro", uri=True)
    try:
        return [row[0] for row in connection.execute(query)]
    finally:
        connection.close()


def call_to(
    number: str, carrier: str, room: str, *, wait: bool = True
) -> api.CreateSIPParticipantRequest:
    """A call through a trunk that is named in the request itself."""
    return api.CreateSIPParticipantRequest(
        trunk=api.SIPOutboundConfig(hostname=carrier),
        sip_number="+15550000000",
        sip_call_to=number,
        room_name=room,
        participant_identity="phone",
        wait_until_answered=wait,
    )


def outward_address() -> str:
    """The address that libwebrtc clients and phones see the server at."""
    return reach("").told


def config_of(data: Path, **settings: object) -> Config:
    """Free TCP and UDP ports where the system may choose, and a database in `data`."""
    overrides: dict[str, object] = {
        "keys": {KEY: SECRET},
        "bind_addresses": ["127.0.0.1"],
        "port": 0,
        "rtc.udp_port": 0,
        "sip.port": 0,
        "storage.url": database_url(data),
        "shutdown.drain": 0,
        # The machine that runs the tests may be busy with more than one of them.
        "sip.max_cpu_utilization": 1,
        "sip.max_loop_lag": 0,
    }
    overrides.update({name.replace("__", "."): value for name, value in settings.items()})
    return load_config(None, {}, overrides)


@asynccontextmanager
async def server_here(data: Path, **settings: object) -> AsyncIterator[Server]:
    """A server in this event loop; settings as ``sip__port=5060``."""
    app = Switchroom(config_of(data, **settings))
    await app.start()
    try:
        yield Server(app.url, app)
    finally:
        await app.stop()


@asynccontextmanager
async def server_process(data: Path, port: int, **settings: object) -> AsyncIterator[Server]:
    """`switchroom serve` on a port, killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("switchroom")),
        *("serve", "--config", str(_write_config(data, port, settings))),
        stderr=asyncio.subprocess.PIPE,
    )
    server = Server(f"http://127.0.0.1:{port}", process=process)
    reading = asyncio.create_task(_read_log(process, server))
    try:
        async with asyncio.timeout(120):
            await server.ready.wait()
        assert _READY in server.log[-1], "\n".join(server.log)
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


def _write_config(data: Path, port: int, settings: Mapping[str, object]) -> Path:
    configuration: dict[str, Any] = {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "keys": {KEY: SECRET},
        "storage": {"url": database_url(data)},
        "logging": {"json": True},
        "sip": {"max_cpu_utilization": 1, "max_loop_lag": 0},
    }
    for name, value in settings.items():
        section, _, key = name.partition("__")
        configuration.setdefault(section, {})[key] = value
    written = data / "switchroom.yaml"
    written.write_text(json.dumps(configuration))  # JSON is YAML
    return written


async def _read_log(process: asyncio.subprocess.Process, server: Server) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        server.log.append(line.decode().rstrip())
        if _READY in server.log[-1]:
            server.ready.set()
    server.ready.set()
