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
from switchroom.telephony.routing.updates import ListUpdate


class _Clock:
    now = 1000

    def monotonic(self) -> float:
        return float(self.now)

    def unix_ns(self) -> int:
        return self.now


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
    rule = await DispatchRules(store, _Clock()).create(_NEW)
    assert rule.rule_id.startswith("SDR_")
    assert (rule.created_at, rule.updated_at) == (1000, 1000)
    again = DispatchRules(store, _Clock())
    await again.start()
    assert again.list() == [again.get(rule.rule_id)] == [rule]


async def test_two_rules_for_the_same_calls_are_never_made_also_at_the_same_time() -> None:
    rules = DispatchRules(_Store(), _Clock())
    made = await asyncio.gather(rules.create(_NEW), rules.create(_NEW), return_exceptions=True)
    assert sum(isinstance(outcome, InvalidRequestError) for outcome in made) == 1
    assert len(rules.list()) == 1


async def test_a_change_into_a_conflict_is_refused_and_changes_nothing() -> None:
    rules = DispatchRules(_Store(), _Clock())
    await rules.create(_NEW)
    other = await rules.create(DispatchRule(room=DirectRoom("r"), trunk_ids=("ST_1",)))
    with pytest.raises(InvalidRequestError, match=r'already exists in dispatch rule .* "calls"'):
        await rules.update(other.rule_id, DispatchRuleUpdate(trunk_ids=ListUpdate(clear=True)))
    with pytest.raises(InvalidRequestError, match="already exists"):
        await rules.replace(other.rule_id, _NEW)
    assert rules.get(other.rule_id) == other


async def test_rules_are_found_by_trunk_also_after_a_change() -> None:
    clock = _Clock()
    rules = DispatchRules(_Store(), clock)
    wild = await rules.create(_NEW)
    own = await rules.create(DispatchRule(room=DirectRoom("r"), trunk_ids=("ST_1", "ST_2")))
    assert list(rules.for_trunk("ST_1")) == [own, wild]
    assert list(rules.for_trunk("")) == list(rules.for_trunk("ST_3")) == [wild]
    clock.now = 2000
    update = DispatchRuleUpdate(trunk_ids=ListUpdate(remove=("ST_1",), add=("ST_3",)))
    changed = await rules.update(own.rule_id, update)
    assert (changed.created_at, changed.updated_at) == (1000, 2000)
    assert list(rules.for_trunk("ST_1")) == [wild]
    assert list(rules.for_trunk("ST_3")) == [changed, wild]
    assert rules.list(trunk_ids=["ST_2"]) == sorted([wild, changed], key=lambda r: r.rule_id)


async def test_a_deleted_rule_is_gone_and_says_what_it_was() -> None:
    rules = DispatchRules(_Store(), _Clock())
    rule = await rules.create(_NEW)
    assert await rules.delete(rule.rule_id) == rule
    assert list(rules.for_trunk("")) == rules.list() == []
    with pytest.raises(RuleNotFoundError, match="requested sip dispatch rule does not exist"):
        await rules.delete(rule.rule_id)


async def test_identifiers_are_the_servers() -> None:
    rules = DispatchRules(_Store(), _Clock())
    with pytest.raises(InvalidRequestError, match="rule id must not be set"):
        await rules.create(DispatchRule("SDR_mine", DirectRoom("r")))
    with pytest.raises(InvalidRequestError, match="rule id must be set"):
        await rules.update("", DispatchRuleUpdate())
    with pytest.raises(InvalidRequestError, match="dispatch rule ID is required"):
        await rules.delete("")
    with pytest.raises(RuleNotFoundError):
        await rules.replace("SDR_none", _NEW)
