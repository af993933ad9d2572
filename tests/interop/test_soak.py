"""Thousands of calls, out and in, ended in every way: the server's process stays what it was.

That is said of its memory, and of its descriptors, among which are the ports of phones.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from livekit import api

from interop.four_phones import BUSY, HASTY, PATIENT, PHONES, RINGING
from interop.peer_process import free_port
from interop.server import Server, server_process
from switchroom.phonenet.client import PhoneNetwork
from switchroom.phonenet.events import Answered, Called, Dials, Ended, Event
from switchroom.phonenet.orders import CallOrder

pytestmark = pytest.mark.interop

ROOM = "in_"
"""What rooms of calls that come in begin with; the number that was called follows."""
KEPT = 64
"""Descriptors for connections, databases and threads that a server opens when it has work."""
LOOK_AGAIN = 0.5
"""Seconds; /proc tells nobody when it changes."""


@dataclass
class Soak:
    """Places calls both ways and sees each of them end."""

    livekit: api.LiveKitAPI
    server: str
    """Host and port for SIP."""
    network: PhoneNetwork = field(init=False)
    _ends: dict[str, asyncio.Event] = field(default_factory=dict)
    """By number dialled, of calls that come in."""
    _answers: dict[str, asyncio.Event] = field(default_factory=dict)
    _numbers: dict[str, str] = field(default_factory=dict)
    under_way: int = 0
    """Calls that some phone has begun and not ended."""

    def hear_of(self, event: Event) -> None:
        """For the network: what its phones do."""
        if isinstance(event, Dials):
            self._numbers[event.call] = event.number
        if isinstance(event, Dials | Called):
            self.under_way += 1
        if isinstance(event, Answered) and (number := self._numbers.get(event.call)):
            self._answers.pop(number, asyncio.Event()).set()
        if isinstance(event, Ended):
            self.under_way -= 1
            if number := self._numbers.pop(event.call, ""):
                self._ends[number].set()

    async def call(self, number: int) -> None:
        """The n-th call."""
        ways = (
            *(self.we_end_it, self.comes_and_hangs_up, self.we_remove_it, self.comes_and_is_ended),
            *(self.it_hangs_up, self.comes_unwanted, self.it_is_busy),
        )
        await ways[number % len(ways)](f"{number:07}")

    # ── out ──────────────────────────────────────────────────────────────────

    async def we_end_it(self, name: str) -> None:
        await self._place(PATIENT, name)
        await self._delete(name)

    async def we_remove_it(self, name: str) -> None:
        await self._place(RINGING, name, wait_until_answered=False)
        who = api.RoomParticipantIdentity(room=name, identity="phone")
        await self.livekit.room.remove_participant(who)

    async def it_hangs_up(self, name: str) -> None:
        try:
            await self._place(HASTY, name)
        except api.TwirpError as failure:
            assert failure.code == "aborted"  # noqa: PT017 - it was quicker than the answer to us

    async def it_is_busy(self, name: str) -> None:
        with pytest.raises(api.SipCallError):
            await self._place(BUSY, name)

    async def _place(self, number: str, room: str, *, wait_until_answered: bool = True) -> None:
        await self.livekit.sip.create_sip_participant(
            api.CreateSIPParticipantRequest(
                trunk=api.SIPOutboundConfig(hostname=self.network.address),
                sip_number="+15550000000",
                sip_call_to=number,
                room_name=room,
                participant_identity="phone",
                wait_until_answered=wait_until_answered,
            )
        )

    async def _delete(self, room: str) -> None:
        await self.livekit.room.delete_room(api.DeleteRoomRequest(room=room))

    # ── in ───────────────────────────────────────────────────────────────────

    async def comes_and_hangs_up(self, name: str) -> None:
        await self._dial(f"+1510{name}", HASTY)

    async def comes_unwanted(self, name: str) -> None:
        await self._dial(f"+4420{name}", HASTY)

    async def comes_and_is_ended(self, name: str) -> None:
        number = f"+1510{name}"
        answered = self._answers[number] = asyncio.Event()
        coming = asyncio.ensure_future(self._dial(number, PATIENT))
        await asyncio.wait_for(answered.wait(), 120)
        while not coming.done():
            try:
                await self._delete(f"{ROOM}{number}")
            except api.TwirpError as failure:
                assert failure.code == "not_found"  # noqa: PT017 - it is gone already
        await coming

    async def _dial(self, number: str, phone: str) -> None:
        ended = self._ends[number] = asyncio.Event()
        self.network.place(CallOrder(number, self.server, as_=phone))
        await asyncio.wait_for(ended.wait(), 120)
        del self._ends[number]


async def _lay_rules(livekit: api.LiveKitAPI) -> None:
    """Numbers in California are wanted, each in a room of its own."""
    trunk = api.SIPInboundTrunkInfo(name="soak", numbers=["+1510*"])
    made = await livekit.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=trunk))
    callee = api.SIPDispatchRuleCallee(room_prefix=ROOM.rstrip("_"), randomize=False)
    rule = api.SIPDispatchRuleInfo(
        rule=api.SIPDispatchRule(dispatch_rule_callee=callee), trunk_ids=[made.sip_trunk_id]
    )
    await livekit.sip.create_dispatch_rule(api.CreateSIPDispatchRuleRequest(dispatch_rule=rule))


@asynccontextmanager
async def soaked(tmp_path: Path) -> AsyncIterator[tuple[Server, Soak]]:
    """A server in a process of its own, and phones."""
    numbers = tmp_path / "phones.py"
    await asyncio.to_thread(numbers.write_text, PHONES)
    port, http, rtc = free_port(), free_port(), free_port()
    settings = {
        "sip__port": port,
        "sip__inbound": {"answer": "now"},
        "rtc__udp_port": rtc,
        "room__empty_timeout": 1,
        "room__departure_timeout": 1,
    }
    async with server_process(tmp_path, http, **settings) as server, server.api() as livekit:
        await _lay_rules(livekit)
        soak = Soak(livekit, f"127.0.0.1:{port}")
        async with PhoneNetwork(numbers=numbers, on_event=soak.hear_of) as soak.network:
            yield server, soak


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    memory_kib: int
    descriptors: int


async def footprint(server: Server) -> Footprint:
    """Of the server's process, now."""
    assert server.process is not None
    process = Path("/proc", str(server.process.pid))
    status = await asyncio.to_thread((process / "status").read_text)
    (memory,) = re.findall(r"VmRSS:\s+(\d+)", status)
    return Footprint(
        int(memory), len(await asyncio.to_thread(lambda: list((process / "fd").iterdir())))
    )


