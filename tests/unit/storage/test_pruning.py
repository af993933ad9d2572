"""Old call records go, little by little; young ones and open ones stay."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, func, select

from switchroom.storage import pruning as module
from switchroom.storage.calls import SqlCallStore
from switchroom.storage.connection import Database
from switchroom.storage.pruning import BREATH, DAY, Pruning
from switchroom.storage.schema import calls
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.termination import Cause, Termination
from unit.rooms.house import Time


def call(call_id: str, age: float, time: Time, ending: Termination | None) -> CallRecord:
    return CallRecord(
        call_id=call_id,
        room_name="r",
        participant_identity="tel",
        from_number="+1",
        to_number="+2",
        trunk_id="ST_1",
        trunk_address="sip.example.com",
        created_at=time.unix_ns() - int(age * 1e9),
        termination=ending,
    )


async def count(database: Database) -> int:
    def read(connection: Connection) -> int:
        return connection.scalar(select(func.count()).select_from(calls)) or 0

    return await database.run(read)


async def kept(store: SqlCallStore, *ids: str) -> list[str]:
    return [call_id for call_id in ids if await store.get(call_id) is not None]


async def test_what_ended_long_ago_goes_and_the_rest_stays(database: Database) -> None:
    time, store, over = Time(), SqlCallStore(database), Termination(Cause.BYE)
    for record in (
        call("old", 2 * DAY, time, over),
        call("young", 0.5 * DAY, time, over),
        call("open", 2 * DAY, time, None),
    ):
        await store.save_durably(record)
    pruning = Pruning(store, DAY, time, timers=time)
    await pruning.start()
    while await count(database) > 2:
        await time.pass_(0)
    assert await kept(store, "old", "young", "open") == ["young", "open"]
    while not time.pending:
        await database.run(lambda _: None)
    await time.pass_(DAY)
    while await count(database) > 1:
        await time.pass_(0)
    assert await kept(store, "young", "open") == ["open"]
    await pruning.stop()


async def test_many_go_in_small_batches(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    time, store, over = Time(), SqlCallStore(database), Termination(Cause.BYE)
    for number in range(5):
        await store.save_durably(call(str(number), 2 * DAY, time, over))
    pruning = Pruning(store, DAY, time, timers=time)
    await pruning.start()
    left = []
    for _ in range(3):
        while not time.pending:
            await database.run(lambda _: None)
        left.append(await count(database))
        await time.pass_(BREATH)
    assert left == [3, 1, 0]
    await pruning.stop()


async def test_for_ever_may_be_written_as_a_very_long_time(database: Database) -> None:
    time, store = Time(), SqlCallStore(database)
    await store.save_durably(call("old", 1e9, time, Termination(Cause.BYE)))
    pruning = Pruning(store, 1e15, time, timers=time)
    await pruning.start()
    while not time.pending:
        await database.run(lambda _: None)
    assert await count(database) == 1
    await pruning.stop()


async def test_nothing_goes_where_everything_is_to_be_kept(database: Database) -> None:
    time, store = Time(), SqlCallStore(database)
    await store.save_durably(call("old", 1e9, time, Termination(Cause.BYE)))
    pruning = Pruning(store, 0, time, timers=time)
    await pruning.start()
    assert time.pending == 0
    assert await count(database) == 1
    await pruning.stop()
