"""Which trunk a call belongs to, and the sentence where there is none."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, strategies as st

from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.incoming_call import IncomingCall
from switchroom.telephony.routing.trunk_matching import (
    AmbiguousTrunks,
    NoTrunk,
    TrunkMatch,
    match_trunk,
)

_CALL = IncomingCall("+4930111", "+15105550100", "192.0.2.7", "pbx.example.com")
_EXACT = InboundTrunk("ST_exact", numbers=("1 (510) 555-0100",))
_PREFIX = InboundTrunk("ST_prefix", numbers=("+1510*",))
_SHORT = InboundTrunk("ST_short", numbers=("+1*",))
_WILD = InboundTrunk("ST_wild", allowed_addresses=("192.0.2.0/24",))
_ALL = [_WILD, _SHORT, _PREFIX, _EXACT]


def _chosen(trunks: list[InboundTrunk], call: IncomingCall = _CALL) -> str:
    choice = match_trunk(trunks, call)
    assert isinstance(choice, TrunkMatch), choice
    return choice.trunk.trunk_id


def _reason(trunks: list[InboundTrunk], call: IncomingCall = _CALL) -> str:
    choice = match_trunk(trunks, call)
    assert isinstance(choice, NoTrunk), choice
    return choice.reason


def test_the_closest_number_wins() -> None:
    assert _chosen(_ALL) == "ST_exact"
    assert _chosen(_ALL, replace(_CALL, called="1 510 7")) == "ST_prefix"
    assert _chosen(_ALL, replace(_CALL, called="+1999")) == "ST_short"
    assert _chosen(_ALL, replace(_CALL, called="sales")) == "ST_wild"


def test_of_two_with_the_number_the_one_that_names_the_caller_wins() -> None:
    germans = replace(_EXACT, trunk_id="ST_germans", allowed_numbers=("+49*",))
    berlin = replace(_EXACT, trunk_id="ST_berlin", allowed_numbers=("4930111",))
    trunks = [_EXACT, germans, berlin]
    assert _chosen(trunks) == "ST_berlin"
    assert _chosen(trunks, replace(_CALL, caller="+4989")) == "ST_germans"
    assert _chosen(trunks, replace(_CALL, caller="anonymous")) == "ST_exact"


def test_filters_come_before_closeness() -> None:
    far = replace(_EXACT, allowed_addresses=("203.0.113.1",))
    assert _chosen([far, _SHORT]) == "ST_short"


def test_a_missing_trunk_is_explained() -> None:
    assert _reason([], replace(_CALL, called="")) == "no inbound trunk has the called number (none)"
    far = replace(_EXACT, name="Office", allowed_addresses=("203.0.113.1",))
    shy = replace(_PREFIX, allowed_numbers=("+48*",))
    assert _reason([far, shy]) == (
        'trunk ST_exact "Office" does not allow the address 192.0.2.7; '
        "trunk ST_prefix does not allow the caller +4930111"
    )
    many = [replace(far, trunk_id=f"ST_{n}") for n in range(9)]
    assert _reason(many).endswith("; 6 more trunks do not allow it either")


def test_a_hostile_user_part_does_not_reach_a_terminal() -> None:
    assert "\x1b" not in _reason([], replace(_CALL, called="\x1b[2J" + "9" * 500))


def test_trunks_that_fit_alike_are_named() -> None:
    twin = replace(_EXACT, trunk_id="ST_twin")
    choice = match_trunk([_EXACT, twin], _CALL)
    assert choice == AmbiguousTrunks(
        ("ST_exact", "ST_twin"),
        "Multiple SIP Trunks matched for +15105550100: ST_exact, ST_twin",
    )
    other = replace(_WILD, trunk_id="ST_other")
    choice = match_trunk([_WILD, other], _CALL)
    assert isinstance(choice, AmbiguousTrunks)
    assert choice.reason.startswith("Multiple default SIP Trunks matched for +15105550100")


def test_the_request_uri_counts_where_to_finds_nothing() -> None:
    """Some exchanges leave the dialled text in To and rewrite the Request-URI alone."""
    call = replace(_CALL, called="sales", request_user="+15105550100")
    choice = match_trunk([_EXACT], call)
    assert choice == TrunkMatch(_EXACT, replace(call, called="+15105550100"))
    assert _chosen(_ALL, call) == "ST_wild"
    assert _chosen(_ALL, replace(_CALL, request_user="+1999")) == "ST_exact"
    assert "sales" in _reason([_SHORT], replace(call, request_user="7"))


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_no_call_breaks_the_matching(caller: str, called: str, host: str) -> None:
    match_trunk(_ALL, IncomingCall(caller, called, "192.0.2.7", host, called[:5]))
