"""Callers who owe a PIN."""

from __future__ import annotations

import asyncio
from typing import Any

from scenarios.caller import ScriptedCaller
from scenarios.carrier import answer_sdp
from scenarios.house import House
from scenarios.inbound_house import (
    SIP,
    TRUNK,
    called,
    comes,
    ended,
    open_house,
    silence_players,
)
from switchroom.base.records import replace
from switchroom.media import DigitReceived
from switchroom.telephony.routing.dispatch_rules import DirectRoom, DispatchRule

# ── the PIN ──────────────────────────────────────────────────────────────────

PIN_RULE = DispatchRule(room=DirectRoom("room", pin="1234"))


def types(house: House, keys: str) -> None:
    for key in keys:
        house.engine.happens(DigitReceived(key, 100))


def prompt_ends(house: House) -> None:
    player = house.engine.players[-1]
    player.handle(("player_finished", player.id))


async def _asked(house: House, **wishes: Any) -> ScriptedCaller:
    caller = await called(house, **wishes)
    assert caller.status == 200
    assert not house.rooms.list(), "no room is made for who has no PIN"
    caller.acknowledges()
    await house.calm()
    return caller


async def test_the_right_pin_leads_into_the_room() -> None:
    async with open_house(TRUNK, PIN_RULE) as house:
        await _asked(house)
        assert house.timeline[-2:] == ["plays enter_pin", "phone hears 1"]
        types(house, "1")
        assert house.timeline[-1] == "tone stops", "whoever types knows what is wanted"
        types(house, "234#")
        assert house.timeline[-2:] == ["plays room_join", "phone hears 1"]
        prompt_ends(house)
        await house.calm()
        assert house.since("joins active") == [
            "joins active",
            f"publishes {SIP} (silent)",
            "tone starts",
            "phone hears 1",
            "active",
        ]
        await comes(house)
        await house.calm()
        assert house.timeline[-1] == "tone stops"
        assert house.attributes()["sip.ruleID"]
        assert house.calls.last.rule_id == house.attributes()["sip.ruleID"]
        silence_players(house)


async def test_a_pin_whose_rule_hides_numbers_hides_them_in_the_record_too() -> None:
    plain = replace(PIN_RULE, room=DirectRoom("lobby", pin="1"))
    hiding = replace(PIN_RULE, hide_phone_number=True)
    async with open_house(TRUNK, plain, hiding) as house:
        await _asked(house)
        types(house, "1234#")
        prompt_ends(house)
        await house.calm()
        (runner,) = house.telephony.running.all
        assert runner.record.room_name == "room"
        assert runner.record.hides_numbers
        assert house.calls.last.hides_numbers
        silence_players(house)


async def test_three_wrong_pins_and_the_caller_is_told_good_bye() -> None:
    async with open_house(TRUNK, PIN_RULE) as house:
        caller = await _asked(house)
        types(house, "1#")
        assert house.timeline[-2:] == ["plays wrong_pin", "phone hears 1"]
        types(house, "0000#")
        types(house, "12345678901234567")
        assert house.timeline[-2:] == ["plays goodbye", "phone hears 1"]
        prompt_ends(house)
        await house.calm()
        assert caller.bye_headers
        await ended(house, "pin-failed")
        assert not house.rooms.list()


async def test_a_second_try_may_be_right_and_tries_can_be_set() -> None:
    async with open_house(TRUNK, PIN_RULE) as house:
        await _asked(house)
        types(house, "1#1234#")
        assert house.timeline[-2] == "plays room_join"
    async with open_house(TRUNK, PIN_RULE, sip__inbound__pin_tries=1) as house:
        await _asked(house)
        types(house, "1#")
        assert house.timeline[-2] == "plays goodbye"


async def test_who_types_nothing_is_asked_again_and_then_let_go() -> None:
    async with open_house(TRUNK, PIN_RULE, sip__inbound__pin_timeout=10) as house:
        caller = await _asked(house)
        for expected in ("plays wrong_pin", "plays wrong_pin", "plays goodbye"):
            await asyncio.sleep(10.01)
            assert house.timeline[-2] == expected
        await asyncio.sleep(16)
        assert caller.bye_headers
        await ended(house, "pin-failed")


async def test_nothing_but_the_hash_asks_for_a_rule_without_a_pin() -> None:
    async with open_house(TRUNK, PIN_RULE, DispatchRule(room=DirectRoom("open"))) as house:
        await _asked(house)
        types(house, "#")
        prompt_ends(house)
        await house.calm()
        assert [room.name for room in house.rooms.list()] == ["open"]


async def test_keys_by_info_count_where_no_rtp_events_were_agreed() -> None:
    async with open_house(TRUNK, PIN_RULE) as house:
        caller = await _asked(house, body=answer_sdp(codecs="0"))
        caller.presses("1234#")
        assert house.timeline[-2] == "plays room_join"
    async with open_house(TRUNK, PIN_RULE) as house:
        caller = await _asked(house)
        caller.presses("1234#")
        assert house.timeline[-2] == "plays enter_pin", "some carriers send both"


async def test_a_caller_who_hangs_up_over_the_pin_has_hung_up() -> None:
    async with open_house(TRUNK, PIN_RULE) as house:
        caller = await _asked(house)
        caller.hangs_up()
        await house.calm()
        await ended(house, "bye")
        assert not house.engine.open_handles


async def test_a_prompt_that_cannot_be_played_keeps_nobody_waiting() -> None:
    async with open_house(TRUNK, PIN_RULE) as house:
        await _asked(house)
        house.engine.cannot_play = True
        types(house, "1234#")
        await house.calm()
        assert "joins active" in house.timeline
