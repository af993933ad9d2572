"""Planned stops and crashes: nothing is lost, nobody is dialled twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from scenarios.house import NUMBER, House, MemoryCalls
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.sip.dialog import DialogSnapshot
from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.call_record import CallRecord, StatusChange
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.calls.transfer_outcome import TransferStatus
from switchroom.telephony.outbound.request_memory import RequestKey
from switchroom.telephony.routing.transfer_request import TransferRequest

_DIALOG = DialogSnapshot(
    "abc", "<sip:us@a>;tag=SCL_1", "<sip:them@b>;tag=far", "sip:them@c", (), 2, None, None
)
_DIALING = CallRecord(
    call_id="SCL_1",
    room_name="room",
    participant_identity=f"sip_{NUMBER}",
    from_number="+15105550100",
    to_number=NUMBER,
    trunk_id="ST_1",
    trunk_address="sip.example.com",
    created_at=100,
    path=(StatusChange(CallStatus.DIALING, 110),),
)
_ANSWERED = replace(
    _DIALING,
    answered_at=200,
    dialog=_DIALOG,
    path=(*_DIALING.path, StatusChange(CallStatus.ACTIVE, 205)),
)


async def _started(*records: CallRecord) -> House:
    house = House(MemoryCalls(*records))
    await house.start()
    await house.calm()
    return house


async def test_a_crashed_calls_phone_gets_its_bye_and_its_record_an_end() -> None:
    house = await _started(_ANSWERED)
    assert house.carrier.orphans == [_DIALOG]
    record = house.calls.records["SCL_1"]
    assert record.termination == Termination(Cause.SERVER_RESTART, was_active=True)
    assert record.ended_at == 205
    assert record.dialog is None
    assert not house.carrier.calls
    await house.stop()


async def test_a_transfer_cut_off_by_a_crash_is_on_disk_and_does_not_go_on_for_ever() -> None:
    house = House()
    await house.start()
    await house.call(wait_until_answered=False)
    house.carrier.call.answers()
    await house.calm()
    wish = TransferRequest("room", f"sip_{NUMBER}", "tel:+15105550177")
    asked = asyncio.ensure_future(house.telephony.transfer(wish))
    await house.calm()
    stored = house.calls.last
    assert [transfer.status for transfer in stored.transfers] == [TransferStatus.ONGOING]
    later = await _started(stored)
    (transfer,) = later.calls.records[stored.call_id].transfers
    assert (transfer.status, transfer.completed_at > 0) == (TransferStatus.FAILED, True)
    await later.stop()
    house.carrier.call.hangs_up()
    with pytest.raises(ServiceError):
        await asked
    await house.stop()


async def test_a_dial_cut_off_by_a_crash_is_closed_and_not_placed_again() -> None:
    house = await _started(_DIALING)
    record = house.calls.records["SCL_1"]
    assert record.termination == Termination(Cause.SERVER_RESTART)
    assert record.ended_at == 110
    assert house.timeline == []
    await house.stop()


async def test_a_crash_between_bye_and_its_answer_says_bye_again_and_keeps_the_ending() -> None:
    ending = Termination(Cause.BYE, was_active=True)
    house = await _started(replace(_ANSWERED, termination=ending, ended_at=300))
    record = house.calls.records["SCL_1"]
    assert house.carrier.orphans == [_DIALOG]
    assert (record.termination, record.ended_at, record.dialog) == (ending, 300, None)
    await house.stop()


async def test_until_the_orphan_has_heard_its_bye_the_dialog_stays_on_disk() -> None:
    house = House(MemoryCalls(_ANSWERED))
    await house.telephony.start()
    await house.calm()
    assert [record.dialog for record in house.calls.history] == [_DIALOG, None]
    await house.stop()


async def test_the_dialog_is_on_disk_before_a_request_hears_of_the_answer(house: House) -> None:
    request = house.call(wait_until_answered=True)
    await house.calm()
    house.carrier.call.answers()
    await request
    stored = house.calls.last.dialog
    assert stored is not None
    assert stored.call_id == house.carrier.call.call_id


async def test_a_full_disk_does_not_end_a_conversation(house: House) -> None:
    house.calls.disk_full = True
    request = house.call(wait_until_answered=True)
    await house.calm()
    house.carrier.call.answers()
    await request
    assert house.attributes()["sip.callStatus"] == "active"


async def test_a_stop_without_patience_hangs_up_and_cancels() -> None:
    house = await _started()
    waiting = house.call(wait_until_answered=True)
    house.call(identity="other")
    await house.calm()
    talking = house.carrier.calls[1]
    talking.answers()
    await house.calm()
    await house.telephony.stop(0.0)
    with pytest.raises(CallFailedError) as failure:
        await waiting
    assert failure.value.code is ErrorCode.CANCELED
    assert ("Reason", 'SIP;cause=503;text="Server stopping"') in talking.bye_headers
    assert {"cancel", "bye", "leaves SERVER_SHUTDOWN", "leaves CLIENT_INITIATED"} <= set(
        house.timeline
    )
    await house.stop()


async def test_a_stop_with_patience_lets_calls_end_and_takes_no_new_ones() -> None:
    house = await _started()
    house.call()
    await house.calm()
    house.carrier.call.answers()
    stopping = asyncio.ensure_future(house.telephony.stop(30.0))
    await asyncio.sleep(10)
    with pytest.raises(ServiceError) as refusal:
        await house.call(identity="late")
    assert refusal.value.code is ErrorCode.UNAVAILABLE
    house.carrier.call.hangs_up()
    await stopping
    assert house.clock.monotonic() < 15
    assert "bye" not in house.timeline
    await house.stop()


async def test_a_second_signal_ends_the_patience() -> None:
    house = await _started()
    house.call()
    await house.calm()
    house.carrier.call.answers()
    stopping = asyncio.ensure_future(house.telephony.stop(3600.0))
    await asyncio.sleep(1)
    house.telephony.stop_draining()
    await stopping
    assert house.clock.monotonic() < 10
    assert "bye" in house.timeline
    await house.stop()


# ── keys ─────────────────────────────────────────────────────────────────────

_KEY = RequestKey("key", "digest", durable=True)


async def test_a_key_seen_before_is_answered_with_its_call_even_after_its_end(
    house: House,
) -> None:
    first = house.call(key=_KEY)
    await house.calm()
    house.carrier.call.refuses(486, "Busy Here")
    await house.calm()
    again = await house.call(key=_KEY)
    assert again == await first
    with pytest.raises(CallFailedError):
        await house.call(key=_KEY, wait_until_answered=True)
    assert len(house.carrier.calls) == 1


async def test_a_durable_key_is_on_disk_before_anybody_is_called(house: House) -> None:
    house.call(key=_KEY)
    await asyncio.sleep(0.0005)
    assert "invite" not in house.timeline
    await house.calm()
    assert house.calls.last.request_key == "key"
    assert "invite" in house.timeline


async def test_a_request_repeated_after_a_crash_is_not_dialled_again() -> None:
    keyed = replace(_ANSWERED, request_key="key", request_digest="digest", participant_sid="PA_1")
    house = House(MemoryCalls(keyed))
    house.calls.save(replace(keyed, created_at=house.clock.unix_ns()))
    await house.start()
    info = await house.call(key=_KEY, wait_until_answered=True)
    assert (info.call_id, info.participant_id) == ("SCL_1", "PA_1")
    assert not house.carrier.calls
    await house.stop()
