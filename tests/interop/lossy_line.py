"""Telephone lines behind a bad network: what is sent, when, and what comes, packet by packet.

SIP is as little as a called phone needs. Each line has a thread: its packets leave on time whatever
else this program does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import select
import socket
import struct
import threading
import time
from array import array
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from switchroom.phonenet.g711 import PCMU as LAW
from switchroom.phonenet.rtp import Packet, unpack
from switchroom.sdp.codecs import PCMU
from switchroom.sdp.offer_answer import LocalMedia, answer

FRAME = 160
PACE = 0.02
_SETTLED = 50
_SO_TIMESTAMPNS = 35
_PRIORITY = -15
_SILENCE = LAW.encode(array("h", [0] * FRAME))


@dataclass(frozen=True, slots=True)
class Impairment:
    """What happens to packets on their way. ``burst`` is the mean number lost in a row."""

    name: str
    loss: float = 0.0
    burst: float = 1.0
    jitter: float = 0.0

    def applied(self, count: int, seed: int) -> list[float | None]:
        """Seconds of delay of each packet, None for one that is lost. None overtakes another."""
        chance = random.Random(seed)
        delays: list[float | None] = []
        bad, last = False, 0.0
        for number in range(count):
            # Gilbert's two states: as long in the bad one as a burst, and there `loss` of the time.
            leave = 1 / self.burst
            enter = leave * self.loss / (1 - self.loss)
            bad = chance.random() >= leave if bad else chance.random() < enter
            due = number * PACE + chance.uniform(0, self.jitter)
            last = max(last, due)
            delays.append(None if bad else last - number * PACE)
        return delays


class Line(threading.Thread):
    """One phone's RTP: silence until it is told to speak, and again afterwards.

    Where the system allows it, its thread goes before others: a phone that is late on a busy
    machine is a bad network, and what a jitter buffer does about that is not what is judged here.
    """

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)
        self.far: tuple[str, int] | None = None
        self.sent: dict[int, int] = {}
        """When each frame left, or would have without the bad network, in ns since 1970."""
        self.late = 0.0
        """Seconds by which the latest of those packets left later than it should have."""
        self.heard: list[tuple[int, Packet]] = []
        self.spoken = threading.Event()
        self.settled = threading.Event()
        """Set once it has heard packets for a second: its call is up both ways."""
        self._words: list[tuple[int, float, bytes]] = []
        self._over = False

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def speak(self, frames: list[bytes], delays: Iterable[float | None]) -> None:
        """Say these frames from now on, one every 20 ms, each delayed by its own time or lost."""
        self.spoken.clear()
        pairs = enumerate(zip(frames, delays, strict=True))
        self._words = [(at, late, frame) for at, (frame, late) in pairs if late is not None]

    def close(self) -> None:
        self._over = True

    def run(self) -> None:
        hurry()
        place, due = 0, time.monotonic()
        while not self._over:
            if self._words:
                count = self._say(place, due)
                place, due = place + count, due + count * PACE
                self.spoken.set()
                continue
            self._listen_until(due)
            self._send(place, _SILENCE)
            place, due = place + 1, due + PACE
        self.socket.close()

    def _say(self, first: int, begun: float) -> int:
        words, self._words = self._words, []
        count = max(at for at, _, _ in words) + 1
        started = time.time_ns() + round((begun - time.monotonic()) * 1e9)
        self.late = 0.0
        self.sent = {at: started + round(at * PACE * 1e9) for at in range(count)}
        for at, late, frame in words:
            due = begun + at * PACE + late
            self._listen_until(due)
            self.late = max(self.late, time.monotonic() - due)
            if not late:
                self.sent[at] = time.time_ns()
            self._send(first + at, frame)
        self._listen_until(begun + count * PACE)
        return count

    def _send(self, place: int, payload: bytes) -> None:
        if self.far is not None:
            packet = Packet(0, place & 0xFFFF, place * FRAME & 0xFFFFFFFF, 1234, payload)
            self.socket.sendto(packet.pack(), self.far)

    def _listen_until(self, due: float) -> None:
        while (left := due - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0]:
                self._hear()

    def _hear(self) -> None:
        data, ancillary, _, _ = self.socket.recvmsg(2_048, 128)
        packet = unpack(data)
        if packet is not None and packet.payload_type == 0:
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
            self.heard.append((seconds * 1_000_000_000 + nanoseconds, packet))
            if len(self.heard) == _SETTLED:
                self.settled.set()


def hurry() -> None:
    """Lets the calling thread, and what it starts, go before others where the system allows it."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _PRIORITY)


def unbridged(frames: list[bytes], delays: list[float | None]) -> Line:
    """A line that has heard these frames straight from the bad network."""
    line = Line("127.0.0.1")
    for at, (frame, late) in enumerate(zip(frames, delays, strict=True)):
        if late is not None:
            packet = Packet(0, at & 0xFFFF, at * FRAME, 1234, frame)
            line.heard.append((round((at * PACE + late) * 1e9), packet))
    line.socket.close()
    return line


@dataclass
class Exchange(asyncio.DatagramProtocol):
    """Answers calls to the numbers of its lines."""

    address: str
    lines: dict[str, Line] = field(default_factory=dict)
    up: set[str] = field(default_factory=set)
    """Numbers that were called and whose callers know that they answered."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    transport: asyncio.DatagramTransport | None = None

    @property
    def where(self) -> str:
        assert self.transport is not None
        return f"{self.address}:{self.transport.get_extra_info('sockname')[1]}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def line(self, number: str) -> Line:
        """A new line with this number."""
        self.lines[number] = Line(self.address)
        return self.lines[number]

    async def until_up(self, *numbers: str) -> None:
        """Until calls to all of these are up."""
        while not self.up.issuperset(numbers):
            self._news.clear()
            await self._news.wait()

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode(errors="replace").split("\r\n")
        method = first.split()[0]
        number = first.split(":", 1)[-1].split("@")[0].lstrip("+")
        if number not in self.lines and method in ("INVITE", "ACK"):
            return
        if method == "ACK":
            self.up.add(number)
            self._news.set()
        elif method == "INVITE":
            self._reply(rest, source, number, self._answer(number, body))
        elif method in ("BYE", "CANCEL", "OPTIONS"):
            self._reply(rest, source, number, b"")

    def _answer(self, number: str, offer: bytes) -> bytes:
        line = self.lines[number]
        described, media = answer(LocalMedia(self.address, line.port, (PCMU,), 1), offer)
        line.far = media.remote
        if not line.is_alive():
            line.start()
        return described.serialise()

    def _reply(self, fields: list[str], to: tuple[str, int], number: str, body: bytes) -> None:
        kept = ("via", "from", "call-id", "cseq", "record-route")
        lines = [field for field in fields if field.split(":")[0].lower() in kept]
        to_field = next(field for field in fields if field.lower().startswith("to:"))
        lines.append(to_field if ";tag=" in to_field else f"{to_field};tag=line")
        lines += [f"Contact: <sip:{number}@{self.where}>", f"Content-Length: {len(body)}"]
        if body:
            lines.append("Content-Type: application/sdp")
        text = "\r\n".join(("SIP/2.0 200 OK", *lines, "", "")).encode()
        assert self.transport is not None
        self.transport.sendto(text + body, to)


@asynccontextmanager
async def lines(address: str, *numbers: str) -> AsyncIterator[Exchange]:
    """An exchange at `address` with these numbers."""
    transport, exchange = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Exchange(address), local_addr=(address, 0)
    )
    for number in numbers:
        exchange.line(number)
    try:
        yield exchange
    finally:
        transport.close()
        for line in exchange.lines.values():
            line.close()
