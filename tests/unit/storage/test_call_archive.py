"""Calls that are over are found by every wish, page by page, in bounded work."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import Connection, text

from switchroom.base.records import replace
from switchroom.storage.call_archive import SqlCallArchive
from switchroom.storage.calls import SqlCallStore
from switchroom.storage.connection import Database
from switchroom.telephony.calls.call_record import CallDirection, CallRecord
from switchroom.telephony.calls.call_search import CallSearch, Place, place_of
from switchroom.telephony.calls.termination import Cause, Termination

CALL = CallRecord(
    call_id="SCL_1",
    room_name="hello",
    participant_identity="phone",
    from_number="+15550000000",
    to_number="+12025550101",
    trunk_id="ST_1",
    trunk_address="sip.example.com",
    created_at=1_000,
    sip_call_id="one@us",
    termination=Termination(Cause.BYE, was_active=True),
)
BUSY = replace(
    CALL,
    call_id="SCL_2",
    room_name="other",
    to_number="12025550102",
    created_at=2_000,
    sip_call_id="two@us",
    termination=Termination(Cause.BUSY, 486, "Busy Here"),
)
REFUSED = replace(
    CALL,
    call_id="SCL_3",
    direction=CallDirection.INBOUND,
    room_name="",
    from_number="anonymous",
    trunk_id="",
    trunk_address="",
    created_at=3_000,
    sip_call_id="three@them",
    termination=Termination(Cause.CLIENT_ERROR, 484, "Address Incomplete"),
)
HIDDEN = replace(CALL, call_id="SCL_4", created_at=4_000, hides_numbers=True, sip_call_id="4")
RUNNING = replace(CALL, call_id="SCL_5", created_at=5_000, termination=None, sip_call_id="5")
ALL = (CALL, BUSY, REFUSED, HIDDEN, RUNNING)


async def archive_of(database: Database, records: Sequence[CallRecord] = ALL) -> SqlCallArchive:
    for record in records:
        SqlCallStore(database).save(record)
    return SqlCallArchive(database)


WISHES = [
    (CallSearch(), "4321"),
    (CallSearch(room="hello"), "41"),
    (CallSearch(number="+12025550101"), "31"),
    (CallSearch(number="1 (202) 555-0102"), "2"),
    (CallSearch(number="+12025550102"), "2"),
    (CallSearch(number="anonymous"), "3"),
    (CallSearch(direction=CallDirection.INBOUND), "3"),
    (CallSearch(trunk="ST_1"), "421"),
    (CallSearch(trunk="sip.example.com"), "421"),
    (CallSearch(cause="busy"), "2"),
    (CallSearch(cause="client-error"), "3"),
    (CallSearch(cause="client-error-484"), "3"),
    (CallSearch(cause="client%"), ""),
    (CallSearch(cause="no-answer"), ""),
    (CallSearch(failed=True), "32"),
    (CallSearch(failed=False), "41"),
    (CallSearch(running=False), "4321"),
    (CallSearch(since=2_000), "432"),
    (CallSearch(until=2_000), "1"),
    (CallSearch(since=2_000, until=3_001), "32"),
    (CallSearch(failed=True, room="other", number="+12025550102"), "2"),
]


@pytest.mark.parametrize(("search", "found"), WISHES, ids=repr)
async def test_each_wish_finds_its_calls_the_newest_first(
    database: Database, search: CallSearch, found: str
) -> None:
    archive = await archive_of(database)
    calls = (await archive.search(search, None, 10)).calls
    assert [call.call_id for call in calls] == [f"SCL_{number}" for number in found]
    assert [call for call in reversed(ALL[:4]) if search.takes(call)] == calls


async def test_calls_come_back_as_they_were(database: Database) -> None:
    archive = await archive_of(database)
    assert (await archive.search(CallSearch(), None, 10)).calls == list(reversed(ALL[:4]))
    assert await archive.get("SCL_5") == RUNNING
    assert await archive.get("SCL_6") is None


async def test_pages_go_on_where_the_last_one_ended_also_within_a_nanosecond(
    database: Database,
) -> None:
    crowd = [replace(CALL, call_id=f"SCL_{n:02}", created_at=n // 4) for n in range(20)]
    archive = await archive_of(database, crowd)
    seen: list[CallRecord] = []
    place: Place | None = None
    while True:
        found = await archive.search(CallSearch(), place, 3)
        seen += found.calls
        if found.rest is None:
            break
        place = found.rest
    assert seen == list(reversed(crowd))


async def test_a_question_goes_through_a_bounded_number_and_says_where_to_go_on(
    database: Database,
) -> None:
    many = [replace(CALL, call_id=f"SCL_{n:02}", created_at=n) for n in range(1, 21)]
    many[2] = replace(many[2], room_name="rare")
    await archive_of(database, many)
    archive = SqlCallArchive(database, looked_through=8)
    pages = [await archive.search(CallSearch(room="rare"), None, 3)]
    while (place := pages[-1].rest) is not None:
        pages.append(await archive.search(CallSearch(room="rare"), place, 3))
    assert [page.rest for page in pages] == [Place(13), Place(5), None]
    assert [list(page.calls) for page in pages] == [[], [], [many[2]]]


async def test_a_call_is_found_by_its_sip_call_id_and_by_the_beginning_of_its_own(
    database: Database,
) -> None:
    archive = await archive_of(database)
    assert await archive.with_sip_call_id("two@us") == [BUSY]
    assert await archive.with_sip_call_id("unknown") == []
    SqlCallStore(database).save(replace(BUSY, call_id="SCL_22"))
    assert len(await archive.with_sip_call_id("two@us")) == 2
    assert await archive.beginning_with("SCL_1") == [CALL]
    assert len(await archive.beginning_with("SCL_")) == 2
    assert await archive.beginning_with("scl_1") == []
    assert await archive.beginning_with("SCL_%") == []


async def test_what_was_saved_a_moment_ago_is_found(database: Database) -> None:
    archive = await archive_of(database, [CALL])
    SqlCallStore(database).save(BUSY)
    assert (await archive.search(CallSearch(cause="busy"), None, 5)).calls == [BUSY]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # the other asks its statistics first
async def test_no_look_up_reads_the_whole_table(database: Database) -> None:
    def plans(connection: Connection) -> list[str]:
        by_time = "SELECT * FROM calls WHERE created_at BETWEEN 1 AND 2 AND room_name = 'r'"
        of_time = "SELECT created_at FROM calls WHERE created_at BETWEEN 1 AND 2"
        order = "ORDER BY created_at DESC, call_id DESC LIMIT 2"
        queries = [
            f"{by_time} {order}",
            f"SELECT * FROM calls WHERE sip_call_id = 'x' {order}",
            f"{of_time} ORDER BY created_at DESC LIMIT 1 OFFSET 9999",
        ]
        return [
            connection.execute(text(f"EXPLAIN QUERY PLAN {query}")).all()[0][3] for query in queries
        ]

    by_time, by_sip_call_id, oldest = await database.run(plans)
    assert "USING INDEX calls_created_at" in by_time
    assert "USING INDEX calls_sip_call_id" in by_sip_call_id
    assert "USING COVERING INDEX calls_created_at" in oldest


@given(st.builds(Place, st.integers(0, 9), st.text("ab")), st.sampled_from(ALL))
def test_no_place_stands_before_itself(place: Place, call: CallRecord) -> None:
    assert not place.is_before(place)
    assert place.is_before(place_of(call)) is not place_of(call).is_before(place)
