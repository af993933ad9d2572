"""What the domain rooms keep comes back as it was, also in another process."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from switchroom.rooms.dispatches import (
    Dispatch,
    DispatchOutcome,
    DispatchRecord,
    DispatchSpec,
    Job,
    JobKind,
    JobReason,
    JobStatus,
    RestartPolicy,
)
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.stores import StoredRoom
from switchroom.sip.dialog import DialogSnapshot
from switchroom.storage.calls import SqlCallStore, _row, record_of_row
from switchroom.storage.connection import Database
from switchroom.storage.dispatch_rules import SqlDispatchRuleStore
from switchroom.storage.dispatches import SqlDispatchStore
from switchroom.storage.rooms import SqlRoomStore
from switchroom.storage.trunks import SqlInboundTrunkStore, SqlTrunkStore
from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.call_record import (
    CallDirection,
    CallRecord,
    MediaFigures,
    StatusChange,
)
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.calls.transfer_outcome import (
    TransferReason,
    TransferRecord,
    TransferStatus,
)
from switchroom.telephony.routing.dispatch_rules import (
    CalleeRoom,
    DirectRoom,
    DispatchRule,
    IndividualRoom,
    RoomChoice,
)
from switchroom.telephony.routing.headers import HeaderOptions
from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.media_config import Encryption, ListedCodec, MediaConfig
from switchroom.telephony.routing.trunks import OutboundTrunk, Transport

_TRUNK = OutboundTrunk(
    trunk_id="ST_1",
    name="Büro",
    metadata="{}",
    address="sip.example.com",
    transport=Transport.TCP,
    destination_country="de",
    numbers=("+1", "+2"),
    auth_username="user",
    auth_password="secret",
    headers={"X-A": "ä"},
    headers_to_attributes={"X-B": "b"},
    attributes_to_headers={"c": "X-C"},
    include_headers=HeaderOptions.ALL,
    media=MediaConfig(True, (ListedCodec("PCMA", 8000),), Encryption.ALLOW, 12.5),
    from_host="pbx.example.com",
    created_at=1_700_000_000_123_456_789,
    updated_at=1_700_000_000_123_456_790,
)
_INBOUND = InboundTrunk(
    trunk_id="ST_2",
    name="Empfang",
    metadata="{}",
    numbers=("+1", "+49*"),
    allowed_addresses=("192.0.2.0/24", "sip.example.com"),
    allowed_numbers=("+2",),
    auth_username="user",
    auth_password="secret",
    auth_realm="realm",
    headers={"X-A": "ä"},
    headers_to_attributes={"X-B": "b"},
    attributes_to_headers={"c": "X-C"},
    include_headers=HeaderOptions.X_HEADERS,
    ringing_timeout=12.25,
    ringing_timeout_status=480,
    max_call_duration=3600.0,
    krisp_enabled=True,
    media=MediaConfig(False, (), Encryption.REQUIRE, None),
    created_at=1_700_000_000_123_456_789,
    updated_at=1_700_000_000_123_456_790,
)
_RULE = DispatchRule(
    rule_id="SDR_1",
    room=IndividualRoom("call", "12*A", no_randomness=True),
    trunk_ids=("ST_2",),
    hide_phone_number=True,
    inbound_numbers=("+2",),
    numbers=("+1", "+49*"),
    name="Empfang",
    metadata="{}",
    attributes={"ä": "ö"},
    room_preset="big",
    room_config={"agents": [{"agentName": "a", "metadata": "{}"}], "maxParticipants": 3},
    krisp_enabled=True,
    media=MediaConfig(True, (ListedCodec("G722"),), Encryption.ALLOW, 0.5),
    created_at=1_700_000_000_123_456_789,
    updated_at=1_700_000_000_123_456_790,
)
_DIALOG = DialogSnapshot(
    call_id="abc",
    local="<sip:1@a>;tag=SCL_1",
    remote="<sip:2@b>;tag=far",
    remote_target="sip:2@192.0.2.9",
    route_set=("<sip:p1;lr>", "<sip:p2;lr>"),
    local_cseq=2,
    remote_cseq=None,
    transport="udp",
)
_CALL = CallRecord(
    call_id="SCL_1",
    room_name="room",
    participant_identity="sip_+1",
    from_number="+2",
    to_number="+1",
    trunk_id="ST_1",
    trunk_address="sip.example.com",
    created_at=1_700_000_000_000_000_000,
    participant_sid="PA_1",
    room_sid="RM_1",
    path=(StatusChange(CallStatus.DIALING, 5), StatusChange(CallStatus.RINGING, 6)),
)


async def test_a_trunk_comes_back_whole(database: Database) -> None:
    store = SqlTrunkStore(database)
    await store.save(_TRUNK)
    assert list(await store.load()) == [_TRUNK]
    await store.save(replace(_TRUNK, name="new"))
    assert [trunk.name for trunk in await store.load()] == ["new"]
    await store.delete("ST_1")
    await store.delete("ST_1")
    assert list(await store.load()) == []


async def test_a_trunk_outlives_the_process(url: str) -> None:
    first = Database(url)
    await first.open()
    await SqlTrunkStore(first).save(_TRUNK)
    await first.close()
    second = Database(url)
    await second.open()
    assert list(await SqlTrunkStore(second).load()) == [_TRUNK]
    await second.close()


async def test_an_inbound_trunk_comes_back_whole(database: Database) -> None:
    store = SqlInboundTrunkStore(database)
    await store.save(_INBOUND)
    assert list(await store.load()) == [_INBOUND]
    await store.save(replace(_INBOUND, name="new"))
    assert [trunk.name for trunk in await store.load()] == ["new"]
    await store.delete("ST_2")
    await store.delete("ST_2")
    assert list(await store.load()) == []


_ROOM_CHOICES: list[RoomChoice] = [
    DirectRoom("lobby", "1"),
    IndividualRoom("call", "2", no_randomness=True),
    IndividualRoom(),
    CalleeRoom("line", "3", randomize=True),
]


@pytest.mark.parametrize("room", _ROOM_CHOICES)
async def test_a_dispatch_rule_comes_back_whole(database: Database, room: RoomChoice) -> None:
    store = SqlDispatchRuleStore(database)
    rule = replace(_RULE, room=room)
    await store.save(rule)
    assert list(await store.load()) == [rule]
    await store.save(replace(rule, room_config=None))
    assert [kept.room_config for kept in await store.load()] == [None]
    await store.delete("SDR_1")
    assert list(await store.load()) == []


async def test_trunks_and_rules_outlive_the_process(url: str) -> None:
    first = Database(url)
    await first.open()
    await SqlInboundTrunkStore(first).save(_INBOUND)
    await SqlDispatchRuleStore(first).save(_RULE)
    await first.close()
    second = Database(url)
    await second.open()
    assert list(await SqlInboundTrunkStore(second).load()) == [_INBOUND]
    assert list(await SqlDispatchRuleStore(second).load()) == [_RULE]
    await second.close()


async def test_a_room_comes_back_whole(database: Database) -> None:
    store = SqlRoomStore(database)
    rooms = [
        StoredRoom("b", "RM_2", "", 1, 2, 3, created_at_ns=20, configuration='{"agents": []}'),
        StoredRoom("a", "RM_1", "meta", 1, 2, 3, created_at_ns=30),
    ]
    for room in rooms:
        await store.save(room)
    assert list(await store.load()) == rooms
    await store.delete("b")
    assert list(await store.load()) == rooms[1:]


async def test_the_largest_numbers_of_the_api_can_be_kept(database: Database) -> None:
    """LiveKit's are unsigned; "for ever" is often written as the largest there is."""
    store, largest = SqlRoomStore(database), 2**32 - 1
    await store.save(StoredRoom("a", "RM_1", "", largest, largest, largest, created_at_ns=30))
    (room,) = await store.load()
    assert room.empty_timeout >= 2**31 - 1
    assert room.max_participants >= 2**31 - 1


