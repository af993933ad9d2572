"""The methods that a phone offers the others in its room: LiveKit's ``lk.sip.*`` (RPC)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from switchroom.rooms.rpc import MAX_PAYLOAD, RpcCode, RpcFailed
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import Fields
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.headers import (
    CREDENTIALS,
    NUMBER_HEADERS,
    check_headers,
    merge,
)

GET_REMOTE_HEADERS = "lk.sip.GetRemoteHeaders"
END_CALL = "lk.sip.EndCall"

#: With a second one of these the far end could not tell where our BYE belongs, and would go on.
_ROUTING = frozenset(("to", "via", "route", "require", "proxy-require"))
#: Headers that only the wire needs. Contact and the like stay: programs route by them.
_HIDDEN = frozenset(
    (
        "route", "record-route", "via", "supported", "accept", "allow", "allow-events",
        "content-type", "content-length", "content-encoding", "content-disposition", "cseq",
        "event", "expires", "session-expires", "min-se", "max-forwards",
    )
)  # fmt: skip


def remote_headers(headers: Headers, payload: str, *, hides_numbers: bool = False) -> str:
    """The answer to GetRemoteHeaders: of a repeated header the first value, and no credentials.

    With `hides_numbers` the headers that tell the phone's number are left out too.
    `payload` is ``{"include": […], "exclude": […]}``, both optional. Raises RpcFailed.
    """
    asked = _object(payload)
    include, exclude = _names(asked, "include"), _names(asked, "exclude")
    shown: dict[str, str] = {}
    taken = set(CREDENTIALS | NUMBER_HEADERS if hides_numbers else CREDENTIALS)
    for name, value in headers:
        lowered = name.lower()
        if lowered in _HIDDEN or lowered in exclude or lowered in taken:
            continue
        if not include or lowered in include:
            taken.add(lowered)
            shown[name] = value
    answer = json.dumps({"headers": shown}, ensure_ascii=False)
    if len(answer.encode("utf-8", "replace")) > MAX_PAYLOAD:
        raise RpcFailed(RpcCode.APPLICATION_ERROR, "the headers are too long: ask for fewer")
    return answer


def end_call_headers(payload: str) -> Fields:
    """The headers that EndCall wants on our BYE or rejection. Raises RpcFailed."""
    given = _object(payload).get("headers", {})
    if not isinstance(given, Mapping) or not all(isinstance(v, str) for v in given.values()):
        raise RpcFailed(RpcCode.APPLICATION_ERROR, "headers must be an object of strings")
    try:
        check_headers(given)
    except InvalidRequestError as refusal:
        raise RpcFailed(RpcCode.APPLICATION_ERROR, refusal.message) from refusal
    if any(name.lower() in _ROUTING for name in given):
        raise RpcFailed(RpcCode.APPLICATION_ERROR, "invalid header name: set by the server")
    return merge({}, given)


def _object(payload: str) -> Mapping[str, Any]:
    try:
        value = json.loads(payload) if payload.strip() else {}
    except (ValueError, RecursionError):
        raise RpcFailed(RpcCode.APPLICATION_ERROR, "the payload is no JSON") from None
    if not isinstance(value, Mapping):
        raise RpcFailed(RpcCode.APPLICATION_ERROR, "the payload is no JSON object")
    return value


def _names(asked: Mapping[str, Any], field: str) -> frozenset[str]:
    given = asked.get(field, [])
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise RpcFailed(RpcCode.APPLICATION_ERROR, f"{field} must be a list of header names")
    return frozenset(name.lower() for name in given)
