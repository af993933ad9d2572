"""TCP connections: their bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from switchroom.sip.flows import Flow
from switchroom.sip.targets import Hop
from switchroom.sip_io import tcp as module
from switchroom.sip_io.tcp import TcpConnections
from unit.sip_io.stopped_clock import StoppedClock


class Owner:
    """Hears what the connections say."""

    def __init__(self) -> None:
        self.clock = StoppedClock()
        self.data: asyncio.Queue[tuple[Flow, bytes]] = asyncio.Queue()
        self.lost: asyncio.Queue[tuple[Flow, str]] = asyncio.Queue()
        self.writers: list[asyncio.StreamWriter] = []
        self.connections = TcpConnections(
            self.clock,
            lambda _transport, local: local,
            lambda: None,
            lambda flow, data: self.data.put_nowait((flow, data)),
            lambda flow, reason: self.lost.put_nowait((flow, reason)),
        )


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    owner = Owner()
    yield owner
    for writer in owner.writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    await owner.connections.stop()


async def peer(owner: Owner) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Flow]:
    address = await owner.connections.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*address)
    owner.writers.append(writer)
    writer.write(b"hello")
    flow, data = await owner.data.get()
    assert data == b"hello"
    return reader, writer, flow


async def test_a_connection_is_used_in_both_directions_and_found_again(owner: Owner) -> None:
    reader, writer, flow = await peer(owner)
    assert owner.connections.existing(Hop("tcp", *flow.remote)) == flow
    assert owner.connections.send(flow, b"answer") is None
    assert await reader.readexactly(6) == b"answer"
    writer.close()
    assert await owner.lost.get() == (flow, "connection closed")
    assert owner.connections.existing(Hop("tcp", *flow.remote)) is None
    assert owner.connections.send(flow, b"x") == "connection closed"
    owner.connections.close(flow)
    assert len(owner.connections.open) == 0


async def test_a_connection_that_is_being_closed_is_not_used_again(owner: Owner) -> None:
    _, _, flow = await peer(owner)
    owner.connections.close(flow)
    assert not owner.connections.is_open(flow)
    assert owner.connections.existing(Hop("tcp", *flow.remote)) is None
    assert (await owner.lost.get())[0] == flow


async def test_a_connection_of_ours_is_made_and_refused(owner: Owner) -> None:
    address = await owner.connections.listen("127.0.0.1", 0)
    flow = await owner.connections.connect(Hop("tcp", *address), 5.0)
    assert flow.remote == address
    assert flow.reliable
    await owner.connections.stop()
    with pytest.raises(OSError, match="connection refused"):
        await owner.connections.connect(Hop("tcp", *address), 5.0)


async def test_a_connection_of_ours_is_kept_alive_while_there_are_calls(owner: Owner) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        owner.writers.append(writer)
        heard.put_nowait(await reader.readexactly(8))

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        address = server.sockets[0].getsockname()
        ours = await owner.connections.connect(Hop("tcp", *address), 5.0)
        reader, _, theirs = await peer(owner)
        for at, in_use in ((59.0, True), (60.0, False)):
            owner.clock.now = at
            owner.connections.sweep(at, lambda _: 0, in_use=in_use)
        owner.connections.send(ours, b"mark")
        owner.clock.now = 120.0
        owner.connections.sweep(120.0, lambda _: 0, in_use=True)
        assert await heard.get() == b"mark\r\n\r\n"
        # Who called us keeps its connection alive itself, if it likes.
        owner.connections.send(theirs, b"mark")
        assert await reader.readexactly(4) == b"mark"


async def test_a_silent_connection_is_closed_after_ten_minutes(owner: Owner) -> None:
    reader, _, flow = await peer(owner)
    owner.clock.now = 599.0
    owner.connections.sweep(owner.clock.now, lambda _: 0, in_use=False)
    assert len(owner.connections.open) == 1
    owner.clock.now = 600.0
    owner.connections.sweep(owner.clock.now, lambda _: 0, in_use=False)
    assert (await owner.lost.get())[0] == flow
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)


async def test_a_silent_connection_that_a_call_goes_by_is_kept(owner: Owner) -> None:
    """Behind a NAT, or with a certificate for a name only, the peer can't be reached by another."""
    _, _, flow = await peer(owner)
    owner.clock.now = 6_000.0
    owner.connections.sweep(6_000.0, lambda _: 0, in_use=True, held={flow.connection})
    assert owner.connections.is_open(flow)
    owner.connections.sweep(6_000.0, lambda _: 0, in_use=True, held={flow.connection + 1})
    assert (await owner.lost.get())[0] == flow


async def test_a_message_that_does_not_come_to_an_end_costs_its_connection(owner: Owner) -> None:
    _, _, flow = await peer(owner)
    for at, unfinished in ((0.0, 5), (20.0, 0), (30.0, 5), (61.0, 5)):
        owner.clock.now = at
        owner.connections.sweep(at, lambda _, n=unfinished: n, in_use=False)  # type: ignore[misc]
        assert len(owner.connections.open) == 1
    owner.connections.sweep(62.0, lambda _: 5, in_use=False)
    assert (await owner.lost.get())[0] == flow


async def test_a_peer_that_does_not_read_is_cut_off(owner: Owner) -> None:
    _, _, flow = await peer(owner)
    problem = None
    for _ in range(200):
        problem = owner.connections.send(flow, b"x" * 65_536)
        if problem:
            break
    assert problem == "peer does not read"
    assert (await owner.lost.get())[0] == flow


async def test_there_are_only_so_many_connections_from_one_peer(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PER_PEER_LIMIT", 1)
    _, _, flow = await peer(owner)
    reader, writer = await asyncio.open_connection(*flow.local)
    owner.writers.append(writer)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    assert len(owner.connections.open) == 1
