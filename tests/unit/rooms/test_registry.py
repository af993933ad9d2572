"""All rooms: created once, kept over restarts, found by name."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from switchroom.base.config import Config, RoomSettings
from switchroom.base.records import replace
from switchroom.media import Engine, Source
from switchroom.rooms.errors import (
    Invalid,
    LimitExceeded,
    ParticipantNotFound,
    RoomClosing,
    RoomNotFound,
    TrackNotFound,
    UnmuteNotAllowed,
)
from switchroom.rooms.events import RoomEvent, RoomFinished, RoomStarted
from switchroom.rooms.info import RoomSpec
from switchroom.rooms.reasons import DisconnectReason as Reason
from switchroom.rooms.registry import Rooms
from switchroom.rooms.stores import NoRoomStore

from .house import House, MemoryStore, Time, microphone, settle


async def test_creating_is_idempotent_and_takes_what_is_not_zero(house: House) -> None:
    first = await house.rooms.create(RoomSpec("r", empty_timeout=7, metadata="m"))
    second = await house.rooms.create(RoomSpec("r", max_participants=3))
    assert second.sid == first.sid
    assert (second.empty_timeout, second.max_participants, second.metadata) == (7, 3, "m")
    assert second.departure_timeout == 20


async def test_creating_again_leaves_metadata_as_they_were_changed_since(house: House) -> None:
    await house.rooms.create(RoomSpec("r", metadata="first"))
    await house.rooms.set_room_metadata("r", "changed")
    assert (await house.rooms.create(RoomSpec("r", empty_timeout=9))).metadata == "changed"


@pytest.mark.parametrize("joined_first", [True, False])
async def test_a_room_created_by_api_outlives_the_server_whoever_came_first(
    house: House, time: Time, joined_first: bool
) -> None:
    if joined_first:
        await house.phone("tel")
    await house.rooms.create(RoomSpec("r"))
    await house.rooms.stop()
    finished = [event for event in house.events if isinstance(event, RoomFinished)]
    assert [(event.reason, event.resumes) for event in finished] == [(Reason.SERVER_SHUTDOWN, True)]
    events: list[RoomEvent] = []
    again = Rooms(
        cast("Engine", None), Config(), time, house.store, listeners=(events.append,), timers=time
    )
    await again.start()
    assert [event.restored for event in events if isinstance(event, RoomStarted)] == [True]
    await again.stop()


async def test_a_preset_fills_in_what_is_left_open(time: Time) -> None:
    presets = {"phone": {"max_participants": 2, "agents": [{"agentName": "a"}]}}
    config = Config(room=RoomSettings(room_configurations=presets))
    rooms = Rooms(cast("Engine", None), config, time, NoRoomStore(), timers=time)
    made = await rooms.create(RoomSpec("r", empty_timeout=7, preset="phone"))
    assert (made.max_participants, made.empty_timeout) == (2, 7)
    with pytest.raises(Invalid, match="unknown room preset x"):
        rooms.find_or_create(RoomSpec("s", preset="x"))
    await rooms.stop()


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_microphone_is_opened_from_outside_only_where_that_is_allowed(
    time: Time, allowed: bool
) -> None:
    config = Config(room=RoomSettings(enable_remote_unmute=allowed))
    store = MemoryStore()
    house = House(Rooms(cast("Engine", None), config, time, store, timers=time), time, store)
    ann, member = house.client("ann")
    house.room().publish(ann, microphone("TR_1"), Source(1))
    assert house.rooms.mute_track("r", "ann", "TR_1", muted=True).muted
    if allowed:
        assert not house.rooms.mute_track("r", "ann", "TR_1", muted=False).muted
    else:
        with pytest.raises(UnmuteNotAllowed):
            house.rooms.mute_track("r", "ann", "TR_1", muted=False)
    assert member.muted == [("TR_1", True), ("TR_1", False)][: 1 + allowed]
    await house.rooms.stop()


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        (RoomSpec(""), Invalid),
        (RoomSpec("r" * 257), LimitExceeded),
        (RoomSpec("ü" * 129), LimitExceeded),
        (RoomSpec("r", metadata="x" * (512 * 1024 + 1)), LimitExceeded),
    ],
)
async def test_a_room_that_cannot_be_is_refused(
    house: House, spec: RoomSpec, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        await house.rooms.create(spec)
    assert house.rooms.list() == ()


async def test_rooms_are_listed_by_name_or_all(house: House) -> None:
    for name in ("a", "b", "c"):
        await house.rooms.create(RoomSpec(name))
    assert {info.name for info in house.rooms.list()} == {"a", "b", "c"}
    assert {info.name for info in house.rooms.list(["b", "x"])} == {"b"}


async def test_unknown_names_are_refused_with_their_own_words(house: House) -> None:
    with pytest.raises(RoomNotFound, match="requested room does not exist"):
        await house.rooms.delete("r")
    with pytest.raises(ParticipantNotFound, match="participant does not exist"):
        house.rooms.get_participant("r", "ann")
    house.client("ann")
    with pytest.raises(ParticipantNotFound):
        await house.rooms.remove_participant("r", "bob")
    with pytest.raises(TrackNotFound):
        house.rooms.mute_track("r", "ann", "TR_1", muted=True)
    with pytest.raises(TrackNotFound):
        house.rooms.update_subscriptions("r", "ann", ["TR_1"], subscribe=True)


async def test_a_removed_participant_is_told_why(house: House) -> None:
    _, member = house.client("ann")
    await house.rooms.remove_participant("r", "ann")
    assert member.closed == [Reason.PARTICIPANT_REMOVED]
    assert house.rooms.participants("r") == ()


async def test_rooms_created_by_api_are_there_again_after_a_restart(
    house: House, time: Time
) -> None:
    made = await house.rooms.create(RoomSpec("kept", metadata="m", configuration='{"x":1}'))
    await house.phone("tel", "passing")
    await house.rooms.set_room_metadata("kept", "changed")
    await time.pass_(200)
    await house.rooms.stop()
    again = Rooms(cast("Engine", None), Config(), time, house.store, timers=time)
    await again.start()
    (room,) = again.list()
    assert (room.sid, room.metadata, room.created_at_ns) == (
        made.sid,
        "changed",
        made.created_at_ns,
    )
    await time.pass_(299)
    assert again.exists("kept"), "its timeout starts anew"
    await again.stop()


async def test_a_deleted_room_is_not_there_after_a_restart(house: House) -> None:
    await house.rooms.create(RoomSpec("r"))
    await house.rooms.delete("r")
    await house.rooms.stop()
    assert house.store.rooms == {}


async def test_a_room_that_is_being_deleted_when_the_server_stops_is_not_there_again(
    house: House,
) -> None:
    await house.rooms.create(RoomSpec("r"))
    _, phone = await house.phone("tel")
    phone.may_close.clear()
    deleting = asyncio.ensure_future(house.rooms.delete("r"))
    await settle()
    stopping = asyncio.ensure_future(house.rooms.stop())
    await settle()
    phone.may_close.set()
    await asyncio.gather(deleting, stopping)
    assert house.store.rooms == {}


async def test_two_rooms_of_one_sid_in_the_store_are_two_rooms(house: House, time: Time) -> None:
    """As when somebody copied one to another name."""
    made = await house.rooms.create(RoomSpec("r"))
    house.store.rooms["copy"] = replace(house.store.rooms["r"], name="copy")
    again = Rooms(cast("Engine", None), Config(), time, house.store, timers=time)
    await again.start()
    sids = {info.name: info.sid for info in again.list()}
    assert sids["r"] == made.sid != sids["copy"]
    await again.stop()
    assert {room.name: room.sid for room in house.store.rooms.values()} == sids


async def test_stopping_sends_everybody_away_and_refuses_newcomers(house: House) -> None:
    _, member = house.client("ann")
    _, phone = await house.phone("tel")
    await house.rooms.stop()
    assert member.closed == phone.closed == [Reason.SERVER_SHUTDOWN]
    with pytest.raises(RoomClosing):
        await house.phone("late")
    assert len(house.rooms.tasks) == 0
