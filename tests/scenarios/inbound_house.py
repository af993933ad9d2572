"""A house with a trunk and rules, whoever comes into its room, and callers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from scenarios.caller import CALLED, CALLER, ScriptedCaller, invite
from scenarios.house import House
from switchroom.media.player import DIAL_TONE
from switchroom.rooms.data import DispatchEnded, Dtmf, UserData
from switchroom.rooms.info import ParticipantKind
from switchroom.rooms.local import LocalParticipantSpec, Seat
from switchroom.rooms.reasons import DisconnectReason
from switchroom.telephony.calls.call_record import CallDirection
from switchroom.telephony.routing.dispatch_rules import DirectRoom, DispatchRule
from switchroom.telephony.routing.inbound_trunks import InboundTrunk

SIP = f"sip_{CALLER}"
TRUNK = InboundTrunk(numbers=(CALLED,), allowed_addresses=("198.51.100.0/24",))
RULE = DispatchRule(room=DirectRoom("room"))


class Person:
    """Somebody in the room, who remembers what is said."""

    def __init__(self) -> None:
        self.heard: list[UserData | Dtmf] = []

    async def close(self, reason: DisconnectReason) -> None:
        return

    def on_data(self, data: UserData | Dtmf) -> None:
        self.heard.append(data)

    def on_dispatch_ended(self, news: DispatchEnded) -> None:
        return


@asynccontextmanager
async def open_house(
    trunk: InboundTrunk | None = TRUNK, *rules: DispatchRule, **settings: Any
) -> AsyncIterator[House]:
    """A house with a trunk and its rules, swept and closed at the end."""
    house = House(**settings)
    await house.start()
    if trunk is not None:
        await house.telephony.inbound_trunks.create(trunk)
    for rule in rules or (RULE,):
        await house.telephony.dispatch_rules.create(rule)
    try:
        yield house
    finally:
        await house.stop()


async def comes(house: House, person: Person | None = None) -> Seat:
    """Somebody joins who publishes a track with sound."""
    spec = LocalParticipantSpec("room", "agent", kind=ParticipantKind.AGENT)
    seat = house.rooms.join_local(spec, person or Person())
    source = house.engine.play(DIAL_TONE).source
    house.timeline.pop()
    seat.publish_audio("voice", source, "audio/opus")
    return seat


def silence_players(house: House) -> None:
    for player in house.engine.players:
        player.stop()


async def called(house: House, **wishes: Any) -> ScriptedCaller:
    caller = ScriptedCaller(house, invite(**wishes)).calls()
    await house.calm()
    return caller


async def answered(house: House, **wishes: Any) -> ScriptedCaller:
    caller = await called(house, **wishes)
    await comes(house)
    caller.acknowledges()
    await house.calm()
    return caller


async def ended(house: House, word: str) -> None:
    inbound = [r for r in house.calls.records.values() if r.direction is CallDirection.INBOUND]
    ending = inbound[-1].termination
    assert ending is not None
    assert ending.word == word
    assert not house.rooms.list() or not [
        p for p in house.rooms.participants("room") if p.kind is ParticipantKind.SIP
    ]
