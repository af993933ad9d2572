from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi, Run

CREATE = "SIP/CreateSIPDispatchRule"
INDIVIDUAL = {"dispatch_rule_individual": {"room_prefix": "call-"}}


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (
            '{"rule": {"dispatchRuleIndividual": {"roomPrefix": "call-"}}}',
            {"rule": INDIVIDUAL},
        ),
        (
            '{"dispatch_rule": {"rule": {"dispatchRuleIndividual": {"roomPrefix": "call-"}}}}',
            {"dispatch_rule": {"rule": INDIVIDUAL}},
        ),
    ],
)
def test_a_rule_is_created_from_either_documented_file(
    run: Run, api: FakeApi, tmp_path: Path, text: str, body: dict[str, Any]
) -> None:
    api.answer(CREATE, {"sip_dispatch_rule_id": "SDR_1"})
    file = tmp_path / "dispatch-rule.json"
    file.write_text(text, encoding="utf-8")
    outcome = run("--url", api.url, "sip", "dispatch", "create", str(file))
    assert outcome.out == "SIPDispatchRuleID: SDR_1\n"
    assert api.received[0].body == body


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--caller", "call-"), INDIVIDUAL),
        (("--individual", "call-"), INDIVIDUAL),
        (("--individual", ""), {"dispatch_rule_individual": {}}),
        (
            ("--direct", "lobby", "--pin", "12"),
            {"dispatch_rule_direct": {"room_name": "lobby", "pin": "12"}},
        ),
        (
            ("--callee", "line", "--randomize"),
            {"dispatch_rule_callee": {"room_prefix": "line", "randomize": True}},
        ),
    ],
)
def test_a_rule_is_created_from_options(
    run: Run, api: FakeApi, options: tuple[str, ...], rule: dict[str, Any]
) -> None:
    api.answer(CREATE, {"sip_dispatch_rule_id": "SDR_1"})
    more = ("--name", "n", "--trunks", "ST_1,ST_2", "--numbers", "+1*", "--inbound-numbers", "+2")
    agent = ("--agent", "inbound-agent", "--metadata", "m")
    outcome = run("--url", api.url, "sip", "dispatch-rule", "create", *options, *more, *agent)
    assert outcome.status == 0
    assert api.received[0].body == {
        "dispatch_rule": {
            "rule": rule,
            "name": "n",
            "trunk_ids": ["ST_1", "ST_2"],
            "numbers": ["+1*"],
            "inbound_numbers": ["+2"],
            "metadata": "m",
            "room_config": {"agents": [{"agent_name": "inbound-agent"}]},
        }
    }


def test_the_readmes_spellings_work(run: Run, api: FakeApi) -> None:
    api.answer(CREATE, {"sip_dispatch_rule_id": "SDR_1"})
    api.answer("SIP/CreateSIPInboundTrunk", {"sip_trunk_id": "ST_1"})
    sip = ("--url", api.url, "sip")
    assert run(*sip, "dispatch", "create", "--direct", "r", "--agents", "a,b").status == 0
    config = api.received[0].body["dispatch_rule"]["room_config"]
    assert config == {"agents": [{"agent_name": "a"}, {"agent_name": "b"}]}
    assert run(*sip, "inbound", "create", "--address", "203.0.113.0/24").status == 0
    assert api.received[1].body["trunk"] == {"allowed_addresses": ["203.0.113.0/24"]}


def test_options_go_over_a_file_in_the_old_form(run: Run, api: FakeApi) -> None:
    api.answer(CREATE, {"sip_dispatch_rule_id": "SDR_1"})
    old = '{"rule": {"dispatchRuleIndividual": {"roomPrefix": "call-"}}, "metadata": "m"}'
    assert run("--url", api.url, "sip", "dispatch", "create", old, "--name", "n").status == 0
    assert api.received[0].body == {
        "dispatch_rule": {"rule": INDIVIDUAL, "name": "n", "metadata": "m"}
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "say where callers go: a JSON file, --direct ROOM, --caller PREFIX"),
        (("--name", "n"), "say where callers go"),
        (("--direct", "a", "--callee", "b"), "give one of --direct, --caller and --callee"),
        (("--direct", "a", "--randomize"), "--randomize belongs to --callee"),
        (("--pin", "1"), "--pin belongs to --direct, --caller or --callee"),
        (('{"rule": {"direct": 1}}',), "the JSON given: SIPDispatchRule has no field direct"),
    ],
)
def test_a_command_in_disorder_is_refused_before_anything_is_sent(
    run: Run, api: FakeApi, options: tuple[str, ...], message: str
) -> None:
    outcome = run("--url", api.url, "sip", "dispatch", "create", *options)
    assert outcome.status == 2
    assert outcome.err.startswith(f"error: {message}")
    assert api.received == []


def test_a_list_shows_where_callers_go_and_no_pin(run: Run, api: FakeApi) -> None:
    items = [
        {
            "sip_dispatch_rule_id": "SDR_1",
            "rule": {"dispatch_rule_individual": {"room_prefix": "call-", "pin": "4711"}},
            "room_config": {"agents": [{"agent_name": "reception"}]},
        },
        {
            "sip_dispatch_rule_id": "SDR_2",
            "rule": {"dispatch_rule_direct": {"room_name": "lobby"}},
            "trunk_ids": [""],
        },
        {"sip_dispatch_rule_id": "SDR_3", "rule": {"dispatch_rule_callee": {}}},
    ]
    api.answer("SIP/ListSIPDispatchRule", {"items": items})
    shown = run("--url", api.url, "sip", "dispatch", "list").out
    for text in ("call-_<caller>_*", "lobby", "<called>", "reception", "****", "(none)"):
        assert text in shown
    assert "4711" not in shown
    printed = run("--url", api.url, "sip", "dispatch", "list", "--json").out
    assert len(json.loads(printed)) == 3


def test_options_change_single_fields_and_files_replace(run: Run, api: FakeApi) -> None:
    api.answer("SIP/UpdateSIPDispatchRule", {"sip_dispatch_rule_id": "SDR_1"})
    update = ("--url", api.url, "sip", "dispatch", "update")
    assert run(*update, "--id", "SDR_1", "--trunks", "ST_1", "--direct", "r").status == 0
    assert api.received[0].body == {
        "sip_dispatch_rule_id": "SDR_1",
        "update": {
            "trunk_ids": {"set": ["ST_1"]},
            "rule": {"dispatch_rule_direct": {"room_name": "r"}},
        },
    }
    assert run(*update, "--id", "SDR_1", "--name", "n").status == 0
    assert api.received[1].body["update"] == {"name": "n"}
    wrapped = '{"dispatch_rule": {"sip_dispatch_rule_id": "SDR_2", "name": "n"}}'
    assert run(*update, wrapped).status == 0
    assert api.received[2].body["sip_dispatch_rule_id"] == "SDR_2"
    assert run(*update, "--name", "x").err == "error: --id is needed to say which rule to change\n"


def test_rules_are_deleted_one_by_one(run: Run, api: FakeApi) -> None:
    api.answer("SIP/DeleteSIPDispatchRule", {})
    outcome = run("--url", api.url, "sip", "dispatch", "delete", "SDR_1", "SDR_2")
    assert outcome.out == "SIP Dispatch Rule SDR_1 deleted\nSIP Dispatch Rule SDR_2 deleted\n"
