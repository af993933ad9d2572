"""Whole inbound calls, from the INVITE to the last word."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from scenarios.caller import CALLED, CALLER, ScriptedCaller, invite
from scenarios.carrier import answer_sdp
from scenarios.inbound_house import (
    RULE,
    SIP,
    TRUNK,
    Person,
    answered,
    called,
    comes,
    ended,
    open_house,
    silence_players,
)
from switchroom.media import DigitReceived, MediaStarted, MediaTimedOut
from switchroom.rooms.data import Dtmf
from switchroom.rooms.info import ParticipantKind
from switchroom.rooms.local import LocalParticipantSpec
from switchroom.telephony.calls.call_record import CallDirection
from switchroom.telephony.calls.termination import Cause
from switchroom.telephony.routing.dispatch_rules import DirectRoom, DispatchRule, IndividualRoom
from switchroom.telephony.routing.headers import HeaderOptions
from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.media_config import ListedCodec, MediaConfig
from switchroom.telephony.telephony import FAREWELL

# ── a call goes well ─────────────────────────────────────────────────────────


async def test_it_rings_until_somebody_in_the_room_can_be_heard() -> None:
    async with open_house() as house:
        caller = await called(house)
        assert house.timeline == ["180", "joins ringing", f"publishes {SIP} (silent)"]
        await asyncio.sleep(20)
        silent = LocalParticipantSpec("room", "visitor", kind=ParticipantKind.STANDARD)
        house.rooms.join_local(silent, Person())
        await house.calm()
        assert caller.status is None, "somebody without a track cannot be heard"
        await comes(house)
        assert house.since("200") == ["200", "leg sendrecv 4000"]
        assert house.attributes()["sip.callStatus"] == "ringing"
        caller.acknowledges()
        await house.calm()
        assert house.since("active") == ["active", "phone hears 1"]
        caller.hangs_up()
        await house.calm()
        assert house.since("bye from caller") == [
            "bye from caller", "bye hangup", "leg closes", "leaves CLIENT_INITIATED",
            "phone hears 0",
        ]  # fmt: skip
        record = house.calls.last
        assert record.termination is not None
        assert record.termination.word == "bye"
        assert [change.status.value for change in record.path] == ["ringing", "active", "hangup"]
        assert (record.direction, record.room_name) == (CallDirection.INBOUND, "room")
        assert (record.from_number, record.to_number) == (CALLER, CALLED)
        assert record.participant_identity == SIP
        assert record.sip_call_id == "in-1"
        assert record.remote_address == "198.51.100.7:5060"
        assert record.answered_at > record.created_at
        assert record.dialog is None
        silence_players(house)


async def test_an_agent_that_is_there_already_is_enough() -> None:
    async with open_house() as house:
        await comes(house)
        caller = await called(house)
        assert caller.status == 200
        silence_players(house)


async def test_the_agent_is_not_told_to_speak_before_the_caller_can_hear() -> None:
    async with open_house() as house:
        caller = await called(house)
        await comes(house)
        await house.calm()
        assert "phone hears 1" not in house.timeline
        caller.acknowledges()
        await house.calm()
        assert house.timeline[-2:] == ["active", "phone hears 1"]
        silence_players(house)


async def test_packets_of_the_caller_are_as_good_as_the_ack() -> None:
    async with open_house() as house:
        await called(house)
        await comes(house)
        house.engine.happens(MediaStarted(("198.51.100.7", 4000)))
        await house.calm()
        assert house.timeline[-2:] == ["active", "phone hears 1"]
        silence_players(house)


async def test_the_room_sees_livekits_attributes_and_the_headers_that_the_trunk_asks_for() -> None:
    trunk = replace(
        TRUNK,
        include_headers=HeaderOptions.X_HEADERS,
        headers_to_attributes={"X-Customer": "customer"},
    )
    rule = replace(RULE, attributes={"line": "sales"}, metadata="vip", name="front desk")
    headers = (("X-Customer", "7"), ("X-Twilio-CallSid", "CA1"), ("Subject", "no"))
    async with open_house(trunk, rule) as house:
        await called(house, headers=headers)
        shown = dict(house.attributes())
        trunk_id = house.telephony.inbound_trunks.list()[0].trunk_id
        rule_id = house.telephony.dispatch_rules.list()[0].rule_id
        assert shown.pop("sip.callID").startswith("SCL_")
        assert shown == {
            "customer": "7",
            "line": "sales",
            "sip.callIDFull": "in-1",
            "sip.callStatus": "ringing",
            "sip.callTag": "theirs",
            "sip.h.x-customer": "7",
            "sip.h.x-twilio-callsid": "CA1",
            "sip.hostname": "carrier.example",
            "sip.phoneNumber": CALLER,
            "sip.ruleID": rule_id,
            "sip.trunkID": trunk_id,
            "sip.trunkPhoneNumber": CALLED,
            "sip.twilio.callSid": "CA1",
        }
        info = house.rooms.get_participant("room", SIP)
        assert (info.name, info.metadata, info.kind) == (
            f"Phone {CALLER}", "vip", ParticipantKind.SIP,
        )  # fmt: skip


async def test_a_hidden_number_shows_nowhere_in_the_room() -> None:
    trunk = replace(TRUNK, include_headers=HeaderOptions.ALL)
    rule = DispatchRule(room=IndividualRoom("call"), hide_phone_number=True)
    async with open_house(trunk, rule) as house:
        await called(house, headers=(("P-Asserted-Identity", f"<sip:{CALLER}@x>"),))
        (room,) = house.rooms.list()
        (phone,) = house.rooms.participants(room.name)
        told = f"{room.name} {phone.identity} {phone.name} {phone.attributes}"
        assert CALLER not in told
        assert CALLER.removeprefix("+") not in told


async def test_no_name_at_all_in_from_disturbs_nothing() -> None:
    rule = DispatchRule(room=DirectRoom("room"), hide_phone_number=True)
    async with open_house(TRUNK, rule) as house:
        await called(house, caller="<sip:anonymous.invalid>")
        (phone,) = house.rooms.participants("room")
        assert phone.identity.startswith("sip_")


async def test_the_room_is_made_with_the_rules_configuration() -> None:
    config = {"agents": [{"agentName": "receptionist"}], "metadata": "m", "emptyTimeout": 7}
    async with open_house(TRUNK, replace(RULE, room_config=config)) as house:
        await called(house)
        (room,) = house.rooms.list()
        assert (room.metadata, room.empty_timeout) == ("m", 7)
        assert "receptionist" in house.rooms.get("room").terms.configuration


async def test_headers_too_long_for_a_room_do_not_keep_the_caller_out() -> None:
    trunk = replace(TRUNK, include_headers=HeaderOptions.ALL)
    headers = tuple((f"X-{n}", "x" * 1000) for n in range(80))
    async with open_house(trunk) as house:
        await called(house, headers=headers)
        assert house.attributes()["sip.phoneNumber"] == CALLER
        assert "sip.h.x-1" not in house.attributes()


async def test_the_200_carries_the_trunks_headers_and_the_attributes_that_it_maps() -> None:
    trunk = replace(
        TRUNK, headers={"X-Desk": "front"}, attributes_to_headers={"ticket": "X-Ticket"}
    )
    async with open_house(trunk, replace(RULE, attributes={"ticket": "42"})) as house:
        caller = await answered(house)
        assert caller.headers == (("X-Desk", "front"), ("X-Ticket", "42"))
        await house.rooms.delete("room")
        await house.calm()
        assert ("X-Ticket", "42") in caller.bye_headers
        silence_players(house)


async def test_digits_go_both_ways() -> None:
    async with open_house() as house:
        agent = Person()
        seat = await comes(house, agent)
        caller = await called(house)
        house.engine.happens(DigitReceived("1", 100))
        caller.acknowledges()
        await house.calm()
        house.engine.happens(DigitReceived("#", 100))
        assert agent.heard == [Dtmf(11, "#")], "what was pressed before the answer is nobody's"
        seat.send_dtmf(5, "5")
        assert house.timeline[-1] == "digits 5"
        silence_players(house)


async def test_an_offer_of_hold_is_answered() -> None:
    async with open_house() as house:
        caller = await answered(house)
        caller.offers(answer_sdp(direction="sendonly"))
        await house.calm()
        assert house.timeline[-2:] == ["offer answered 200", "leg recvonly 4000"]
        silence_players(house)


async def test_two_calls_of_one_number_into_one_room_both_live() -> None:
    async with open_house() as house:
        first = await called(house, call_id="in-1")
        second = await called(house, call_id="in-2")
        assert (first.status, second.status) == (200, 200), "each is there for the other"
        first.acknowledges()
        second.acknowledges()
        await house.calm()
        identities = {p.identity for p in house.rooms.participants("room")}
        assert identities == {SIP, f"{SIP}_2"}
        assert house.timeline.count("active") == 2


# ── who is let in ────────────────────────────────────────────────────────────


async def test_a_number_of_no_trunk_is_refused_with_a_reason_and_a_record() -> None:
    async with open_house() as house:
        caller = await called(house, called="+19995550000")
        assert (caller.status, caller.reason) == (404, "Does not match any SIP Trunks")
        record = house.calls.last
        assert record.termination is not None
        assert record.termination.cause is Cause.NO_TRUNK
        assert "+19995550000" in record.termination.sentence
        assert (record.room_name, record.ended_at) == ("", record.created_at)


async def test_an_address_that_the_trunk_does_not_allow_gets_in_through_no_catch_all_rule() -> None:
    async with open_house() as house:
        request = invite()
        caller = ScriptedCaller(house, request, ("203.0.113.9", 5060)).calls()
        assert caller.status == 404
        assert house.calls.last.termination is not None
        assert "does not allow the address 203.0.113.9" in house.calls.last.termination.sentence
        assert not house.rooms.list()


async def test_a_rule_that_says_so_takes_calls_without_a_trunk() -> None:
    async with open_house(None, replace(RULE, trunk_ids=("",))) as house:
        await called(house)
        assert house.attributes()["sip.trunkID"] == ""
    async with open_house(None) as house:
        assert (await called(house)).status == 404


async def test_a_call_that_no_rule_wants_is_refused_and_does_not_ring_for_ever() -> None:
    rule = replace(RULE, numbers=("+1777",))
    async with open_house(TRUNK, rule) as house:
        caller = await called(house)
        assert (caller.status, caller.reason) == (404, "Does not match any Dispatch Rules")
        assert house.timeline == ["404"]
        assert house.calls.last.termination is not None
        assert house.calls.last.termination.cause is Cause.NO_RULE


async def test_the_status_of_unwanted_calls_can_be_set_and_so_can_silence() -> None:
    async with open_house(TRUNK, RULE, sip__unmatched_status=480) as house:
        assert (await called(house, called="+1")).status == 480
    async with open_house(TRUNK, RULE, sip__hide_inbound_port=True) as house:
        await called(house, called="+1")
        assert house.timeline == ["silence"]
        assert house.calls.last.termination is not None
        assert house.calls.last.termination.status is None


async def test_a_scanner_hears_nothing_and_leaves_no_record() -> None:
    async with open_house() as house:
        await called(house, headers=(("User-Agent", "friendly-scanner"),))
        assert house.timeline == ["silence"]
        assert not house.calls.records


async def test_a_flood_of_unwanted_calls_does_not_fill_the_disk() -> None:
    async with open_house() as house:
        for n in range(500):
            ScriptedCaller(house, invite(called="+1", call_id=f"flood-{n}")).calls()
        assert len(house.calls.records) == 60
        await asyncio.sleep(61)
        ScriptedCaller(house, invite(called="+1", call_id="later")).calls()
        assert len(house.calls.records) == 61


async def test_the_same_invite_again_is_one_record() -> None:
    async with open_house() as house:
        for _ in range(3):
            await called(house, called="+1")
        assert len(house.calls.records) == 1


async def test_a_trunk_with_a_password_asks_for_it_and_notes_a_wrong_one() -> None:
    trunk = InboundTrunk(numbers=(CALLED,), auth_username="ann", auth_password="secret")
    async with open_house(trunk) as house:
        caller = await called(house)
        assert caller.refusal is not None
        assert caller.status == 407
        assert 'realm="LiveKit"' in caller.refusal.headers[0][1]
        assert not house.calls.records
        wrong = 'Digest username="ann", realm="LiveKit", nonce="1-2", uri="sip:x", response="0"'
        await called(house, headers=(("Proxy-Authorization", wrong),))
        assert house.calls.last.termination is not None
        assert house.calls.last.termination.cause is Cause.WRONG_LOGIN


async def test_a_trunk_that_knows_its_peer_tells_who_an_anonymous_caller_is() -> None:
    asserted = (("P-Asserted-Identity", '"Ann" <sip:+15105559999@x>, <tel:+15105558888>'),)
    anonymous = '"Anonymous" <sip:anonymous@anonymous.invalid>'
    async with open_house() as house:
        await called(house, caller=anonymous, headers=asserted)
        shown = house.attributes("sip_+15105559999")
        assert shown["sip.phoneNumber"] == "+15105559999"
    async with open_house(replace(TRUNK, allowed_addresses=())) as house:
        await called(house, caller=anonymous, headers=asserted)
        assert house.attributes("sip_anonymous")["sip.phoneNumber"] == "anonymous"
    async with open_house() as house:
        await called(house, caller=anonymous, headers=(*asserted, ("Privacy", "id;critical")))
        assert house.attributes("sip_anonymous")


async def test_a_number_that_only_the_request_uri_has_is_found() -> None:
    async with open_house() as house:
        await called(house, called="reception", target=CALLED)
        assert house.attributes()["sip.trunkPhoneNumber"] == CALLED


async def test_nothing_in_common_is_488_and_nonsense_400() -> None:
    async with open_house() as house:
        caller = await called(house, body=answer_sdp(codecs="96"))
        assert caller.status == 488
        assert house.timeline == ["leg closes", "488 Not Acceptable Here"]
        assert (await called(house, body=b"nonsense")).status == 400
        assert not house.rooms.list()


async def test_a_media_list_without_a_codec_of_ours_is_refused_by_name() -> None:
    media = MediaConfig(only_listed_codecs=True, codecs=(ListedCodec("iLBC", 8000),))
    async with open_house(TRUNK, replace(RULE, media=media)) as house:
        assert (await called(house)).status == 488
        assert house.calls.last.termination is not None
        assert "codec" in house.calls.last.termination.detail


async def test_without_a_free_port_the_caller_is_told_so() -> None:
    async with open_house() as house:
        house.engine.ports_left = 0
        assert (await called(house)).status == 503


async def test_a_server_that_stops_takes_no_more_calls_and_names_a_time() -> None:
    async with open_house() as house:
        stopping = asyncio.ensure_future(house.telephony.stop(0.0))
        await house.calm()
        caller = await called(house)
        assert caller.refusal is not None
        assert (caller.status, caller.refusal.headers) == (503, (("Retry-After", "10"),))
        await stopping


# ── endings ──────────────────────────────────────────────────────────────────


async def test_a_caller_who_gives_up_while_it_rings_has_cancelled() -> None:
    async with open_house() as house:
        caller = await called(house)
        caller.gives_up()
        await house.calm()
        assert house.since("cancel, 487") == [
            "cancel, 487", "cancelled", "leg closes", "leaves CLIENT_INITIATED",
        ]  # fmt: skip
        await ended(house, "cancelled")


async def test_a_deleted_room_refuses_who_still_rings_and_hangs_up_who_talks() -> None:
    async with open_house() as house:
        caller = await called(house)
        await house.rooms.delete("room")
        await house.calm()
        assert (caller.status, caller.reason) == (486, "Rejected")
        await ended(house, "removed")
        caller = await answered(house, call_id="in-2")
        await house.rooms.delete("room")
        await house.calm()
        assert caller.bye_headers[0][0] == "Reason"
        await ended(house, "removed")
        silence_players(house)


async def test_nobody_who_can_be_heard_ends_the_ringing_after_the_trunks_time() -> None:
    trunk = replace(TRUNK, ringing_timeout=20, ringing_timeout_status=480)
    async with open_house(trunk) as house:
        caller = await called(house)
        await asyncio.sleep(19.9)
        assert not caller.reason
        await asyncio.sleep(0.2)
        assert (caller.status, caller.reason) == (480, "Temporarily Unavailable")
        await ended(house, "cannot-subscribe")
    async with open_house() as house:
        caller = await called(house)
        await asyncio.sleep(179)
        assert not caller.reason
        await asyncio.sleep(2)
        assert (caller.status, caller.reason) == (486, "Busy Here")


async def test_a_loop_that_wakes_us_a_moment_early_lets_nobody_ring_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As uvloop does, whose timers count whole milliseconds."""
    loop = asyncio.get_running_loop()
    on_time = loop.call_later

    def early(delay: float, *rest: Any, **named: Any) -> asyncio.TimerHandle:
        return on_time(max(0.0, delay - 0.001), *rest, **named)

    async with open_house(replace(TRUNK, ringing_timeout=20)) as house:
        monkeypatch.setattr(loop, "call_later", early)
        caller = await called(house)
        await asyncio.sleep(21)
        monkeypatch.undo()
        assert (caller.status, caller.reason) == (486, "Busy Here")


