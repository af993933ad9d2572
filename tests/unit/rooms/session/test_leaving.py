"""Why a client is told to leave, and what it is to do then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit.protocol import models, rtc

from switchroom.base.config import RoomSettings
from switchroom.base.records import replace
from switchroom.rooms import events
from switchroom.rooms.errors import RoomClosing, RoomFull, RoomNotFound
from switchroom.rooms.info import ParticipantKind, RoomSpec
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.session.session import JOIN_LIMIT
from unit.rooms.clients import Client, Door
from unit.rooms.house import House, settle

LEAVE = rtc.LeaveRequest


async def leave(client: Client) -> tuple[Any, Any]:
    told = await client.last("leave")
    return told.reason, told.action


def reasons(house: House) -> list[str]:
    """Why participants left, in the order of leaving."""
    kinds = (events.ParticipantLeft, events.ParticipantConnectionAborted)
    return [e.participant.disconnect_reason.name for e in house.events if isinstance(e, kinds)]


async def test_a_planned_stop_sends_people_round_and_agents_home(door: Door, house: House) -> None:
    person = await door.join("ann")
    agent = await door.join("bot", claims={"kind": "agent"})
    granted = await door.join("helper", grants={"agent": True})
    await house.rooms.stop()
    assert await leave(person) == (models.SERVER_SHUTDOWN, LEAVE.RECONNECT)
    for other in (agent, granted):
        assert await leave(other) == (models.SERVER_SHUTDOWN, LEAVE.DISCONNECT)


async def test_a_deleted_room_and_an_idle_one_have_reasons_of_their_own(
    door: Door, house: House
) -> None:
    person = await door.join("ann")
    await house.rooms.delete("r")
    assert await leave(person) == (models.ROOM_DELETED, LEAVE.DISCONNECT)
    person = await door.join("ann")
    agent = await door.join("bot", claims={"kind": "agent"})
    person.say(leave=LEAVE(reason=models.USER_REJECTED))
    await house.time.pass_(20)
    assert await leave(agent) == (models.ROOM_CLOSED, LEAVE.DISCONNECT)
    assert reasons(house) == ["ROOM_DELETED", "USER_REJECTED", "ROOM_CLOSED"]


async def test_who_is_removed_and_who_is_replaced_are_told_so(door: Door, house: House) -> None:
    first = await door.join("ann")
    second = await door.join("ann")
    assert await leave(first) == (models.DUPLICATE_IDENTITY, LEAVE.DISCONNECT)
    await house.rooms.remove_participant("r", "ann")
    assert await leave(second) == (models.PARTICIPANT_REMOVED, LEAVE.DISCONNECT)
    assert reasons(house) == ["DUPLICATE_IDENTITY", "PARTICIPANT_REMOVED"]


async def test_who_never_connects_and_who_hangs_up_before_are_aborted(
    door: Door, house: House
) -> None:
    never = await door.join("ann", connect=False)
    hasty = await door.join("bob", connect=False)
    hasty.link.lost()
    await house.time.pass_(JOIN_LIMIT)
    assert await leave(never) == (models.JOIN_FAILURE, LEAVE.DISCONNECT)
    assert reasons(house) == ["SIGNAL_CLOSE", "JOIN_FAILURE"]
    assert not any(isinstance(event, events.ParticipantJoined) for event in house.events)


async def test_a_join_that_is_on_its_way_when_its_room_is_deleted_opens_a_new_one(
    door: Door, house: House
) -> None:
    await door.join("ann")
    first = house.room().sid
    door.engine.may_open.clear()
    joining = asyncio.ensure_future(door.join("bob"))
    await settle()
    await house.rooms.delete("r")
    door.engine.may_open.set()
    bob = await joining
    assert not bob.is_closed()
    assert house.room().sid != first
    assert list(house.room().participants) == ["bob"]


async def test_a_join_that_is_on_its_way_when_the_server_stops_is_refused(
    door: Door, house: House
) -> None:
    door.engine.may_open.clear()
    joining = asyncio.ensure_future(door.join("bob"))
    await settle()
    await house.rooms.stop()
    door.engine.may_open.set()
    with pytest.raises(RoomClosing):
        await joining
    assert all(peer.closed for peer in door.engine.peers)


async def test_a_room_that_is_deleted_under_a_join_is_not_made_anew_where_joining_makes_none(
    door: Door, house: House
) -> None:
    house.rooms.config = replace(house.rooms.config, room=RoomSettings(auto_create=False))
    await house.rooms.create(RoomSpec("r"))
    door.engine.may_open.clear()
    joining = asyncio.ensure_future(door.join("bob"))
    await settle()
    await house.rooms.delete("r")
    door.engine.may_open.set()
    with pytest.raises(RoomNotFound):
        await joining
    assert house.rooms.list() == ()
    assert all(peer.closed for peer in door.engine.peers)


async def test_the_last_that_a_client_is_told_is_to_leave(door: Door, house: House) -> None:
    clients = [await door.join(name) for name in ("ann", "bob", "cid")]
    for client in clients:
        await client.listen()
    await house.rooms.delete("r")
    assert [await client.kinds() for client in clients] == [["leave"]] * 3


async def test_a_full_room_refuses_people_before_they_are_in_and_lets_helpers_pass(
    door: Door, house: House
) -> None:
    await house.rooms.create(RoomSpec("r", max_participants=1))
    await door.join("ann")
    with pytest.raises(RoomFull):
        await door.join("bob")
    assert door.engine.peers[-1].closed
    await door.join("ann")
    await door.join("bot", claims={"kind": "agent"})
    await door.join("rec", grants={"recorder": True, "hidden": True})
    assert house.rooms.list()[0].num_participants == 1
    assert house.room().participants["bot"].kind is ParticipantKind.AGENT


async def test_nothing_is_told_of_who_was_put_out_and_does_not_know_it_yet(
    door: Door, house: House
) -> None:
    ann = await door.join("ann", grants={"can_update_own_metadata": True})
    bob = await door.join("bob")
    house.room().leave(house.room().participants["ann"], DisconnectReason.DUPLICATE_IDENTITY)
    await bob.listen()
    ann.say(update_metadata=rtc.UpdateParticipantMetadata(name="late"))
    assert "update" not in await bob.kinds()
