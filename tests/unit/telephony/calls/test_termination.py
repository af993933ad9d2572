"""Every row of the table of endings: what each side sees of one cause."""

from __future__ import annotations

import pytest

from switchroom.base.errors import ErrorCode
from switchroom.rooms.reasons import DisconnectReason as Reason
from switchroom.telephony.calls.termination import (
    ENDINGS,
    Cause,
    Result,
    Termination,
    of_response,
)


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_has_a_row_with_a_sentence(cause: Cause) -> None:
    assert ENDINGS[cause].sentence.endswith(".")


# status, word, result, room reason, record reason, API code
_RESPONSES = [
    (401, "auth-required", "client_error", "USER_REJECTED", "USER_REJECTED", "permission_denied"),
    (407, "auth-required", "client_error", "USER_REJECTED", "USER_REJECTED", "unauthenticated"),
    (403, "forbidden", "client_error", "USER_REJECTED", "USER_REJECTED", "permission_denied"),
    (404, "not-found", "client_error", "USER_UNAVAILABLE", "USER_UNAVAILABLE", "not_found"),
    (
        408, "request-timeout", "client_error", "USER_UNAVAILABLE", "USER_UNAVAILABLE",
        "deadline_exceeded",
    ),
    (
        480, "unavailable", "client_error", "USER_UNAVAILABLE", "USER_UNAVAILABLE",
        "resource_exhausted",
    ),
    (486, "busy", "client_error", "USER_REJECTED", "USER_REJECTED", "resource_exhausted"),
    (488, "not-acceptable", "client_error", "USER_REJECTED", "USER_REJECTED", "invalid_argument"),
    (
        484, "client-error-484", "client_error", "USER_REJECTED", "USER_UNAVAILABLE",
        "invalid_argument",
    ),
    (
        500, "upstream-server-error-500", "upstream_error", "SIP_TRUNK_FAILURE",
        "SIP_TRUNK_FAILURE", "failed_precondition",
    ),
    (
        503, "upstream-server-error-503", "upstream_error", "SIP_TRUNK_FAILURE",
        "SIP_TRUNK_FAILURE", "failed_precondition",
    ),
    (
        603, "global-decline-603", "client_error", "USER_REJECTED", "USER_REJECTED",
        "permission_denied",
    ),
    (
        302, "invite-failed", "server_error", "SIP_TRUNK_FAILURE", "UNKNOWN_REASON", "not_found",
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", _RESPONSES, ids=lambda row: row[1])
def test_a_final_response_ends_the_call_as_the_table_says(
    row: tuple[int, str, str, str, str, str],
) -> None:
    status, word, result, room, record, code = row
    ending = of_response(status, "As It Came")
    assert (ending.word, ending.result.value) == (word, result)
    assert (ending.room_reason.name, ending.record_reason.name) == (room, record)
    assert ending.error.value == code
    assert ending.message == f"sip status {status}: As It Came"
    assert ending.meta == {"sip_status_code": str(status), "sip_status": "As It Came"}
    assert f"SIP {status} As It Came" in ending.sentence


# cause, result, room reason, record reason, API code, API message
_CAUSES = [
    (
        Cause.AUTH_FAILED, "client_error", "USER_REJECTED", "USER_REJECTED", "failed_precondition",
        "sip server required auth, but no username or password was provided",
    ),
    (
        Cause.NO_ANSWER, "client_error", "USER_UNAVAILABLE", "USER_UNAVAILABLE", "canceled",
        "sip request timed out",
    ),
    (
        Cause.NO_RESPONSE, "indeterminate", "USER_UNAVAILABLE", "SIP_TRUNK_FAILURE", "canceled",
        "transaction failed to complete (0 intermediate responses)",
    ),
    (
        Cause.NO_FINAL_RESPONSE, "client_error", "USER_UNAVAILABLE", "SIP_TRUNK_FAILURE",
        "canceled", "transaction failed to complete (no final response)",
    ),
    (
        Cause.NO_COMMON_CODEC, "client_error", "MEDIA_FAILURE", "MEDIA_FAILURE",
        "failed_precondition", "no common codec",
    ),
    (
        Cause.ENCRYPTION_REQUIRED, "client_error", "MEDIA_FAILURE", "MEDIA_FAILURE",
        "failed_precondition", "media encryption is required",
    ),
    (
        Cause.SDP_ERROR, "client_error", "MEDIA_FAILURE", "MEDIA_FAILURE", "failed_precondition",
        "unusable session description",
    ),
    (
        Cause.ADDRESS_ERROR, "client_error", "SIP_TRUNK_FAILURE", "SIP_TRUNK_FAILURE",
        "invalid_argument", "invalid address",
    ),
    (
        Cause.DNS_RESOLUTION, "client_error", "SIP_TRUNK_FAILURE", "SIP_TRUNK_FAILURE",
        "invalid_argument", "address could not be resolved",
    ),
    (
        Cause.NETWORK_ERROR, "server_error", "SIP_TRUNK_FAILURE", "SIP_TRUNK_FAILURE",
        "failed_precondition", "network error",
    ),
    (
        Cause.JOIN_FAILED, "server_error", "UNKNOWN_REASON", "UNKNOWN_REASON", "internal",
        "update room failed",
    ),
    (
        Cause.MEDIA_FAILED, "server_error", "UNKNOWN_REASON", "UNKNOWN_REASON", "internal",
        "no media port",
    ),
    (
        Cause.BYE, "success", "CLIENT_INITIATED", "CLIENT_INITIATED", "aborted",
        "the callee hung up before the call was active",
    ),
    (
        Cause.MEDIA_TIMEOUT, "indeterminate", "CLIENT_INITIATED", "UNKNOWN_REASON", "aborted",
        "media-timeout",
    ),
    (
        Cause.MAX_DURATION, "success", "CLIENT_INITIATED", "CLIENT_INITIATED", "canceled",
        "the call reached its maximum duration",
    ),
    (
        Cause.END_CALL, "success", "CLIENT_INITIATED", "CLIENT_INITIATED", "canceled",
        "the call was ended from the room",
    ),
    (
        Cause.SHUTDOWN, "server_error", "SERVER_SHUTDOWN", "SERVER_SHUTDOWN", "canceled",
        "the server is shutting down",
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", _CAUSES, ids=lambda row: row[0].value)
def test_a_cause_without_a_status_ends_the_call_as_the_table_says(
    row: tuple[Cause, str, str, str, str, str],
) -> None:
    cause, result, room, record, code, message = row
    ending = Termination(cause)
    assert ending.result.value == result
    assert (ending.room_reason.name, ending.record_reason.name) == (room, record)
    assert (ending.error.value, ending.message) == (code, message)
    assert not ending.meta


def test_the_words_are_livekits() -> None:
    words = {cause.value for cause in Cause}
    assert {"busy", "no-answer", "upstream-no-response", "bye", "removed", "media-timeout"} <= words
    assert Cause.MAX_DURATION.value == "hangup"


@pytest.mark.parametrize(
    ("phrase", "word"),
    [
        ("CPS limit exceeded", "cps-limit-exceeded"),
        ("Concurrent Call Limit Exceeded", "concurrent-limit-exceeded"),
    ],
)
def test_a_carriers_own_limits_are_told_from_its_faults(phrase: str, word: str) -> None:
    ending = of_response(503, phrase)
    assert (ending.word, ending.result) == (word, Result.CLIENT_ERROR)
    assert ending.room_reason is Reason.USER_REJECTED
    assert ending.record_reason is Reason.SIP_TRUNK_FAILURE
    assert ending.error is ErrorCode.FAILED_PRECONDITION


def test_a_number_blocked_by_twilio_is_named_whatever_the_status() -> None:
    ending = of_response(603, "Decline", twilio_error="32203 blocked")
    assert ending.word == "carrier-blocked"
    assert ending.error is ErrorCode.PERMISSION_DENIED


@pytest.mark.parametrize("status", [400, 404, 480, 486, 488])
def test_the_body_explains_better_than_the_phrase(status: int) -> None:
    assert of_response(status, "Phrase", body="why\r\nit failed").reason == "why it failed"
    assert of_response(status, "Phrase", twilio_error="31000 why").reason == "31000 why"
    assert of_response(status, "Phrase").reason == "Phrase"


def test_other_statuses_keep_their_phrase() -> None:
    assert of_response(403, "Forbidden", body="text", twilio_error="1").reason == "Forbidden"


def test_what_a_carrier_writes_stays_one_short_printable_line() -> None:
    reason = of_response(486, "x", body="a\x00b\x1b[31m" + "c" * 5000).reason
    assert reason.isprintable()
    assert len(reason) == 200


def test_a_response_without_a_phrase_is_called_by_livekits_name() -> None:
    ending = of_response(486, "")
    assert ending.message == "sip status 486: BUSY_HERE"
    assert ending.meta["sip_status"] == "SIP_STATUS_BUSY_HERE"


def test_the_end_of_an_active_call_reads_client_initiated_whatever_ended_it() -> None:
    for cause in (Cause.MEDIA_TIMEOUT, Cause.SHUTDOWN, Cause.DIALOG_LOST, Cause.BYE):
        ending = Termination(cause, was_active=True)
        assert ending.room_reason is Reason.CLIENT_INITIATED
    assert Termination(Cause.SHUTDOWN, was_active=True).record_reason is Reason.SERVER_SHUTDOWN


def test_the_rooms_own_reason_is_kept() -> None:
    ending = Termination(Cause.REMOVED, was_active=True, left_with=Reason.ROOM_DELETED)
    assert ending.room_reason is Reason.ROOM_DELETED
    assert ending.record_reason is Reason.ROOM_DELETED


def test_a_detail_is_told_in_error_and_sentence() -> None:
    ending = Termination(Cause.NETWORK_ERROR, detail="connection refused")
    assert ending.message == "network error: connection refused"
    assert ending.sentence.endswith("connection refused")


def test_a_text_of_its_own_replaces_the_tables_message() -> None:
    assert Termination(Cause.AUTH_FAILED, text="too often").message == "too often"
