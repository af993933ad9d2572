"""A telephone on a real socket. Its clock is the stream it hears: a packet in, a packet out."""

from __future__ import annotations

import asyncio
import math
from array import array
from itertools import pairwise
from typing import ClassVar, TypeVar

import numpy as np

from switchroom.media import Engine, Leg, LegCodec, LegEvent, LegMedia
from switchroom.phonenet.g711 import PCMA, PCMU, Law
from switchroom.phonenet.rtp import Packet, unpack

DIGITS = LegCodec(101, "telephone-event", 8_000)
CODECS = {"PCMU": LegCodec(0, "PCMU", 8_000), "PCMA": LegCodec(8, "PCMA", 8_000)}
LAWS: dict[int, Law] = {0: PCMU, 8: PCMA}


Kind = TypeVar("Kind", bound=LegEvent)

_STRETCHES = 40
_SILENCE = -90.0


class Telephone(asyncio.DatagramProtocol):
    """One phone and its leg."""

    _connected: ClassVar[list[Telephone]] = []

    def __init__(self, engine: Engine, codec: str) -> None:
        self.codec = CODECS[codec]
        self.heard: list[Packet] = []
        self.events: list[LegEvent] = []
        self._news = asyncio.Condition()
        self._tone: tuple[float, float] | None = None
        self._sent = 0
        self._sequence = 40_000
        self._timestamp = 160
        self._tasks: set[asyncio.Task[None]] = set()
        self.leg: Leg = engine.open_leg("127.0.0.1", self._on_event)

    async def connect(self, media: LegMedia | None = None) -> None:
        """Bind a socket and negotiate, by default both ways in the phone's own codec."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self.transport: asyncio.DatagramTransport = transport
        self._connected.append(self)
        self.address: tuple[str, int] = transport.get_extra_info("sockname")
        self.leg.update(media or LegMedia(self.address, (self.codec,), DIGITS))

    def close(self) -> None:
        """End the call and let go of the socket."""
        self.leg.close()
        self.transport.close()

    @classmethod
    def hang_up_all(cls) -> None:
        """Close whatever a test left open, also when it failed."""
        while cls._connected:
            cls._connected.pop().close()

    def say(self, hz: float, level_dbov: float = -20.0) -> None:
        """Answer each packet heard with one of a tone."""
        self._tone = (hz, level_dbov)

    def send(self, payload: bytes, payload_type: int | None = None, timestamp: int = 0) -> None:
        """Send one packet now; audio moves the phone's time on."""
        number = self.codec.payload_type if payload_type is None else payload_type
        packet = Packet(number, self._sequence, timestamp or self._timestamp, 77, payload)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp += len(payload) if payload_type is None else 0
        self.transport.sendto(packet.pack(), self.leg.local_address)

    async def hear(self, packets: int) -> list[Packet]:
        """So many packets from now on."""
        start = len(self.heard)
        async with self._news:
            await self._news.wait_for(lambda: len(self.heard) >= start + packets)
        return self.heard[start : start + packets]

    async def hear_sound(self, packets: int) -> list[Packet]:
        """So many packets from the first one on that holds more than silence, and that one not."""
        while max(map(abs, decoded(await self.hear(1)))) <= 8:
            pass
        return await self.hear(packets)

    async def hear_steady(self, hz: float, level_dbov: float, *, but: float = 0.0) -> None:
        """Until half a second has a frequency at its level, and one of `but` Hz not at all.

        Who speaks does so when it is its turn; while the machine is busy its tone has gaps.
        """
        level = other = _SILENCE
        for _ in range(_STRETCHES):
            samples = decoded(await self.hear(25))
            level, other = level_of(samples, hz), level_of(samples, but) if but else _SILENCE
            if abs(level - level_dbov) < 1.0 and other < -50.0:
                return
        raise AssertionError(f"{hz} Hz had {level:.1f} dBov at last, {but} Hz {other:.1f}")

    async def event(self, kind: type[Kind]) -> Kind:
        """The first event of a kind, also if it was told already."""
        async with self._news:
            await self._news.wait_for(lambda: any(isinstance(one, kind) for one in self.events))
        return next(one for one in self.events if isinstance(one, kind))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        packet = unpack(data)
        if packet is None:
            return
        self.heard.append(packet)
        if self._tone is not None:
            self.send(self._next_frame(*self._tone))
        self._notify()

    def _on_event(self, event: LegEvent) -> None:
        self.events.append(event)
        self._notify()

    def _next_frame(self, hz: float, level_dbov: float) -> bytes:
        peak = 32_767 * math.sqrt(2) * 10 ** (level_dbov / 20)
        step = 2 * math.pi * hz / 8_000
        at = range(self._sent, self._sent + 160)
        self._sent += 160
        samples = array("h", [round(peak * math.sin(step * n)) for n in at])
        return LAWS[self.codec.payload_type].encode(samples)

    def _notify(self) -> None:
        task = asyncio.get_running_loop().create_task(self._wake())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wake(self) -> None:
        async with self._news:
            self._news.notify_all()


def decoded(packets: list[Packet]) -> array[int]:
    """The sound of audio packets."""
    samples = array("h")
    for packet in packets:
        if packet.payload_type in LAWS:
            samples.extend(LAWS[packet.payload_type].decode(packet.payload))
    return samples


def level_of(samples: array[int], hz: float) -> float:
    """The level of one frequency in dBov (the loudest sine is -3.01)."""
    wave = np.asarray(samples, dtype=np.float64) / 32_768
    turn = np.exp(-2j * np.pi * hz * np.arange(len(wave)) / 8_000)
    amplitude = 2 * abs(np.sum(wave * turn)) / len(wave)
    return 20 * math.log10(max(amplitude, 1e-9)) - 3.01


def assert_continuous(packets: list[Packet]) -> None:
    """Numbers count up by one, and time by what the packets hold."""
    for before, after in pairwise(packets):
        assert after.ssrc == before.ssrc
        assert after.sequence == (before.sequence + 1) & 0xFFFF
        assert after.timestamp == (before.timestamp + len(before.payload)) & 0xFFFF_FFFF
