"""`switchroom call`: what is asked of the API, and how its answers read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from switchroom.cli.call_pages import call_list, call_page, ladder_page, message_pages

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi, Run

TODAY = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BUSY: dict[str, Any] = {
    "call_id": "SCL_mb65oifbpdes",
    "sip_call_id": "fff3@us",
    "direction": "outbound",
    "running": False,
    "from_number": "+15550000000",
    "to_number": "+12025550111",
    "hides_numbers": False,
    "trunk_id": "ST_1",
    "trunk_address": "127.0.0.1:5070",
    "rule_id": "",
    "remote_address": "",
    "room_name": "hello",
    "room_sid": "RM_1",
    "participant_identity": "phone",
    "participant_sid": "PA_1",
    "created_at": "2026-11-22T03:49:47.193000Z",
    "answered_at": None,
    "ended_at": "2026-11-22T03:49:49.217000Z",
    "seconds": None,
    "path": [
        {"status": "dialing", "at": "2026-11-22T03:49:47.197000Z"},
        {"status": "ringing", "at": "2026-11-22T03:49:47.217000Z"},
    ],
    "codec": "",
    "encryption": "",
    "media": None,
    "transfers": [],
    "termination": {
        "sentence": "The line is busy. (SIP 486 Busy Here)",
        "cause": "busy",
        "result": "client_error",
        "ended_by": "phone",
        "was_active": False,
        "sip_status": 486,
        "sip_reason": "Busy Here",
        "q850_cause": 17,
        "detail": "",
        "disconnect_reason": "USER_REJECTED",
    },
}
TALKED = {
    **BUSY,
    "call_id": "SCL_W4ir8Bi8Kzk6",
    "direction": "inbound",
    "rule_id": "SDR_1",
    "remote_address": "192.0.2.9:5060",
    "created_at": "2026-11-21T23:00:00.000000Z",
    "answered_at": "2026-11-21T23:00:02.000000Z",
    "ended_at": "2026-11-22T00:01:04.000000Z",
    "seconds": 3662.0,
    "path": [
        {"status": "ringing", "at": "2026-11-21T23:00:00.500000Z"},
        {"status": "active", "at": "2026-11-21T23:00:02.000000Z"},
    ],
    "codec": "PCMU/8000",
    "encryption": "AES_CM_128_HMAC_SHA1_80",
    "media": {
        "packets_in": 2970,
        "lost_in": 30,
        "jitter_in_ms": 4.0,
        "concealed_ms": 20,
        "packets_out": 3000,
        "lost_out": 3,
        "jitter_out_ms": 2.5,
        "round_trip_ms": 40.0,
    },
    "transfers": [
        {
            "transfer_id": "STR_1",
            "transfer_to": "tel:+12025550101",
            "initiated_at": "2026-11-21T23:59:50.000000Z",
            "completed_at": "2026-11-21T23:59:51.500000Z",
            "status": "failed",
            "reason": "ringing_timeout",
            "sip_status": 603,
            "sip_reason": "No",
        }
    ],
    "termination": {**BUSY["termination"], "sentence": "The phone hung up.", "sip_status": None},
}
RUNNING = {**BUSY, "call_id": "SCL_mb65oZZZZZZZ", "ended_at": None, "termination": None}
LADDER = [
    {
        "at": f"2026-11-22T03:49:47.{after}Z",
        "direction": direction,
        "transport": "udp",
        "local": "127.0.0.1:5060",
        "remote": remote,
        "what": what,
        "cseq": "1 INVITE",
        "text": f"{what} first line\n\nbody\n",
    }
    for after, direction, remote, what in (
        ("197000", "out", "127.0.0.1:5070", "INVITE"),
        ("217000", "in", "127.0.0.1:5070", "180 Ringing"),
        ("999000", "in", "192.0.2.7:5060", "486 Busy Here"),
    )
]


# ── the list ─────────────────────────────────────────────────────────────────


def test_on_eighty_columns_the_sentence_stands_below_its_call() -> None:
    lines = call_list([BUSY, TALKED], width=80, today=TODAY, zone=UTC)
    assert lines == [
        "When                 Call       Dir  From → To                     Length",
        "03:49:47             SCL_mb65o  out  +15550000000 → +12025550111        –",
        "                     The line is busy. (SIP 486 Busy Here)",
        "2026-11-21 23:00:00  SCL_W4ir8  in   +15550000000 → +12025550111  1:01:02",
        "                     The phone hung up.",
    ]
    assert max(map(len, lines)) <= 80


def test_where_there_is_room_the_sentence_stands_beside_its_call() -> None:
    title, row = call_list([BUSY], width=120, today=TODAY, zone=UTC)
    assert title == ("When      Call       Dir  From → To                    Length  How it ended")
    assert row == (
        "03:49:47  SCL_mb65o  out  +15550000000 → +12025550111       –  "
        "The line is busy. (SIP 486 Busy Here)"
    )


def test_a_long_sentence_is_folded_and_in_a_pipe_it_is_not() -> None:
    long = {**BUSY, "termination": {**BUSY["termination"], "sentence": "word " * 60}}
    for width in (80, 120):
        lines = call_list([long], width=width, today=TODAY, zone=UTC)
        assert len(lines) > 3
        assert max(map(len, lines)) <= width
    assert len(call_list([long], width=None, today=TODAY, zone=UTC)) == 2


def test_ids_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    text = "\n".join(call_list([BUSY, RUNNING], width=None, today=TODAY, zone=UTC))
    assert "SCL_mb65oi  " in text
    assert "SCL_mb65oZ  " in text
    assert "Still ringing." in text


# ── one call ─────────────────────────────────────────────────────────────────


def test_a_failed_call_is_explained_in_its_first_line() -> None:
    assert call_page(BUSY, UTC) == [
        "The line is busy. (SIP 486 Busy Here)",
        "",
        "Call      SCL_mb65oifbpdes, outbound, 2026-11-22 03:49:47",
        "From      +15550000000",
        "To        +12025550111",
        "Trunk     ST_1 at 127.0.0.1:5070",
        "Room      hello, as phone",
        "Ended by  phone (busy, client_error)",
        "SIP       486 Busy Here, Q.850 17 user busy",
        "Call-ID   fff3@us",
        "",
        "How it went",
        "  03:49:47.193  begun       4 ms",
        "  03:49:47.197  dialing     20 ms",
        "  03:49:47.217  ringing     2.0 s",
        "  03:49:49.217  ended",
    ]


def test_a_call_that_went_well_tells_of_its_sound_and_its_transfers() -> None:
    page = call_page(TALKED, UTC)
    assert page[0] == "The phone hung up."
    assert "Rule      SDR_1" in page
    assert "Far end   192.0.2.9:5060" in page
    assert page[page.index("How it went") + 3 :] == [
        "  23:00:02.000  answered    0 ms",
        "  23:00:02.000  active      1:01:02 h",
        "  00:01:04.000  ended",
        "",
        "Sound",
        "  PCMU/8000, AES_CM_128_HMAC_SHA1_80, 1:01:02 h",
        "  from the phone  2,970 packets, 30 lost (1.0 %), jitter 4.0 ms, 20 ms made up",
        "  to the phone    3,000 packets, 3 lost (0.1 %), jitter 2.5 ms, round trip 40.0 ms",
        "",
        "Transfers",
        "  23:59:50.000  to tel:+12025550101: failed (ringing timeout), SIP 603 No, after 1.5 s",
    ]


def test_a_phone_that_sends_no_reports_is_not_said_to_have_lost_nothing() -> None:
    media = {**TALKED["media"], "lost_out": None, "jitter_out_ms": None, "round_trip_ms": None}
    page = call_page({**TALKED, "media": media}, UTC)
    assert "  to the phone    3,000 packets, no report of losses" in page


def test_a_call_that_runs_says_how_far_it_has_come() -> None:
    page = call_page({**RUNNING, "hides_numbers": True, "from_number": ""}, UTC)
    assert page[0] == "Still ringing."
    assert "From     unknown (hidden)" in page
    assert page[-1] == "  03:49:47.217  ringing"
    assert call_page({**RUNNING, "path": []}, UTC)[0] == "It has just begun."


def test_the_ladder_is_arrows_with_the_seconds_since_the_first() -> None:
    assert ladder_page(LADDER) == [
        "            us                              127.0.0.1:5070",
        "    +0.000  INVITE ──────────────────────────────────────▶",
        "    +0.020  ◀───────────────────────────────── 180 Ringing",
        "    +0.802  ◀─────────────────────────────── 486 Busy Here  192.0.2.7:5060",
    ]


def test_messages_are_shown_in_full_if_asked_for() -> None:
    assert message_pages(LADDER[:1], UTC) == [
        "",
        "03:49:47.197000  to 127.0.0.1:5070 (udp)",
        "  | INVITE first line",
        "  |",
        "  | body",
    ]
    hidden = [{**LADDER[1], "text": None}]
    assert message_pages(hidden, UTC)[1:] == [
        "03:49:47.217000  from 127.0.0.1:5070 (udp)",
        "  | 180 Ringing",
    ]


# ── the commands ─────────────────────────────────────────────────────────────


def test_filters_are_asked_of_the_server(run: Run, api: FakeApi) -> None:
    api.serve("/v1/calls", {"calls": [], "next": None})
    words = "--room r --number +1 --direction inbound --trunk ST_1 --cause busy --failed --ended"
    outcome = run("--url", api.url, "call", "list", *words.split(), "--since", "2026-11-22T09:30Z")
    assert outcome.out == "no such calls\n"
    (asked,) = api.received
    assert asked.body == {
        "room": "r",
        "number": "+1",
        "direction": "inbound",
        "trunk": "ST_1",
        "cause": "busy",
        "failed": "true",
        "running": "false",
        "since": "2026-11-22T09:30:00Z",
        "limit": "20",
    }
    assert asked.claims.sip is not None
    assert asked.claims.sip.admin


def test_a_time_may_be_so_long_ago(run: Run, api: FakeApi) -> None:
    api.serve("/v1/calls", {"calls": [], "next": None})
    assert run("--url", api.url, "call", "list", "--since", "2h", "--until", "30m").status == 0
    (asked,) = api.received
    since, until = (datetime.fromisoformat(asked.body[name]) for name in ("since", "until"))
    assert until - since == timedelta(minutes=90)


@pytest.mark.parametrize("written", ["soon", "2026-13-01", "-1h", "1e999h", "0001-01-01"])
def test_a_time_that_is_none_is_mistyped(run: Run, api: FakeApi, written: str) -> None:
    outcome = run("--url", api.url, "call", "list", f"--since={written}")
    assert outcome.status == 2
    assert outcome.err.startswith("error: --since must be how long ago, as 2h or 7d, or a local")
    assert api.received == []


def test_pages_are_fetched_until_there_are_enough(run: Run, api: FakeApi) -> None:
    api.serve(
        "/v1/calls",
        {"calls": [BUSY], "next": "one"},
        {"calls": [], "next": "two"},
        {"calls": [TALKED], "next": "three"},
    )
    outcome = run("--url", api.url, "call", "list", "--limit", "2", "--cause", "busy")
    assert [asked.body.get("cursor") for asked in api.received] == [None, "one", "two"]
    assert [asked.body["limit"] for asked in api.received] == ["2", "1", "1"]
    assert outcome.out.splitlines()[-1].startswith("The last 2; --limit shows more")


def test_json_is_the_answer_of_the_api(run: Run, api: FakeApi) -> None:
    api.serve("/v1/calls", {"calls": [BUSY, TALKED], "next": None})
    assert json.loads(run("--url", api.url, "call", "list", "-j").out) == [BUSY, TALKED]
    whole = {**BUSY, "ladder": LADDER}
    api.serve("/v1/calls/SCL_mb", whole)
    assert json.loads(run("--url", api.url, "call", "show", "SCL_mb", "--json").out) == whole


def test_a_server_without_calls_says_so(run: Run, api: FakeApi) -> None:
    api.serve("/v1/calls", {"calls": [], "next": None})
    assert run("--url", api.url, "call", "list").out == "no calls\n"
    assert run("--url", api.url, "call", "list", "--json").out == "[]\n"


def test_a_call_is_shown_with_its_ladder_and_if_asked_its_messages(run: Run, api: FakeApi) -> None:
    api.serve("/v1/calls/a/b@us", {**BUSY, "ladder": LADDER})
    shown = run("--url", api.url, "call", "show", "a/b@us").out
    assert shown.startswith("The line is busy. (SIP 486 Busy Here)\n\nCall")
    assert "INVITE ──────" in shown
    assert "first line" not in shown
    assert "first line" in run("--url", api.url, "call", "show", "a/b@us", "--messages").out


def test_messages_that_are_gone_are_said_to_be(run: Run, api: FakeApi) -> None:
    api.serve("/v1/calls/SCL_mb", {**BUSY, "ladder": None})
    shown = run("--url", api.url, "call", "show", "SCL_mb").out
    assert shown.endswith("  none: the server keeps those of the last calls since its start\n")


def test_what_a_far_end_says_moves_no_cursor(run: Run, api: FakeApi) -> None:
    api.serve("/v1/calls/SCL_mb", {**BUSY, "from_number": "\x1b[2J\r\u202e1", "ladder": None})
    shown = run("--url", api.url, "call", "show", "SCL_mb").out
    assert "\x1b" not in shown
    assert "From      \ufffd[2J\ufffd\ufffd1\n" in shown


def test_what_the_server_refuses_is_one_line(run: Run, api: FakeApi) -> None:
    refusal = {"code": "not_found", "msg": "no call is known as SCL_x"}
    api.serve("/v1/calls/SCL_x", refusal, status=404)
    outcome = run("--url", api.url, "call", "show", "SCL_x")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == "error: no call is known as SCL_x (not_found)\n"


def test_an_answer_of_something_else_is_not_taken_for_calls(run: Run, api: FakeApi) -> None:
    api.serve("/v1/calls", {"hello": "world"})
    outcome = run("--url", api.url, "call", "list")
    assert outcome.err == f"error: {api.url} gave an answer that can't be understood\n"


def test_requests_are_shown_as_curl_has_them(run: Run, api: FakeApi) -> None:
    api.serve("/v1/calls", {"calls": [], "next": None})
    outcome = run("--url", api.url, "--curl", "call", "list", "--room", "a b")
    assert outcome.err.startswith(f"curl '{api.url}/v1/calls?room=a+b&limit=20' -H 'Authorization:")
