"""The UDP port of one phone, and the beat that its packets keep."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from switchroom.phonenet.line import Line

_BEAT = 0.020
_MOST_AT_ONCE = 5


class MediaPort(Protocol):
    """Where a phone's sound goes out and comes in."""

    @property
    def address(self) -> tuple[str, int]: ...

    def start(self, line: Line) -> None:
        """Give the port its line: from now on a packet goes out every 20 ms."""
        ...

    def send_to(self, remote: tuple[str, int] | None) -> None:
        """Where packets go; None keeps the beat but sends nothing."""
        ...

    def close(self) -> None: ...


class UdpMediaPort(asyncio.DatagramProtocol):
    """A socket of its own for each call. Packets leave at absolute deadlines, 20 ms apart.

    After a stall of the process a few packets catch up; beyond that the beat begins anew, as a
    burst would only fill somebody's buffer.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._line: Line | None = None
        self._remote: tuple[str, int] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, ip: str) -> UdpMediaPort:
        """Bind a port of the system's choice. Raises OSError."""
        loop = asyncio.get_running_loop()
        _, port = await loop.create_datagram_endpoint(cls, local_addr=(ip, 0))
        return port

    @property
    def address(self) -> tuple[str, int]:
        if self._transport is None:
            raise RuntimeError("the media port is not open")
        ip, port = self._transport.get_extra_info("sockname")[:2]
        return ip, port

    def start(self, line: Line) -> None:
        self._line = line
        self._due = self._loop.time()
        self._beat()

    def send_to(self, remote: tuple[str, int] | None) -> None:
        self._remote = remote

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()
        self._line = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._line is not None:
            self._line.receive(data, self._loop.time())

    def error_received(self, exc: Exception) -> None:
        """A closed port at the far end is found out by the far end's silence."""

    def _beat(self) -> None:
        sent = 0
        while self._line is not None and self._due <= self._loop.time():
            packet = self._line.next_packet()
            if packet is not None and self._remote is not None and self._transport is not None:
                self._transport.sendto(packet, self._remote)
            self._due += _BEAT
            sent += 1
            if sent == _MOST_AT_ONCE:
                self._due = max(self._due, self._loop.time())
        if self._line is not None:
            self._timer = self._loop.call_at(self._due, self._beat)
