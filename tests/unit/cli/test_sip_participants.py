from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from switchroom.cli import api_client
from switchroom.cli.api_client import RequestRefused

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi, Run

CREATE = "SIP/CreateSIPParticipant"
PHONE = {
    "participant_id": "PA_1",
    "participant_identity": "phone",
    "room_name": "hello",
    "sip_call_id": "SCL_1",
}


def test_a_call_from_options_says_what_became_of_it(run: Run, api: FakeApi) -> None:
    api.answer(CREATE, PHONE)
    outcome = run(
        *("--url", api.url, "sip", "participant", "create"),
        *("--trunk", "ST_1", "--call", "+15105550123", "--room", "hello", "--identity", "phone"),
        *("--header", "X-Account: 7", "--display-name", "", "--wait", "--timeout", "30s"),
    )
    assert outcome.out.splitlines() == [
        "SIPCallID: SCL_1",
        "ParticipantID: PA_1",
        "ParticipantIdentity: phone",
        "RoomName: hello",
    ]
    (received,) = api.received
    assert received.body == {
        "sip_trunk_id": "ST_1",
        "sip_call_to": "+15105550123",
        "room_name": "hello",
        "participant_identity": "phone",
        "headers": {"X-Account": "7"},
        "display_name": "",
        "wait_until_answered": True,
        "ringing_timeout": "29.500s",
    }
    assert received.timeout_ms == 30_000


def test_the_ringing_timeout_of_a_file_is_kept(run: Run, api: FakeApi) -> None:
    api.answer(CREATE, PHONE)
    source = '{"ringing_timeout": "100s", "wait_until_answered": true}'
    assert run("--url", api.url, "sip", "participant", "create", source).status == 0
    assert api.received[0].body["ringing_timeout"] == "100s"
    assert api.received[0].timeout_ms == 100_500


def test_without_waiting_the_request_itself_is_short(run: Run, api: FakeApi) -> None:
    api.answer(CREATE, PHONE)
    run("--url", api.url, "sip", "participant", "create", '{"room_name": "hello"}')
    assert api.received[0].body["ringing_timeout"] == "80s"
    assert api.received[0].timeout_ms == 30_000


def test_a_refused_call_names_the_sip_status(run: Run, api: FakeApi) -> None:
    api.refuse(
        CREATE,
        412,
        b'{"code":"failed_precondition","msg":"busy",'
        b'"meta":{"sip_call_id":"SCL_1","sip_status_code":"486","sip_status":"Busy Here"}}',
    )
    outcome = run("--url", api.url, "sip", "participant", "create", '{"room_name": "hello"}')
    assert outcome.status == 1
    assert outcome.out == "SIPCallID: SCL_1\nSIPStatusCode: 486\nSIPStatus: Busy Here\n"
    assert outcome.err == "error: busy (failed_precondition)\n"


def test_a_refused_call_is_json_on_standard_error_if_wanted(run: Run, api: FakeApi) -> None:
    refusal = {
        "code": "failed_precondition",
        "msg": "busy",
        "meta": {"sip_status_code": "486", "sip_status": "Busy Here"},
    }
    api.refuse(CREATE, 412, json.dumps(refusal).encode())
    outcome = run("--url", api.url, "sip", "participant", "create", '{"room_name": "r"}', "--json")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.count("\n") == 1
    assert json.loads(outcome.err) == refusal


def test_phones_that_were_called_before_one_was_refused_are_printed(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answer(CREATE, PHONE)
    calling = refusing_the_second(api_client.call)
    monkeypatch.setattr("switchroom.cli.sip_participants.call", calling)
    outcome = run(
        *("--url", api.url, "sip", "participant", "create", "--json"),
        *('{"room_name": "hello"}', '{"room_name": "other"}'),
    )
    assert outcome.status == 1
    assert json.loads(outcome.out)["sip_call_id"] == "SCL_1"
    assert json.loads(outcome.err)["code"] == "unavailable"


def refusing_the_second(call: Callable[..., Any]) -> Callable[..., Any]:
    asked: list[Any] = []

    def call_once(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        if len(asked) > 1:
            raise RequestRefused("unavailable", "no line is free", {})
        return call(*arguments, **options)

    return call_once


def test_a_header_and_a_timeout_have_a_form(run: Run, api: FakeApi) -> None:
    create = ("--url", api.url, "sip", "participant", "create", "--call", "+1")
    header = run(*create, "--header", "X-Account")
    assert header.err == "error: --header 'X-Account' must be written Name:Value\n"
    timeout = run(*create, "--timeout", "soon")
    assert timeout.err.startswith("error: --timeout must be a duration")


def test_a_phone_is_transferred(run: Run, api: FakeApi) -> None:
    answer = {"transfer_id": "STR_1", "status": "STS_TRANSFER_SUCCESSFUL"}
    api.answer("SIP/TransferSIPParticipant", answer)
    command = ("--url", api.url, "sip", "participant", "transfer", "--room", "r", "--identity", "p")
    options = ("--to", "tel:+1", "--play-dialtone", "--header", "X-A: b", "--timeout", "20s")
    outcome = run(*command, *options)
    assert outcome.out == "SIPTransferID: STR_1\nStatus: successful\n"
    (asked,) = api.received
    assert asked.body == {
        "room_name": "r",
        "participant_identity": "p",
        "transfer_to": "tel:+1",
        "play_dialtone": True,
        "headers": {"X-A": "b"},
        "ringing_timeout": "20s",
    }
    assert asked.timeout_ms == 25_000
    assert asked.claims.video is not None
    assert (asked.claims.video.room, asked.claims.video.room_admin) == ("r", True)
    assert json.loads(run(*command, "--to", "tel:+1", "--json").out) == answer


def test_a_failed_transfer_says_why(run: Run, api: FakeApi) -> None:
    meta = {
        "sip_status_code": "603",
        "sip_status": "Decline",
        "sip_transfer_reason": "STR_REJECTED",
    }
    refusal = {"code": "permission_denied", "msg": "sip status 603: Decline", "meta": meta}
    api.refuse("SIP/TransferSIPParticipant", 403, json.dumps(refusal).encode())
    request = '{"room_name": "r", "participant_identity": "p", "transfer_to": "tel:+1"}'
    outcome = run("--url", api.url, "sip", "participant", "transfer", request)
    assert outcome.status == 1
    assert outcome.err == "error: sip status 603: Decline (permission_denied)\n"
    assert outcome.out == (
        "SIPStatusCode: 603\nSIPStatus: Decline\nSIPTransferReason: STR_REJECTED\n"
    )
    told = run("--url", api.url, "sip", "participant", "transfer", request, "--json")
    assert (told.status, told.out, json.loads(told.err)) == (1, "", refusal)


def test_a_call_is_printed_as_json_if_wanted(run: Run, api: FakeApi) -> None:
    answer = {"sip_call_id": "SCL_1", "participant_identity": "sip_+1"}
    api.answer("SIP/CreateSIPParticipant", answer)
    shown = run("--url", api.url, "sip", "participant", "create", "--call", "+1", "--json").out
    assert json.loads(shown) == answer
