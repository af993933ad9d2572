"""Final SIP statuses as LiveKit names them, and the error code each becomes in the API.

The names are those of ``livekit.SIPStatusCode`` without its prefix; codes of the API are Twirp's.
"""

from __future__ import annotations

from collections.abc import Mapping

from switchroom.base.errors import ErrorCode

_INVALID = ErrorCode.INVALID_ARGUMENT
_NOT_FOUND = ErrorCode.NOT_FOUND
_DENIED = ErrorCode.PERMISSION_DENIED
_UNAUTHENTICATED = ErrorCode.UNAUTHENTICATED
_DEADLINE = ErrorCode.DEADLINE_EXCEEDED
_PRECONDITION = ErrorCode.FAILED_PRECONDITION
_RANGE = ErrorCode.OUT_OF_RANGE
_EXHAUSTED = ErrorCode.RESOURCE_EXHAUSTED
_ABORTED = ErrorCode.ABORTED

#: Status -> (LiveKit's name, error code): every final failure that ``livekit.SIPStatusCode`` knows.
STATUSES: Mapping[int, tuple[str, ErrorCode]] = {
    300: ("MULTIPLE_CHOICES", _INVALID),
    301: ("MOVED_PERMANENTLY", _NOT_FOUND),
    302: ("MOVED_TEMPORARILY", _NOT_FOUND),
    305: ("USE_PROXY", _INVALID),
    380: ("ALTERNATIVE_SERVICE", _INVALID),
    400: ("BAD_REQUEST", _INVALID),
    401: ("UNAUTHORIZED", _DENIED),
    402: ("PAYMENT_REQUIRED", _DENIED),
    403: ("FORBIDDEN", _DENIED),
    404: ("NOTFOUND", _NOT_FOUND),
    405: ("METHOD_NOT_ALLOWED", _INVALID),
    406: ("NOT_ACCEPTABLE", _INVALID),
    407: ("PROXY_AUTH_REQUIRED", _UNAUTHENTICATED),
    408: ("REQUEST_TIMEOUT", _DEADLINE),
    409: ("CONFLICT", _PRECONDITION),
    410: ("GONE", _NOT_FOUND),
    411: ("LENGTH_REQUIRED", _INVALID),
    412: ("CONDITIONAL_REQUEST_FAILED", _PRECONDITION),
    413: ("REQUEST_ENTITY_TOO_LARGE", _INVALID),
    414: ("REQUEST_URI_TOO_LONG", _INVALID),
    415: ("UNSUPPORTED_MEDIA_TYPE", _INVALID),
    416: ("REQUESTED_RANGE_NOT_SATISFIABLE", _RANGE),
    417: ("UNKNOWN_RESOURCE_PRIORITY", _INVALID),
    420: ("BAD_EXTENSION", _INVALID),
    421: ("EXTENSION_REQUIRED", _INVALID),
    422: ("SESSION_INTERVAL_TOO_SMALL", _INVALID),
    423: ("INTERVAL_TOO_BRIEF", _INVALID),
    424: ("BAD_LOCATION_INFORMATION", _INVALID),
    425: ("BAD_ALERT_MESSAGE", _INVALID),
    428: ("USE_IDENTITY_HEADER", _UNAUTHENTICATED),
    429: ("PROVIDE_REFERRER_IDENTITY", _INVALID),
    430: ("FLOW_FAILED", _INVALID),
    433: ("ANONYMITY_DISALLOWED", _DENIED),
    436: ("BAD_IDENTITY_INFO", _UNAUTHENTICATED),
    437: ("UNSUPPORTED_CERTIFICATE", _UNAUTHENTICATED),
    438: ("INVALID_IDENTITY_HEADER", _UNAUTHENTICATED),
    439: ("FIRST_HOP_LACKS_OUTBOUND_SUPPORT", _INVALID),
    440: ("MAX_BREADTH_EXCEEDED", _EXHAUSTED),
    469: ("BAD_INFO_PACKAGE", _INVALID),
    470: ("CONSENT_NEEDED", _DENIED),
    480: ("TEMPORARILY_UNAVAILABLE", _EXHAUSTED),
    481: ("CALL_TRANSACTION_DOES_NOT_EXISTS", _NOT_FOUND),
    482: ("LOOP_DETECTED", _PRECONDITION),
    483: ("TOO_MANY_HOPS", _PRECONDITION),
    484: ("ADDRESS_INCOMPLETE", _INVALID),
    485: ("AMBIGUOUS", _INVALID),
    486: ("BUSY_HERE", _EXHAUSTED),
    487: ("REQUEST_TERMINATED", _ABORTED),
    488: ("NOT_ACCEPTABLE_HERE", _INVALID),
    489: ("BAD_EVENT", _INVALID),
    491: ("REQUEST_PENDING", _ABORTED),
    493: ("UNDECIPHERABLE", _INVALID),
    494: ("SECURITY_AGREEMENT_REQUIRED", _UNAUTHENTICATED),
    500: ("INTERNAL_SERVER_ERROR", _PRECONDITION),
    501: ("NOT_IMPLEMENTED", _PRECONDITION),
    502: ("BAD_GATEWAY", _PRECONDITION),
    503: ("SERVICE_UNAVAILABLE", _PRECONDITION),
    504: ("GATEWAY_TIMEOUT", _DEADLINE),
    505: ("VERSION_NOT_SUPPORTED", _INVALID),
    513: ("MESSAGE_TOO_LARGE", _INVALID),
    600: ("GLOBAL_BUSY_EVERYWHERE", _EXHAUSTED),
    603: ("GLOBAL_DECLINE", _DENIED),
    604: ("GLOBAL_DOES_NOT_EXIST_ANYWHERE", _NOT_FOUND),
    606: ("GLOBAL_NOT_ACCEPTABLE", _INVALID),
    607: ("GLOBAL_UNWANTED", _DENIED),
    608: ("GLOBAL_REJECTED", _DENIED),
}


def error_code(status: int) -> ErrorCode:
    """The API's code for a call that a final `status` (300-699) ended."""
    known = STATUSES.get(status)
    if known is not None:
        return known[1]
    if status < 300:
        return ErrorCode.UNKNOWN  # no final failure: something is wrong at the far end
    return ErrorCode.FAILED_PRECONDITION if 500 <= status < 600 else ErrorCode.INVALID_ARGUMENT


def short_name(status: int) -> str:
    """``486`` -> ``BUSY_HERE``; a status LiveKit has no name for is its number."""
    known = STATUSES.get(status)
    return known[0] if known is not None else str(status)


def enum_name(status: int) -> str:
    """``486`` -> ``SIP_STATUS_BUSY_HERE``; a status LiveKit has no name for is its number."""
    known = STATUSES.get(status)
    return f"SIP_STATUS_{known[0]}" if known is not None else str(status)
