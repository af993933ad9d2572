from __future__ import annotations

from typing import TYPE_CHECKING, Any

from switchroom.cli.connection import Connection
from switchroom.cli.way_in import lay_way_in

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi

TRUNKS, RULES = "SIP/ListSIPInboundTrunk", "SIP/ListSIPDispatchRule"
MAKE_TRUNK, MAKE_RULE = "SIP/CreateSIPInboundTrunk", "SIP/CreateSIPDispatchRule"
DELETE = "SIP/DeleteSIPDispatchRule"
OURS = {"name": "simulated phones", "sip_dispatch_rule_id": "SDR_1", "trunk_ids": ["ST_1"]}


def lay(api: FakeApi, *rules: dict[str, Any]) -> list[str]:
    """The methods that change something."""
    api.answer(TRUNKS, {"items": [{"sip_trunk_id": "ST_1", "name": "simulated phones"}]})
    api.answer(RULES, {"items": list(rules)})
    for method in (MAKE_RULE, DELETE):
        api.answer(method, {})
    assert lay_way_in(Connection(api.url, "devkey", "secret")) == "ST_1"
    return [r.path.rpartition("/")[2] for r in api.received if "List" not in r.path]


def test_the_first_time_trunk_and_rule_are_made(api: FakeApi) -> None:
    api.answer(TRUNKS, {})
    api.answer(RULES, {})
    api.answer(MAKE_TRUNK, {"sip_trunk_id": "ST_7"})
    api.answer(MAKE_RULE, {})
    assert lay_way_in(Connection(api.url, "devkey", "secret")) == "ST_7"
    trunk, rule = (r.body for r in api.received if "Create" in r.path)
    assert trunk["trunk"]["numbers"] == ["+15550000000"]
    assert trunk["trunk"]["allowed_addresses"] == ["127.0.0.0/8", "::1"]
    assert rule["dispatch_rule"]["trunk_ids"] == ["ST_7"]


def test_what_is_there_already_stays(api: FakeApi) -> None:
    assert lay(api, OURS) == []


def test_our_rule_gives_way_to_any_other_that_takes_the_calls(api: FakeApi) -> None:
    others: dict[str, Any] = {"name": "mine", "sip_dispatch_rule_id": "SDR_2"}
    assert lay(api, OURS, others) == ["DeleteSIPDispatchRule"]
    api.received.clear()
    assert lay(api, others) == []


def test_a_rule_for_another_trunk_takes_nothing_from_ours(api: FakeApi) -> None:
    other: dict[str, Any] = {
        "name": "mine", "sip_dispatch_rule_id": "SDR_2", "trunk_ids": ["ST_2"],
    }  # fmt: skip
    assert lay(api, other) == ["CreateSIPDispatchRule"]


def test_a_rule_for_a_trunk_that_is_gone_is_made_anew(api: FakeApi) -> None:
    stale: dict[str, Any] = {**OURS, "trunk_ids": ["ST_old"]}
    assert lay(api, stale) == ["DeleteSIPDispatchRule", "CreateSIPDispatchRule"]
