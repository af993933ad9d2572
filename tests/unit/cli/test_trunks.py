from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi, Run

CREATE = "SIP/CreateSIPOutboundTrunk"
TRUNK = {
    "name": "Out",
    "address": "trunk.example.com",
    "numbers": ["+15105550100", "+15105550101"],
    "auth_username": "u",
    "auth_password": "p",
}


def test_a_trunk_is_created_from_the_documented_file(
    run: Run, api: FakeApi, tmp_path: Path
) -> None:
    api.answer(CREATE, {"sip_trunk_id": "ST_1"})
    file = tmp_path / "outbound-trunk.json"
    file.write_text(
        '{"trunk": {"name": "Out", "address": "trunk.example.com", "transport":'
        ' "SIP_TRANSPORT_TCP", "numbers": ["+15105550100"], "authUsername": "u"}}',
        encoding="utf-8",
    )
    outcome = run("--url", api.url, "sip", "outbound", "create", str(file))
    assert outcome.out == "SIPTrunkID: ST_1\n"
    assert api.received[0].body["trunk"] == {
        "name": "Out",
        "address": "trunk.example.com",
        "transport": "SIP_TRANSPORT_TCP",
        "numbers": ["+15105550100"],
        "auth_username": "u",
    }


@pytest.mark.parametrize(
    "command",
    [
        ("sip", "outbound", "create", "--auth-user", "u", "--auth-pass", "p"),
        ("sip", "trunk", "create-outbound", "--auth-username", "u", "--auth-password", "p"),
    ],
)
def test_a_trunk_is_created_from_options_in_both_grammars(
    run: Run, api: FakeApi, command: tuple[str, ...]
) -> None:
    api.answer(CREATE, {"sip_trunk_id": "ST_1"})
    options = ("--name", "Out", "--address", "trunk.example.com")
    numbers = ("--numbers", "+15105550100, +15105550101")
    assert run("--url", api.url, *command, *options, *numbers).status == 0
    assert api.received[0].body["trunk"] == TRUNK


def test_a_trunk_of_nothing_is_refused_before_anything_is_sent(run: Run, api: FakeApi) -> None:
    outcome = run("--url", api.url, "sip", "outbound", "create")
    assert outcome.status == 2
    assert outcome.err.startswith("error: say what the trunk is")
    assert api.received == []


def test_an_unknown_transport_is_refused(run: Run, api: FakeApi) -> None:
    outcome = run("--url", api.url, "sip", "outbound", "create", "--transport", "smoke")
    assert outcome.err == "error: --transport must be auto, udp, tcp or tls, not 'smoke'\n"


@pytest.mark.parametrize("command", [("sip", "outbound", "list"), ("sip", "trunk", "list")])
def test_a_list_shows_no_password(run: Run, api: FakeApi, command: tuple[str, ...]) -> None:
    api.answer("SIP/ListSIPOutboundTrunk", {"items": [{"sip_trunk_id": "ST_1"} | TRUNK]})
    api.answer("SIP/ListSIPInboundTrunk", {"items": []})
    shown = run("--url", api.url, *command).out
    assert "u / ****" in shown
    assert "ST_1" in shown


def test_options_change_single_fields_and_files_replace(
    run: Run, api: FakeApi, tmp_path: Path
) -> None:
    api.answer("SIP/UpdateSIPOutboundTrunk", {"sip_trunk_id": "ST_1"})
    update = ("--url", api.url, "sip", "outbound", "update")
    assert run(*update, "--id", "ST_1", "--numbers", "+1", "--transport", "udp").status == 0
    assert api.received[0].body == {
        "sip_trunk_id": "ST_1",
        "update": {"numbers": {"set": ["+1"]}, "transport": "SIP_TRANSPORT_UDP"},
    }
    assert run(*update, '{"sip_trunk_id": "ST_2", "name": "New"}').status == 0
    assert api.received[1].body == {
        "sip_trunk_id": "ST_2",
        "replace": {"sip_trunk_id": "ST_2", "name": "New"},
    }


def test_a_change_needs_to_know_of_which_trunk(run: Run, api: FakeApi) -> None:
    outcome = run("--url", api.url, "sip", "outbound", "update", "--name", "x")
    assert outcome.err == "error: --id is needed to say which trunk to change\n"


def test_trunks_are_deleted_one_by_one(run: Run, api: FakeApi) -> None:
    api.answer("SIP/DeleteSIPTrunk", {})
    outcome = run("--url", api.url, "sip", "outbound", "delete", "ST_1", "ST_2")
    assert outcome.out == "SIP Trunk ST_1 deleted\nSIP Trunk ST_2 deleted\n"


def test_a_file_may_leave_out_what_stands_around_a_trunk(run: Run, api: FakeApi) -> None:
    api.answer(CREATE, {"sip_trunk_id": "ST_1"})
    api.answer("SIP/UpdateSIPOutboundTrunk", {"sip_trunk_id": "ST_1"})
    sip = ("--url", api.url, "sip", "outbound")
    assert run(*sip, "create", '{"name": "Out", "address": "a"}').status == 0
    assert api.received[0].body == {"trunk": {"name": "Out", "address": "a"}}
    assert run(*sip, "update", "--id", "ST_1", '{"trunk": {"name": "New"}}').status == 0
    assert api.received[1].body == {"sip_trunk_id": "ST_1", "replace": {"name": "New"}}


def test_what_was_created_is_printed_as_json_if_wanted(run: Run, api: FakeApi) -> None:
    api.answer(CREATE, {"sip_trunk_id": "ST_1", "name": "Out"})
    shown = run("--url", api.url, "sip", "outbound", "create", "--name", "Out", "--json").out
    assert json.loads(shown) == {"sip_trunk_id": "ST_1", "name": "Out"}