async def call_many(soak: Soak, calls: range, at_once: int) -> None:
    """Place these calls, so many at a time, and see each end."""
    gate = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with gate:
            await soak.call(number)

    await asyncio.gather(*map(one, calls))


async def calm(server: Server, soak: Soak, fresh: Footprint) -> Footprint:
    """What the process holds once every call has ended, rooms are closed and ports are free."""
    async with asyncio.timeout(90):
        while not await is_calm(server, soak, fresh):  # noqa: ASYNC110 - /proc tells nothing
            await asyncio.sleep(LOOK_AGAIN)
    return await footprint(server)


async def is_calm(server: Server, soak: Soak, fresh: Footprint) -> bool:
    """Whether no call, no room and no more descriptors than usual are left."""
    listed = await soak.livekit.room.list_rooms(api.ListRoomsRequest())
    now = await footprint(server)
    return not listed.rooms and not soak.under_way and now.descriptors <= fresh.descriptors + KEPT


async def soak_it(tmp_path: Path, calls: int, at_once: int, growth_kib: int) -> None:
    """The last third of the calls leaves nothing behind."""
    async with soaked(tmp_path) as (server, soak):
        fresh = await footprint(server)
        # The first calls make what is kept on purpose: connections, caches, pools of memory, which
        # have their size after some six thousand calls.
        warm = calls * 2 // 3
        await call_many(soak, range(warm), at_once)
        before = await footprint(server)
        await call_many(soak, range(warm, calls), at_once)
        after = await calm(server, soak, fresh)
    print(f"fresh {fresh}, before the last third {before}, after {calls} calls {after}")  # noqa: T201
    assert after.memory_kib - before.memory_kib <= growth_kib


async def test_a_hundred_calls_leave_nothing_behind(tmp_path: Path) -> None:
    await soak_it(tmp_path, calls=100, at_once=20, growth_kib=8_192)


@pytest.mark.soak
async def test_ten_thousand_calls_leave_nothing_behind(tmp_path: Path) -> None:
    await soak_it(tmp_path, calls=10_000, at_once=200, growth_kib=32_768)
