"""What the query of ``GET /v1/calls`` asks for. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.base.records import record
from switchroom.telephony.calls.call_record import CallDirection
from switchroom.telephony.calls.call_search import CallSearch, Place
from switchroom.telephony.calls.termination import Cause

MOST_CALLS = 500
"""Calls that one answer holds at most."""

_USUAL_CALLS = 50
_MOST_FIELDS = 32
_LONGEST_VALUE = 300
_LATEST = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIX_SECONDS = re.compile(r"\d{9,10}", re.ASCII)
_CURSOR = re.compile(r"(\d{1,18}|[1-8]\d{18})\.([\w-]{0,64})", re.ASCII)
_LIMIT = re.compile(r"\d{1,3}", re.ASCII)
_WITH_STATUS = re.compile(r"(.+)-\d{3}", re.ASCII)


@record
class Asked:
    """Which calls, from which place on, and how many at most."""

    search: CallSearch
    before: Place | None = None
    limit: int = _USUAL_CALLS


def read_query(query: bytes) -> Asked:
    """Read the query string. Raises ServiceError (invalid_argument) that says what would do."""
    given = _fields(query)
    search = {name: read(given[name]) for name, read in _FILTERS.items() if name in given}
    return Asked(
        CallSearch(**search),
        _read_cursor(given["cursor"]) if "cursor" in given else None,
        _read_limit(given["limit"]) if "limit" in given else _USUAL_CALLS,
    )


def cursor_of(place: Place) -> str:
    """The place as a text that means something only to `read_query`."""
    plain = f"{place.created_at}.{place.call_id}".encode()
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def _fields(query: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(
            query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise _refused("the query has too many fields") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name == "access_token":
            continue  # the door has looked at it
        if name not in _NAMES:
            raise _refused(f"there is no {name[:40]!r}; known are {', '.join(_NAMES)}")
        if name in given:
            raise _refused(f"{name} is given twice")
        if not value:
            raise _refused(f"{name} is empty: leave it out")
        if len(value) > _LONGEST_VALUE or not value.isprintable():
            raise _refused(f"{name} must be printable, of {_LONGEST_VALUE} characters at most")
        given[name] = value
    return given


def _read_number(value: str) -> str:
    # In a query a plus sign that nobody escaped is a space.
    return f"+{value[1:]}" if value.startswith(" ") else value


def _read_direction(value: str) -> CallDirection:
    try:
        return CallDirection(value)
    except ValueError:
        raise _unfit("direction", "inbound or outbound", value) from None


def _read_cause(value: str) -> str:
    numbered = _WITH_STATUS.fullmatch(value)
    if value not in _CAUSES and (numbered is None or numbered[1] not in _CAUSES):
        raise _refused(f"there is no cause {value[:40]!r}; known are {', '.join(sorted(_CAUSES))}")
    return value


def _truth_of(name: str) -> Callable[[str], bool]:
    def read(value: str) -> bool:
        if value not in {"true", "false"}:
            raise _unfit(name, "true or false", value)
        return value == "true"

    return read


def _moment_of(name: str) -> Callable[[str], int]:
    def read(value: str) -> int:
        try:
            return _read_moment(value)
        except (ValueError, OverflowError):
            likes = "a time such as 2026-11-22T03:49:47Z or 2026-11-22, or Unix seconds"
            raise _unfit(name, likes, value) from None

    return read


def _read_moment(value: str) -> int:
    """Unix nanoseconds; what names no zone is in UTC. Raises ValueError or OverflowError."""
    if _UNIX_SECONDS.fullmatch(value):
        return int(value) * 1_000_000_000
    if "T" in value:
        # As with numbers: "+02:00" comes with a space.
        value = value.replace(" ", "+")
    told = datetime.fromisoformat(value)
    exact = told.replace(tzinfo=UTC) if told.tzinfo is None else told
    since_1970 = (exact - _EPOCH) // timedelta(microseconds=1) * 1000
    if not 0 < since_1970 <= _LATEST:
        raise ValueError(value)
    return since_1970


def _read_limit(value: str) -> int:
    if not _LIMIT.fullmatch(value) or not 1 <= int(value) <= MOST_CALLS:
        raise _unfit("limit", f"a number from 1 to {MOST_CALLS}", value)
    return int(value)


def _read_cursor(value: str) -> Place:
    try:
        plain = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        found = _CURSOR.fullmatch(plain.decode("ascii"))
    except (binascii.Error, ValueError):
        found = None
    if found is None:
        raise _unfit("cursor", "what the last answer gave as next", value)
    return Place(int(found[1]), found[2])


def _unfit(name: str, likes: str, value: str) -> ServiceError:
    return _refused(f"{name} must be {likes}, not {value[:40]!r}")


def _refused(message: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_ARGUMENT, message)


_CAUSES = frozenset(cause.value for cause in Cause)
_FILTERS: Mapping[str, Callable[[str], Any]] = {
    "room": str,
    "number": _read_number,
    "direction": _read_direction,
    "trunk": str,
    "cause": _read_cause,
    "running": _truth_of("running"),
    "failed": _truth_of("failed"),
    "since": _moment_of("since"),
    "until": _moment_of("until"),
}
_NAMES = (*_FILTERS, "limit", "cursor")
