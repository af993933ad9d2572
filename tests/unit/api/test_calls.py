"""The calls of a server as its operator asks for them over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchroom.api.calls import Calls
from switchroom.api.calls_json import call_to_json
from switchroom.api.calls_ladder import ladder_to_json
from switchroom.api.calls_query import Asked, cursor_of, read_query
from switchroom.auth.grants import Claims, SipGrants
from switchroom.auth.tokens import mint
from switchroom.base.errors import ServiceError
from switchroom.base.records import replace
from switchroom.rooms.reasons import DisconnectReason
from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip_io.tap import TapRecord
from switchroom.storage.call_archive import SqlCallArchive
from switchroom.storage.calls import SqlCallStore
from switchroom.storage.connection import Database
from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.call_record import (
    CallDirection,
    CallRecord,
    MediaFigures,
    StatusChange,
)
from switchroom.telephony.calls.call_search import CallSearch, Place
from switchroom.telephony.calls.known_calls import KnownCalls
from switchroom.telephony.calls.running_calls import RunningCalls
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.calls.transfer_outcome import (
    TransferReason,
    TransferRecord,
    TransferStatus,
)

from .conftest import KEY, SECRET, Client, Clock, Reply

ADMIN = SipGrants(admin=True)
SECOND = 1_000_000_000
NOW = 1_763_783_387 * SECOND + 123_456_789
CALL = CallRecord(
    call_id="SCL_1",
    room_name="hello",
    participant_identity="phone",
    from_number="+15550000000",
    to_number="+12025550102",
    trunk_id="ST_1",
    trunk_address="sip.example.com",
    created_at=NOW,
    direction=CallDirection.OUTBOUND,
    rule_id="SDR_1",
    sip_call_id="a/b@us",
    remote_address="192.0.2.9:5060",
    participant_sid="PA_1",
    room_sid="RM_1",
    answered_at=NOW + 2 * SECOND,
    ended_at=NOW + 62 * SECOND,
    path=(
        StatusChange(CallStatus.DIALING, NOW),
        StatusChange(CallStatus.ACTIVE, NOW + 2 * SECOND),
    ),
    codec="PCMU/8000",
    encryption="AES_CM_128_HMAC_SHA1_80",
    media=MediaFigures(2970, 30, 4.0, 20, 3000, 3, 2.5, 40.0),
    transfers=(
        TransferRecord(
            "STR_1",
            "tel:+12025550101",
            NOW + 3 * SECOND,
            NOW + 4 * SECOND,
            TransferStatus.FAILED,
            TransferReason.REJECTED,
            603,
            "Decline",
        ),
    ),
    termination=Termination(
        Cause.BUSY,
        486,
        "Busy at +12025550102",
        detail="Q.850 cause 17: user busy",
        was_active=True,
        left_with=DisconnectReason.ROOM_DELETED,
        q850=17,
    ),
    dialog=DialogSnapshot("a/b@us", "<sip:1@a>;tag=1", "<sip:2@b>", "sip:2@b", (), 2, None, "udp"),
    request_key="devkey/idempotent",
    request_digest="d1gest",
)

TOLD = {
    "call_id": "SCL_1",
    "sip_call_id": "a/b@us",
    "direction": "outbound",
    "running": False,
    "from_number": "+15550000000",
    "to_number": "+12025550102",
    "hides_numbers": False,
    "trunk_id": "ST_1",
    "trunk_address": "sip.example.com",
    "rule_id": "SDR_1",
    "remote_address": "192.0.2.9:5060",
    "room_name": "hello",
    "room_sid": "RM_1",
    "participant_identity": "phone",
    "participant_sid": "PA_1",
    "created_at": "2025-11-22T03:49:47.123456Z",
    "answered_at": "2025-11-22T03:49:49.123456Z",
    "ended_at": "2025-11-22T03:50:49.123456Z",
    "seconds": 60.0,
    "path": [
        {"status": "dialing", "at": "2025-11-22T03:49:47.123456Z"},
        {"status": "active", "at": "2025-11-22T03:49:49.123456Z"},
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
            "initiated_at": "2025-11-22T03:49:50.123456Z",
            "completed_at": "2025-11-22T03:49:51.123456Z",
            "status": "failed",
            "reason": "rejected",
            "sip_status": 603,
            "sip_reason": "Decline",
        }
    ],
    "termination": {
        "sentence": "The line is busy. (SIP 486 Busy at +12025550102) Q.850 cause 17: user busy",
        "cause": "busy",
        "result": "client_error",
        "ended_by": "phone",
        "was_active": True,
        "sip_status": 486,
        "sip_reason": "Busy at +12025550102",
        "q850_cause": 17,
        "detail": "Q.850 cause 17: user busy",
        "disconnect_reason": "ROOM_DELETED",
    },
}


def message(text: str, direction: Any = "out") -> TapRecord:
    data = text.replace("\n", "\r\n").encode()
    return TapRecord(NOW, direction, "udp", ("::1", 5060), ("192.0.2.9", 5070), "a/b@us", data)


class Office:
    """A server's calls, and who asks for them."""

    def __init__(self, client: Client, store: SqlCallStore) -> None:
        self.client = client
        self.store = store

    async def get(self, path: str, grants: SipGrants | None = ADMIN) -> Reply:
        headers = {}
        if grants is not None:
            token = mint(Claims(KEY, "ann", sip=grants, expires_at=4e9), SECRET)
            headers["authorization"] = f"Bearer {token}"
        return await self.client.send("GET", path, headers=headers)

    async def answer(self, path: str) -> Any:
        reply = await self.get(path)
        assert reply.status == 200, reply.text
        return json.loads(reply.body)

    async def refusal(self, path: str) -> tuple[int, str, str]:
        reply = await self.get(path)
        error = json.loads(reply.body)
        return reply.status, error["code"], error["msg"]


