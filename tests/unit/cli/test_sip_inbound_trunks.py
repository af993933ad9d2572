from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi, Run

CREATE = "SIP/CreateSIPInboundTrunk"
TRUNK = {
    "name": "In",
    "numbers": ["+15105550100", "+4930*"],
    "auth_username": "u",
    "auth_password": "p",
}


def test_a_trunk_is_created_from_the_documented_file(
    run: Run, api: FakeApi, tmp_path: Path
) -> None:
    api.answer(CREATE, {"sip_trunk_id": "ST_1"})
    file = tmp_path / "inbound-trunk.json"
    file.write_text(
        '{"trunk": {"name": "My trunk", "numbers": ["+15105550100"], "krispEnabled": true}}',
        encoding="utf-8",
    )
    outcome = run("--url", api.url, "sip", "inbound", "create", str(file))
    assert outcome.out == "SIPTrunkID: ST_1\n"
    assert api.received[0].body["trunk"] == {
        "name": "My trunk",
        "numbers": ["+15105550100"],
        "krisp_enabled": True,
    }


@pytest.mark.parametrize(
    "command",
    [
        ("sip", "inbound", "create", "--auth-user", "u", "--auth-pass", "p"),
        ("sip", "inbound-trunk", "create", "--auth-user", "u", "--auth-pass", "p"),
        ("sip", "trunk", "create-inbound", "--auth-username", "u", "--auth-password", "p"),
    ],
)
def test_a_trunk_is_created_from_options_in_every_grammar(
    run: Run, api: FakeApi, command: tuple[str, ...]
) -> None:
    api.answer(CREATE, {"sip_trunk_id": "ST_1"})
    options = ("--name", "In", "--numbers", "+15105550100,+4930*")
    assert run("--url", api.url, *command, *options).status == 0
    assert api.received[0].body["trunk"] == TRUNK


def test_a_trunk_of_nothing_is_refused_before_anything_is_sent(run: Run, api: FakeApi) -> None:
    outcome = run("--url", api.url, "sip", "inbound", "create")
    assert outcome.err.startswith("error: say whom the trunk takes calls from")
    assert api.received == []


def test_a_list_shows_no_password(run: Run, api: FakeApi) -> None:
    item = {"sip_trunk_id": "ST_1", "allowed_addresses": ["192.0.2.0/24"]} | TRUNK
    api.answer("SIP/ListSIPInboundTrunk", {"items": [item]})
    shown = run("--url", api.url, "sip", "inbound", "list").out
    for text in ("ST_1", "+15105550100, +4930*", "192.0.2.0/24", "any", "u / ****"):
        assert text in shown
    assert json.loads(run("--url", api.url, "sip", "inbound", "list", "--json").out) == [item]


def test_the_list_of_tutorials_has_both_directions(run: Run, api: FakeApi) -> None:
    api.answer("SIP/ListSIPInboundTrunk", {"items": [{"sip_trunk_id": "ST_in"} | TRUNK]})
    out = {"sip_trunk_id": "ST_out", "address": "sip.example.com", "numbers": ["+1"]}
    api.answer("SIP/ListSIPOutboundTrunk", {"items": [out]})
    shown = run("--url", api.url, "sip", "trunk", "list").out
    assert [word for word in ("ST_out", "outbound", "ST_in", "inbound") if word in shown] == [
        "ST_out",
        "outbound",
        "ST_in",
        "inbound",
    ]
    printed = json.loads(run("--url", api.url, "sip", "trunk", "list", "--json").out)
    assert [trunk["sip_trunk_id"] for trunk in printed] == ["ST_out", "ST_in"]


def test_options_change_single_fields_and_files_replace(run: Run, api: FakeApi) -> None:
    api.answer("SIP/UpdateSIPInboundTrunk", {"sip_trunk_id": "ST_1"})
    update = ("--url", api.url, "sip", "inbound", "update")
    options = ("--allowed-addresses", "192.0.2.1", "--numbers", "+1", "--auth-realm", "r")
    assert run(*update, "--id", "ST_1", *options).status == 0
    assert api.received[0].body == {
        "sip_trunk_id": "ST_1",
        "update": {
            "numbers": {"set": ["+1"]},
            "allowed_addresses": {"set": ["192.0.2.1"]},
            "auth_realm": "r",
        },
    }
    assert run(*update, '{"sip_trunk_id": "ST_2", "name": "New"}').status == 0
    assert api.received[1].body["replace"] == {"sip_trunk_id": "ST_2", "name": "New"}
    assert run(*update, "--name", "x").err == "error: --id is needed to say which trunk to change\n"
    assert run(*update, "--id", "ST_1").err.startswith("error: say what to change")


def test_a_conflict_is_shown_as_the_server_says_it(run: Run, api: FakeApi) -> None:
    text = 'Conflicting inbound SIP Trunks: "<new>" and "ST_1", using …'
    refusal = json.dumps({"code": "invalid_argument", "msg": text})
    api.refuse(CREATE, 400, refusal.encode())
    outcome = run("--url", api.url, "sip", "inbound", "create", "--numbers", "+1")
    assert (outcome.status, outcome.err) == (1, f"error: {text} (invalid_argument)\n")


def test_trunks_are_deleted_one_by_one(run: Run, api: FakeApi) -> None:
    api.answer("SIP/DeleteSIPTrunk", {})
    outcome = run("--url", api.url, "sip", "inbound", "delete", "ST_1", "ST_2")
    assert outcome.out == "SIP Trunk ST_1 deleted\nSIP Trunk ST_2 deleted\n"
