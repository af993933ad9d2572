from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
