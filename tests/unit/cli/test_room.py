from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi, Run


def test_rooms_are_listed_with_who_is_in_them(run: Run, api: FakeApi) -> None:
    api.answer(
        "RoomService/ListRooms",
        {"rooms": [{"sid": "RM_1", "name": "[b]hello", "num_participants": 2}]},
    )
    shown = run("--url", api.url, "room", "list", "hello").out
    assert "RM_1" in shown
    assert "[b]hello" in shown
    assert api.received[0].body == {"names": ["hello"]}


def test_a_list_can_be_json(run: Run, api: FakeApi) -> None:
    api.answer("RoomService/ListRooms", {"rooms": [{"sid": "RM_1", "num_participants": 2}]})
    shown = run("--url", api.url, "room", "list", "--json").out
    assert json.loads(shown) == [{"sid": "RM_1", "num_participants": 2}]


def test_a_room_is_created(run: Run, api: FakeApi) -> None:
    api.answer("RoomService/CreateRoom", {"name": "hello", "sid": "RM_1"})
    outcome = run("--url", api.url, "room", "create", "hello", "--empty-timeout", "60")
    assert outcome.out == "Room hello (RM_1)\n"
    assert api.received[0].body == {"name": "hello", "empty_timeout": 60}


def test_every_named_room_is_deleted_with_a_token_for_it(run: Run, api: FakeApi) -> None:
    api.answer("RoomService/DeleteRoom", {})
    assert run("--url", api.url, "room", "delete", "a", "b").out.count("deleted") == 2
    assert [request.body["room"] for request in api.received] == ["a", "b"]
    assert [request.claims.video.room for request in api.received if request.claims.video] == [
        "a",
        "b",
    ]


def test_participants_show_their_kind_and_their_call(run: Run, api: FakeApi) -> None:
    phone = {
        "sid": "PA_1",
        "identity": "phone",
        "kind": "SIP",
        "state": "ACTIVE",
        "attributes": {"sip.callStatus": "ringing"},
    }
    api.answer("RoomService/ListParticipants", {"participants": [phone]})
    shown = run("--url", api.url, "room", "participants", "list", "hello").out
    assert all(word in shown for word in ("PA_1", "phone", "sip", "active", "ringing"))


def test_one_participant_can_be_looked_at_and_removed(run: Run, api: FakeApi) -> None:
    api.answer("RoomService/GetParticipant", {"sid": "PA_1"})
    api.answer("RoomService/RemoveParticipant", {})
    assert '"PA_1"' in run("--url", api.url, "room", "participants", "get", "r", "i").out
    gone = run("--url", api.url, "room", "participants", "remove", "r", "i").out
    assert gone == "i removed from r\n"
    assert api.received[1].body == {"room": "r", "identity": "i"}


def test_lks_way_to_name_the_room_works_as_well(run: Run, api: FakeApi) -> None:
    api.answer("RoomService/GetParticipant", {"sid": "PA_1"})
    participants = ("--url", api.url, "room", "participants")
    run(*participants, "get", "--room", "r", "i")
    run(*participants, "get", "--room", "r", "--identity", "i")
    assert [asked.body for asked in api.received] == [{"room": "r", "identity": "i"}] * 2
    outcome = run(*participants, "get", "i")
    assert (outcome.status, api.received[2:]) == (2, [])
    assert outcome.err.startswith("error: give the room and the identity")


