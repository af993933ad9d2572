"""A path for media between clients and the server that can move, as under a NAT, and break.

    async with server_behind(tmp_path) as (server, path):
        ...                 # clients join; all media go through `path`
        path.move()         # a NAT forgot them: the server sees another address from now on
        path.block()        # what flows now never arrives again; new flows get through

After `move` a client notices nothing at all; after `block` it must restart ICE, from new ports.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interop.server import Server, outward_address, server_here
from switchroom.base.node_address import Reach

# The server's address for the outside (RFC 5737), on the loopback interface: clients built on
# libwebrtc don't take it for one of their own.
FRONT = "203.0.113.9"

Address = tuple[str, int]

needs_private_network = pytest.mark.skipif(
    os.environ.get("SWITCHROOM_TEST_NETWORK") != "private",
    reason="needs a network of its own: tools/test-network COMMAND",
)


@dataclass
class _Flow(asyncio.DatagramProtocol):
    """One client's way to the server, and back."""

    client: Address
    path: MediaPath
    transport: asyncio.DatagramTransport | None = None
    waiting: list[bytes] = field(default_factory=list)
    """What came before the socket was there."""
    blocked: bool = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        for datagram in self.waiting:
            transport.sendto(datagram)
        self.waiting.clear()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.path.return_to_client(self, data)

    def error_received(self, exc: Exception) -> None:
        return

    def send(self, datagram: bytes) -> None:
        if self.blocked:
            return
        if self.transport is None:
            self.waiting.append(datagram)
        else:
            self.transport.sendto(datagram)


class MediaPath(asyncio.DatagramProtocol):
    """Stands at the address that clients are told, and carries datagrams to the real one."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self._front: asyncio.DatagramTransport
        self._flows: dict[Address, _Flow] = {}
        self._old: list[_Flow] = []
        self._opening: set[asyncio.Task[Any]] = set()

    def move(self) -> None:
        """Carry every flow on from another port: what arrives at the old one is lost."""
        self._old += self._flows.values()
        self._flows = {client: self._open(client) for client in self._flows}

    def block(self) -> None:
        """Carry nothing any more for the ports that clients use now."""
        for flow in self._flows.values():
            flow.blocked = True

    def connection_made(self, transport: Any) -> None:
        self._front = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        flow = self._flows.get(addr)
        if flow is None:
            flow = self._flows[addr] = self._open(addr)
        flow.send(data)

    def return_to_client(self, flow: _Flow, datagram: bytes) -> None:
        if self._flows.get(flow.client) is flow and not flow.blocked:
            self._front.sendto(datagram, flow.client)

    def _open(self, client: Address) -> _Flow:
        flow = _Flow(client, self)
        opening = asyncio.get_running_loop().create_datagram_endpoint(
            lambda: flow, remote_addr=self._server
        )
        task = asyncio.ensure_future(opening)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return flow

    async def close(self) -> None:
        await asyncio.gather(*self._opening)
        self._front.close()
        for flow in [*self._flows.values(), *self._old]:
            if flow.transport is not None:
                flow.transport.close()


async def stand_in_front(patch: pytest.MonkeyPatch) -> None:
    """Servers tell nobody any other address than the one that paths stand at."""
    inward = outward_address()
    await _run("ip", "address", "replace", f"{FRONT}/32", "dev", "lo")
    # The loopback address, which is told as well, would be a way around the path.
    place = Reach((inward,), FRONT)
    patch.setattr("switchroom.app.reach", lambda _: place)


@asynccontextmanager
async def server_behind(data: Path, **settings: object) -> AsyncIterator[tuple[Server, MediaPath]]:
    """A server whose media can be reached through the path only. Needs the fixture `front`."""
    async with server_here(data, **settings) as server:
        assert server.app is not None
        (listening,) = server.app.engine.rtc_addresses
        _, path = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: MediaPath(listening), local_addr=(FRONT, listening[1])
        )
        try:
            yield server, path
        finally:
            await path.close()


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0, command
