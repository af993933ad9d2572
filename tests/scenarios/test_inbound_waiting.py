"""What a caller hears while nobody is there, and what becomes of one to whom nobody comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from scenarios.caller import ScriptedCaller
from scenarios.carrier import answer_sdp
from scenarios.house import House
from scenarios.inbound_house import (
    RULE,
    TRUNK,
    called,
    comes,
    ended,
    open_house,
    silence_players,
)
from switchroom.rooms.data import DispatchEnded
from switchroom.rooms.dispatches import DispatchSpec, Job, JobKind

# ── other ways to answer ─────────────────────────────────────────────────────


async def test_a_call_answered_at_once_is_active_and_hears_that_it_rings_on() -> None:
    async with open_house(TRUNK, RULE, sip__inbound__answer="now") as house:
        caller = await called(house)
        assert caller.status == 200
        caller.acknowledges()
        await house.calm()
        assert house.since("tone starts") == ["tone starts", "phone hears 1", "active"]
        await comes(house)
        await house.calm()
        assert house.timeline[-1] == "tone stops"
        assert "phone hears 1" in house.since("active")
        silence_players(house)


@pytest.mark.parametrize(
    ("way", "sound"), [("ring_tone", "tone starts"), ("hold_music", "plays hold_music")]
)
async def test_a_caller_hears_tone_or_music_until_somebody_speaks(way: str, sound: str) -> None:
    async with open_house(TRUNK, RULE, sip__inbound__answer=way) as house:
        caller = await called(house)
        caller.acknowledges()
        await house.calm()
        assert house.since("200") == ["200", "leg sendrecv 4000", sound, "phone hears 1"]
        assert house.attributes()["sip.callStatus"] == "ringing"
        await asyncio.sleep(30)
        await comes(house)
        await house.calm()
        assert house.since("tone stops") == ["tone stops", "active", "phone hears 1"]
        silence_players(house)


async def test_music_ends_when_nobody_comes() -> None:
    async with open_house(TRUNK, RULE, sip__inbound__answer="hold_music") as house:
        caller = await called(house)
        caller.acknowledges()
        await asyncio.sleep(181)
        assert caller.bye_headers
        await ended(house, "cannot-subscribe")
        ending = house.calls.last.termination
        assert ending is not None
        assert ending.status is None, "a BYE has no status"


async def test_music_for_a_late_offer_begins_with_the_ack() -> None:
    async with open_house(TRUNK, RULE, sip__inbound__answer="hold_music") as house:
        caller = await called(house, body=b"")
        assert "plays hold_music" not in house.timeline
        caller.acknowledges(answer_sdp())
        await house.calm()
        assert house.since("leg sendrecv 4000")[1] == "plays hold_music"


# ── nobody comes ─────────────────────────────────────────────────────────────


async def _agent_declines(house: House) -> None:
    room = house.rooms.get("room")
    dispatch = room.request_dispatch(DispatchSpec("receptionist"))
    room.dispatches.put_job(Job("AJ_1", dispatch.id, JobKind.ROOM, ended_at_ns=1))
    room.tell_dispatch_ended(DispatchEnded(dispatch.id, "receptionist", "no_worker", ""))
    await house.calm()


async def test_without_a_fallback_a_missing_agent_leaves_it_ringing() -> None:
    async with open_house() as house:
        caller = await called(house)
        await _agent_declines(house)
        assert caller.status is None


async def test_a_missing_agent_sends_the_caller_to_another_address() -> None:
    async with open_house(TRUNK, RULE, sip__inbound__fallback="sip:desk@pbx.example") as house:
        caller = await called(house)
        await _agent_declines(house)
        assert (caller.status, caller.headers) == (302, (("Contact", "<sip:desk@pbx.example>"),))
        await ended(house, "redirected")


async def test_a_missing_agent_is_a_status_where_that_is_wanted() -> None:
    async with open_house(TRUNK, RULE, sip__inbound__fallback="480") as house:
        caller = await called(house)
        await _agent_declines(house)
        assert (caller.status, caller.reason) == (480, "Temporarily Unavailable")
        await ended(house, "no-agent")


async def test_a_room_that_stays_empty_is_a_missing_agent_too() -> None:
    async with open_house(TRUNK, RULE, sip__inbound__fallback="480") as house:
        caller = await called(house)
        await asyncio.sleep(29)
        assert caller.status is None
        await asyncio.sleep(2)
        assert caller.status == 480


async def test_an_agent_on_its_way_is_waited_for() -> None:
    async with open_house(TRUNK, RULE, sip__inbound__fallback="480") as house:
        caller = await called(house)
        room = house.rooms.get("room")
        room.request_dispatch(DispatchSpec("other"))
        await _agent_declines(house)
        assert caller.status is None


async def test_a_trunk_that_names_its_status_for_unanswered_calls_has_its_own_fallback() -> None:
    trunk = replace(TRUNK, ringing_timeout_status=503)
    async with open_house(trunk, RULE, sip__inbound__fallback="480") as house:
        caller = await called(house)
        await _agent_declines(house)
        await asyncio.sleep(60)
        assert caller.status is None


async def _forwarded(house: House) -> ScriptedCaller:
    caller = await called(house)
    await _agent_declines(house)
    assert house.carrier.call.invite.request_uri.user == "+12025550121"
    house.carrier.call.says(180)
    await house.calm()
    assert caller.status is None, "a phone that rings is nobody to talk to"
    return caller


FORWARD = {"sip__inbound__fallback": "+12025550121"}


async def test_a_missing_agent_is_replaced_by_somebody_at_a_phone() -> None:
    async with open_house(TRUNK, RULE, **FORWARD) as house:
        caller = await _forwarded(house)
        house.carrier.call.answers()
        await house.calm()
        assert caller.status == 200
        caller.acknowledges()
        await house.calm()
        assert house.attributes()["sip.callStatus"] == "active"
        house.carrier.call.hangs_up()
        await house.calm()
        assert caller.bye_headers, "whoever was brought in has gone: nobody is left to talk to"


async def test_whoever_was_brought_in_is_let_go_when_the_caller_hangs_up() -> None:
    async with open_house(TRUNK, RULE, **FORWARD) as house:
        caller = await _forwarded(house)
        house.carrier.call.answers()
        await house.calm()
        caller.acknowledges()
        caller.hangs_up()
        await house.calm()
        assert house.timeline.count("bye") == 1
        assert not house.rooms.participants("room")


async def test_a_caller_who_gives_up_stops_the_forwarding_too() -> None:
    async with open_house(TRUNK, RULE, **FORWARD) as house:
        caller = await _forwarded(house)
        caller.gives_up()
        await house.calm()
        assert "cancel" in house.timeline


async def test_a_fallback_that_does_not_answer_ends_the_call() -> None:
    async with open_house(TRUNK, RULE, **FORWARD) as house:
        caller = await _forwarded(house)
        house.carrier.call.refuses(486, "Busy Here")
        await house.calm()
        assert caller.status == 480
        await ended(house, "no-agent")


@pytest.mark.parametrize("turns", range(-1, 5))
async def test_whoever_answers_as_the_caller_gives_up_is_not_left_alone_in_the_room(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is written to disk, and told: the caller goes before, between and after."""
    async with open_house(TRUNK, RULE, **FORWARD) as house:
        caller = await _forwarded(house)

        async def goes() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            caller.hangs_up()

        async def written() -> None:
            await asyncio.sleep(0.001)
            if turns >= 0 and not leaving:
                leaving.append(asyncio.ensure_future(goes()))

        leaving: list[asyncio.Future[None]] = []
        monkeypatch.setattr(house.calls, "_written", written)
        house.carrier.call.answers()
        if turns < 0:
            await asyncio.sleep(0.0005)
            caller.hangs_up()
        await house.calm()
        assert house.timeline.count("bye") == 1
        assert not house.rooms.list() or not house.rooms.participants("room")