async def test_silence_no_ack_and_the_longest_duration_end_a_call() -> None:
    async with open_house() as house:
        await answered(house)
        house.engine.happens(MediaTimedOut())
        await house.calm()
        await ended(house, "media-timeout")
        caller = await called(house, call_id="in-2")
        caller.never_acknowledges()
        await house.calm()
        await ended(house, "dialog-lost")
        silence_players(house)
    async with open_house(replace(TRUNK, max_call_duration=60)) as house:
        caller = await answered(house)
        await asyncio.sleep(60)
        assert caller.bye_headers
        await ended(house, "hangup")
        silence_players(house)


async def test_a_server_that_stops_ends_its_calls() -> None:
    async with open_house() as house:
        caller = await called(house)
        await house.telephony.stop(0.0)
        assert caller.status == 503
        assert house.clock.monotonic() < FAREWELL
        await ended(house, "shutdown")


async def test_a_room_that_does_not_take_the_phone_is_an_error_to_the_caller() -> None:
    rule = replace(RULE, room_config={"maxParticipants": 1})
    async with open_house(TRUNK, rule) as house:
        await called(house)
        second = await called(house, call_id="in-2")
        assert second.status == 500
        ending = house.calls.last.termination
        assert ending is not None
        assert ending.cause is Cause.JOIN_FAILED


