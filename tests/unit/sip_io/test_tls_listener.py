"""Who knocks at the TLS port: bounded before the handshake, and told from who speaks TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Self

import pytest

from switchroom.sip.flows import Address
from switchroom.sip_io import tcp as module
from switchroom.sip_io.tcp import TcpConnections
from unit.sip_io.certificates import Authority
from unit.sip_io.stopped_clock import StoppedClock

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Places(TcpConnections):
    """Connections that say when a place was taken or given back."""

    changed: asyncio.Event

    def enter(self, ip: str) -> bool:
        self.changed.set()
        return super().enter(ip)

    def leave(self, ip: str) -> None:
        self.changed.set()
        super().leave(ip)


class Port:
    """A TLS port, and those who knock at it."""

    def __init__(self, pki: Path) -> None:
        authority = Authority(pki)
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.load_cert_chain(*authority.sign("port", "IP:127.0.0.1"))
        self._client = ssl.create_default_context(cafile=authority.file)
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.connections = Places(
            StoppedClock(),
            lambda _transport, local: local,
            lambda: None,
            lambda _flow, data: self.heard.put_nowait(data),
            lambda _flow, _reason: None,
        )
        self.connections.changed = asyncio.Event()
        self._address: Address
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._address = await self.connections.listen("127.0.0.1", 0, self._server)
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()
        await self.connections.stop()

    async def knock(self, *, tls: bool = False) -> Wire:
        context = self._client if tls else None
        reader, writer = await asyncio.open_connection(*self._address, ssl=context)
        self._writers.append(writer)
        return reader, writer

    async def until_taken(self, places: int) -> None:
        while self.connections._taken != places:
            self.connections.changed.clear()
            await self.connections.changed.wait()


async def is_closed(wire: Wire) -> bool:
    try:
        return await wire[0].read() == b""
    except ConnectionError:
        return True


async def test_who_knocks_without_a_handshake_takes_a_place_and_gives_it_back_as_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PER_PEER_LIMIT", 2)
    async with Port(tmp_path) as port:
        _, first = await port.knock()
        await port.knock()
        await port.until_taken(2)
        assert await is_closed(await port.knock())
        first.close()
        await port.until_taken(1)
        _, writer = await port.knock(tls=True)
        writer.write(b"hello")
        assert await port.heard.get() == b"hello"
        assert len(port.connections.open) == 1
        assert await is_closed(await port.knock())
        writer.close()
        await port.until_taken(1)
        assert not port.connections.open


async def test_a_handshake_that_does_not_end_loses_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HANDSHAKE_PATIENCE", 0.01)
    async with Port(tmp_path) as port:
        assert await is_closed(await port.knock())
        await port.until_taken(0)


async def test_those_who_wait_in_a_handshake_are_let_go_at_the_end(tmp_path: Path) -> None:
    port = Port(tmp_path)
    async with port:
        wire = await port.knock()
        await port.until_taken(1)
    assert await is_closed(wire)
    assert port.connections._taken == 0
