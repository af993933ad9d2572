"""Which inbound trunk a call belongs to. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from switchroom.base.records import record
from switchroom.telephony.routing.allowed_addresses import allows
from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.incoming_call import IncomingCall
from switchroom.telephony.routing.number_patterns import closeness
from switchroom.telephony.routing.numbers import normalise


@record
class TrunkMatch:
    """The trunk, and the call with the number that was found by: To's, or the Request-URI's."""

    trunk: InboundTrunk
    call: IncomingCall


@record
class NoTrunk:
    """No trunk takes the call; ``reason`` is a sentence for whoever asks why."""

    reason: str


@record
class AmbiguousTrunks:
    """Several trunks take the call alike, which creating them should have prevented."""

    trunk_ids: tuple[str, ...]
    reason: str


TrunkChoice = TrunkMatch | NoTrunk | AmbiguousTrunks


def match_trunk(trunks: Iterable[InboundTrunk], call: IncomingCall) -> TrunkChoice:
    """The trunk whose lists fit the call most closely: its called number first, then its caller.

    To's user decides, as in LiveKit; only where no trunk takes the call by it, the Request-URI's is
    tried.
    """
    among = list(trunks)
    choice = _match(among, call)
    other = call.by_request_user()
    if not isinstance(choice, NoTrunk) or other is None:
        return choice
    second = _match(among, other)
    return choice if isinstance(second, NoTrunk) else second


def _match(trunks: list[InboundTrunk], call: IncomingCall) -> TrunkChoice:
    best: tuple[int, int] | None = None
    found: list[InboundTrunk] = []
    refusals: list[str] = []
    called, caller = normalise(call.called), normalise(call.caller)
    for trunk in trunks:
        by_called = closeness(trunk.numbers, called)
        if by_called is None:
            continue
        by_caller = closeness(trunk.allowed_numbers, caller)
        if by_caller is None:
            refusals.append(f"{_named(trunk)} does not allow the caller {_shown(call.caller)}")
        elif not allows(trunk.allowed_addresses, call.source_ip, call.from_host):
            refusals.append(f"{_named(trunk)} does not allow the address {call.source_ip}")
        elif best is None or (by_called, by_caller) > best:
            best, found = (by_called, by_caller), [trunk]
        elif (by_called, by_caller) == best:
            found.append(trunk)
    if len(found) == 1:
        return TrunkMatch(found[0], call)
    return _several(found, call) if found else NoTrunk(_why(call, refusals))


def _several(found: list[InboundTrunk], call: IncomingCall) -> AmbiguousTrunks:
    ids = tuple(sorted(trunk.trunk_id for trunk in found))
    kind = "SIP Trunks" if any(trunk.numbers for trunk in found) else "default SIP Trunks"
    return AmbiguousTrunks(
        ids, f"Multiple {kind} matched for {_shown(call.called)}: {', '.join(ids)}"
    )


#: A record is to be read: it names the first few trunks that said no.
_MOST_REFUSALS = 3


def _why(call: IncomingCall, refusals: list[str]) -> str:
    if not refusals:
        return f"no inbound trunk has the called number {_shown(call.called)}"
    more = len(refusals) - _MOST_REFUSALS
    rest = f"; {more} more trunks do not allow it either" if more > 0 else ""
    return "; ".join(refusals[:_MOST_REFUSALS]) + rest


def _named(trunk: InboundTrunk) -> str:
    return f'trunk {trunk.trunk_id} "{trunk.name}"' if trunk.name else f"trunk {trunk.trunk_id}"


def _shown(user: str) -> str:
    """A user part comes from the network, and a sentence is read on terminals."""
    return "".join(char if char.isprintable() else "�" for char in user[:64]) or "(none)"