async def test_a_caller_who_goes_while_the_room_is_made_leaves_nobody_behind() -> None:
    async with open_house() as house:
        caller = ScriptedCaller(house, invite()).calls()
        caller.gives_up()
        await house.calm()
        await ended(house, "cancelled")


# ── a late offer ─────────────────────────────────────────────────────────────


async def test_an_invite_without_an_offer_gets_ours_and_its_ack_the_sound() -> None:
    async with open_house() as house:
        caller = await called(house, body=b"")
        await comes(house)
        assert b"m=audio" in caller.body
        assert not [entry for entry in house.timeline if entry.startswith("leg ")]
        caller.acknowledges(answer_sdp())
        await house.calm()
        assert house.since("leg sendrecv 4000") == [
            "leg sendrecv 4000", "active", "phone hears 1",
        ]  # fmt: skip
        silence_players(house)


async def test_an_ack_that_answers_nothing_is_hung_up_on() -> None:
    async with open_house() as house:
        caller = await called(house, body=b"")
        await comes(house)
        caller.acknowledges(b"nonsense")
        await house.calm()
        assert caller.bye_headers
        await ended(house, "sdp-error")
        silence_players(house)


async def test_who_gives_up_while_our_answer_waits_for_his_prack_leaves_nothing_behind() -> None:
    """To a caller who requires 100rel the 200 is held back until then; no BYE would ever come."""
    async with open_house() as house:
        await comes(house)
        caller = await called(house, body=b"")
        assert caller.status == 200
        caller.gives_up()
        await house.calm()
        assert not house.telephony.running.all
        await ended(house, "cancelled")
        silence_players(house)


async def test_what_is_no_text_in_an_invite_keeps_no_call_from_the_books() -> None:
    """A header with broken UTF-8 is kept as half of surrogate pairs, which no database takes."""
    async with open_house() as house:
        broken = "\udcff"
        headers = invite(caller=f"<sip:{broken}@carrier.example>", call_id=f"{broken}@x")
        caller = ScriptedCaller(house, headers).calls()
        await house.calm()
        record = house.calls.last
        assert (record.from_number, record.sip_call_id) == ("\ufffd", "\ufffd@x")
        caller.gives_up()
        await house.calm()


async def test_callers_without_telephone_events_are_listened_to_for_keys_if_so_set() -> None:
    async with open_house(sip__detect_tones=True) as house:
        await answered(house, body=answer_sdp("0"))
        assert "processing False True" in house.timeline
        silence_players(house)
