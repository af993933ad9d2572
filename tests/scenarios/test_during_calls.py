"""What happens in a call beside talk: hold, keys, methods of the phone, early sound, figures."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from scenarios.caller import ScriptedCaller, invite
from scenarios.carrier import answer_sdp
from scenarios.house import NUMBER, House
from scenarios.inbound_house import Person
from switchroom.media import DigitsSent, MediaStarted
from switchroom.rooms.local import LocalParticipantSpec
from switchroom.rooms.rpc import RpcFailed
from switchroom.telephony.calls.call_record import MediaFigures
from switchroom.telephony.calls.remote_control import END_CALL, GET_REMOTE_HEADERS
from switchroom.telephony.routing.dispatch_rules import DirectRoom, DispatchRule
from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.media_config import Encryption, MediaConfig

_PHONE = f"sip_{NUMBER}"


async def _active(house: House, body: bytes | None = None, **wishes: Any) -> None:
    house.call(**wishes)
    await house.calm()
    house.carrier.call.answers(body, headers=(("X-Leg", "7"), ("X-Leg", "8"), ("Supported", "a")))
    await house.calm()


async def _ask(house: House, method: str, payload: str = "") -> Any:
    answer = await house.rooms.call_method("room", _PHONE, method, payload, 10.0)
    return json.loads(answer)


# ── hold ─────────────────────────────────────────────────────────────────────


async def test_the_room_sees_that_the_phone_holds_the_call(house: House) -> None:
    await _active(house)
    assert "sip.hold" not in house.attributes()
    house.carrier.call.offers(answer_sdp(direction="sendonly"))
    assert house.attributes()["sip.hold"] == "true"
    house.carrier.call.offers(answer_sdp())
    assert "sip.hold" not in house.attributes()


async def test_a_phone_that_answers_on_hold_is_told_to_hold_the_call(house: House) -> None:
    await _active(house, answer_sdp(direction="inactive"))
    assert house.attributes()["sip.hold"] == "true"
    house.carrier.call.offers(answer_sdp())
    assert "sip.hold" not in house.attributes()


async def test_a_new_codec_is_sent_at_once_and_recorded(house: House) -> None:
    await _active(house)
    house.carrier.call.offers(answer_sdp("8 101"))
    house.carrier.call.hangs_up()
    await house.calm()
    assert house.calls.last.codec == "PCMA/8000"


# ── methods of the phone ─────────────────────────────────────────────────────


async def test_the_far_ends_headers_can_be_asked_for(house: House) -> None:
    await _active(house)
    shown = (await _ask(house, GET_REMOTE_HEADERS))["headers"]
    assert shown["X-Leg"] == "7"
    assert "Supported" not in shown
    some = await _ask(house, GET_REMOTE_HEADERS, '{"include": ["x-leg", "supported"]}')
    assert some == {"headers": {"X-Leg": "7"}}
    rest = await _ask(house, GET_REMOTE_HEADERS, '{"exclude": ["X-LEG"]}')
    assert "X-Leg" not in rest["headers"]


async def test_before_the_answer_there_are_no_headers(house: House) -> None:
    house.call()
    await house.calm()
    assert await _ask(house, GET_REMOTE_HEADERS) == {"headers": {}}


async def test_a_participant_ends_the_call_and_is_answered_before_the_phone_leaves(
    house: House,
) -> None:
    await _active(house)
    assert await _ask(house, END_CALL, '{"headers": {"X-Why": "done"}}') == {}
    await asyncio.sleep(0.05)
    assert house.attributes()["sip.callStatus"] == "active"
    await asyncio.sleep(0.2)
    assert house.since("bye") == [
        "bye", "rpc hangup", "leg closes", "leaves CLIENT_INITIATED",
    ]  # fmt: skip
    assert ("X-Why", "done") in house.carrier.call.bye_headers


async def test_a_dial_is_ended_too(house: House) -> None:
    house.call()
    await house.calm()
    await _ask(house, END_CALL, '{"headers": {"X-Why": "never mind"}}')
    await asyncio.sleep(0.2)
    assert "cancel" in house.timeline
    assert ("X-Why", "never mind") in house.carrier.call.cancel_headers
    assert house.carrier.call.cancel_headers[0][0] == "Reason"


async def test_a_call_that_rings_here_is_refused_with_the_headers_asked_for(house: House) -> None:
    await house.telephony.inbound_trunks.create(InboundTrunk(numbers=("+15105550100",)))
    await house.telephony.dispatch_rules.create(DispatchRule(room=DirectRoom("lobby")))
    caller = ScriptedCaller(house, invite(headers=(("X-Plan", "gold"),))).calls()
    await house.calm()
    phone = house.rooms.get_participant("lobby", "sip_+15105550123")
    asked = (
        (GET_REMOTE_HEADERS, '{"include": ["x-plan"]}'),
        (END_CALL, '{"headers": {"X-Why": "no"}}'),
    )
    answers = [
        json.loads(await house.rooms.call_method("lobby", phone.identity, *one, 10.0))
        for one in asked
    ]
    assert answers == [{"headers": {"X-Plan": "gold"}}, {}]
    await asyncio.sleep(0.2)
    assert (caller.status, caller.reason) == (486, "Rejected")
    assert ("X-Why", "no") in caller.headers


@pytest.mark.parametrize(
    ("method", "payload"),
    [
        (GET_REMOTE_HEADERS, "no json"),
        (GET_REMOTE_HEADERS, "[1]"),
        (GET_REMOTE_HEADERS, '{"include": "X-Leg"}'),
        (GET_REMOTE_HEADERS, "[" * 10_000),
        (END_CALL, '{"headers": {"Call-ID": "forged"}}'),
        (END_CALL, '{"headers": {"X-A": "b\\r\\nX-C: d"}}'),
        (END_CALL, '{"headers": {"X-A": 1}}'),
        ("lk.sip.Nothing", ""),
    ],
)
async def test_what_cannot_be_done_is_refused_and_the_call_goes_on(
    house: House, method: str, payload: str
) -> None:
    await _active(house)
    with pytest.raises(RpcFailed):
        await _ask(house, method, payload)
    await asyncio.sleep(0.2)
    assert house.attributes()["sip.callStatus"] == "active"


# ── keys without telephone events ────────────────────────────────────────────


async def test_keys_for_a_phone_without_telephone_events_wait_for_each_other_too(
    house: House,
) -> None:
    """The engine makes tones of them, one after another."""
    request = house.call(dtmf="1w2", wait_until_answered=True)
    await house.calm()
    house.carrier.call.answers(answer_sdp("0"))
    await house.calm()
    assert house.since("automation") == ["automation", "digits 1w2"]
    assert not request.done()
    house.engine.happens(DigitsSent())
    await request
    seat = house.rooms.join_local(LocalParticipantSpec("room", "agent"), Person())
    seat.send_dtmf(3, "3")
    seat.send_dtmf(4, "4")
    assert house.since("active") == ["active", "digits 3", "digits 4"]


# ── before the answer ────────────────────────────────────────────────────────


@pytest.fixture
async def early() -> AsyncIterator[House]:
    """A house that lets rooms hear what comes before the answer."""
    house = House(sip__early_media=True)
    await house.start()
    yield house
    await house.stop()


async def test_the_networks_announcement_is_heard_instead_of_our_dial_tone(early: House) -> None:
    early.call(play_dialtone=True)
    await early.calm()
    early.carrier.call.says(183, "Session Progress", body=answer_sdp(port=4100))
    assert early.since("ringing") == ["ringing", "leg sendrecv 4100", "tone stops"]
    early.engine.happens(MediaStarted(("198.51.100.7", 4100)))
    early.carrier.call.answers()
    await early.calm()
    assert early.since("200") == ["200", "leg sendrecv 4000", "active"]


async def test_without_the_setting_early_sound_is_not_heard(house: House) -> None:
    house.call(play_dialtone=True)
    await house.calm()
    house.carrier.call.says(183, body=answer_sdp(port=4100))
    assert house.timeline[-1] == "ringing"


async def test_a_far_end_without_srtp_is_called_again_in_the_clear(house: House) -> None:
    request = house.call(media=MediaConfig(encryption=Encryption.ALLOW), wait_until_answered=True)
    await house.calm()
    first = house.carrier.call
    assert b"a=crypto:" in first.invite.body
    first.refuses(488, "Not Acceptable Here")
    await house.calm()
    second = house.carrier.call
    assert b"a=crypto:" not in second.invite.body
    assert second.invite.call_id != first.invite.call_id
    assert second.invite.local_tag == first.invite.local_tag
    second.answers()
    await request
    assert len(house.carrier.calls) == 2


async def test_required_encryption_is_not_given_up(house: House) -> None:
    house.call(media=MediaConfig(encryption=Encryption.REQUIRE))
    await house.calm()
    house.carrier.call.refuses(488, "Not Acceptable Here")
    await house.calm()
    assert len(house.carrier.calls) == 1


async def test_noise_is_taken_away_where_it_is_asked_for(house: House) -> None:
    await _active(house, krisp_enabled=True)
    assert "processing True False" in house.timeline


async def test_a_name_as_the_phones_address_is_looked_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_up(host: str, port: int, *, family: int, **_: Any) -> Any:
        assert (host, family) == ("media.example.com", socket.AF_INET)
        return [(0, 0, 0, "", ("203.0.113.5", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    body = answer_sdp().replace(b"c=IN IP4 198.51.100.7", b"c=IN IP4 media.example.com")
    await _active(house, body)
    assert house.since("200") == [
        "200", "leg sendrecv -", "active", "leg sendrecv 4000",
    ]  # fmt: skip


async def test_names_are_looked_up_one_after_the_other_and_the_last_one_counts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each re-INVITE may bring another one: they must not pile up in front of a slow resolver."""
    asked: list[str] = []
    answers: list[asyncio.Future[Any]] = []

    def look_up(host: str, *_: Any, **__: Any) -> asyncio.Future[Any]:
        asked.append(host)
        answers.append(asyncio.get_running_loop().create_future())
        return answers[-1]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    await _active(house, answer_sdp().replace(b"IP4 198.51.100.7", b"IP4 first.example"))
    for name in (b"second", b"third", b"last"):
        body = answer_sdp().replace(b"IP4 198.51.100.7", b"IP4 " + name + b".example")
        house.carrier.call.offers(body)
        await house.calm()
    assert asked == ["first.example"]
    answers[0].set_exception(UnicodeError("label too long"))
    await house.calm()
    assert asked == ["first.example", "last.example"]
    answers[1].set_result([(0, 0, 0, "", ("203.0.113.5", 4000))])
    await house.calm()
    assert house.timeline[-1] == "leg sendrecv 4000"