@pytest.fixture
async def office(
    serve: Callable[..., Client], clock: Clock, tmp_path: Path
) -> AsyncIterator[Office]:
    database = Database(f"sqlite:///{tmp_path}/switchroom.db")
    await database.open()
    messages = {"a/b@us": (message("INVITE sip:2@b SIP/2.0\nCSeq: 1 INVITE\n\n"),)}
    known = KnownCalls(RunningCalls(), SqlCallArchive(database))
    calls = Calls(known, lambda call_id: messages.get(call_id, ()), clock)
    office = Office(serve(routes=calls.routes), SqlCallStore(database))
    office.store.save(CALL)
    yield office
    await database.close()


# ── who may ask ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/calls/SCL_1", "/v1/calls?limit=x"])
@pytest.mark.parametrize("grants", [None, SipGrants(), SipGrants(call=True)])
async def test_calls_are_for_those_who_may_manage_trunks(
    office: Office, path: str, grants: SipGrants | None
) -> None:
    reply = await office.get(path, grants)
    assert reply.status == 401
    assert json.loads(reply.body) == {"code": "unauthenticated", "msg": "permissions denied"}


async def test_a_token_in_the_query_will_do(office: Office) -> None:
    token = mint(Claims(KEY, "ann", sip=ADMIN, expires_at=4e9), SECRET)
    reply = await office.get(f"/v1/calls?access_token={token}&room=hello", None)
    assert reply.status == 200


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_calls_are_looked_at_and_not_changed(office: Office, method: str) -> None:
    reply = await office.client.send(method, "/v1/calls/SCL_1")
    assert (reply.status, reply.headers["allow"]) == (405, "GET")


# ── what is told ─────────────────────────────────────────────────────────────


async def test_a_call_is_told_whole(office: Office) -> None:
    told = await office.answer("/v1/calls/SCL_1")
    ladder = told.pop("ladder")
    assert told == (await office.answer("/v1/calls"))["calls"][0] == call_to_json(CALL, 0)
    assert told == TOLD
    assert ladder == [
        {
            "at": "2025-11-22T03:49:47.123456Z",
            "direction": "out",
            "transport": "udp",
            "local": "[::1]:5060",
            "remote": "192.0.2.9:5070",
            "what": "INVITE",
            "cseq": "1 INVITE",
            "text": "INVITE sip:2@b SIP/2.0\nCSeq: 1 INVITE\n\n",
        }
    ]


def test_every_field_of_a_record_is_told_but_what_the_server_keeps_for_itself() -> None:
    told = call_to_json(CALL, 0)
    kept = {"dialog", "request_key", "request_digest"}
    assert {field.name for field in fields(CallRecord)} - set(told) == kept
    assert {field.name for field in fields(MediaFigures)} == set(told["media"])
    assert {field.name for field in fields(TransferRecord)} == set(told["transfers"][0])
    for secret in ("idempotent", "d1gest", "tag=1"):
        assert secret not in json.dumps(told)


def test_a_call_that_runs_has_no_end_yet_and_lasts_until_now() -> None:
    running = replace(CALL, ended_at=0, termination=None, media=None)
    told = call_to_json(running, NOW + 12 * SECOND)
    assert (told["running"], told["seconds"], told["ended_at"]) == (True, 10.0, None)
    assert (told["media"], told["termination"]) == (None, None)
    assert call_to_json(replace(running, answered_at=0), NOW)["seconds"] is None


