"""Final SIP statuses to the API's codes: LiveKit's table, row by row."""

from __future__ import annotations

import pytest

from switchroom.base.errors import ErrorCode
from switchroom.telephony.calls.sip_status import STATUSES, enum_name, error_code, short_name

_TABLE = {
    "invalid_argument": (
        "300 305 380 400 405 406 411 413 414 415 417 420 421 422 423 424 425 429 430 439 469 484 "
        "485 488 489 493 505 513 606"
    ),
    "not_found": "301 302 404 410 481 604",
    "permission_denied": "401 402 403 433 470 603 607 608",
    "unauthenticated": "407 428 436 437 438 494",
    "deadline_exceeded": "408 504",
    "failed_precondition": "409 412 482 483 500 501 502 503",
    "out_of_range": "416",
    "resource_exhausted": "440 480 486 600",
    "aborted": "487 491",
}
_ROWS = [(int(status), code) for code, row in _TABLE.items() for status in row.split()]


@pytest.mark.parametrize(("status", "code"), _ROWS)
def test_a_listed_status_has_its_code(status: int, code: str) -> None:
    assert error_code(status).value == code


def test_the_table_is_the_whole_table() -> None:
    assert set(STATUSES) == {status for status, _ in _ROWS}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (183, ErrorCode.UNKNOWN),
        (399, ErrorCode.INVALID_ARGUMENT),
        (499, ErrorCode.INVALID_ARGUMENT),
        (599, ErrorCode.FAILED_PRECONDITION),
        (699, ErrorCode.INVALID_ARGUMENT),
    ],
)
def test_an_unlisted_status_goes_by_its_class(status: int, code: ErrorCode) -> None:
    assert error_code(status) is code


def test_statuses_have_livekits_names() -> None:
    assert short_name(603) == "GLOBAL_DECLINE"
    assert enum_name(404) == "SIP_STATUS_NOTFOUND"
    assert short_name(499) == enum_name(499) == "499"