async def test_an_address_that_is_found_too_late_is_not_sent_to(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lambda *_, **__: found)
    named = answer_sdp().replace(b"c=IN IP4 198.51.100.7", b"c=IN IP4 media.example.com")
    await _active(house, named)
    house.carrier.call.offers(answer_sdp(port=4002))
    found.set_result([(0, 0, 0, "", ("203.0.113.5", 4000))])
    await house.calm()
    assert house.timeline[-1] == "leg sendrecv 4002"


# ── the books ────────────────────────────────────────────────────────────────


async def test_the_record_tells_how_the_sound_went_and_what_the_network_said(
    house: House,
) -> None:
    await _active(house)
    await asyncio.sleep(60)
    house.carrier.call.hangs_up((("Reason", 'Q.850;cause=41;text="Temporary failure"'),))
    await house.calm()
    record = house.calls.last
    assert record.media == MediaFigures(
        packets_in=500, lost_in=5, jitter_in_ms=1.23, packets_out=510
    )
    assert (record.codec, record.encryption) == ("PCMU/8000", "")
    assert record.sip_call_id == house.carrier.call.invite.call_id
    ending = record.termination
    assert ending is not None
    assert (ending.q850, ending.who.value) == (41, "phone")
    assert ending.sentence == "The phone hung up. Q.850 cause 41: Temporary failure"


