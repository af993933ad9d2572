"""Who calls whom, and whether anybody wants the call: the decisions before a call exists. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from switchroom.base.legible import legible
from switchroom.base.records import record, replace
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.message import Request
from switchroom.sip.uri import NameAddr, Uri
from switchroom.telephony.calls.termination import Cause
from switchroom.telephony.routing.dispatch_rules import DispatchRule
from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.incoming_call import IncomingCall
from switchroom.telephony.routing.rule_matching import (
    NoRule,
    PinRequired,
    RuleMatch,
    choose_rule,
)
from switchroom.telephony.routing.trunk_matching import AmbiguousTrunks, TrunkMatch, match_trunk

#: How callers without a number are written in the field (RFC 3323 section 4.1 and habits).
_WITHHELD = frozenset({"", "anonymous", "unknown", "restricted", "private", "unavailable"})

#: Programs that try every address of the Internet, by how they name themselves.
_SCANNERS = (
    "friendly-scanner",
    "sipvicious",
    "sipsak",
    "sip-scan",
    "sundayddr",
    "iwar",
    "sipcli",
    "vaxsipuseragent",
    "pplsip",
    "smap",
)

#: A rule with this among its trunk ids takes calls that no trunk wanted. Nothing else does.
WITHOUT_TRUNK = ""


@record
class Declined:
    """Nobody wants the call. ``detail`` is a sentence for whoever asks why; ``phrase`` is told."""

    cause: Cause
    phrase: str
    detail: str


@record
class Wanted:
    """A trunk takes the call, or rules that ask for none. ``trunk`` is None for the latter."""

    call: IncomingCall
    trunk: InboundTrunk | None


Routed = RuleMatch | PinRequired


def is_scanner(request: Request) -> bool:
    """Whether a program asks that looks for open doors; it is not told that there is one."""
    agent = (request.headers.get("User-Agent") or "").lower()
    return any(name in agent for name in _SCANNERS)


def read_call(request: Request, source_ip: str) -> IncomingCall:
    """The call as its INVITE tells it: From calls, To is called, as in LiveKit."""
    caller = request.from_.uri
    return IncomingCall(
        caller=caller.number,
        called=request.to.uri.number,
        source_ip=source_ip,
        from_host=caller.host.strip("[]"),
        request_user=request.uri.number,
    )


def find_trunk(
    trunks: Iterable[InboundTrunk], rules: Iterable[DispatchRule], call: IncomingCall
) -> Wanted | Declined:
    """The trunk that a call belongs to; `rules` are those that may do without."""
    choice = match_trunk(trunks, call)
    match choice:
        case TrunkMatch(trunk=trunk, call=found):
            return Wanted(found, trunk)
        case AmbiguousTrunks(reason=reason):
            return Declined(Cause.AMBIGUOUS_TRUNKS, "Matches several SIP Trunks", reason)
    if any(is_open(rule) for rule in rules):
        return Wanted(call, None)
    return Declined(Cause.NO_TRUNK, "Does not match any SIP Trunks", choice.reason)


def find_rule(
    rules: Iterable[DispatchRule], wanted: Wanted, *, pin: str | None, random: str
) -> Routed | Declined:
    """The rule that the call follows. `pin` is None before the caller has been asked."""
    trunk_id = wanted.trunk.trunk_id if wanted.trunk is not None else WITHOUT_TRUNK
    among = rules if wanted.trunk is not None else [rule for rule in rules if is_open(rule)]
    choice = choose_rule(among, wanted.call, trunk_id, pin=pin, random=random)
    if isinstance(choice, NoRule):
        return Declined(Cause.NO_RULE, "Does not match any Dispatch Rules", choice.reason)
    return choice


def is_open(rule: DispatchRule) -> bool:
    """Whether a rule says itself that it takes calls which no trunk wanted.

    In LiveKit every rule without trunk ids does, so that a trunk's list of addresses protects
    nothing behind such a rule.
    """
    return WITHOUT_TRUNK in rule.trunk_ids


def with_asserted_caller(wanted: Wanted, request: Request) -> Wanted:
    """The call with the caller that the carrier asserts (RFC 3325), where From names none.

    Anybody can write the header, so it counts only from a trunk that knows its peer by address or
    password; and not for callers who asked to stay unknown.
    """
    if wanted.trunk is None or not _knows_its_peer(wanted.trunk) or not is_withheld(wanted.call):
        return wanted
    asserted = _asserted(request)
    if not asserted:
        return wanted
    return replace(wanted, call=replace(wanted.call, caller=asserted))


def is_withheld(call: IncomingCall) -> bool:
    """Whether From names nobody."""
    return call.caller.lower() in _WITHHELD or call.from_host.lower().endswith(".invalid")


def _knows_its_peer(trunk: InboundTrunk) -> bool:
    return bool(trunk.allowed_addresses) or trunk.challenges


def _asserted(request: Request) -> str:
    """The number of P-Asserted-Identity, empty if there is none that may be shown."""
    if {"id", "user"} & {token.lower() for token in _tokens(request, "Privacy")}:
        return ""
    for value in _tokens(request, "P-Asserted-Identity"):
        try:
            number = NameAddr.parse(value).uri.number
        except MalformedValueError:
            continue
        if number.lower() not in _WITHHELD:
            return number
    return ""


def _tokens(request: Request, name: str) -> list[str]:
    try:
        values = request.headers.values(name)
    except MalformedValueError:
        return []
    return [part.strip() for value in values for part in _parts(name, value)]


def _parts(name: str, value: str) -> list[str]:
    return value.split(";") if name == "Privacy" else [value]


def shown(uri: Uri) -> str:
    """An address of the INVITE as a record shows it."""
    return legible(str(uri))[:256]
