"""Who calls whom, as INVITEs tell it in the field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from switchroom.sip.invite_session import Fields
from switchroom.sip.message import Request
from switchroom.telephony.calls.termination import Cause
from switchroom.telephony.inbound.intake import (
    Declined,
    Wanted,
    find_rule,
    find_trunk,
    is_scanner,
    read_call,
    with_asserted_caller,
)
from switchroom.telephony.routing.dispatch_rules import DirectRoom, DispatchRule
from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.incoming_call import IncomingCall
from switchroom.telephony.routing.rule_matching import PinRequired, RuleMatch

TRUNK = InboundTrunk("ST_1", numbers=("+15105550100",), allowed_addresses=("198.51.100.7",))
OPEN = DispatchRule("SDR_open", DirectRoom("open"), trunk_ids=("",))
ANY = DispatchRule("SDR_any", DirectRoom("any"))


def invite(
    from_: str = "<sip:+15105550123@carrier.example>",
    to: str = "<sip:+15105550100@us>",
    target: str = "sip:+15105550100@us",
    headers: Fields = (),
) -> Request:
    fields = (("From", f"{from_};tag=1"), ("To", to), ("Call-ID", "x"), *headers)
    return Request("INVITE", target, fields, b"")


@pytest.mark.parametrize(
    ("from_", "caller", "host"),
    [
        ('"Ann" <sip:+15105550123@carrier.example>', "+15105550123", "carrier.example"),
        ("<sip:+15105550123;phone-context=x@[2001:db8::1]>", "+15105550123", "2001:db8::1"),
        ("<tel:+1-510-555-0123;ext=7>", "+1-510-555-0123", ""),
        ("<sip:%2B1510@h>", "+1510", "h"),
        ("<sip:anonymous@anonymous.invalid>", "anonymous", "anonymous.invalid"),
        ("<sip:carrier.example>", "", "carrier.example"),
        ("sip:ann@h", "ann", "h"),
    ],
)
def test_the_caller_is_the_user_of_from(from_: str, caller: str, host: str) -> None:
    call = read_call(invite(from_), "192.0.2.1")
    assert (call.caller, call.from_host, call.source_ip) == (caller, host, "192.0.2.1")


def test_to_is_called_and_the_request_uri_is_known_beside_it() -> None:
    call = read_call(invite(to="<sip:desk@us>", target="sip:+15105550100;npdi@us"), "192.0.2.1")
    assert (call.called, call.request_user) == ("desk", "+15105550100")


CALL = IncomingCall("+15105550123", "+15105550100", "198.51.100.7")
STRANGER = IncomingCall("+15105550123", "+15105550100", "203.0.113.1")


def test_a_trunk_takes_the_call() -> None:
    assert find_trunk([TRUNK], [], CALL) == Wanted(CALL, TRUNK)


@pytest.mark.parametrize("rules", [[], [ANY]])
def test_an_address_that_is_not_allowed_is_declined_whatever_rules_there_are(
    rules: list[DispatchRule],
) -> None:
    declined = find_trunk([TRUNK], rules, STRANGER)
    assert isinstance(declined, Declined)
    assert declined.cause is Cause.NO_TRUNK
    assert "203.0.113.1" in declined.detail


def test_only_a_rule_that_says_so_takes_a_call_without_a_trunk() -> None:
    wanted = find_trunk([TRUNK], [ANY, OPEN], STRANGER)
    assert wanted == Wanted(STRANGER, None)
    assert isinstance(wanted, Wanted)
    routed = find_rule([ANY, OPEN], wanted, pin=None, random="r")
    assert isinstance(routed, RuleMatch)
    assert routed.rule is OPEN


def test_a_rule_that_says_nothing_takes_no_call_without_a_trunk_beside_one_that_does() -> None:
    elsewhere = replace(OPEN, numbers=("+1777",))
    declined = find_rule([ANY, elsewhere], Wanted(STRANGER, None), pin=None, random="r")
    assert isinstance(declined, Declined)
    assert declined.cause is Cause.NO_RULE


def test_an_open_rule_does_not_take_calls_of_a_trunk() -> None:
    declined = find_rule([OPEN], Wanted(CALL, TRUNK), pin=None, random="r")
    assert isinstance(declined, Declined)
    assert declined.cause is Cause.NO_RULE


def test_two_trunks_alike_are_an_error_of_ours() -> None:
    twin = InboundTrunk("ST_2", numbers=TRUNK.numbers)
    declined = find_trunk([TRUNK, twin], [], CALL)
    assert isinstance(declined, Declined)
    assert declined.cause is Cause.AMBIGUOUS_TRUNKS


def test_a_pin_is_asked_for_and_then_tried() -> None:
    rule = DispatchRule("SDR_1", DirectRoom("room", pin="12"))
    wanted = Wanted(CALL, TRUNK)
    assert isinstance(find_rule([rule], wanted, pin=None, random="r"), PinRequired)
    assert isinstance(find_rule([rule], wanted, pin="12", random="r"), RuleMatch)
    assert isinstance(find_rule([rule], wanted, pin="13", random="r"), Declined)


def asserted(
    *headers: tuple[str, str], from_: str = "anonymous", trunk: InboundTrunk | None = TRUNK
) -> str:
    request = invite(f"<sip:{from_}@x>", headers=headers)
    call = read_call(request, "198.51.100.7")
    return with_asserted_caller(Wanted(call, trunk), request).call.caller


PAI = ("P-Asserted-Identity", '"A, B" <sip:+1510@x>, <tel:+1511>')


def test_an_asserted_caller_counts_where_from_names_none() -> None:
    assert asserted(PAI) == "+1510"
    assert asserted(("P-Asserted-Identity", "<tel:+1511>")) == "+1511"
    assert asserted(PAI, from_="+1512") == "+1512"
    assert asserted() == "anonymous"


def test_it_counts_only_from_a_trunk_that_knows_its_peer() -> None:
    anybody = InboundTrunk("ST_1", numbers=TRUNK.numbers)
    login = InboundTrunk("ST_1", auth_username="a", auth_password="b")
    assert asserted(PAI, trunk=anybody) == "anonymous"
    assert asserted(PAI, trunk=None) == "anonymous"
    assert asserted(PAI, trunk=login) == "+1510"


@pytest.mark.parametrize("privacy", ["id", "header;id", "user", "ID ; critical"])
def test_who_asked_to_stay_unknown_stays_so(privacy: str) -> None:
    assert asserted(PAI, ("Privacy", privacy)) == "anonymous"


@pytest.mark.parametrize("value", ["", "<", "<sip:@x>", '"', "<mailto:a@b>", "<sip:anonymous@x>"])
def test_a_header_that_asserts_nothing_disturbs_nothing(value: str) -> None:
    assert asserted(("P-Asserted-Identity", value)) == "anonymous"


@pytest.mark.parametrize("agent", ["friendly-scanner", "sipcli/v1.8", "VaxSIPUserAgent/3.5"])
def test_scanners_are_known_by_their_names(agent: str) -> None:
    assert is_scanner(invite(headers=(("User-Agent", agent),)))
    assert not is_scanner(invite(headers=(("User-Agent", "Asterisk PBX 22"),)))
    assert not is_scanner(invite())
