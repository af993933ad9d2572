from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi, Run

_LISTED = {
    "agent_dispatches": [
        {
            "id": "AD_1",
            "room": "call",
            "agent_name": "clerk",
            "state": {"jobs": [{"state": {"status": "JS_FAILED", "error": "no worker"}}]},
        }
    ]
}


def test_an_agent_is_asked_for_in_a_room(run: Run, api: FakeApi) -> None:
    api.answer("AgentDispatchService/CreateDispatch", {"id": "AD_1", "room": "call"})
    asked = ("dispatch", "create", "--room", "call", "--agent-name", "clerk", "--metadata", "{}")
    assert "AD_1" in run("--url", api.url, *asked).out
    (request,) = api.received
    assert request.body == {"room": "call", "agent_name": "clerk", "metadata": "{}"}
    assert request.claims.video is not None
    assert (request.claims.video.room_admin, request.claims.video.room) == (True, "call")


def test_a_new_room_has_a_name_of_its_own(run: Run, api: FakeApi) -> None:
    api.answer("AgentDispatchService/CreateDispatch", {"id": "AD_1"})
    asked = ("--url", api.url, "dispatch", "create", "--new-room", "--agent-name", "clerk")
    assert json.loads(run(*asked, "--json").out) == [{"id": "AD_1"}]
    run(*asked, "-d", "blue")
    first, second = (request.body["room"] for request in api.received)
    assert first.startswith("room-")
    assert first != second
    assert api.received[1].body["deployment"] == "blue"


def test_the_room_is_given_in_one_way(run: Run, api: FakeApi) -> None:
    for wrong in ((), ("--room", "call", "--new-room")):
        outcome = run("--url", api.url, "dispatch", "create", "--agent-name", "clerk", *wrong)
        assert "either --room NAME or --new-room" in outcome.err
    assert api.received == []


def test_dispatches_are_listed_with_what_became_of_them(run: Run, api: FakeApi) -> None:
    api.answer("AgentDispatchService/ListDispatch", _LISTED)
    shown = run("--url", api.url, "dispatch", "list", "call").out
    assert all(word in shown for word in ("AD_1", "clerk", "failed: no worker"))
    as_json = json.loads(run("--url", api.url, "dispatch", "list", "call", "--json").out)
    assert as_json[0]["agent_name"] == "clerk"
    assert api.received[0].body == {"room": "call"}


def test_a_dispatch_for_workers_without_a_name_is_listed_as_one(run: Run, api: FakeApi) -> None:
    api.answer("AgentDispatchService/ListDispatch", {"agent_dispatches": [{"id": "AD_1"}]})
    assert "(no name)" in run("--url", api.url, "dispatch", "list", "call").out


def test_a_room_without_dispatches_says_so(run: Run, api: FakeApi) -> None:
    api.answer("AgentDispatchService/ListDispatch", {})
    assert (
        run("--url", api.url, "dispatch", "list", "call").out == "no agent was asked for in call\n"
    )
    assert (
        "call has no dispatch AD_9" in run("--url", api.url, "dispatch", "get", "call", "AD_9").err
    )


def test_one_dispatch_is_shown_whole(run: Run, api: FakeApi) -> None:
    api.answer("AgentDispatchService/ListDispatch", _LISTED)
    shown = json.loads(run("--url", api.url, "dispatch", "get", "call", "AD_1").out)
    assert shown["state"]["jobs"][0]["state"]["error"] == "no worker"
    assert api.received[0].body == {"room": "call", "dispatch_id": "AD_1"}


def test_every_named_dispatch_is_deleted(run: Run, api: FakeApi) -> None:
    api.answer("AgentDispatchService/DeleteDispatch", {"id": "AD_1"})
    shown = run("--url", api.url, "dispatch", "delete", "call", "AD_1", "AD_2").out
    assert shown == "Dispatch AD_1 deleted\nDispatch AD_2 deleted\n"
    assert [request.body["dispatch_id"] for request in api.received] == ["AD_1", "AD_2"]