def test_a_participant_is_changed_and_keeps_the_permissions_not_named(
    run: Run, api: FakeApi
) -> None:
    held = {"can_publish": True, "can_subscribe": True, "can_publish_sources": ["MICROPHONE"]}
    api.answer("RoomService/GetParticipant", {"sid": "PA_1", "permission": held})
    api.answer("RoomService/UpdateParticipant", {"sid": "PA_1"})
    outcome = run(
        *("--url", api.url, "room", "participants", "update", "r", "i", "--name", "Ada"),
        *("--permissions", '{"canPublish": false}', "--attribute", "team=red"),
    )
    assert outcome.out == "i in r updated\n"
    assert api.received[1].body == {
        "room": "r",
        "identity": "i",
        "name": "Ada",
        "attributes": {"team": "red"},
        "permission": {"can_subscribe": True, "can_publish_sources": ["MICROPHONE"]},
    }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "say what to change"),
        (("--permissions", "["), "--permissions: "),
        (("--permissions", '{"canFly": true}'), "--permissions: "),
        (("--permissions", "[]"), "--permissions: "),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    run: Run, api: FakeApi, options: tuple[str, ...], sentence: str
) -> None:
    api.answer("RoomService/GetParticipant", {"sid": "PA_1"})
    outcome = run("--url", api.url, "room", "participants", "update", "r", "i", *options)
    assert outcome.status == 2
    assert outcome.err.startswith(f"error: {sentence}")


def test_a_room_is_created_with_agents_from_a_file(run: Run, api: FakeApi, tmp_path: Path) -> None:
    agents = tmp_path / "agents.json"
    agents.write_text('{"dispatches": [{"agentName": "a", "metadata": "m"}]}')
    api.answer("RoomService/CreateRoom", {"name": "hello", "sid": "RM_1"})
    outcome = run(
        *("--url", api.url, "room", "create", "hello", "--agents-file", str(agents)),
        *("--room-preset", "calls", "--json"),
    )
    assert json.loads(outcome.out) == {"name": "hello", "sid": "RM_1"}
    assert api.received[0].body == {
        "name": "hello",
        "room_preset": "calls",
        "agents": [{"agent_name": "a", "metadata": "m"}],
    }


def test_a_rooms_metadata_is_changed(run: Run, api: FakeApi) -> None:
    api.answer("RoomService/UpdateRoomMetadata", {"name": "hello"})
    outcome = run("--url", api.url, "room", "update", "hello", "--metadata", "m")
    assert outcome.out == "Room hello updated\n"
    assert api.received[0].body == {"room": "hello", "metadata": "m"}


def test_a_track_is_muted_and_unmuted(run: Run, api: FakeApi) -> None:
    api.answer("RoomService/MutePublishedTrack", {})
    command = ("--url", api.url, "room", "mute-track", "--room", "r", "--identity", "i", "TR_1")
    assert run(*command).out == "Track TR_1 muted\n"
    assert run(*command, "--unmute").out == "Track TR_1 unmuted\n"
    asked = {"room": "r", "identity": "i", "track_sid": "TR_1"}
    assert [each.body for each in api.received] == [{**asked, "muted": True}, asked]


def test_who_hears_a_track_can_be_said(run: Run, api: FakeApi) -> None:
    api.answer("RoomService/UpdateSubscriptions", {})
    command = ("--url", api.url, "room", "update-subscriptions", "-r", "r", "-i", "i")
    assert run(*command, "TR_1", "TR_2").out == "i subscribed to TR_1, TR_2\n"
    assert run(*command, "-S", "TR_1").out == "i unsubscribed from TR_1\n"
    asked = {"room": "r", "identity": "i"}
    assert [each.body for each in api.received] == [
        {**asked, "track_sids": ["TR_1", "TR_2"], "subscribe": True},
        {**asked, "track_sids": ["TR_1"]},
    ]


def test_data_is_sent_to_all_or_to_some(run: Run, api: FakeApi) -> None:
    api.answer("RoomService/SendData", {})
    command = ("--url", api.url, "room", "send-data", "--room", "r", '{"a": 1}')
    assert run(*command).out == "Data sent to all in r\n"
    assert run(*command, "--topic", "t", "--identity", "i").out == "Data sent to i in r\n"
    assert b64decode(api.received[0].body["data"]) == b'{"a": 1}'
    assert api.received[1].body["topic"] == "t"
    assert api.received[1].body["destination_identities"] == ["i"]


def test_rooms_that_were_asked_for_and_are_not_there_are_said_not_to_be(
    run: Run, api: FakeApi
) -> None:
    api.answer("RoomService/ListRooms", {})
    assert run("--url", api.url, "room", "list", "hello").out == "no such rooms\n"