def test_hidden_numbers_are_told_by_their_last_digits_only() -> None:
    hidden = replace(CALL, hides_numbers=True)
    invite = message("INVITE sip:+12025550102@b SIP/2.0\nFrom: <sip:+15550000000@a>\n\n")
    refusal = message("SIP/2.0 404 No +12025550102 here\nCSeq: 1 INVITE\n\n", "in")
    told = call_to_json(hidden, 0)
    ladder = ladder_to_json((invite, refusal), hides_numbers=True)
    everything = json.dumps((told, ladder))
    for digits in ("2025550102", "5550000000", "2025550101"):
        assert digits not in everything
    assert (told["from_number"], told["to_number"]) == ("+********000", "+********102")
    assert ladder is not None
    assert [step["what"] for step in ladder] == ["INVITE", "404 No +********102 here"]
    assert [step["text"] for step in ladder] == [None, None]


# ── which calls ──────────────────────────────────────────────────────────────


async def test_pages_are_turned_by_the_cursor_while_new_calls_come(office: Office) -> None:
    for number in range(2, 8):
        office.store.save(replace(CALL, call_id=f"SCL_{number}", created_at=NOW + number))
    seen, path = [], "/v1/calls?limit=3"
    for page in range(3):
        answer = await office.answer(path)
        seen += [call["call_id"] for call in answer["calls"]]
        office.store.save(replace(CALL, call_id=f"SCL_new{page}", created_at=NOW + 100 + page))
        if answer["next"] is None:
            break
        path = f"/v1/calls?limit=3&cursor={answer['next']}"
    assert seen == [f"SCL_{number}" for number in (7, 6, 5, 4, 3, 2, 1)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("room=hello&number=+12025550102&direction=outbound&trunk=ST_1&cause=busy", 1),
        ("running=false&failed=true&since=2025-11-22&until=1763783400", 1),
        ("number=%2B12025550102", 1),
        ("cause=busy&room=else", 0),
        ("failed=false", 0),
        ("running=true", 0),
    ],
)
async def test_filters_narrow_the_list(office: Office, query: str, found: int) -> None:
    assert len((await office.answer(f"/v1/calls?{query}"))["calls"]) == found


def test_a_whole_query_is_read() -> None:
    query = (
        b"room=r%20oom&number=+15550&direction=inbound&trunk=ST_1&cause=client-error-484"
        b"&running=false&failed=true&since=2025-11-22T05:49:47+02:00&until=1763783388"
        b"&limit=500&cursor=" + cursor_of(Place(NOW, "SCL_1")).encode()
    )
    search = CallSearch(
        room="r oom",
        number="+15550",
        direction=CallDirection.INBOUND,
        trunk="ST_1",
        cause="client-error-484",
        running=False,
        failed=True,
        since=1_763_783_387 * SECOND,
        until=1_763_783_388 * SECOND,
    )
    assert read_query(query) == Asked(search, Place(NOW, "SCL_1"), 500)
    assert read_query(b"") == Asked(CallSearch(), None, 50)


REFUSALS = [
    ("rooom=x", "there is no 'rooom'; known are room, number, direction, trunk, cause, running, "),
    ("room=", "room is empty: leave it out"),
    ("room=a&room=b", "room is given twice"),
    ("room=a%00b", "room must be printable, of 300 characters at most"),
    (f"room={'x' * 301}", "room must be printable, of 300 characters at most"),
    ("direction=out", "direction must be inbound or outbound, not 'out'"),
    ("cause=bussy", "there is no cause 'bussy'; known are abandoned, address-error, "),
    ("running=yes", "running must be true or false, not 'yes'"),
    ("failed=1", "failed must be true or false, not '1'"),
    ("since=yesterday", "since must be a time such as 2026-11-22T03:49:47Z or 2026-11-22, or "),
    ("until=9999-12-31", "until must be a time such as "),
    ("until=0001-01-01T00:00:00+12:00", "until must be a time such as "),
    ("limit=0", "limit must be a number from 1 to 500, not '0'"),
    ("limit=501", "limit must be a number from 1 to 500, not '501'"),
    ("limit=%D9%A3", "limit must be a number from 1 to 500, not '٣'"),
    ("cursor=x", "cursor must be what the last answer gave as next, not 'x'"),
    ("cursor=OTk5OTk5OTk5OTk5OTk5OTk5OS5T", "cursor must be what the last answer gave as next"),
    ("&".join(f"a{n}=1" for n in range(33)), "the query has too many fields"),
]


