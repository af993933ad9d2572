"""Running calls and kept ones are one list: each call once, as it is now, and none is missed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.base.records import replace
from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.call_record import CallDirection, CallRecord, StatusChange
from switchroom.telephony.calls.call_search import CallSearch, Found, Place, place_of
from switchroom.telephony.calls.known_calls import KnownCalls
from switchroom.telephony.calls.running_calls import RunningCalls
from switchroom.telephony.calls.termination import Cause, Termination

OVER = CallRecord(
    call_id="SCL_a",
    room_name="hello",
    participant_identity="phone",
    from_number="+15550000000",
    to_number="+12025550101",
    trunk_id="ST_1",
    trunk_address="sip.example.com",
    created_at=1,
    sip_call_id="a@us",
    termination=Termination(Cause.BUSY, 486, "Busy Here"),
)
UP = replace(
    OVER,
    call_id="SCL_b",
    created_at=2,
    sip_call_id="b@us",
    termination=None,
    path=(StatusChange(CallStatus.DIALING, 2), StatusChange(CallStatus.RINGING, 3)),
)


@dataclass
class Runner:
    """As much of a running call as is asked of it."""

    record: CallRecord

    @property
    def call_id(self) -> str:
        return self.record.call_id


@dataclass
class Archive:
    """Kept calls in a list, of which `depth` are looked through at once."""

    kept: list[CallRecord] = field(default_factory=list)
    depth: int = 1000

    async def search(self, search: CallSearch, before: Place | None, count: int) -> Found:
        ordered = sorted(self.kept, key=lambda c: (c.created_at, c.call_id), reverse=True)
        behind = [c for c in ordered if before is None or place_of(c).is_before(before)]
        looked_at = behind[: self.depth]
        found = [c for c in looked_at if c.termination is not None and search.takes(c)][:count]
        if len(found) == count:
            return Found(found, place_of(found[-1]))
        return Found(found, place_of(looked_at[-1]) if len(behind) > self.depth else None)

    async def get(self, call_id: str) -> CallRecord | None:
        return next((c for c in self.kept if c.call_id == call_id), None)

    async def with_sip_call_id(self, sip_call_id: str) -> Sequence[CallRecord]:
        return [c for c in self.kept if c.sip_call_id == sip_call_id][:2]

    async def beginning_with(self, prefix: str) -> Sequence[CallRecord]:
        return [c for c in self.kept if c.call_id.startswith(prefix)][:2]


class Office:
    """The calls of a server."""

    def __init__(self, *running: CallRecord, kept: Sequence[CallRecord] = ()) -> None:
        self.running = RunningCalls()
        self.archive = Archive(list(kept))
        self.calls = KnownCalls(self.running, self.archive)
        for record in running:
            self.begin(record)

    def begin(self, record: CallRecord) -> None:
        self.running.add(cast("Any", Runner(record)))

    def end(self, record: CallRecord) -> None:
        runner = self.running.find(record.call_id)
        assert runner is not None
        self.running.remove(runner)
        self.archive.kept.append(replace(record, termination=Termination(Cause.BYE)))

    async def ids(self, search: CallSearch, limit: int = 10) -> list[str]:
        return [c.call_id for c in (await self.calls.page(search, None, limit)).calls]


async def test_a_running_call_is_told_as_it_is_now_not_as_it_was_written() -> None:
    stale = replace(UP, path=UP.path[:1])
    office = Office(UP, kept=[OVER, stale])
    found = await office.calls.page(CallSearch(), None, 10)
    assert found == Found([UP, OVER])


async def test_a_call_whose_goodbye_is_on_its_way_is_there_once() -> None:
    ended = replace(UP, termination=Termination(Cause.BYE))
    office = Office(ended, kept=[OVER, ended])
    assert await office.ids(CallSearch(), limit=2) == ["SCL_b", "SCL_a"]
    assert (await office.calls.page(CallSearch(), None, 2)).rest is None
    assert await office.ids(CallSearch(running=True)) == []
    assert await office.ids(CallSearch(running=False)) == ["SCL_b", "SCL_a"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (CallSearch(running=True), ["SCL_b"]),
        (CallSearch(running=False), ["SCL_a"]),
        (CallSearch(failed=True), ["SCL_a"]),
        (CallSearch(failed=False), []),
        (CallSearch(cause="busy"), ["SCL_a"]),
        (CallSearch(room="hello"), ["SCL_b", "SCL_a"]),
        (CallSearch(room="else"), []),
        (CallSearch(number="12025550101"), ["SCL_b", "SCL_a"]),
        (CallSearch(number="555"), []),
        (CallSearch(direction=CallDirection.INBOUND), []),
        (CallSearch(trunk="sip.example.com", since=2), ["SCL_b"]),
        (CallSearch(trunk="ST_1", until=2), ["SCL_a"]),
        (CallSearch(trunk="ST_2"), []),
    ],
    ids=repr,
)
async def test_wishes_hold_for_running_calls_too(search: CallSearch, found: list[str]) -> None:
    assert await Office(UP, kept=[OVER]).ids(search) == found


async def test_a_hidden_number_is_not_to_be_guessed_by_asking_for_it() -> None:
    hidden = [replace(call, hides_numbers=True) for call in (UP, OVER)]
    office = Office(hidden[0], kept=hidden[1:])
    assert await office.ids(CallSearch(number="+12025550101")) == []
    assert len(await office.ids(CallSearch(room="hello"))) == 2


@pytest.mark.parametrize("seed", range(20))
async def test_pages_hold_every_call_once_while_calls_begin_and_end(seed: int) -> None:
    """A call that is there from the first page to the last is told once, wherever it is kept."""
    dice = random.Random(seed)
    known = [replace(UP, call_id=f"SCL_{n:02}", created_at=n // 2) for n in range(40)]
    office = Office(*known)
    office.archive.depth = dice.randint(1, 9)
    for record in known:
        if dice.random() < 0.7:
            office.end(record)
    seen: list[str] = []
    place: Place | None = None
    number = 40
    while True:
        found = await office.calls.page(CallSearch(), place, dice.randint(1, 7))
        seen += [call.call_id for call in found.calls]
        place = found.rest
        if place is None:
            break
        for runner in dice.sample(office.running.all, min(2, len(office.running))):
            office.end(runner.record)
        office.begin(replace(UP, call_id=f"SCL_{number}", created_at=number))
        number += 1
    assert seen == [record.call_id for record in reversed(known)]


async def test_a_call_that_ends_while_the_archive_is_asked_is_not_told_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = Office(UP, kept=[OVER])
    asked = asyncio.Event()
    search_now = office.archive.search

    async def search_late(*arguments: Any) -> Found:
        asked.set()
        await asyncio.sleep(0)
        return await search_now(*arguments)

    monkeypatch.setattr(office.archive, "search", search_late)
    page = asyncio.ensure_future(office.calls.page(CallSearch(), None, 10))
    await asked.wait()
    office.end(UP)
    assert [call.call_id for call in (await page).calls] == ["SCL_b", "SCL_a"]


@pytest.mark.parametrize("name", ["SCL_a", "a@us"])
async def test_a_call_is_found_by_its_id_and_its_sip_call_id(name: str) -> None:
    assert await Office(UP, kept=[OVER]).calls.find(name) == OVER


@pytest.mark.parametrize("name", ["SCL_b", "b@us"])
async def test_a_running_one_likewise(name: str) -> None:
    assert await Office(UP, kept=[OVER, replace(UP, path=())]).calls.find(name) == UP


async def test_the_beginning_of_an_id_is_enough_if_one_call_has_it() -> None:
    office = Office(replace(UP, call_id="SCL_bcd"), kept=[OVER, replace(OVER, call_id="SCL_bce")])
    assert (await office.calls.find("SCL_bcd")).created_at == UP.created_at
    assert (await office.calls.find("SCL_bce")).created_at == OVER.created_at
    with pytest.raises(ServiceError, match="SCL_bc may be SCL_bcd and SCL_bce") as refused:
        await office.calls.find("SCL_bc")
    assert refused.value.code is ErrorCode.INVALID_ARGUMENT


async def test_two_calls_with_one_sip_call_id_are_not_mistaken_for_each_other() -> None:
    office = Office(replace(UP, sip_call_id="a@us"), kept=[OVER])
    with pytest.raises(ServiceError, match="may be SCL_a and SCL_b: give the whole call id"):
        await office.calls.find("a@us")


@pytest.mark.parametrize("name", ["", "SCL_z", "nobody@nowhere", "x" * 300])
async def test_what_nobody_knows_is_not_found(name: str) -> None:
    with pytest.raises(ServiceError, match="no call is known as") as refused:
        await Office(UP, kept=[OVER]).calls.find(name)
    assert refused.value.code is ErrorCode.NOT_FOUND
    assert len(refused.value.message) < 120
