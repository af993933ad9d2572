"""The one way a domain room refuses: a :class:`ServiceError` with a code that the public API knows.

Pure: no I/O and no clock, so that every room may use it. ``api`` turns these into Twirp errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class ErrorCode(StrEnum):
    """Twirp's error codes, spelled as they stand in the ``code`` field on the wire."""

    CANCELED = "canceled"
    UNKNOWN = "unknown"
    INVALID_ARGUMENT = "invalid_argument"
    MALFORMED = "malformed"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    NOT_FOUND = "not_found"
    BAD_ROUTE = "bad_route"
    ALREADY_EXISTS = "already_exists"
    PERMISSION_DENIED = "permission_denied"
    UNAUTHENTICATED = "unauthenticated"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    FAILED_PRECONDITION = "failed_precondition"
    ABORTED = "aborted"
    OUT_OF_RANGE = "out_of_range"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    DATA_LOSS = "dataloss"


NO_META: Mapping[str, str] = MappingProxyType({})


class ServiceError(Exception):
    """A refusal that the caller may see.

    ``message`` is shown to the caller as it is: it says what was wrong and, where possible, what to
    do. ``meta`` travels beside it, such as LiveKit's ``sip_status_code``.
    """

    def __init__(self, code: ErrorCode, message: str, meta: Mapping[str, str] = NO_META) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.meta: Mapping[str, str] = MappingProxyType(dict(meta)) if meta else NO_META

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code.value}: {self.message!r}, {dict(self.meta)!r})"
