"""Phones that are sent elsewhere: what each side does, sees and is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from scenarios.caller import ScriptedCaller, invite
from scenarios.carrier import answer_sdp
from scenarios.house import NUMBER, House
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.rooms.data import DispatchEnded, Dtmf, UserData
from switchroom.rooms.info import RoomSpec
from switchroom.rooms.local import LocalParticipantSpec
from switchroom.rooms.reasons import DisconnectReason
from switchroom.telephony.calls.termination import Cause
from switchroom.telephony.calls.transfer_failed import TransferFailedError
from switchroom.telephony.calls.transfer_outcome import (
    TransferReason,
    TransferRecord,
    TransferStatus,
)
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.dispatch_rules import DirectRoom, DispatchRule
from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.transfer_request import TransferRequest


class Silent:
    """Somebody in the room who says and hears nothing."""

    async def close(self, reason: DisconnectReason) -> None:
        return

    def on_data(self, data: UserData | Dtmf) -> None:
        return

    def on_dispatch_ended(self, news: DispatchEnded) -> None:
        return


_ELSEWHERE = "tel:+15105550142"


async def _active(house: House, **wishes: Any) -> None:
    house.call(**wishes)
    await house.calm()
    house.carrier.call.answers()
    await house.calm()


def _transfer(
    house: House, *, deadline: float | None = None, **wishes: Any
) -> asyncio.Task[TransferRecord]:
    given = {"transfer_to": _ELSEWHERE, "participant_identity": f"sip_{NUMBER}", **wishes}
    request = TransferRequest(room_name="room", **given)
    return asyncio.ensure_future(house.telephony.transfer(request, deadline))


async def test_a_phone_is_sent_elsewhere_and_hangs_up(house: House) -> None:
    await _active(house)
    request = _transfer(house)
    await house.calm()
    assert house.timeline[-1] == f"refer to {_ELSEWHERE}"
    assert house.attributes()["sip.transferStatus"] == "ongoing"
    phone = house.carrier.call
    phone.answers_refer(202, "Accepted")
    phone.notifies(100, "Trying")
    phone.notifies(180, "Ringing")
    await asyncio.sleep(5)
    assert not request.done()
    phone.notifies(200, "OK", over=True)
    transfer = await request
    assert (transfer.status, transfer.reason, transfer.sip_status) == (
        TransferStatus.SUCCESSFUL, TransferReason.COMPLETED, 200,
    )  # fmt: skip
    assert transfer.transfer_id.startswith("STR_")
    assert house.attributes()["sip.transferStatus"] == "successful"
    phone.hangs_up()
    await house.calm()
    assert house.timeline[-1] == "leaves CLIENT_INITIATED"
    record = house.calls.last
    assert record.termination is not None
    assert record.termination.cause is Cause.TRANSFERRED
    assert record.transfers == (transfer,)


async def test_a_phone_that_is_elsewhere_and_stays_is_hung_up_after_a_second(house: House) -> None:
    await _active(house)
    request = _transfer(house)
    await house.calm()
    house.carrier.call.answers_refer(202)
    house.carrier.call.notifies(200, over=True)
    await request
    await asyncio.sleep(0.9)
    assert "bye" not in house.timeline
    await asyncio.sleep(0.2)
    assert house.since("bye") == ["bye", "transferred hangup", "leg closes", _LEFT]


_LEFT = "leaves CLIENT_INITIATED"


async def test_ringing_is_played_to_the_phone_and_the_room_comes_back_if_it_fails(
    house: House,
) -> None:
    await _active(house)
    house.timeline.clear()
    request = _transfer(house, play_dialtone=True)
    await house.calm()
    house.carrier.call.answers_refer(603, "Decline")
    with pytest.raises(TransferFailedError) as failure:
        await request
    assert house.timeline == [
        "tone starts", "phone hears 1", f"refer to {_ELSEWHERE}", "phone hears 0", "tone stops",
    ]  # fmt: skip
    assert failure.value.code is ErrorCode.PERMISSION_DENIED
    assert failure.value.message == "sip status 603: Decline"
    assert failure.value.meta == {"sip_status_code": "603", "sip_status": "Decline"}
    assert (failure.value.reason, failure.value.status) == (TransferReason.REJECTED, 603)
    assert house.attributes()["sip.transferStatus"] == "failed"
    assert house.attributes()["sip.callStatus"] == "active"


async def test_a_transfer_that_rings_too_long_leaves_the_call_as_it_was(house: House) -> None:
    await _active(house)
    request = _transfer(house, ringing_timeout=7.0)
    await house.calm()
    house.carrier.call.answers_refer(202)
    await asyncio.sleep(6.9)
    assert not request.done()
    with pytest.raises(TransferFailedError) as failure:
        await request
    assert failure.value.reason is TransferReason.RINGING_TIMEOUT
    assert (failure.value.code, failure.value.message) == (ErrorCode.CANCELED, "refer canceled")
    assert failure.value.meta == {}


@pytest.mark.parametrize(
    ("patience", "ringing", "lasts"),
    [(None, 0.0, 30.0), (5.0, 0.0, 5.0), (None, 10.0, 10.0), (None, -1.0, 30.0)],
)
async def test_a_transfer_lasts_thirty_seconds_or_as_long_as_was_asked_or_as_its_client(
    house: House, patience: float | None, ringing: float, lasts: float
) -> None:
    await _active(house)
    started = house.clock.monotonic()
    deadline = None if patience is None else started + patience
    with pytest.raises(TransferFailedError):
        await _transfer(house, deadline=deadline, ringing_timeout=ringing)
    assert house.clock.monotonic() - started == pytest.approx(lasts)


async def test_equal_requests_share_a_transfer_and_another_target_is_refused(house: House) -> None:
    await _active(house)
    first, second = _transfer(house), _transfer(house)
    await house.calm()
    with pytest.raises(InvalidRequestError, match="already being transferred elsewhere"):
        await _transfer(house, transfer_to="tel:+1999")
    house.carrier.call.answers_refer(202)
    house.carrier.call.notifies(200)
    assert await first == await second
    assert house.timeline.count(f"refer to {_ELSEWHERE}") == 1


async def test_a_transfer_that_failed_may_be_tried_again(house: House) -> None:
    await _active(house)
    first = _transfer(house)
    await house.calm()
    house.carrier.call.answers_refer(480, "Temporarily Unavailable")
    with pytest.raises(TransferFailedError):
        await first
    second = _transfer(house, transfer_to="sip:b@c.example")
    await house.calm()
    house.carrier.call.answers_refer(202)
    house.carrier.call.notifies(200)
    assert (await second).status is TransferStatus.SUCCESSFUL
    statuses = [transfer.sip_status for transfer in house.calls.last.transfers]
    assert statuses == [480, 200]


async def test_when_nobody_waits_any_more_the_phone_stays(house: House) -> None:
    await _active(house)
    request = _transfer(house)
    await house.calm()
    house.carrier.call.answers_refer(202)
    request.cancel()
    await house.calm()
    assert house.attributes()["sip.transferStatus"] == "failed"
    assert house.calls.last.transfers[0].reason is TransferReason.CANCELED
    assert house.attributes()["sip.callStatus"] == "active"


@pytest.mark.parametrize("agreed", [True, False])
async def test_a_bye_instead_of_a_result_is_success_once_the_phone_agreed(
    house: House, agreed: bool
) -> None:
    await _active(house)
    request = _transfer(house)
    await house.calm()
    if agreed:
        house.carrier.call.answers_refer(202)
    house.carrier.call.hangs_up()
    if agreed:
        assert (await request).reason is TransferReason.CALL_ENDED
    else:
        with pytest.raises(TransferFailedError) as failure:
            await request
        assert failure.value.reason is TransferReason.CALL_ENDED
    await house.calm()
    assert house.calls.last.termination is not None
    assert house.calls.last.termination.word == ("transferred" if agreed else "bye")


async def test_a_room_that_is_deleted_meanwhile_hangs_up_and_the_request_is_answered(
    house: House,
) -> None:
    await _active(house)
    request = _transfer(house)
    await house.calm()
    house.carrier.call.answers_refer(202)
    await house.rooms.delete("room")
    assert (await request).reason is TransferReason.CALL_ENDED
    assert "bye" in house.timeline


async def test_what_was_asked_and_the_trunks_attributes_are_headers_of_the_refer(
    house: House,
) -> None:
    await house.telephony.trunks.replace(house.trunk_id, _with_headers(house, {"tier": "X-Tier"}))
    await _active(house, attributes={"tier": "gold"})
    _transfer(house, headers={"X-Case": "42"}).add_done_callback(lambda done: done.exception())
    await house.calm()
    assert house.carrier.call.refer_headers == (("X-Tier", "gold"), ("X-Case", "42"))


def _with_headers(house: House, rules: dict[str, str]) -> Any:
    return replace(house.telephony.trunks.get(house.trunk_id), attributes_to_headers=rules)


async def test_only_an_answered_phone_is_transferred(house: House) -> None:
    house.call()
    await house.calm()
    with pytest.raises(ServiceError) as refusal:
        await _transfer(house)
    assert refusal.value.code is ErrorCode.FAILED_PRECONDITION


async def test_who_is_no_phone_is_not_transferred(house: House) -> None:
    await house.rooms.create(RoomSpec("room"))
    with pytest.raises(ServiceError) as refusal:
        await _transfer(house, participant_identity="nobody")
    assert refusal.value.code is ErrorCode.NOT_FOUND


async def test_one_phone_takes_over_the_call_of_another(house: House) -> None:
    await _active(house)
    first = house.carrier.call
    info = await house.call(identity="second", call_to="+15105550124")
    second = house.carrier.call
    second.answers()
    await house.calm()
    assert house.telephony.room_of(info.call_id) == info.room_name
    request = _transfer(house, transfer_to=f"call:{info.call_id}")
    await house.calm()
    assert house.timeline[-1].startswith("refer to <sip:them@198.51.100.7?Replaces=")
    first.answers_refer(202)
    first.notifies(200)
    assert (await request).status is TransferStatus.SUCCESSFUL
    for nobody in ("call:SCL_nobody", "<call:SCL_nobody>"):
        with pytest.raises(InvalidRequestError, match="no other call"):
            await _transfer(house, transfer_to=nobody, participant_identity="second")


# ── transfers that the far end wants ─────────────────────────────────────────


async def test_a_phone_may_not_transfer_the_call_by_itself(house: House) -> None:
    await _active(house)
    house.carrier.call.wants_transfer("<sip:+1900@sip.example.com>")
    await house.calm()
    assert house.timeline[-1] == "refer 1 answered 603"


@pytest.fixture
async def lenient() -> AsyncIterator[House]:
    """A house whose phones may transfer, and whose PBX may take calls over."""
    house = House(sip__allow_refer=True, sip__allow_replaces=True)
    await house.start()
    yield house
    await house.stop()


async def test_a_phone_that_may_has_a_number_on_its_trunk_called_into_its_room(
    lenient: House,
) -> None:
    await _active(lenient)
    phone = lenient.carrier.call
    phone.wants_transfer("<sip:+15105550177@sip.example.com>")
    await lenient.calm()
    other = lenient.carrier.call
    assert other is not phone
    assert str(other.invite.request_uri) == "sip:+15105550177@sip.example.com"
    assert "refer 1 answered 202" in lenient.timeline
    other.answers()
    await lenient.calm()
    assert "refer 1 notified 200" in lenient.timeline
    assert lenient.attributes("sip_+15105550177")["sip.callStatus"] == "active"
    phone.hangs_up()


async def test_a_phone_hears_that_its_transfer_failed(lenient: House) -> None:
    await _active(lenient)
    lenient.carrier.call.wants_transfer("<tel:+15105550177>")
    await lenient.calm()
    lenient.carrier.call.refuses(486, "Busy Here")
    await lenient.calm()
    assert "refer 1 notified 486" in lenient.timeline


@pytest.mark.parametrize(
    "target",
    [
        "<sip:+1900@evil.example>",
        "<sip:b@sip.example.com?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>",
        "<sip:sip.example.com>",
        "<mailto:b@sip.example.com>",
    ],
)
async def test_even_then_it_has_nothing_called_beyond_its_trunk(
    lenient: House, target: str
) -> None:
    await _active(lenient)
    lenient.carrier.call.wants_transfer(target)
    await lenient.calm()
    assert lenient.timeline[-1] == "refer 1 answered 603"
    assert len(lenient.carrier.calls) == 1


async def _let_in(house: House) -> None:
    trunk = InboundTrunk(numbers=("+15105550100",))
    await house.telephony.inbound_trunks.create(trunk)
    await house.telephony.dispatch_rules.create(DispatchRule(room=DirectRoom("lobby")))


async def test_a_pbx_puts_another_of_its_calls_into_the_place_of_one(lenient: House) -> None:
    await _let_in(lenient)
    await _active(lenient)
    phone = lenient.carrier.call
    answered_at = lenient.calls.last.answered_at
    await asyncio.sleep(60)
    successor = ScriptedCaller(lenient, invite(body=answer_sdp(port=7000)))
    successor.replaces = phone.call_id
    lenient.timeline.clear()
    successor.calls()
    await lenient.calm()
    assert lenient.timeline == ["200", "bye", "leg sendrecv 7000"]
    assert ("Reason", 'SIP;cause=200;text="Call taken over"') in phone.bye_headers
    shown = lenient.attributes()
    assert (shown["sip.callIDFull"], shown["sip.callStatus"]) == (successor.call_id, "active")
    assert lenient.calls.last.answered_at == answered_at, "the call is no younger than it was"
    assert lenient.calls.last.dialog is not None
    assert lenient.calls.last.dialog.call_id == successor.call_id
    successor.hangs_up()
    await lenient.calm()
    assert lenient.timeline[-1] == "leaves CLIENT_INITIATED"


async def test_a_call_is_taken_over_by_nobody_whose_offer_it_cannot_take(lenient: House) -> None:
    await _let_in(lenient)
    await _active(lenient)
    successor = ScriptedCaller(lenient, invite(body=answer_sdp("18")))
    successor.replaces = lenient.carrier.call.call_id
    successor.calls()
    await lenient.calm()
    assert successor.status == 488
    assert lenient.attributes()["sip.callStatus"] == "active"


async def test_a_call_that_has_just_ended_is_taken_over_by_nobody(lenient: House) -> None:
    await _let_in(lenient)
    await _active(lenient)
    phone = lenient.carrier.call
    phone.hangs_up()
    await lenient.calm()
    successor = ScriptedCaller(lenient, invite())
    successor.replaces = phone.call_id
    successor.calls()
    assert successor.status == 481


async def test_a_call_id_that_two_calls_share_says_not_which_is_to_be_taken_over(
    lenient: House,
) -> None:
    """Who calls with the Call-ID of another must not get at that one by his own dialog."""
    await _let_in(lenient)
    await _active(lenient)
    shared = lenient.carrier.call.call_id
    ScriptedCaller(lenient, invite(call_id=shared)).calls()
    await lenient.calm()
    successor = ScriptedCaller(lenient, invite(call_id="other"))
    successor.replaces = shared
    successor.calls()
    assert successor.status == 481
    assert lenient.attributes()["sip.callStatus"] == "active"


async def test_a_participant_that_shows_the_id_of_anothers_call_is_no_phone(house: House) -> None:
    """Attributes can be set by anybody who may: they do not make a participant a phone."""
    await _active(house)
    stolen = house.attributes()["sip.callID"]
    agent = LocalParticipantSpec("room", "agent", attributes={"sip.callID": stolen})
    house.rooms.join_local(agent, Silent())
    with pytest.raises(InvalidRequestError, match="no SIP session"):
        await _transfer(house, participant_identity="agent")


async def test_a_call_does_not_take_its_own_place(house: House) -> None:
    info = await house.call()
    house.carrier.call.answers()
    await house.calm()
    with pytest.raises(InvalidRequestError, match="no other call"):
        await _transfer(house, transfer_to=f"call:{info.call_id}")


async def test_a_phone_may_want_one_transfer_at_a_time(lenient: House) -> None:
    await _active(lenient)
    phone = lenient.carrier.call
    phone.wants_transfer("<tel:+15105550177>")
    await lenient.calm()
    phone.wants_transfer("<tel:+15105550178>")
    await lenient.calm()
    assert lenient.timeline[-1] == "refer 1 answered 603"
    assert len(lenient.carrier.calls) == 2


async def test_after_a_takeover_transfers_are_counted_anew(lenient: House) -> None:
    await _let_in(lenient)
    await _active(lenient)
    first = _transfer(lenient)
    await lenient.calm()
    lenient.carrier.call.answers_refer(603, "Decline")
    with pytest.raises(TransferFailedError):
        await first
    successor = ScriptedCaller(lenient, invite())
    successor.replaces = lenient.carrier.call.call_id
    successor.calls()
    await lenient.calm()
    second = _transfer(lenient)
    await lenient.calm()
    successor.answers_refer(202)
    successor.notifies(200)
    assert (await second).status is TransferStatus.SUCCESSFUL


# ── calls that came in ───────────────────────────────────────────────────────


@pytest.fixture
async def prompt() -> AsyncIterator[House]:
    """A house that answers at once."""
    house = House(sip__inbound__answer="now")
    await house.start()
    yield house
    await house.stop()


async def test_a_caller_is_sent_elsewhere_too(prompt: House) -> None:
    await _let_in(prompt)
    caller = ScriptedCaller(prompt, invite()).calls()
    await prompt.calm()
    caller.acknowledges()
    await prompt.calm()
    phone = prompt.rooms.get_participant("lobby", "sip_+15105550123")
    request = TransferRequest("lobby", phone.identity, _ELSEWHERE)
    transfer = asyncio.ensure_future(prompt.telephony.transfer(request))
    await prompt.calm()
    assert prompt.timeline[-1] == f"refer to {_ELSEWHERE}"
    caller.answers_refer(202)
    caller.notifies(200)
    assert (await transfer).status is TransferStatus.SUCCESSFUL
    await asyncio.sleep(1.1)
    assert prompt.since("bye")[:2] == ["bye", "transferred hangup"]
