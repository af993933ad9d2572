"""A cable between a client and the server's TCP port, which can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Cable:
    """Carries TCP connections to a server. Signalling goes through it, media does not."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._ends: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self.ws_url = ""

    def cut(self) -> None:
        """Break what is connected, without a good-bye; new connections get through."""
        for end in list(self._ends):
            end.transport.abort()

    async def plug(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until one of its ends closes."""
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        ends = {writer, far_writer}
        self._ends |= ends
        tasks = [
            asyncio.create_task(_pour(reader, far_writer)),
            asyncio.create_task(_pour(far_reader, writer)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.transport.abort()
        await asyncio.gather(*tasks)
        self._ends -= ends


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def cable_to(url: str) -> AsyncIterator[Cable]:
    """A cable to the server at `url`."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    cable = Cable(parts.hostname, parts.port)
    listener = await asyncio.start_server(cable.plug, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    cable.ws_url = f"ws://127.0.0.1:{port}"
    try:
        yield cable
    finally:
        listener.close()
        cable.cut()
        await listener.wait_closed()