@pytest.mark.parametrize("closed", [False, True])
async def test_an_engine_without_figures_does_not_keep_the_call_from_its_end(
    house: House, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    await _active(house)
    monkeypatch.setattr(house.engine.leg, "ask_stats", lambda: answer)
    house.carrier.call.hangs_up()
    await house.calm()
    assert house.calls.last.termination is None
    if closed:
        answer.set_result(None)
    await asyncio.sleep(2)
    assert (house.calls.last.termination is not None, house.calls.last.media) == (True, None)
    assert answer.done()


async def test_clients_can_read_why_a_dial_failed(house: House) -> None:
    house.watched = {"sip.termination", "sip.statusCode", "sip.statusText", "sip.q850Cause"}
    house.call()
    await house.calm()
    house.carrier.call.refuses(486, "Busy Here", (("Reason", "Q.850;cause=17"),))
    await house.calm()
    assert "busy 486 Busy Here 17" in house.timeline
    ending = house.calls.last.termination
    assert ending is not None
    assert (ending.status, ending.q850) == (486, 17)


async def test_a_cancel_says_why_and_carries_the_trunks_headers(house: House) -> None:
    trunk = house.telephony.trunks.get(house.trunk_id)
    await house.telephony.trunks.replace(
        house.trunk_id, replace(trunk, attributes_to_headers={"outcome": "X-Outcome"})
    )
    house.call(attributes={"outcome": "changed our mind"})
    await house.calm()
    await house.rooms.delete("room")
    assert house.carrier.call.cancel_headers == (
        ("Reason", 'Q.850;cause=16;text="Caller gave up"'),
        ("X-Outcome", "changed our mind"),
    )
