"""A room: its deadlines, its counts, what it tells, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from switchroom.media import Source
from switchroom.rooms import events
from switchroom.rooms.data import DataMessage, UserData
from switchroom.rooms.errors import LimitExceeded, RoomClosing, RoomFull
from switchroom.rooms.info import ConnectionQuality, ParticipantKind, Permissions, RoomSpec
from switchroom.rooms.limits import MAX_DATA
from switchroom.rooms.participant import Participant
from switchroom.rooms.reasons import DisconnectReason as Reason

from .house import House, Recorder, microphone, settle


async def test_a_room_that_nobody_joins_closes_after_the_empty_timeout(house: House) -> None:
    await house.rooms.create(RoomSpec("r", empty_timeout=60))
    await house.time.pass_(59.9)
    assert house.rooms.exists("r")
    await house.time.pass_(0.2)
    assert not house.rooms.exists("r")
    assert house.store.rooms == {}


async def test_a_room_that_everybody_left_closes_after_the_departure_timeout(house: House) -> None:
    seat, _ = await house.phone("tel")
    await house.time.pass_(1000)
    seat.leave(Reason.CLIENT_INITIATED)
    await house.time.pass_(19.9)
    assert house.rooms.exists("r")
    await house.time.pass_(0.2)
    assert not house.rooms.exists("r")


async def test_somebody_who_comes_back_in_time_keeps_the_room(house: House) -> None:
    seat, _ = await house.phone("tel")
    seat.leave(Reason.CLIENT_INITIATED)
    await house.time.pass_(19)
    await house.phone("tel")
    await house.time.pass_(1000)
    assert house.rooms.exists("r")


async def test_agents_do_not_keep_a_room_open_and_are_told_that_it_closed(house: House) -> None:
    seat, _ = await house.phone("tel")
    _, agent = house.client("agent", kind=ParticipantKind.AGENT)
    _, granted = house.client("helper", permissions=Permissions(agent=True))
    seat.leave(Reason.CLIENT_INITIATED)
    await house.time.pass_(20)
    assert agent.closed == granted.closed == [Reason.ROOM_CLOSED]
    assert house.rooms.list() == ()


async def test_an_agent_alone_waits_for_the_empty_timeout(house: House) -> None:
    house.client("agent", kind=ParticipantKind.AGENT)
    await house.time.pass_(299)
    assert house.rooms.exists("r")
    await house.time.pass_(2)
    assert not house.rooms.exists("r")


async def test_agents_that_come_and_go_do_not_put_off_the_end(house: House) -> None:
    seat, _ = await house.phone("tel")
    seat.leave(Reason.CLIENT_INITIATED)
    for _ in range(3):
        await house.time.pass_(6)
        agent, _ = house.client("agent", kind=ParticipantKind.AGENT)
        house.room().leave(agent, Reason.SIGNAL_CLOSE)
    await house.time.pass_(2.1)
    assert not house.rooms.exists("r")


async def test_who_becomes_an_agent_keeps_the_room_open_no_longer(house: House) -> None:
    person, member = house.client("ann")
    await house.time.pass_(1000)
    house.room().permit(person, Permissions(agent=True))
    await house.time.pass_(19.9)
    assert house.rooms.exists("r")
    await house.time.pass_(0.2)
    assert member.closed == [Reason.ROOM_CLOSED]


async def test_who_hides_leaves_in_the_eyes_of_the_others_and_comes_back_when_seen(
    house: House,
) -> None:
    person, itself = house.client("ann")
    _, other = house.client("bob")
    house.room().publish(person, microphone("TR_1"), Source(1))
    for member in (itself, other):
        member.updates.clear()
    house.room().permit(person, Permissions(hidden=True))
    house.room().permit(person, Permissions())
    assert [(info.state.name, len(info.tracks)) for info in other.updates] == [
        ("DISCONNECTED", 0),
        ("ACTIVE", 1),
    ]
    assert [info.state.name for info in itself.updates] == ["ACTIVE", "ACTIVE"]


async def test_a_hidden_participant_is_in_no_update_but_its_own(house: House) -> None:
    _, other = house.client("bob")
    other.updates.clear()
    hidden, _ = house.client("spy", permissions=Permissions(hidden=True))
    newcomer, _ = house.client("ann")
    house.room().leave(hidden, Reason.CLIENT_INITIATED)
    assert {info.identity for info in other.updates} == {"ann"}
    assert {info.identity for info in house.room().visible_to(newcomer)} == {"bob"}


async def test_all_are_told_at_once_when_a_recorder_comes_and_when_it_goes(house: House) -> None:
    _, member = house.client("ann")
    recorder, _ = house.client("rec", permissions=Permissions(recorder=True, hidden=True))
    house.client("egress", kind=ParticipantKind.EGRESS)
    house.room().leave(recorder, Reason.CLIENT_INITIATED)
    assert [info.active_recording for info in member.rooms] == [True]
    assert house.rooms.list()[0].num_participants == 1
    await house.rooms.remove_participant("r", "egress")
    assert [info.active_recording for info in member.rooms] == [True, False]


async def test_an_open_room_has_no_deadline_at_all(house: House) -> None:
    await house.phone("tel")
    assert house.time.pending == 0


async def test_a_full_room_refuses_and_agents_and_returners_do_not_count(house: House) -> None:
    await house.rooms.create(RoomSpec("r", max_participants=2))
    await house.phone("one")
    await house.phone("two")
    with pytest.raises(RoomFull):
        await house.phone("three")
    house.client("agent", kind=ParticipantKind.AGENT)
    again, _ = await house.phone("two")
    assert not again.gone
    assert house.rooms.list()[0].num_participants == 2


async def test_old_clients_are_told_that_somebody_with_a_known_identity_left(house: House) -> None:
    _, old = house.client("old", member=Recorder(protocol=11))
    _, new = house.client("new", member=Recorder(protocol=12))
    house.client("ann")
    for member in (old, new):
        member.updates.clear()
    house.client("ann")
    await settle()
    assert [info.state.name for info in old.updates] == ["DISCONNECTED", "JOINED", "ACTIVE"]
    assert [info.state.name for info in new.updates] == ["JOINED", "ACTIVE"]


async def test_counts_are_told_but_not_more_often_than_every_five_seconds(house: House) -> None:
    _, member = house.client("ann")
    for name in ("b", "c", "d"):
        house.client(name)
    assert member.rooms == []
    await house.time.pass_(5)
    assert [info.num_participants for info in member.rooms] == [4]
    await house.time.pass_(60)
    assert len(member.rooms) == 1


async def test_metadata_are_told_at_once(house: House) -> None:
    _, member = house.client("ann")
    await house.rooms.set_room_metadata("r", "m")
    assert member.rooms[-1].metadata == "m"
    with pytest.raises(LimitExceeded):
        await house.rooms.set_room_metadata("r", "m" * (512 * 1024 + 1))


async def test_qualities_are_told_on_change_only(house: House) -> None:
    ann, member = house.client("ann")
    member.qualities.clear()
    for quality in (ConnectionQuality.LOST, ConnectionQuality.LOST, ConnectionQuality.EXCELLENT):
        house.room().set_quality(ann, quality)
    assert member.qualities == [
        {ann.sid: ConnectionQuality.LOST},
        {ann.sid: ConnectionQuality.EXCELLENT},
    ]


async def test_a_participant_without_right_to_listen_hears_once_it_gets_it(house: House) -> None:
    deaf = Permissions(can_subscribe=False)
    listener, member = house.client("listener", permissions=deaf)
    speaker, _ = house.client("speaker")
    track = house.room().publish(speaker, microphone("TR_1"), Source(1))
    heard = [list(member.heard)]
    for permissions in (Permissions(), deaf):
        house.room().permit(listener, permissions)
        heard.append(list(member.heard))
    assert heard == [[], [track], []]


async def test_publishers_are_told_of_their_first_listener_once_and_never_of_hidden_ones(
    house: House,
) -> None:
    speaker, publisher = house.client("speaker")
    hidden, _ = house.client("hidden", permissions=Permissions(hidden=True))
    one, _ = house.client("one")
    two, _ = house.client("two")
    track = house.room().publish(speaker, microphone("TR_1"), Source(1))
    house.room().received(hidden, track)
    assert publisher.subscribed == []
    house.room().received(one, track)
    house.room().received(two, track)
    assert publisher.subscribed == ["TR_1"]


async def test_a_message_with_a_nonce_is_delivered_once(house: House) -> None:
    _, member = house.client("ann")
    for nonce in (b"1" * 16, b"1" * 16, b"2" * 16, b"", b""):
        message = DataMessage(
            reliable=True, sender_sid="", sender_identity="", content=UserData(b"x"), nonce=nonce
        )
        house.rooms.send_data("r", message)
    assert len(member.data) == 4


async def test_a_message_of_the_server_reaches_who_is_named_by_sid(house: House) -> None:
    ann, member = house.client("ann")
    _, other = house.client("bob")
    message = DataMessage(reliable=True, sender_sid="", sender_identity="", content=UserData(b"x"))
    house.rooms.send_data("r", message, [ann.sid])
    assert (len(member.data), len(other.data)) == (1, 0)
    house.rooms.send_data("r", message, ["PA_unknown"])
    assert len(other.data) == 0


async def test_a_message_that_no_data_channel_would_carry_is_refused(house: House) -> None:
    _, member = house.client("ann")

    def message(size: int) -> DataMessage:
        content = UserData(bytes(size))
        return DataMessage(reliable=True, sender_sid="", sender_identity="", content=content)

    house.rooms.send_data("r", message(MAX_DATA))
    with pytest.raises(LimitExceeded):
        house.rooms.send_data("r", message(MAX_DATA + 1))
    assert len(member.data) == 1


async def test_what_happens_is_told_to_listeners_in_order(house: House) -> None:
    ann, _ = house.client("ann", active=False)
    house.room().activate(ann)
    track = house.room().publish(ann, microphone("TR_1"), Source(1))
    house.room().unpublish(track)
    house.room().leave(ann, Reason.CLIENT_INITIATED)
    gone, _ = house.client("gone", active=False)
    house.room().leave(gone, Reason.SIGNAL_CLOSE)
    await house.rooms.delete("r")
    assert [type(event) for event in house.events] == [
        events.RoomStarted,
        events.ParticipantJoined,
        events.TrackPublished,
        events.TrackUnpublished,
        events.ParticipantLeft,
        events.ParticipantConnectionAborted,
        events.RoomFinished,
    ]
    finished = house.events[-1]
    assert isinstance(finished, events.RoomFinished)
    assert (finished.reason, finished.resumes) == (Reason.ROOM_DELETED, False)
    left = house.events[4]
    assert isinstance(left, events.ParticipantLeft)
    assert left.participant.disconnect_reason is Reason.CLIENT_INITIATED


async def test_nobody_joins_a_room_that_is_being_closed(house: House) -> None:
    _, phone = await house.phone("tel")
    phone.may_close.clear()
    room = house.room()
    closing = asyncio.ensure_future(house.rooms.delete("r"))
    await settle()
    with pytest.raises(RoomClosing):
        room.join(Participant("late", Recorder()))
    phone.may_close.set()
    await closing


async def test_the_name_of_a_room_that_is_being_closed_is_free_for_another(house: House) -> None:
    await house.rooms.create(RoomSpec("r", metadata="first"))
    _, phone = await house.phone("tel")
    phone.may_close.clear()
    first = house.room()
    closing = asyncio.ensure_future(house.rooms.delete("r"))
    await settle()
    second = await house.rooms.create(RoomSpec("r", metadata="second"))
    assert second.sid != first.sid
    phone.may_close.set()
    await closing
    await settle()
    assert [info.sid for info in house.rooms.list()] == [second.sid]
    assert house.store.rooms["r"].sid == second.sid


async def test_closing_twice_waits_for_the_one_that_closes(house: House) -> None:
    _, phone = await house.phone("tel")
    phone.may_close.clear()
    both = asyncio.gather(house.rooms.delete("r"), house.rooms.delete("r"))
    await settle()
    assert not both.done()
    phone.may_close.set()
    await both
    assert phone.closed == [Reason.ROOM_DELETED]


async def test_text_that_no_utf8_can_carry_is_mended_before_others_are_told(house: House) -> None:
    """A carrier's header in a broken encoding once kept everybody out of the room."""
    seat, _ = await house.phone("tel", name="\udcff", metadata="\ud800", attributes={"h": "\udcfe"})
    seat.set_attributes({"sip.h.x": "a\udcfdb"})
    told = house.rooms.get_participant("r", "tel")
    assert (told.name, told.metadata) == ("\ufffd", "\ufffd")
    assert dict(told.attributes) == {"h": "\ufffd", "sip.h.x": "a\ufffdb"}


async def test_who_was_put_out_while_an_offer_was_answered_publishes_nothing(house: House) -> None:
    ann, _ = house.client("ann")
    _, bob = house.client("bob")
    house.client("ann")
    before = len(bob.updates)
    house.room().publish(ann, microphone("TR_1"), Source(1))
    assert (len(bob.updates), list(bob.heard), house.room().track("TR_1")) == (before, [], None)


async def test_a_track_is_known_by_its_sid_as_long_as_it_is_there(house: House) -> None:
    ann, _ = house.client("ann")
    first = house.room().publish(ann, microphone("TR_1"), Source(1))
    second = house.room().publish(ann, microphone("TR_2"), Source(2))
    assert (house.room().track("TR_1"), house.room().track("TR_2")) == (first, second)
    house.room().unpublish(first)
    house.room().leave(ann, Reason.CLIENT_INITIATED)
    assert house.room().track("TR_1") is None
    assert house.room().track("TR_2") is None
