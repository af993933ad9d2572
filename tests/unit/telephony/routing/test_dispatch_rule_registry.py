"""Dispatch rules: kept before anyone is told, found by the trunk that a call came in by."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from switchroom.telephony.errors import InvalidRequestError, RuleNotFoundError
from switchroom.telephony.routing.dispatch_rule_registry import DispatchRules
from switchroom.telephony.routing.dispatch_rules import (
    DirectRoom,
    DispatchRule,
    DispatchRuleUpdate,
    IndividualRoom,
)
from switchroom.telephony.routing.incoming_call import IncomingCall
from switchroom.telephony.routing.rule_matching import NoRule, choose_rule
from switchroom.telephony.routing.updates import ListUpdate
from unit.telephony.routing.hand_clock import HandClock


class _Store:
    def __init__(self) -> None:
        self.kept: dict[str, DispatchRule] = {}

    async def load(self) -> Sequence[DispatchRule]:
        return tuple(self.kept.values())

    async def save(self, record: DispatchRule) -> None:
        await asyncio.sleep(0)
        self.kept[record.rule_id] = record

    async def delete(self, record_id: str) -> None:
        self.kept.pop(record_id, None)


_NEW = DispatchRule(room=IndividualRoom("call"), name="calls")


async def test_a_rule_gets_an_id_and_a_birthday_and_outlives_the_process() -> None:
    store = _Store()
    rule = await DispatchRules(store, HandClock()).create(_NEW)
    assert rule.rule_id.startswith("SDR_")
    assert (rule.created_at, rule.updated_at) == (1000, 1000)
    again = DispatchRules(store, HandClock())
    await again.start()
    assert again.list() == [again.get(rule.rule_id)] == [rule]


async def test_two_rules_for_the_same_calls_are_never_made_also_at_the_same_time() -> None:
    rules = DispatchRules(_Store(), HandClock())
    made = await asyncio.gather(rules.create(_NEW), rules.create(_NEW), return_exceptions=True)
    assert sum(isinstance(outcome, InvalidRequestError) for outcome in made) == 1
    assert len(rules.list()) == 1


async def test_a_change_into_a_conflict_is_refused_and_changes_nothing() -> None:
    rules = DispatchRules(_Store(), HandClock())
    await rules.create(_NEW)
    other = await rules.create(DispatchRule(room=DirectRoom("r"), trunk_ids=("ST_1",)))
    with pytest.raises(InvalidRequestError, match=r'already exists in dispatch rule .* "calls"'):
        await rules.update(other.rule_id, DispatchRuleUpdate(trunk_ids=ListUpdate(clear=True)))
    with pytest.raises(InvalidRequestError, match="already exists"):
        await rules.replace(other.rule_id, _NEW)
    assert rules.get(other.rule_id) == other


def _for(rules: DispatchRules, trunk_id: str, called: str = "+1") -> list[DispatchRule]:
    found = rules.for_call(IncomingCall("+9", called, "192.0.2.7"), trunk_id)
    return sorted(found, key=lambda rule: rule.created_at)


async def test_rules_are_found_by_trunk_also_after_a_change() -> None:
    clock = HandClock()
    rules = DispatchRules(_Store(), clock)
    own = await rules.create(DispatchRule(room=DirectRoom("r"), trunk_ids=("ST_1", "ST_2")))
    clock.now = 1500
    wild = await rules.create(_NEW)
    assert _for(rules, "ST_1") == _for(rules, "ST_2") == [own, wild]
    assert _for(rules, "") == _for(rules, "ST_3") == [wild]
    clock.now = 2000
    update = DispatchRuleUpdate(trunk_ids=ListUpdate(remove=("ST_1",), add=("ST_3",)))
    changed = await rules.update(own.rule_id, update)
    assert (changed.created_at, changed.updated_at) == (1000, 2000)
    assert _for(rules, "ST_1") == [wild]
    assert _for(rules, "ST_2") == _for(rules, "ST_3") == [changed, wild]
    assert rules.list(trunk_ids=["ST_2"]) == sorted([wild, changed], key=lambda r: r.rule_id)


async def test_of_many_rules_those_are_looked_at_that_may_have_the_number() -> None:
    store = _Store()
    rules = DispatchRules(store, HandClock())
    numbers = (("+0",), ("+1", "+77"))
    named = [
        await rules.create(DispatchRule(room=DirectRoom(f"r{n}"), numbers=numbers[n]))
        for n in range(2)
    ]
    pattern = await rules.create(DispatchRule(room=DirectRoom("p"), numbers=("+4*", "+3")))
    again = DispatchRules(store, HandClock())
    await again.start()
    for registry in (rules, again):
        for called, found in (
            ("0", [named[0], pattern]),
            ("1", [named[1], pattern]),
            ("77", [named[1], pattern]),
            ("5", [pattern]),
        ):
            chosen = registry.for_call(IncomingCall("", called, ""), "ST_1")
            assert {rule.rule_id for rule in chosen} == {rule.rule_id for rule in found}
        by_uri = IncomingCall("", "5", "", request_user="0")
        assert len(registry.for_call(by_uri, "ST_1")) == 2


async def test_where_no_rule_fits_one_is_left_to_say_why() -> None:
    rules = DispatchRules(_Store(), HandClock())
    assert _for(rules, "ST_1") == []
    await rules.create(DispatchRule(room=DirectRoom("other"), trunk_ids=("ST_2",)))
    call = IncomingCall("+9", "+1", "192.0.2.7")

    def reason() -> str:
        choice = choose_rule(rules.for_call(call, "ST_1"), call, "ST_1", pin=None, random="")
        assert isinstance(choice, NoRule)
        return choice.reason

    assert reason() == "no dispatch rule is for trunk ST_1"
    await rules.create(
        DispatchRule(room=DirectRoom("own"), trunk_ids=("ST_1",), numbers=("+5", "+6"))
    )
    assert reason() == "no dispatch rule for trunk ST_1 has this called number in its list"


async def test_a_rule_for_calls_without_a_trunk_says_so_itself() -> None:
    clock = HandClock()
    rules = DispatchRules(_Store(), clock)
    wild = await rules.create(_NEW)
    clock.now = 2000
    open_ = await rules.create(DispatchRule(room=DirectRoom("r"), trunk_ids=("", "ST_1")))
    assert _for(rules, "") == _for(rules, "ST_1") == [wild, open_]
    assert _for(rules, "ST_2") == [wild]


async def test_a_deleted_rule_is_gone_and_says_what_it_was() -> None:
    rules = DispatchRules(_Store(), HandClock())
    rule = await rules.create(_NEW)
    assert await rules.delete(rule.rule_id) == rule
    assert _for(rules, "") == rules.list() == []
    with pytest.raises(RuleNotFoundError, match="requested sip dispatch rule does not exist"):
        await rules.delete(rule.rule_id)


async def test_identifiers_are_the_servers() -> None:
    rules = DispatchRules(_Store(), HandClock())
    with pytest.raises(InvalidRequestError, match="rule id must not be set"):
        await rules.create(DispatchRule("SDR_mine", DirectRoom("r")))
    with pytest.raises(InvalidRequestError, match="rule id must be set"):
        await rules.update("", DispatchRuleUpdate())
    with pytest.raises(InvalidRequestError, match="dispatch rule ID is required"):
        await rules.delete("")
    with pytest.raises(RuleNotFoundError):
        await rules.replace("SDR_none", _NEW)