@pytest.mark.parametrize(("query", "message"), REFUSALS, ids=[q[:20] for q, _ in REFUSALS])
async def test_a_bad_filter_is_refused_by_what_would_be_right(
    office: Office, query: str, message: str
) -> None:
    status, code, said = await office.refusal(f"/v1/calls?{query}")
    assert (status, code) == (400, "invalid_argument")
    assert said.startswith(message)


@given(st.binary(max_size=200))
def test_no_query_does_worse_than_being_refused(query: bytes) -> None:
    with suppress(ServiceError):
        assert 1 <= read_query(query).limit <= 500


@given(st.integers(0, 8 * 10**18), st.from_regex(r"(SCL_[A-Za-z0-9]{1,12})?", fullmatch=True))
def test_a_cursor_brings_its_place_back(created_at: int, call_id: str) -> None:
    place = Place(created_at, call_id)
    assert read_query(f"cursor={cursor_of(place)}".encode()).before == place


# ── one call ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["SCL_1", "SCL_", "a/b@us"])
async def test_a_call_is_found_by_what_names_it(office: Office, name: str) -> None:
    assert (await office.answer(f"/v1/calls/{name}"))["call_id"] == "SCL_1"


@pytest.mark.parametrize("name", ["", "SCL_2", "x" * 513, "a\0b", "../calls"])
async def test_an_unknown_one_is_not_found(office: Office, name: str) -> None:
    status, code, _ = await office.refusal(f"/v1/calls/{name}")
    assert (status, code) == (404, "not_found")


async def test_messages_that_are_forgotten_are_null(office: Office) -> None:
    office.store.save(replace(CALL, call_id="SCL_2", sip_call_id="c@us"))
    assert (await office.answer("/v1/calls/SCL_2"))["ladder"] is None


# ── the messages ─────────────────────────────────────────────────────────────


def texts(*messages: TapRecord) -> list[str]:
    ladder = ladder_to_json(messages, hides_numbers=False)
    assert ladder is not None
    return [step["text"] for step in ladder]


@pytest.mark.parametrize(
    "text",
    [
        'INVITE sip:b SIP/2.0\nAuthorization: Digest username="u",\n response="s3cret"\nTo: b\n\n',
        "INVITE sip:b SIP/2.0\nPROXY-AUTHORIZATION : Digest s3cret\nTo: b\n\n",
        "INVITE sip:b SIP/2.0\nTo: b\nAuthorization: Digest\n\ts3cret\n\n",
        "INVITE b SIP/2.0\nTo: b\nContent-Type: application/sdp\n\na=crypto:1 X inline:s3cret\n",
        "INVITE sip:b SIP/2.0\nTo: b\nc: application/sdp\n\nk=base64:s3cret\na=ice-pwd:s3cret\n",
        "INFO sip:b SIP/2.0\nTo: b\nContent-Type: application/dtmf-relay\n\nSignal=s3cret\n",
        "INFO sip:b SIP/2.0\nTo: b\n\ns3cret",
        "NOTIFY sip:b SIP/2.0\nTo: b\nContent-Type: message/sipfrag\n\nAuthorization: s3cret\n",
        "INVITE sip:b SIP/2.0\nTo: b\na=crypto:1 X INLINE:s3cret",
    ],
)
def test_secrets_are_in_no_message(text: str) -> None:
    (shown,) = texts(message(text))
    assert "s3cret" not in shown
    assert "To: b" in shown


def test_what_is_no_secret_is_shown_as_it_passed() -> None:
    sdp = "SIP/2.0 200 OK\nContent-Type: application/sdp\n\nv=0\nm=audio 4 RTP/AVP 0\n"
    assert texts(message(sdp, "in")) == [sdp]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("INVITE sip:b SIP/2.0", "INVITE"),
        ("SIP/2.0 486 Busy Here", "486 Busy Here"),
        ("SIP/2.0 200 ", "200"),
        ("", ""),
    ],
)
def test_a_message_is_named_in_a_word(line: str, what: str) -> None:
    ladder = ladder_to_json((message(f"{line}\n\n"),), hides_numbers=False)
    assert ladder is not None
    assert [step["what"] for step in ladder] == [what]


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_make_a_ladder(data: bytes, hides_numbers: bool) -> None:
    record = message("")._replace(data=data)
    assert json.dumps(ladder_to_json((record,), hides_numbers=hides_numbers))
