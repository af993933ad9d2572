"""Why a telephone network ended a call: the causes of ITU-T Q.850 that carriers tell in Reason.

Also how Reason headers (RFC 3326) are read for the books. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from switchroom.base.legible import legible
from switchroom.sip.headers import Headers
from switchroom.sip.reason import Reason, parse_reasons

NAMES: Mapping[int, str] = {
    1: "unallocated number",
    2: "no route to the network",
    3: "no route to the destination",
    16: "normal call clearing",
    17: "user busy",
    18: "no user responding",
    19: "no answer from the user",
    20: "subscriber absent",
    21: "call rejected",
    22: "number changed",
    23: "redirected to a new destination",
    27: "destination out of order",
    28: "invalid number format",
    29: "facility rejected",
    31: "normal, unspecified",
    34: "no circuit available",
    38: "network out of order",
    41: "temporary failure",
    42: "switching equipment congestion",
    44: "requested circuit not available",
    47: "resource unavailable",
    50: "facility not subscribed",
    55: "incoming calls barred",
    57: "bearer capability not authorised",
    58: "bearer capability not available",
    63: "service not available",
    65: "bearer capability not implemented",
    69: "facility not implemented",
    79: "service not implemented",
    87: "user not member of the group",
    88: "incompatible destination",
    95: "invalid message",
    102: "recovery on timer expiry",
    111: "protocol error",
    127: "interworking, unspecified",
}

#: Causes that mean an ordinary end, by protocol: LiveKit's list.
_NORMAL: Mapping[str, frozenset[int]] = {
    "q.850": frozenset({16}),
    "sip": frozenset({0, 200}),
    "x.int": frozenset({0}),
    "release_cause": frozenset({1}),
}
_LONGEST_TEXT = 200


def q850_of(headers: Headers) -> int | None:
    """The Q.850 cause that a message gives, None if it gives none."""
    for reason in parse_reasons(headers):
        if reason.protocol.lower() == "q.850" and reason.cause is not None:
            return reason.cause
    return None


def trouble_in(headers: Headers) -> str:
    """What a BYE says went wrong, in words; empty for an ordinary end.

    ``Q.850;cause=41`` reads ``Q.850 cause 41: temporary failure``.
    """
    for reason in parse_reasons(headers):
        if reason.cause is None or reason.cause in _NORMAL.get(reason.protocol.lower(), ()):
            continue
        return _in_words(reason)
    return ""


def _in_words(reason: Reason) -> str:
    text = legible(reason.text)
    if not text and reason.protocol.lower() == "q.850":
        text = NAMES.get(reason.cause or 0, "")
    said = f"{legible(reason.protocol)} cause {reason.cause}"
    return (f"{said}: {text}" if text else said)[:_LONGEST_TEXT]
