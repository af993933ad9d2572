"""A phone whose signalling is SIPp's and whose sound is kept packet by packet, with times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from interop.sipp_phone import ANSWER, RINGING, SippPhone, receive, send, sipp_phone
from switchroom.phonenet.g711 import PCMU
from switchroom.phonenet.rtp import Packet, unpack

_EVENT = 101
_QUIET = 200
"""Samples smaller than this (-44 dBov) are no tone of a test."""
_PACE = 0.015
"""Seconds between two packets of the phone, at least."""


@dataclass
class RtpPhone(asyncio.DatagramProtocol):
    """Says nothing but silence, at the pace of what it hears."""

    sipp: SippPhone | None = None
    transport: asyncio.DatagramTransport | None = None
    packets: list[tuple[float, Packet]] = field(default_factory=list)
    """What arrived, with the monotonic time."""
    _spoke: float = 0.0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def address(self) -> str:
        assert self.sipp is not None
        return self.sipp.address

    @property
    def sound(self) -> list[tuple[float, list[int]]]:
        """Decoded frames of 20 ms, with the time at which each came."""
        return [
            (at, list(PCMU.decode(packet.payload)))
            for at, packet in self.packets
            if packet.payload_type == 0
        ]

    @property
    def loud(self) -> list[float]:
        """When frames came that hold a tone."""
        return [at for at, frame in self.sound if max(map(abs, frame)) > _QUIET]

    @property
    def keys(self) -> list[str]:
        """Keys pressed (RFC 4733), each once, in order."""
        seen: dict[int, str] = {}
        for _, packet in self.packets:
            if packet.payload_type == _EVENT:
                seen.setdefault(packet.timestamp, "0123456789*#ABCD"[packet.payload[0]])
        return list(seen.values())

    async def until(self, satisfied: Callable[[RtpPhone], bool]) -> None:
        """Wait, packet by packet."""
        while not satisfied(self):
            self._news.clear()
            await self._news.wait()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        packet = unpack(data)
        if packet is None:
            return
        self._far_end = addr
        self.packets.append((time.monotonic(), packet))
        self._news.set()
        now = time.monotonic()
        if now - self._spoke < _PACE:
            return  # two such phones in a room must not answer each other's answers
        self._spoke = now
        count = len(self.packets)
        silence = Packet(0, count & 0xFFFF, count * 160, 99, b"\xff" * 160)
        assert self.transport is not None
        self.transport.sendto(silence.pack(), addr)

    def press(self, code: int, *, end_packets: int = 3) -> None:
        """Press a key for 100 ms, told by RFC 4733; `end_packets` 0 is a key whose end is lost."""
        assert self.packets, "the phone knows nobody before it has heard something"
        count = len(self.packets)
        lengths = [160, 320, 480, 640]
        ends = [800] * end_packets
        events = [(length, 0x0A) for length in lengths] + [(length, 0x8A) for length in ends]
        for number, (length, volume) in enumerate(events):
            payload = bytes((code, volume)) + length.to_bytes(2, "big")
            packet = Packet(_EVENT, (20_000 + count + number) & 0xFFFF, count * 160, 99, payload)
            assert self.transport is not None
            self.transport.sendto(packet.pack(), self._far_end)


@asynccontextmanager
async def rtp_phone(folder: Path, *, rings_ms: int = 0) -> AsyncIterator[RtpPhone]:
    """A phone that rings for so long, answers, and is hung up by the caller."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    phone = RtpPhone()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: phone, local_addr=("127.0.0.1", 0)
    )
    phone.transport = transport
    port = str(transport.get_extra_info("sockname")[1])
    steps = [
        receive("INVITE"),
        RINGING,
        f'<pause milliseconds="{rings_ms}"/>',
        ANSWER.replace("[media_port]", port),
        receive("ACK"),
        receive("BYE"),
        send("200 OK"),
    ]
    try:
        async with sipp_phone(folder, steps) as phone.sipp:
            yield phone
    finally:
        transport.close()