async def test_a_call_comes_back_whole(database: Database) -> None:
    store = SqlCallStore(database)
    answered = replace(
        _CALL,
        direction=CallDirection.INBOUND,
        rule_id="SDR_1",
        hides_numbers=True,
        sip_call_id="abc@pbx",
        remote_address="192.0.2.9:5060",
        answered_at=7,
        dialog=_DIALOG,
        codec="G722/8000",
        encryption="AES_CM_128_HMAC_SHA1_80",
        media=MediaFigures(500, 5, 1.25, 40, 510, None, None, 21.5),
        transfers=(
            TransferRecord("STR_1", "tel:+1", 8),
            TransferRecord(
                "STR_2",
                "tel:+2",
                8,
                9,
                TransferStatus.FAILED,
                TransferReason.REJECTED,
                603,
                "Decline",
            ),
        ),
    )
    await store.save_durably(answered)
    assert list(await store.unfinished()) == [answered]
    ending = Termination(
        Cause.REMOVED,
        status=None,
        detail="why",
        was_active=True,
        left_with=DisconnectReason.ROOM_DELETED,
        q850=16,
    )
    ended = replace(answered, ended_at=9, termination=ending, dialog=None)
    await store.save_durably(ended)
    assert list(await store.unfinished()) == []
    assert await store.get("SCL_1") == ended
    assert await store.get("SCL_none") is None


