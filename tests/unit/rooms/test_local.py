"""A phone's seat: it is in the room like anybody, and the room turns to it before it closes."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import replace

import pytest

from switchroom.media import Source
from switchroom.rooms import room as room_module
from switchroom.rooms.data import Dtmf, UserData
from switchroom.rooms.dispatches import DispatchSpec, Job, JobKind
from switchroom.rooms.errors import Invalid, LimitExceeded
from switchroom.rooms.events import RoomStarted
from switchroom.rooms.info import ParticipantKind, ParticipantState
from switchroom.rooms.local import LocalParticipantSpec
from switchroom.rooms.reasons import DisconnectReason as Reason
from switchroom.rooms.rpc import RpcCode, RpcFailed

from .house import Ears, House, Phone, microphone, settle


async def test_a_phone_is_active_at_once_with_its_attributes(house: House) -> None:
    seat, _ = await house.phone("tel", attributes={"sip.callStatus": "dialing"})
    info = house.rooms.get_participant("r", "tel")
    assert (info.sid, info.state, info.kind) == (
        seat.participant_sid,
        ParticipantState.ACTIVE,
        ParticipantKind.SIP,
    )
    assert info.attributes == {"sip.callStatus": "dialing"}
    assert info.sid.startswith("PA_")
    assert seat.room_sid.startswith("RM_")
    assert info.client_protocol == 0


@pytest.mark.parametrize("leaves", [True, False], ids=["it leaves", "the room closes"])
async def test_who_sat_there_is_let_go_of_without_the_garbage_collector(
    house: House, leaves: bool
) -> None:
    seat, phone = await house.phone("tel")
    seat.offer_methods({"end": phone.answer})
    if leaves:
        seat.leave(Reason.CLIENT_INITIATED)
    else:
        await house.rooms.delete("r")
    await settle()
    gone = weakref.ref(phone)
    gc.disable()
    try:
        del phone
        assert gone() is None
    finally:
        gc.enable()


async def test_two_phones_hear_each_other_and_not_themselves(house: House) -> None:
    one, _ = await house.phone("one")
    two, _ = await house.phone("two")
    one.publish_audio("a", Source(1), "audio/PCMU")
    two.publish_audio("b", Source(2), "audio/PCMU")
    ears_one, ears_two = Ears(), Ears()
    one.hear(ears_one.sink)
    two.hear(ears_two.sink)
    assert ears_one.inputs == {Source(2): 1.0}
    assert ears_two.inputs == {Source(1): 1.0}


async def test_nothing_is_heard_before_the_answer(house: House) -> None:
    agent, member = house.client("agent")
    seat, _ = await house.phone("tel")
    assert member.subscribed == []
    ears = Ears()
    track = house.room().publish(agent, microphone("TR_a"), Source(7))
    assert member.subscribed == [], "an agent must not greet a phone that rings"
    seat.hear(ears.sink)
    assert member.subscribed == [track.sid]
    assert ears.inputs == {Source(7): 1.0}


async def test_later_and_ended_tracks_change_what_is_heard_by_whole_states(house: House) -> None:
    seat, _ = await house.phone("tel")
    ears = Ears()
    seat.hear(ears.sink)
    other, _ = await house.phone("other")
    third, _ = await house.phone("third")
    other.publish_audio("a", Source(1), "")
    third.publish_audio("b", Source(2), "")
    assert ears.inputs == {Source(1): 1.0, Source(2): 1.0}
    other.leave(Reason.CLIENT_INITIATED)
    assert ears.inputs == {Source(2): 1.0}


async def test_a_source_can_be_exchanged_under_a_published_track(house: House) -> None:
    seat, _ = await house.phone("tel")
    other, _ = await house.phone("other")
    ears = Ears()
    other.hear(ears.sink)
    sid = seat.publish_audio("tel", None, "audio/PCMU")
    assert ears.inputs == {}
    seat.set_source(sid, Source(1))
    assert ears.inputs == {Source(1): 1.0}
    seat.set_source(sid, Source(2))
    assert ears.inputs == {Source(2): 1.0}
    seat.set_source(sid, None)
    assert ears.inputs == {}


async def test_a_muted_track_is_taken_out_so_that_the_other_is_passed_through(house: House) -> None:
    seat, _ = await house.phone("tel")
    ears = Ears()
    seat.hear(ears.sink)
    agent, _ = house.client("agent")
    person, _ = house.client("person")
    track = house.room().publish(agent, microphone("TR_a"), Source(1))
    house.room().publish(person, microphone("TR_b"), Source(2))
    house.room().change_track(track, muted=True)
    assert ears.inputs == {Source(2): 1.0}
    house.room().change_track(track, muted=False)
    assert ears.inputs == {Source(1): 1.0, Source(2): 1.0}


async def test_the_sink_is_not_told_the_same_twice(house: House) -> None:
    seat, _ = await house.phone("tel")
    ears = Ears()
    seat.hear(ears.sink)
    other, _ = await house.phone("other")
    other.publish_audio("silent", None, "")
    other.publish_audio("a", Source(1), "")
    other.set_attributes({"x": "1"})
    assert ears.history == [{Source(1): 1.0}]


async def test_attributes_merge_and_empty_values_remove(house: House) -> None:
    seat, _ = await house.phone("tel", attributes={"a": "1", "b": "2"})
    _, member = house.client("agent")
    seat.set_attributes({"b": "", "c": "3"})
    assert seat.attributes == {"a": "1", "c": "3"}
    assert member.updates[-1].attributes == {"a": "1", "c": "3"}
    versions = [info.version for info in member.updates if info.identity == "tel"]
    assert versions == sorted(set(versions))


async def test_attributes_beyond_the_limit_change_nothing(house: House) -> None:
    seat, _ = await house.phone("tel", attributes={"a": "1"})
    with pytest.raises(LimitExceeded):
        seat.set_attributes({"b": "x" * 70_000})
    assert seat.attributes == {"a": "1"}


async def test_digits_and_data_reach_everybody_else(house: House) -> None:
    seat, phone = await house.phone("tel")
    _, other = await house.phone("other")
    _, member = house.client("agent")
    seat.send_dtmf(11, "#")
    seat.send_data(b"hi", topic="t", destinations=["other"])
    assert other.data == [Dtmf(11, "#"), UserData(b"hi", "t")]
    assert phone.data == []
    assert [message.content for message in member.data] == [Dtmf(11, "#")]
    assert member.data[0].sender_identity == "tel"


async def test_leaving_tells_the_others_why_and_only_once(house: House) -> None:
    seat, phone = await house.phone("tel")
    _, member = house.client("agent")
    seat.leave(Reason.USER_REJECTED)
    seat.leave(Reason.CLIENT_INITIATED)
    last = member.updates[-1]
    assert (last.state, last.disconnect_reason) == (
        ParticipantState.DISCONNECTED,
        Reason.USER_REJECTED,
    )
    assert phone.closed == [], "who leaves is not asked to leave"
    assert seat.gone


async def test_a_seat_left_behind_has_no_effect(house: House) -> None:
    seat, _ = await house.phone("tel")
    ears = Ears()
    seat.hear(ears.sink)
    other, phone = await house.phone("other")
    other.publish_audio("a", Source(1), "")
    seat.leave(Reason.CLIENT_INITIATED)
    assert ears.inputs == {}
    seat.publish_audio("late", Source(9), "")
    seat.set_attributes({"a": "1"})
    seat.send_dtmf(1, "1")
    seat.hear(Ears().sink)
    seat.level_changed(1.0, active=True)
    assert phone.data == []
    assert [info.identity for info in house.rooms.participants("r")] == ["other"]


async def test_a_deleted_room_lets_phones_hang_up_before_clients_go(house: House) -> None:
    seat, phone = await house.phone("tel")
    agent, member = house.client("agent")
    order: list[str] = []

    def hang_up() -> None:
        seat.set_attributes({"sip.callStatus": "hangup"})
        order.append(f"phone closes while agent {'left' if member.closed else 'is there'}")

    phone.on_close = hang_up
    await house.rooms.delete("r")
    assert order == ["phone closes while agent is there"]
    assert phone.closed == [Reason.ROOM_DELETED]
    assert member.closed == [Reason.ROOM_DELETED]
    told = [(i.attributes.get("sip.callStatus"), i.state.name) for i in member.updates[-2:]]
    assert told == [("hangup", "ACTIVE"), ("hangup", "DISCONNECTED")]
    assert seat.gone
    assert agent.gone


async def test_a_phone_that_leaves_by_itself_while_it_is_closed_keeps_the_rooms_reason(
    house: House,
) -> None:
    seat, phone = await house.phone("tel")
    _, member = house.client("agent")
    phone.on_close = lambda: seat.leave(Reason.CLIENT_INITIATED)
    await house.rooms.remove_participant("r", "tel")
    assert member.updates[-1].disconnect_reason is Reason.PARTICIPANT_REMOVED


async def test_a_phone_that_fails_to_say_good_bye_is_taken_out_all_the_same(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    seat, phone = await house.phone("tel")
    other, _ = await house.phone("other")

    def fail() -> None:
        raise OSError("the line is cut")

    phone.on_close = fail
    await house.rooms.delete("r")
    assert (seat.gone, other.gone) == (True, True)
    assert "the line is cut" in capsys.readouterr().out


async def test_a_phone_that_never_finishes_is_taken_out_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "CLOSE_LIMIT", 0.0)
    seat, phone = await house.phone("tel")
    phone.may_close.clear()
    await house.rooms.delete("r")
    assert seat.gone
    assert house.rooms.list() == ()


async def test_a_room_waits_for_a_phone_that_is_being_removed_already(house: House) -> None:
    seat, phone = await house.phone("tel")
    phone.may_close.clear()
    removing = asyncio.ensure_future(house.rooms.remove_participant("r", "tel"))
    await settle()
    deleting = asyncio.ensure_future(house.rooms.delete("r"))
    await settle()
    assert (seat.gone, removing.done(), deleting.done()) == (False, False, False)
    phone.may_close.set()
    await asyncio.gather(removing, deleting)
    assert seat.gone
    assert phone.closed == [Reason.PARTICIPANT_REMOVED]


async def test_a_phone_that_fails_to_close_is_taken_out_all_the_same(house: House) -> None:
    seat, phone = await house.phone("tel")

    def fail() -> None:
        raise RuntimeError("broken")

    phone.on_close = fail
    await house.rooms.delete("r")
    assert seat.gone


async def test_the_same_identity_takes_the_place_and_the_first_one_is_closed(house: House) -> None:
    first, phone = await house.phone("tel")
    second, _ = await house.phone("tel")
    await settle()
    assert phone.closed == [Reason.DUPLICATE_IDENTITY]
    assert first.gone
    assert not second.gone
    assert house.rooms.get_participant("r", "tel").sid == second.participant_sid


@pytest.mark.parametrize(
    ("room", "identity", "wrong"),
    [("", "tel", Invalid), ("r" * 257, "tel", LimitExceeded), ("r", "t" * 257, LimitExceeded)],
)
async def test_names_that_cannot_be_are_refused(
    house: House, room: str, identity: str, wrong: type[Exception]
) -> None:
    with pytest.raises(wrong):
        await house.phone(identity, room)
    assert house.rooms.list() == ()


async def test_a_phone_that_watches_its_company_is_told_of_whoever_comes_publishes_and_goes(
    house: House,
) -> None:
    seat, _ = await house.phone("tel")
    seen: list[list[tuple[str, bool, bool]]] = []
    seat.watch_company(
        lambda: seen.append([(c.identity, c.publishes, c.sounds) for c in seat.company])
    )
    agent, _ = house.client("agent")
    track = house.room().publish(agent, microphone("TR_a"), None)
    house.room().set_source(track, Source(7))
    house.room().leave(agent, Reason.CLIENT_INITIATED)
    assert seen == [
        [("agent", False, False)],
        [("agent", True, False)],
        [("agent", True, True)],
        [],
    ]
    seat.watch_company(None)
    house.client("late")
    assert len(seen) == 4


async def test_a_phone_expects_an_agent_as_long_as_a_dispatch_may_bring_one(house: House) -> None:
    seat, _ = await house.phone("tel")
    expected = [seat.expects_agents]
    dispatch = house.room().request_dispatch(DispatchSpec("receptionist"))
    expected.append(seat.expects_agents)
    job = Job("AJ_1", dispatch.id, JobKind.ROOM)
    for state in (job, replace(job, ended_at_ns=1)):
        house.room().dispatches.put_job(state)
        expected.append(seat.expects_agents)
    assert expected == [False, True, True, False]


async def test_a_phone_that_makes_its_room_brings_the_rooms_configuration(house: House) -> None:
    text = '{"agents": [{"agent_name": "receptionist"}], "metadata": "m", "departure_timeout": 3}'
    spec = LocalParticipantSpec("r", "tel", configuration=text)
    house.rooms.join_local(spec, Phone())
    info = house.rooms.list()[0]
    assert (info.metadata, info.departure_timeout) == ("m", 3)
    (started,) = [event for event in house.events if isinstance(event, RoomStarted)]
    assert "receptionist" in started.configuration


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "[" * 100_000])
async def test_a_room_configuration_that_is_none_is_refused(house: House, text: str) -> None:
    spec = LocalParticipantSpec("r", "tel", configuration=text)
    with pytest.raises(Invalid):
        house.rooms.join_local(spec, Phone())


async def test_a_phone_that_hears_something_else_hears_nothing_of_the_room(house: House) -> None:
    seat, _ = await house.phone("tel")
    other, _ = await house.phone("other")
    ears = Ears()
    seat.hear(ears.sink)
    seat.hear_only(ears.sink, Source(9))
    other.publish_audio("a", Source(1), "")
    assert ears.inputs == {Source(9): 1.0}
    seat.hear(ears.sink)
    assert ears.inputs == {Source(1): 1.0}


async def test_the_methods_of_a_phone_are_called_and_what_it_refuses_is_told(house: House) -> None:
    seat, _ = await house.phone("tel")

    def greet(payload: str) -> str:
        if not payload:
            raise RpcFailed(RpcCode.APPLICATION_ERROR, "say whom")
        return f"hello {payload}"

    seat.offer_methods({"greet": greet})
    assert await house.rooms.call_method("r", "tel", "greet", "Ann", 5.0) == "hello Ann"
    for method, payload, message in (
        ("greet", "", "say whom"),
        ("sing", "x", "Method not supported at destination"),
    ):
        with pytest.raises(RpcFailed, match=message):
            await house.rooms.call_method("r", "tel", method, payload, 5.0)
