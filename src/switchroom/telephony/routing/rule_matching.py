"""Which dispatch rule a call follows, and what that makes of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from switchroom.base.records import record
from switchroom.telephony.routing.caller_naming import name_caller, name_room
from switchroom.telephony.routing.dispatch_rules import (
    DirectRoom,
    DispatchRule,
    IndividualRoom,
)
from switchroom.telephony.routing.incoming_call import IncomingCall
from switchroom.telephony.routing.media_config import MediaConfig
from switchroom.telephony.routing.number_patterns import EXACT, UNLISTED, closeness
from switchroom.telephony.routing.numbers import normalise


@record
class RuleMatch:
    """Where the call goes and as whom.

    ``attributes`` are the rule's, then LiveKit's about number, trunk and rule; the call's own
    (``sip.callID``, ``sip.callStatus``) are still to come. ``room_config`` is proto-JSON.
    """

    rule: DispatchRule
    room_name: str
    identity: str
    name: str
    metadata: str
    attributes: Mapping[str, str]
    room_preset: str
    room_config: Mapping[str, Any] | None
    media: MediaConfig
    krisp_enabled: bool


@record
class PinRequired:
    """The caller must type a PIN first; ``rule`` is the first of those that ask for one."""

    rule: DispatchRule


@record
class NoRule:
    """No rule takes the call; ``reason`` is a sentence for whoever asks why."""

    reason: str


RuleChoice = RuleMatch | PinRequired | NoRule


def choose_rule(
    rules: Iterable[DispatchRule],
    call: IncomingCall,
    trunk_id: str,
    *,
    pin: str | None,
    random: str,
) -> RuleChoice:
    """The rule for a call that came in over a trunk, or over none (`trunk_id` empty).

    `pin` is None before the caller was asked, and empty if he typed none. `random` is for names of
    rooms that hold one call. To's user decides, as in LiveKit; only where no rule takes the call by
    it, the Request-URI's is tried.
    """
    among = list(rules)
    choice = _choose(among, call, trunk_id, pin, random)
    other = call.by_request_user()
    if not isinstance(choice, NoRule) or other is None:
        return choice
    second = _choose(among, other, trunk_id, pin, random)
    return choice if isinstance(second, NoRule) else second


def _choose(
    rules: list[DispatchRule], call: IncomingCall, trunk_id: str, pin: str | None, random: str
) -> RuleChoice:
    eligible = _eligible(rules, call, trunk_id)
    typed = [rule for _, rule in eligible if pin is None or rule.pin == pin]
    if not typed:
        return NoRule(_why(rules, eligible, call, trunk_id))
    rule = typed[0]
    if rule.pin and pin is None:
        return PinRequired(rule)
    return _follow(rule, call, trunk_id, random)


_Rank = tuple[bool, int, int, str, str]


def _eligible(
    rules: list[DispatchRule], call: IncomingCall, trunk_id: str
) -> list[tuple[_Rank, DispatchRule]]:
    """The rules for the call's trunk and numbers, the first choice first."""
    called, caller = normalise(call.called), normalise(call.caller)
    found = []
    for rule in rules:
        if rule.trunk_ids and trunk_id not in rule.trunk_ids:
            continue
        by_called = closeness(rule.numbers, called)
        by_caller = closeness(rule.inbound_numbers, caller)
        if by_called is not None and by_caller is not None:
            found.append((_rank(rule, by_called, by_caller), rule))
    return sorted(found, key=lambda pair: pair[0])


def _rank(rule: DispatchRule, by_called: int, by_caller: int) -> _Rank:
    """LiveKit's order, lowest first; a pattern stands between a number and no list."""
    kinds = {DirectRoom: ("room_name", 0), IndividualRoom: ("room_prefix", 1)}
    named, kind = kinds.get(type(rule.room), ("room_prefix", 2))
    return (
        not rule.trunk_ids,
        _distance(by_called) + _distance(by_caller),
        kind + (0 if rule.pin else 100),
        getattr(rule.room, named, ""),
        rule.rule_id,
    )


def _distance(close: int) -> int:
    """0 for the number itself, 1000 for a list that says nothing."""
    return 1000 if close == UNLISTED else 10 * (EXACT - close) - (close != EXACT)


def _follow(rule: DispatchRule, call: IncomingCall, trunk_id: str, random: str) -> RuleMatch:
    caller = name_caller(call.caller, hide=rule.hide_phone_number)
    return RuleMatch(
        rule=rule,
        room_name=name_room(rule, call, random),
        identity=caller.identity,
        name=caller.name,
        metadata=rule.metadata,
        attributes=_attributes(rule, call, trunk_id),
        room_preset=rule.room_preset,
        room_config=rule.room_config,
        media=rule.media,
        krisp_enabled=rule.krisp_enabled,
    )


def _attributes(rule: DispatchRule, call: IncomingCall, trunk_id: str) -> dict[str, str]:
    attributes = {**rule.attributes, "sip.trunkID": trunk_id, "sip.ruleID": rule.rule_id}
    if not rule.hide_phone_number:
        attributes["sip.phoneNumber"] = call.caller
        attributes["sip.hostname"] = call.from_host
        attributes["sip.trunkPhoneNumber"] = call.called
    return attributes


def _why(
    rules: list[DispatchRule],
    eligible: list[tuple[_Rank, DispatchRule]],
    call: IncomingCall,
    trunk_id: str,
) -> str:
    if not rules:
        return "there is no dispatch rule; create one to say which room callers are led to"
    if eligible:
        return "no dispatch rule has the PIN that was typed"
    for_trunk = [rule for rule in rules if not rule.trunk_ids or trunk_id in rule.trunk_ids]
    where = f"trunk {trunk_id}" if trunk_id else "calls without a trunk"
    if not for_trunk:
        return f"no dispatch rule is for {where}"
    called = normalise(call.called)
    for_number = [rule for rule in for_trunk if closeness(rule.numbers, called) is not None]
    side = "caller" if for_number else "called number"
    return f"no dispatch rule for {where} has this {side} in its list"
