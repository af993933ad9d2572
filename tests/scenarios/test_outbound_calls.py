"""Whole outbound calls, from the request to the last word."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from scenarios.carrier import answer_sdp
from scenarios.house import NUMBER, House
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.media import (
    DigitReceived,
    DigitsSent,
    LevelChanged,
    MediaStarted,
    MediaTimedOut,
)
from switchroom.media.player import DIAL_TONE
from switchroom.rooms.data import DispatchEnded, Dtmf, UserData
from switchroom.rooms.info import RoomSpec
from switchroom.rooms.local import LocalParticipantSpec
from switchroom.rooms.reasons import DisconnectReason
from switchroom.sip.invite_session import AuthProblem, FailureKind, SipFailure
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.termination import Cause
from switchroom.telephony.routing.headers import HeaderOptions


class _Agent:
    """Someone in the room who remembers what is said."""

    def __init__(self) -> None:
        self.heard: list[UserData | Dtmf] = []

    async def close(self, reason: DisconnectReason) -> None:
        return

    def on_dispatch_ended(self, news: DispatchEnded) -> None:
        return

    def on_data(self, data: UserData | Dtmf) -> None:
        self.heard.append(data)


async def _answered(house: House, **wishes: Any) -> None:
    house.call(**wishes)
    await house.calm()
    house.carrier.call.says(180)
    house.carrier.call.answers()
    await house.calm()


async def test_a_call_goes_well_and_the_callee_hangs_up(house: House) -> None:
    request = house.call(wait_until_answered=True)
    await house.calm()
    house.carrier.call.says(180, "Ringing")
    await asyncio.sleep(5)
    assert not request.done()
    house.carrier.call.answers()
    info = await request
    assert (info.room_name, info.participant_identity) == ("room", f"sip_{NUMBER}")
    assert info.participant_id == house.rooms.get_participant("room", f"sip_{NUMBER}").sid
    assert house.attributes()["sip.callID"] == info.call_id
    await asyncio.sleep(60)
    house.carrier.call.hangs_up()
    await house.calm()
    assert house.timeline == [
        "joins dialing",
        f"publishes sip_{NUMBER} (silent)",
        "invite",
        "ringing",
        "200",
        "leg sendrecv 4000",
        "active",
        "bye from phone",
        "bye hangup",
        "leg closes",
        "leaves CLIENT_INITIATED",
    ]
    record = house.calls.last
    assert record.termination is not None
    assert record.termination.word == "bye"
    assert [change.status.value for change in record.path] == [
        "dialing", "ringing", "active", "hangup",
    ]  # fmt: skip
    assert record.ended_at - record.answered_at == pytest.approx(60e9, rel=0.01)
    assert record.dialog is None
    assert record.remote_address == house.carrier.call.remote


async def test_the_record_of_a_dial_names_the_last_peer_that_it_tried(house: House) -> None:
    house.call(ringing_timeout=10.0)
    await house.calm()
    silent = house.carrier.call
    silent.remote = ""  # the trunk's host name is being looked up
    assert house.telephony.running.all[0].record.remote_address == ""
    silent.remote = "192.0.2.10:5060"
    silent.says(100)
    assert house.telephony.running.all[0].record.remote_address == "192.0.2.10:5060"
    silent.remote = "192.0.2.11:5060"  # which says nothing at all
    await asyncio.sleep(11)
    assert house.calls.last.remote_address == "192.0.2.11:5060"


async def test_a_request_that_does_not_wait_is_answered_while_it_is_dialled(house: House) -> None:
    info = await house.call()
    assert info.call_id.startswith("SCL_")
    assert house.timeline[-1] == "invite"
    assert house.attributes()["sip.callStatus"] == "dialing"


async def test_the_phone_hears_the_room_only_once_the_call_is_active(house: House) -> None:
    agent = _Agent()
    seat = house.rooms.join_local(LocalParticipantSpec("room", "agent"), agent)
    seat.publish_audio("voice", house.engine.play(DIAL_TONE).source, "audio/opus")
    house.call()
    await house.calm()
    house.carrier.call.says(180)
    await asyncio.sleep(10)
    assert not [entry for entry in house.timeline if entry.startswith("phone hears")]
    house.carrier.call.answers()
    await house.calm()
    assert house.since("active") == ["active", "phone hears 1"]
    house.engine.players[0].stop()


async def test_the_dial_tone_sounds_in_the_room_until_the_answer(house: House) -> None:
    house.call(play_dialtone=True)
    await house.calm()
    assert house.timeline[:4] == [
        "joins dialing", "tone starts", f"publishes sip_{NUMBER}", "invite",
    ]  # fmt: skip
    house.carrier.call.answers()
    await house.calm()
    assert house.since("200")[:4] == ["200", "leg sendrecv 4000", "tone stops", "active"]


async def test_the_dial_tone_stops_with_a_dial_that_fails(house: House) -> None:
    house.call(play_dialtone=True)
    await house.calm()
    house.carrier.call.refuses(486, "Busy Here")
    await house.calm()
    assert "tone stops" in house.timeline


async def test_digits_are_sent_before_the_call_is_active(house: House) -> None:
    request = house.call(dtmf="12w3", wait_until_answered=True)
    await house.calm()
    house.carrier.call.answers()
    await asyncio.sleep(2)
    assert not request.done()
    house.engine.happens(DigitsSent())
    await request
    assert house.since("200") == [
        "200", "leg sendrecv 4000", "automation", "digits 12w3", "active",
    ]  # fmt: skip


async def test_keys_go_both_ways(house: House) -> None:
    agent = _Agent()
    seat = house.rooms.join_local(LocalParticipantSpec("room", "agent"), agent)
    await _answered(house)
    house.engine.happens(DigitReceived("#", 160))
    assert agent.heard == [Dtmf(11, "#")]
    seat.send_dtmf(5, "5")
    seat.send_dtmf(0, "1w2x")
    seat.send_data(b"not for phones")
    assert house.timeline[-2:] == ["digits 5", "digits 1w2"]


async def test_who_speaks_on_the_phone_is_told_during_the_call_only(house: House) -> None:
    house.call()
    await house.calm()
    speaking = LevelChanged(house.engine.leg.source, 0.5, active=True)
    house.engine.happens(speaking)
    house.carrier.call.answers()
    await house.calm()
    assert "level 0.5" not in house.timeline
    house.engine.happens(speaking)
    assert house.timeline[-1] == "level 0.5"


@pytest.mark.parametrize(
    ("status", "reason", "code", "left"),
    [
        (486, "Busy Here", ErrorCode.RESOURCE_EXHAUSTED, "USER_REJECTED"),
        (603, "Decline", ErrorCode.PERMISSION_DENIED, "USER_REJECTED"),
        (404, "Not Found", ErrorCode.NOT_FOUND, "USER_UNAVAILABLE"),
        (480, "Away", ErrorCode.RESOURCE_EXHAUSTED, "USER_UNAVAILABLE"),
        (503, "Overloaded", ErrorCode.FAILED_PRECONDITION, "SIP_TRUNK_FAILURE"),
        (403, "Forbidden", ErrorCode.PERMISSION_DENIED, "USER_REJECTED"),
    ],
)
async def test_a_refusal_is_told_to_request_room_and_record(
    house: House, status: int, reason: str, code: ErrorCode, left: str
) -> None:
    request = house.call(wait_until_answered=True)
    await house.calm()
    house.carrier.call.says(180)
    house.carrier.call.refuses(status, reason)
    with pytest.raises(CallFailedError) as failure:
        await request
    assert failure.value.code is code
    assert failure.value.message == f"sip status {status}: {reason}"
    assert failure.value.meta == {"sip_status_code": str(status), "sip_status": reason}
    await house.calm()
    assert house.timeline[-2:] == ["leg closes", f"leaves {left}"]
    assert "hangup" not in " ".join(house.timeline)
    record = house.calls.last
    assert record.termination == failure.value.termination
    assert record.ended_at > 0


async def test_wrong_credentials_are_the_carriers_407(house: House) -> None:
    request = house.call(wait_until_answered=True)
    await house.calm()
    house.carrier.call.fails(
        SipFailure(
            FailureKind.AUTH, 407, "Proxy Authentication Required", auth=AuthProblem.REJECTED
        )
    )
    with pytest.raises(CallFailedError) as failure:
        await request
    assert failure.value.code is ErrorCode.UNAUTHENTICATED
    assert failure.value.meta["sip_status_code"] == "407"


async def test_a_phone_that_nobody_answers_rings_as_long_as_was_asked(house: House) -> None:
    request = house.call(wait_until_answered=True, ringing_timeout=30.0)
    started = house.clock.monotonic()
    await house.calm()
    house.carrier.call.says(180)
    with pytest.raises(CallFailedError) as failure:
        await request
    assert house.clock.monotonic() - started == pytest.approx(30.0, abs=0.1)
    assert (failure.value.code, failure.value.message) == (
        ErrorCode.CANCELED,
        "sip request timed out",
    )
    await house.calm()
    assert house.timeline[-3:] == ["no-answer", "leg closes", "leaves USER_UNAVAILABLE"]
    assert "cancel" in house.timeline


async def test_a_request_with_a_deadline_bounds_its_dial(house: House) -> None:
    request = house.call(wait_until_answered=True, deadline=house.clock.monotonic() + 10)
    await house.calm()
    house.carrier.call.says(180)
    with pytest.raises(CallFailedError, match="sip request timed out"):
        await request
    assert house.clock.monotonic() == pytest.approx(10.0, abs=0.1)


async def test_without_a_deadline_a_waiting_request_has_eighty_seconds(house: House) -> None:
    request = house.call(wait_until_answered=True)
    with pytest.raises(CallFailedError):
        await request
    assert house.clock.monotonic() == pytest.approx(80.0, abs=0.1)


async def test_without_anybody_waiting_a_phone_rings_three_minutes(house: House) -> None:
    await house.call()
    await asyncio.sleep(179)
    assert "cancel" not in house.timeline
    await asyncio.sleep(2)
    assert "cancel" in house.timeline


async def test_a_client_that_goes_away_stops_the_ringing(house: House) -> None:
    request = house.call(wait_until_answered=True)
    await house.calm()
    house.carrier.call.says(180)
    request.cancel()
    await house.calm()
    assert house.since("cancel") == [
        "cancel", "abandoned", "leg closes", "leaves USER_UNAVAILABLE",
    ]  # fmt: skip


async def test_a_client_that_goes_away_after_the_answer_leaves_the_call_alone(
    house: House,
) -> None:
    request = house.call(wait_until_answered=True)
    await house.calm()
    house.carrier.call.answers()
    await request
    await asyncio.sleep(100)
    assert house.timeline[-1] == "active"


async def test_the_longest_duration_ends_a_call(house: House) -> None:
    await _answered(house, max_call_duration=60.0)
    await asyncio.sleep(61)
    assert house.since("bye") == [
        "bye", "hangup hangup", "leg closes", "leaves CLIENT_INITIATED",
    ]  # fmt: skip
    assert (
        "Reason",
        'Q.850;cause=16;text="Normal call clearing"',
    ) in house.carrier.call.bye_headers


async def test_a_deadline_that_the_answer_moved_away_is_kept_all_the_same(house: House) -> None:
    await _answered(house, ringing_timeout=10.0, max_call_duration=60.0)
    await asyncio.sleep(40)
    assert house.timeline[-1] == "active"
    await asyncio.sleep(21)
    assert house.since("bye")[1] == "hangup hangup"
    assert house.calls.last.termination is not None
    assert house.calls.last.termination.cause is Cause.MAX_DURATION


async def test_a_carrier_that_vanishes_is_noticed_by_its_silence(house: House) -> None:
    await _answered(house)
    house.engine.happens(MediaStarted(("198.51.100.7", 4000)))
    house.engine.happens(MediaTimedOut())
    await house.calm()
    assert house.since("bye") == [
        "bye", "media-timeout hangup", "leg closes", "leaves CLIENT_INITIATED",
    ]  # fmt: skip
    assert house.calls.last.termination is not None
    assert house.calls.last.termination.cause is Cause.MEDIA_TIMEOUT


async def test_an_answer_without_a_common_codec_is_hung_up(house: House) -> None:
    request = house.call(wait_until_answered=True)
    await house.calm()
    house.carrier.call.answers(answer_sdp("18"))
    with pytest.raises(CallFailedError) as failure:
        await request
    assert failure.value.code is ErrorCode.FAILED_PRECONDITION
    await house.calm()
    assert house.since("200") == [
        "200", "bye", "no-common-codec", "leg closes", "leaves MEDIA_FAILURE",
    ]  # fmt: skip


async def test_hold_and_resume_are_followed(house: House) -> None:
    await _answered(house)
    house.carrier.call.offers(answer_sdp(direction="sendonly"))
    house.carrier.call.offers(answer_sdp(port=4002))
    assert house.since("active")[1:] == [
        "offer answered 200 recvonly",
        "leg recvonly 4000",
        "offer answered 200 sendrecv",
        "leg sendrecv 4002",
    ]


async def test_a_deleted_room_lets_its_phone_hang_up_first(house: House) -> None:
    await _answered(house)
    await house.rooms.delete("room")
    await house.calm()
    assert house.since("phone hears the last word") == [
        *("phone hears the last word", "bye", "removed hangup", "leg closes"),
    ]
    record = house.calls.last
    assert record.termination is not None
    assert record.termination.left_with is DisconnectReason.ROOM_DELETED


async def test_an_engine_that_says_nothing_does_not_keep_the_phone_from_its_bye(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _answered(house)
    silent = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(house.engine.leg, "play_out", lambda: silent)
    await house.rooms.delete("room")
    assert "bye" in house.timeline


async def test_a_participant_removed_while_its_phone_rings_cancels_the_dial(house: House) -> None:
    request = house.call(wait_until_answered=True)
    await house.calm()
    house.carrier.call.says(180)
    await house.rooms.remove_participant("room", f"sip_{NUMBER}")
    with pytest.raises(CallFailedError) as failure:
        await request
    assert failure.value.code is ErrorCode.CANCELED
    await house.calm()
    assert house.since("cancel") == ["cancel", "removed", "leg closes"]


async def test_an_answer_that_crosses_the_cancel_does_not_bring_the_call_back(
    house: House,
) -> None:
    house.call()
    await house.calm()
    house.carrier.call.answers_cancel_with_200 = True
    await house.rooms.delete("room")
    await house.calm()
    assert house.since("cancel")[:2] == ["cancel", "200 crosses, ack and bye"]
    assert not house.telephony.running.all


async def test_the_same_identity_again_takes_the_place_of_the_first(house: House) -> None:
    await _answered(house, identity="guest")
    first = house.carrier.call
    second = house.call(identity="guest", call_to="+15105550999")
    await second
    await house.calm()
    assert first.bye_headers
    assert len(house.telephony.running.all) == 1


async def test_attributes_are_put_into_the_bye_as_the_trunk_wishes(house: House) -> None:
    trunk = house.telephony.trunks.get(house.trunk_id)
    await house.telephony.trunks.replace(
        house.trunk_id, replace(trunk, attributes_to_headers={"outcome": "X-Outcome"})
    )
    await _answered(house)
    house.rooms.update_participant("room", f"sip_{NUMBER}", attributes={"outcome": "sold"})
    await house.rooms.delete("room")
    assert ("X-Outcome", "sold") in house.carrier.call.bye_headers


async def test_headers_too_long_for_the_room_do_not_hide_the_answer(house: House) -> None:
    house.call(include_headers=HeaderOptions.ALL)
    await house.calm()
    house.carrier.call.answers(headers=(("X-Novel", "x" * 70_000),))
    await house.calm()
    assert house.attributes()["sip.callStatus"] == "active"
    assert "sip.h.x-novel" not in house.attributes()


async def test_behind_a_nat_the_carrier_is_told_the_public_address(house: House) -> None:
    house.carrier.advertised = "203.0.113.7"
    house.call()
    await house.calm()
    invite = house.carrier.call.invite
    assert b"c=IN IP4 203.0.113.7\r\n" in invite.body
    assert invite.from_.uri.host == "203.0.113.7"
    assert house.engine.leg.local_address[0] == "192.0.2.1"


# ── one request, one call ────────────────────────────────────────────────────


async def test_an_equal_request_is_answered_with_the_call_in_progress(house: House) -> None:
    first, second = house.call(), house.call(wait_until_answered=True)
    await house.calm()
    assert len(house.carrier.calls) == 1
    house.carrier.call.answers()
    assert await first == await second


async def test_requests_to_another_number_room_or_identity_are_calls_of_their_own(
    house: House,
) -> None:
    house.call()
    house.call(call_to="+15105550124")
    house.call(room_name="other")
    house.call(identity="other")
    house.call(call_to="1 (510) 555-0123", identity=f"sip_{NUMBER}")
    await house.calm()
    assert len(house.carrier.calls) == 4


async def test_the_last_of_two_waiting_requests_to_go_stops_the_ringing(house: House) -> None:
    first, second = (house.call(wait_until_answered=True) for _ in range(2))
    await house.calm()
    first.cancel()
    await house.calm()
    assert "cancel" not in house.timeline
    second.cancel()
    await house.calm()
    assert "cancel" in house.timeline


async def test_a_waiting_request_does_not_end_a_call_that_was_placed_without_waiting(
    house: House,
) -> None:
    await house.call()
    waiting = house.call(wait_until_answered=True, deadline=house.clock.monotonic() + 5)
    with pytest.raises(CallFailedError, match="sip request timed out"):
        await waiting
    assert "cancel" not in house.timeline


async def test_a_call_that_has_ended_may_be_placed_again(house: House) -> None:
    await _answered(house)
    house.carrier.call.hangs_up()
    await house.calm()
    await house.call()
    assert len(house.carrier.calls) == 2


# ── before the dial ──────────────────────────────────────────────────────────


async def test_without_a_media_port_nobody_is_called(house: House) -> None:
    house.engine.ports_left = 0
    with pytest.raises(CallFailedError) as failure:
        await house.call()
    assert failure.value.code is ErrorCode.INTERNAL
    assert house.timeline == []
    assert house.calls.last.termination == failure.value.termination


async def test_a_room_that_is_full_is_told_and_nobody_is_called(house: House) -> None:
    await house.rooms.create(RoomSpec("room", max_participants=1))
    house.rooms.join_local(LocalParticipantSpec("room", "agent"), _Agent())
    with pytest.raises(CallFailedError) as failure:
        await house.call()
    assert failure.value.code is ErrorCode.INTERNAL
    assert failure.value.message.startswith("update room failed: ")
    await house.calm()
    assert "invite" not in house.timeline


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"room_name": "r" * 257}, "room name exceeds 256 bytes"),
        ({"identity": "i" * 257}, "participant identity exceeds 256 bytes"),
        ({"name": "n" * 257}, "participant name exceeds 256 bytes"),
        ({"metadata": "m" * (512 * 1024 + 1)}, "metadata exceeds 524288 bytes"),
        ({"attributes": {"a": "b" * 65536}}, "attributes exceeds 65536 bytes"),
    ],
)
async def test_what_no_room_takes_is_refused_by_its_name(
    house: House, wishes: dict[str, Any], text: str
) -> None:
    with pytest.raises(ServiceError) as refusal:
        await house.call(**wishes)
    assert (refusal.value.code, refusal.value.message) == (ErrorCode.INVALID_ARGUMENT, text)
    assert house.timeline == []


async def test_an_unknown_trunk_is_not_found(house: House) -> None:
    with pytest.raises(ServiceError) as refusal:
        await house.call(trunk_id="ST_none")
    assert refusal.value.code is ErrorCode.NOT_FOUND


async def test_a_trunk_is_found_by_its_number(house: House) -> None:
    await house.call(trunk_id="", number="1 510 555 0100")
    assert house.attributes()["sip.trunkID"] == house.trunk_id
    with pytest.raises(ServiceError):
        await house.call(trunk_id="", number="+15105550999")
