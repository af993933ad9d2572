"""Which rule a call follows: LiveKit's order, with numbers however they are written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from switchroom.telephony.routing.dispatch_rules import (
    CalleeRoom,
    DirectRoom,
    DispatchRule,
    IndividualRoom,
    RoomChoice,
)
from switchroom.telephony.routing.incoming_call import IncomingCall
from switchroom.telephony.routing.rule_matching import (
    NoRule,
    PinRequired,
    RuleChoice,
    RuleMatch,
    choose_rule,
)

_CALL = IncomingCall("+4930111", "+15105550100", "192.0.2.7", "pbx.example.com")
_ANY = DispatchRule("SDR_any", IndividualRoom("any"))


def _choose(
    *rules: DispatchRule, call: IncomingCall = _CALL, pin: str | None = None, trunk: str = "ST_1"
) -> RuleChoice:
    return choose_rule(rules, call, trunk, pin=pin, random="RANDOM")


def _chosen(
    *rules: DispatchRule, call: IncomingCall = _CALL, pin: str | None = None, trunk: str = "ST_1"
) -> str:
    choice = _choose(*rules, call=call, pin=pin, trunk=trunk)
    assert isinstance(choice, RuleMatch), choice
    return choice.rule.rule_id


def _rule(name: str, room: RoomChoice | None = None, **fields: tuple[str, ...]) -> DispatchRule:
    return DispatchRule(name, room or IndividualRoom(name), **fields)  # type: ignore[arg-type]


def test_a_rule_for_the_trunk_goes_before_a_better_fitting_rule_for_any() -> None:
    number = _rule("number", numbers=("+15105550100",), inbound_numbers=("+4930111",))
    trunk = _rule("trunk", trunk_ids=("ST_1", "ST_2"))
    assert _chosen(number, trunk, _ANY) == "trunk"
    assert _chosen(number, trunk, _ANY, trunk="ST_3") == "number"
    assert _chosen(number, trunk, _ANY, trunk="") == "number"


def test_numbers_decide_among_rules_of_one_trunk() -> None:
    both = _rule("both", numbers=("1 510 555 0100",), inbound_numbers=("49 30 111",))
    called = _rule("called", numbers=("+15105550100",))
    other = _rule("other", numbers=("+2",), inbound_numbers=("+4930111",))
    assert _chosen(_ANY, called, other, both) == "both"
    assert _chosen(_ANY, called, other) == "called"
    assert _chosen(_ANY, other) == "SDR_any"


def test_a_longer_pattern_is_closer_and_any_pattern_closer_than_none() -> None:
    prefix = _rule("prefix", numbers=("+1*",))
    longer = _rule("longer", numbers=("+1510*",))
    exact = _rule("exact", numbers=("15105550100",))
    assert _chosen(_ANY, prefix, longer, exact) == "exact"
    assert _chosen(_ANY, prefix, longer) == "longer"
    assert _chosen(_ANY, prefix) == "prefix"


def test_direct_before_individual_before_callee_then_by_room() -> None:
    direct = _rule("direct", DirectRoom("z"))
    individual = _rule("individual", IndividualRoom("y"))
    callee = _rule("callee", CalleeRoom("x"))
    assert _chosen(callee, individual, direct) == "direct"
    assert _chosen(callee, individual) == "individual"
    assert _chosen(_rule("b", CalleeRoom("b")), _rule("a", CalleeRoom("a"))) == "a"


# ── PINs ─────────────────────────────────────────────────────────────────────

_PINNED = _rule("pinned", CalleeRoom("vault", pin="4711"))
_OTHER = _rule("other", CalleeRoom("safe", pin="0815"))


def test_a_pinned_rule_asks_first_even_beside_an_open_one() -> None:
    assert _choose(_ANY, _PINNED) == PinRequired(_PINNED)


@pytest.mark.parametrize(("pin", "rule"), [("4711", "pinned"), ("0815", "other"), ("", "SDR_any")])
def test_what_is_typed_decides(pin: str, rule: str) -> None:
    assert _chosen(_ANY, _PINNED, _OTHER, pin=pin) == rule


@pytest.mark.parametrize("pin", ["4710", "47110", "471"])
def test_a_wrong_pin_finds_nothing_not_even_the_open_rule(pin: str) -> None:
    choice = _choose(_ANY, _PINNED, pin=pin)
    assert choice == NoRule("no dispatch rule has the PIN that was typed")


def test_typing_nothing_does_not_open_what_is_locked() -> None:
    assert isinstance(_choose(_PINNED, pin=""), NoRule)


def test_numbers_go_before_pins() -> None:
    open_number = _rule("open", numbers=("+15105550100",))
    assert _chosen(open_number, _PINNED) == "open"


# ── why not ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([], "there is no dispatch rule; create one to say which room callers are led to"),
        ([_rule("r", trunk_ids=("ST_2",))], "no dispatch rule is for trunk ST_1"),
        (
            [_rule("r", numbers=("+2",))],
            "no dispatch rule for trunk ST_1 has this called number in its list",
        ),
        (
            [_rule("r", inbound_numbers=("+2",))],
            "no dispatch rule for trunk ST_1 has this caller in its list",
        ),
    ],
)
def test_a_missing_rule_is_explained(rules: list[DispatchRule], reason: str) -> None:
    assert _choose(*rules) == NoRule(reason)


def test_a_call_without_a_trunk_is_told_so() -> None:
    choice = _choose(_rule("r", trunk_ids=("ST_2",)), trunk="")
    assert choice == NoRule("no dispatch rule is for calls without a trunk")


def test_the_request_uri_counts_where_to_finds_nothing() -> None:
    rule = _rule("r", CalleeRoom(), numbers=("+15105550100",))
    call = replace(_CALL, called="100", request_user="+15105550100")
    choice = _choose(rule, call=call)
    assert isinstance(choice, RuleMatch)
    assert choice.room_name == choice.attributes["sip.trunkPhoneNumber"] == "+15105550100"
    assert _chosen(rule, _rule("to", numbers=("100",)), call=call) == "to"


# ── what a match says ────────────────────────────────────────────────────────


def test_a_match_carries_everything_that_the_rule_says() -> None:
    rule = DispatchRule(
        "SDR_1",
        IndividualRoom("call"),
        metadata="{}",
        attributes={"tier": "gold", "sip.ruleID": "mine"},
        room_preset="big",
        room_config={"agents": [{"agentName": "a"}]},
        krisp_enabled=True,
    )
    choice = _choose(rule)
    assert choice == RuleMatch(
        rule=rule,
        room_name="call_+4930111_RANDOM",
        identity="sip_+4930111",
        name="Phone +4930111",
        metadata="{}",
        attributes={
            "tier": "gold",
            "sip.trunkID": "ST_1",
            "sip.ruleID": "SDR_1",
            "sip.phoneNumber": "+4930111",
            "sip.hostname": "pbx.example.com",
            "sip.trunkPhoneNumber": "+15105550100",
        },
        room_preset="big",
        room_config={"agents": [{"agentName": "a"}]},
        media=rule.media,
        krisp_enabled=True,
    )


def test_a_hidden_number_is_in_nothing_that_the_room_sees() -> None:
    choice = _choose(replace(_ANY, hide_phone_number=True))
    assert isinstance(choice, RuleMatch)
    assert "30111" not in repr(replace(choice, rule=_ANY)).replace("_0111_", "")
    assert set(choice.attributes) == {"sip.trunkID", "sip.ruleID"}


@given(
    st.text(max_size=300), st.text(max_size=300), st.booleans(), st.sampled_from([None, "", "1"])
)
def test_no_call_breaks_the_choice(caller: str, called: str, hide: bool, pin: str | None) -> None:
    rules = [
        replace(_ANY, hide_phone_number=hide),
        replace(_PINNED, hide_phone_number=hide),
        _rule("c", CalleeRoom("", "1", randomize=True)),
    ]
    call = IncomingCall(caller, called, "192.0.2.7", caller[:9], called[:3])
    choice = _choose(*rules, call=call, pin=pin)
    if isinstance(choice, RuleMatch):
        for text in (choice.identity, choice.room_name, choice.name):
            assert 0 < len(text.encode()) <= 256
            assert text.isprintable()