async def test_a_call_is_unfinished_until_both_sides_know_of_its_end(database: Database) -> None:
    store = SqlCallStore(database)
    dialing = replace(_CALL, call_id="SCL_dialing")
    hanging_up = replace(
        _CALL, call_id="SCL_bye", created_at=1, termination=Termination(Cause.BYE), dialog=_DIALOG
    )
    over = replace(_CALL, call_id="SCL_over", termination=Termination(Cause.BUSY, 486, "Busy"))
    for record in (dialing, hanging_up, over):
        store.save(record)
    await store.save_durably(over)
    assert list(await store.unfinished()) == [hanging_up, dialing]


async def test_requests_with_a_key_are_found_by_their_age(database: Database) -> None:
    store = SqlCallStore(database)
    keyed = replace(_CALL, call_id="SCL_key", request_key="k", request_digest="d", created_at=50)
    old = replace(keyed, call_id="SCL_old", created_at=10)
    for record in (_CALL, keyed, old):
        await store.save_durably(record)
    assert list(await store.keyed_since(20)) == [keyed]


@given(
    cause=st.sampled_from(Cause),
    status=st.none() | st.integers(300, 699),
    reason=st.text(),
    was_active=st.booleans(),
    left_with=st.none() | st.sampled_from(DisconnectReason),
)
def test_any_ending_survives_the_form_it_is_stored_in(
    cause: Cause,
    status: int | None,
    reason: str,
    was_active: bool,
    left_with: DisconnectReason | None,
) -> None:
    ending = Termination(cause, status, reason, was_active=was_active, left_with=left_with)
    record = replace(_CALL, termination=ending)
    assert record_of_row(_row(record)) == record


_DISPATCH = Dispatch(
    id="AD_1",
    room_name="Büro",
    room_sid="RM_1",
    spec=DispatchSpec(
        agent_name="clerk",
        metadata='{"phone_number": "+1"}',
        attributes={"k": "ä"},
        deployment="blue",
        restart_policy=RestartPolicy.NEVER,
        implicit=True,
    ),
    created_at_ns=1_700_000_000_123_456_789,
)
_JOB = Job(
    id="AJ_1",
    dispatch_id="AD_1",
    kind=JobKind.PARTICIPANT,
    outcome=DispatchOutcome.FAILED,
    status=JobStatus.FAILED,
    reason=JobReason.RETRYING,
    error="the worker and its agent are gone",
    participant_identity="ann",
    agent_identity="agent-AJ_1",
    namespace="n",
    worker_id="AW_1",
    api_key="devkey",
    started_at_ns=1_700_000_000_000_000_001,
    ended_at_ns=1_700_000_000_000_000_002,
    updated_at_ns=1_700_000_000_000_000_002,
)


async def test_a_dispatch_comes_back_with_its_jobs(url: str) -> None:
    database = Database(url)
    await database.open()
    store = SqlDispatchStore(database)
    await store.save_durably(_DISPATCH)
    store.save(replace(_DISPATCH, id="AD_0", created_at_ns=1))
    store.save_job(replace(_JOB, status=JobStatus.RUNNING))
    store.save_job(_JOB)
    store.save_job(replace(_JOB, id="AJ_2", updated_at_ns=_JOB.updated_at_ns + 1))
    await database.close()
    database = Database(url)
    await database.open()
    store = SqlDispatchStore(database)
    older, record = await store.load()
    assert older.dispatch.id == "AD_0"
    assert record == DispatchRecord(
        _DISPATCH, (_JOB, replace(_JOB, id="AJ_2", updated_at_ns=_JOB.updated_at_ns + 1))
    )
    await store.delete_jobs(["AJ_1", "AJ_unknown"])
    assert [job.id for job in (await store.load())[1].jobs] == ["AJ_2"]
    await store.delete(["AD_1", "AD_unknown"])
    assert await store.load() == [older]
    await database.close()
