"""Trunks: on disk before anyone is told, in memory for every call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic, TypeVar

import pytest

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.telephony.errors import InvalidRequestError, TrunkNotFoundError
from switchroom.telephony.routing.inbound_trunks import InboundTrunk, InboundTrunkUpdate
from switchroom.telephony.routing.incoming_call import IncomingCall
from switchroom.telephony.routing.trunk_registry import InboundTrunks, Trunks
from switchroom.telephony.routing.trunks import OutboundTrunk, OutboundTrunkUpdate
from switchroom.telephony.routing.updates import ListUpdate
from unit.telephony.routing.hand_clock import HandClock

_Trunk = TypeVar("_Trunk", OutboundTrunk, InboundTrunk)


class _Store(Generic[_Trunk]):
    def __init__(self) -> None:
        self.kept: dict[str, _Trunk] = {}
        self.broken = False

    async def load(self) -> Sequence[_Trunk]:
        return tuple(self.kept.values())

    async def save(self, trunk: _Trunk) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise ServiceError(ErrorCode.INTERNAL, "disk full")
        self.kept[trunk.trunk_id] = trunk

    async def delete(self, trunk_id: str) -> None:
        self.kept.pop(trunk_id, None)


_NEW = OutboundTrunk(address="sip:sip.example.com", numbers=("+1 510 555 0100",))


async def test_a_new_trunk_gets_an_id_and_a_birthday_and_is_kept() -> None:
    store = _Store[OutboundTrunk]()
    trunks = Trunks(store, HandClock())
    trunk = await trunks.create(_NEW)
    assert trunk.trunk_id.startswith("ST_")
    assert (trunk.address, trunk.created_at, trunk.updated_at) == ("sip.example.com", 1000, 1000)
    assert store.kept[trunk.trunk_id] == trunks.get(trunk.trunk_id) == trunk


async def test_an_id_of_the_callers_own_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="trunk id must not be set"):
        await Trunks(_Store[OutboundTrunk](), HandClock()).create(OutboundTrunk(trunk_id="ST_mine"))


async def test_trunks_are_there_again_after_a_restart() -> None:
    store = _Store[OutboundTrunk]()
    trunk = await Trunks(store, HandClock()).create(_NEW)
    trunks = Trunks(store, HandClock())
    await trunks.start()
    assert trunks.list() == [trunk]


async def test_a_trunk_that_could_not_be_kept_does_not_exist() -> None:
    store = _Store[OutboundTrunk]()
    store.broken = True
    trunks = Trunks(store, HandClock())
    with pytest.raises(ServiceError, match="disk full"):
        await trunks.create(_NEW)
    assert trunks.list() == []


async def test_changes_at_the_same_time_do_not_undo_each_other() -> None:
    trunks = Trunks(_Store[OutboundTrunk](), HandClock())
    trunk = await trunks.create(_NEW)
    await asyncio.gather(
        *(
            trunks.update(trunk.trunk_id, OutboundTrunkUpdate(numbers=ListUpdate(add=(number,))))
            for number in ("a", "b", "c")
        )
    )
    assert trunks.get(trunk.trunk_id).numbers == ("+1 510 555 0100", "a", "b", "c")


async def test_a_replacement_keeps_what_is_the_servers() -> None:
    clock = HandClock()
    trunks = Trunks(_Store(), clock)
    trunk = await trunks.create(_NEW)
    clock.now = 2000
    new = await trunks.replace(trunk.trunk_id, OutboundTrunk(address="b", numbers=("1",)))
    assert (new.trunk_id, new.created_at, new.updated_at) == (trunk.trunk_id, 1000, 2000)


async def test_unknown_trunks_are_not_found_and_deleting_them_is_no_fault() -> None:
    trunks = Trunks(_Store[OutboundTrunk](), HandClock())
    with pytest.raises(TrunkNotFoundError, match="requested sip trunk does not exist"):
        trunks.get("ST_none")
    with pytest.raises(TrunkNotFoundError):
        await trunks.update("ST_none", OutboundTrunkUpdate())
    with pytest.raises(InvalidRequestError, match="trunk id must be set"):
        await trunks.replace("", _NEW)
    await trunks.delete("ST_none")
    with pytest.raises(InvalidRequestError, match="trunk ID is required"):
        await trunks.delete("")


async def test_a_deleted_trunk_is_gone() -> None:
    store = _Store[OutboundTrunk]()
    trunks = Trunks(store, HandClock())
    trunk = await trunks.create(_NEW)
    await trunks.delete(trunk.trunk_id)
    assert trunks.list() == []
    assert store.kept == {}


async def test_a_trunk_is_found_by_its_number_however_it_is_written() -> None:
    trunks = Trunks(_Store[OutboundTrunk](), HandClock())
    trunk = await trunks.create(_NEW)
    assert trunks.with_number("+15105550100") == trunk
    assert trunks.with_number("+15105550199") is None


# ── inbound ──────────────────────────────────────────────────────────────────

_IN = InboundTrunk(numbers=("+1 510 555 0100",))


def _candidates(trunks: InboundTrunks, called: str, request_user: str = "") -> list[str]:
    call = IncomingCall("+2", called, "192.0.2.7", request_user=request_user)
    return sorted(trunk.name for trunk in trunks.candidates(call))


async def test_two_trunks_for_the_same_calls_are_never_made_also_at_the_same_time() -> None:
    trunks = InboundTrunks(_Store[InboundTrunk](), HandClock())
    made = await asyncio.gather(trunks.create(_IN), trunks.create(_IN), return_exceptions=True)
    refused = [outcome for outcome in made if isinstance(outcome, InvalidRequestError)]
    assert [refusal.message.partition(":")[0] for refusal in refused] == [
        "Conflicting inbound SIP Trunks"
    ]
    assert len(trunks.list()) == 1


async def test_a_change_into_a_conflict_is_refused_and_changes_nothing() -> None:
    store = _Store[InboundTrunk]()
    trunks = InboundTrunks(store, HandClock())
    await trunks.create(_IN)
    second = await trunks.create(InboundTrunk(numbers=("+2",)))
    update = InboundTrunkUpdate(numbers=ListUpdate(add=("15105550100",)))
    with pytest.raises(InvalidRequestError, match=f'Conflicting.*"{second.trunk_id}" and'):
        await trunks.update(second.trunk_id, update)
    with pytest.raises(InvalidRequestError, match="Conflicting"):
        await trunks.replace(second.trunk_id, _IN)
    assert trunks.get(second.trunk_id) == store.kept[second.trunk_id] == second


async def test_the_candidates_of_a_call_are_those_that_may_have_its_number() -> None:
    store = _Store[InboundTrunk]()
    trunks = InboundTrunks(store, HandClock())
    await trunks.create(InboundTrunk(name="exact", numbers=("1 510 555 0100", "+7")))
    await trunks.create(InboundTrunk(name="pattern", numbers=("+49*",)))
    wild = await trunks.create(InboundTrunk(name="wild", allowed_addresses=("192.0.2.1",)))
    assert _candidates(trunks, "+15105550100") == ["exact", "pattern", "wild"]
    assert _candidates(trunks, "sales") == ["pattern", "wild"]
    assert _candidates(trunks, "sales", "7") == ["exact", "pattern", "wild"]
    await trunks.delete(wild.trunk_id)
    assert _candidates(trunks, "sales") == ["pattern"]
    again = InboundTrunks(store, HandClock())
    await again.start()
    assert _candidates(again, "7") == ["exact", "pattern"]


async def test_inbound_trunks_are_named_stamped_and_found_like_the_others() -> None:
    clock = HandClock()
    trunks = InboundTrunks(_Store[InboundTrunk](), clock)
    trunk = await trunks.create(_IN)
    clock.now = 2000
    changed = await trunks.update(trunk.trunk_id, InboundTrunkUpdate(name="n"))
    assert (changed.trunk_id[:3], changed.created_at, changed.updated_at) == ("ST_", 1000, 2000)
    assert trunks.list(numbers=["15105550100"]) == [changed]
    with pytest.raises(InvalidRequestError, match="trunk id must not be set"):
        await trunks.create(changed)
    with pytest.raises(TrunkNotFoundError):
        await trunks.replace("ST_none", _IN)
    with pytest.raises(InvalidRequestError, match="trunk ID is required"):
        await trunks.delete("")
