"""Dispatch rules: what is refused, what conflicts, what an update changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from switchroom.base.errors import ServiceError
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.dispatch_rules import (
    CalleeRoom,
    DirectRoom,
    DispatchRule,
    DispatchRuleUpdate,
    IndividualRoom,
    check_conflicts,
    checked,
    listed,
    replacement,
)
from switchroom.telephony.routing.media_config import MediaConfig
from switchroom.telephony.routing.updates import ListUpdate, MediaUpdate

_RULE = DispatchRule("SDR_1", IndividualRoom("call-"), name="calls")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"room": None}, "missing rule"),
        ({"room": DirectRoom("")}, "missing room name"),
        ({"room": DirectRoom("r", pin="12#4")}, "pin must be what a phone can type"),
        ({"room": DirectRoom("r", pin="1" * 17)}, "pin must be what a phone can type"),
        ({"room": IndividualRoom(pin="open sesame")}, "pin must be what a phone can type"),
        ({"numbers": ("",)}, "numbers: empty element in the list"),
        ({"inbound_numbers": ("",)}, "inbound_numbers: empty element in the list"),
        ({"media": MediaConfig(timeout=-1)}, "media_timeout must not be negative"),
    ],
)
def test_what_cannot_be_used_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        checked(replace(_RULE, **changes))
    assert refusal.value.message.startswith(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"room": DirectRoom("r" * 257)},
        {"metadata": "m" * (512 * 1024 + 1)},
        {"attributes": {"a": "b" * 64 * 1024}},
    ],
)
def test_what_no_room_takes_is_refused_before_it_turns_away_callers(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(ServiceError, match=r"exceeds \d+ bytes"):
        checked(replace(_RULE, **changes))


@pytest.mark.parametrize("pin", ["", "0", "1234", "*1aD", "1" * 16])
def test_what_a_phone_can_type_is_a_pin(pin: str) -> None:
    rule = replace(_RULE, room=CalleeRoom(pin=pin))
    assert checked(rule).pin == pin


def test_pins_are_not_shown() -> None:
    assert "4711" not in repr(replace(_RULE, room=DirectRoom("r", "4711")))


@pytest.mark.parametrize(
    "changes",
    [
        {"room": IndividualRoom(pin="1")},
        {"trunk_ids": ("ST_1",)},
        {"numbers": ("+1",)},
        {"inbound_numbers": ("+1",)},
    ],
)
def test_rules_that_differ_in_what_they_take_live_together(changes: dict[str, Any]) -> None:
    check_conflicts(replace(_RULE, rule_id="", **changes), [_RULE])


def test_rules_for_the_same_calls_conflict_in_livekits_words() -> None:
    text = (
        "Dispatch rule for the same trunk, inbound number, number, and PIN combination "
        'already exists in dispatch rule "SDR_1" "calls"'
    )
    with pytest.raises(InvalidRequestError) as refusal:
        check_conflicts(DispatchRule(room=DirectRoom("other")), [_RULE])
    assert refusal.value.message == text
    old = replace(_RULE, trunk_ids=("ST_1", "ST_2"), numbers=("+1", "+2"), name="")
    new = replace(old, rule_id="", trunk_ids=("ST_2",), numbers=("2",))
    with pytest.raises(InvalidRequestError, match='"SDR_1" "<blank name>"'):
        check_conflicts(new, [old])
    check_conflicts(replace(new, numbers=("+3",)), [old])
    check_conflicts(replace(old, name="renamed"), [old])


def test_an_update_changes_what_it_names() -> None:
    before = replace(
        _RULE, attributes={"a": "1", "b": "2"}, numbers=("+1",), room_config={"metadata": "x"}
    )
    update = DispatchRuleUpdate(
        trunk_ids=ListUpdate(add=("ST_1",)),
        room=DirectRoom("lobby"),
        name="n",
        metadata="m",
        attributes={"b": "", "c": "3", "d": ""},
        media=MediaUpdate(MediaConfig(timeout=1)),
    )
    assert update.applied_to(before) == replace(
        before,
        trunk_ids=("ST_1",),
        room=DirectRoom("lobby"),
        name="n",
        metadata="m",
        attributes={"a": "1", "c": "3"},
        media=MediaConfig(timeout=1),
    )


def test_a_replacement_keeps_the_id_and_the_birthday() -> None:
    new = replacement(replace(_RULE, created_at=5), DispatchRule(room=DirectRoom("r")))
    assert (new.rule_id, new.created_at) == ("SDR_1", 5)
    with pytest.raises(InvalidRequestError, match="rule id in the info must be empty or match"):
        replacement(_RULE, DispatchRule("SDR_2", DirectRoom("r")))


def test_a_list_holds_rules_for_any_trunk_beside_those_asked_for() -> None:
    one = replace(_RULE, rule_id="SDR_2", trunk_ids=("ST_1",))
    two = replace(_RULE, rule_id="SDR_3", trunk_ids=("ST_2", "ST_3"))
    rules = [two, one, _RULE]
    assert listed(rules) == [_RULE, one, two]
    assert listed(rules, trunk_ids=frozenset({"ST_3"})) == [_RULE, two]
    assert listed(rules, ids=frozenset({"SDR_2"})) == [one]
    assert listed(rules, after_id="SDR_1", limit=1) == [one]
