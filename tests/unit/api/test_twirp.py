"""Twirp: both encodings, every refusal in its wire form, and no word about our insides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from livekit.protocol.models import Room
from livekit.protocol.room import CreateRoomRequest, ListRoomsResponse

from switchroom.api.twirp import STRANGERS_LIMIT, CallContext, Method, always, never
from switchroom.base.errors import ErrorCode, ServiceError

from .conftest import Client, Clock, Reply, token

_PATH = "/twirp/livekit.RoomService/CreateRoom"
_PROTOBUF = {"content-type": "application/protobuf"}
_JSON = {"content-type": "application/json"}
Handler = Callable[[CreateRoomRequest, CallContext], Awaitable[Any]]


class _Service:
    name = "livekit.RoomService"

    def __init__(self, handler: Handler, *, cancelled_with_client: bool = False) -> None:
        self.methods: Mapping[str, Method[Any, Any]] = {
            "CreateRoom": Method(
                CreateRoomRequest, handler, always if cancelled_with_client else never
            )
        }


async def _echo(request: CreateRoomRequest, context: CallContext) -> Room:
    return Room(name=request.name, empty_timeout=request.empty_timeout, creation_time=7)


def _error(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reply.body)
    return found


Serve = Callable[..., Client]


async def test_protobuf_is_answered_in_protobuf(serve: Serve) -> None:
    request = CreateRoomRequest(name="r", empty_timeout=5).SerializeToString()
    reply = await serve(_Service(_echo)).send("POST", _PATH, request, headers=_PROTOBUF)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/protobuf")
    assert Room.FromString(reply.body) == Room(name="r", empty_timeout=5, creation_time=7)


@pytest.mark.parametrize("spelling", ["empty_timeout", "emptyTimeout"])
async def test_json_is_read_in_both_spellings_and_answered_in_snake_case(
    serve: Serve, spelling: str
) -> None:
    body = json.dumps({"name": "r", spelling: 5, "a_field_of_tomorrow": {"x": 1}}).encode()
    headers = {"content-type": "application/json;charset=UTF-8"}
    reply = await serve(_Service(_echo)).send("POST", _PATH, body, headers=headers)
    answer = json.loads(reply.body)
    assert reply.headers["content-type"] == "application/json"
    assert (answer["name"], answer["empty_timeout"]) == ("r", 5)
    assert answer["creation_time"] == "7", "64-bit integers are strings in proto-JSON"
    assert answer["max_participants"] == 0, "defaults are written too"
    assert answer["active_recording"] is False


async def test_lists_that_are_empty_are_written(serve: Serve) -> None:
    async def nothing(request: CreateRoomRequest, context: CallContext) -> ListRoomsResponse:
        return ListRoomsResponse()

    reply = await serve(_Service(nothing)).send("POST", _PATH, b"{}", headers=_JSON)
    assert json.loads(reply.body) == {"rooms": []}


async def test_a_refusal_carries_code_message_and_metadata(serve: Serve) -> None:
    async def busy(request: CreateRoomRequest, context: CallContext) -> Room:
        meta = {"sip_status_code": "486", "sip_status": "Busy Here"}
        raise ServiceError(ErrorCode.RESOURCE_EXHAUSTED, "sip status 486: Busy Here", meta)

    reply = await serve(_Service(busy)).send("POST", _PATH, b"", headers=_PROTOBUF)
    assert reply.status == 429
    assert reply.headers["content-type"] == "application/json", "exactly: the Node SDK compares"
    assert _error(reply) == {
        "code": "resource_exhausted",
        "msg": "sip status 486: Busy Here",
        "meta": {"sip_status_code": "486", "sip_status": "Busy Here"},
    }


@pytest.mark.parametrize("code", list(ErrorCode))
async def test_every_code_has_a_status_that_says_failure(serve: Serve, code: ErrorCode) -> None:
    async def refuse(request: CreateRoomRequest, context: CallContext) -> Room:
        raise ServiceError(code, "no")

    reply = await serve(_Service(refuse)).send("POST", _PATH, b"", headers=_PROTOBUF)
    assert reply.status >= 400
    assert _error(reply) == {"code": code.value, "msg": "no"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\xff\xff\xff", _PROTOBUF),
        (b"\x0a\x05ab", _PROTOBUF),
        (b"{", _JSON),
        (b"", _JSON),
        (b"[]", _JSON),
        (b'{"name": 5}', _JSON),
        (b'{"empty_timeout": -1}', _JSON),
        (b"\xff\xfe", _JSON),
        (b"[" * 100_000, _JSON),
        (b'{"agents":' * 5000, _JSON),
    ],
)
async def test_what_cannot_be_decoded_is_malformed(
    serve: Serve, body: bytes, headers: dict[str, str]
) -> None:
    headers = {**headers, "authorization": f"Bearer {token(room_create=True)}"}
    reply = await serve(_Service(_echo)).send("POST", _PATH, body, headers=headers)
    assert (reply.status, _error(reply)["code"]) == (400, "malformed")
    assert "Traceback" not in reply.text


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", _PATH, _JSON),
        ("POST", "/twirp/livekit.RoomService/Nothing", _JSON),
        ("POST", "/twirp/livekit.Other/CreateRoom", _JSON),
        ("POST", "/twirp/", _JSON),
        ("POST", _PATH, {"content-type": "text/plain"}),
        ("POST", _PATH, {}),
    ],
)
async def test_a_wrong_address_is_a_bad_route(
    serve: Serve, method: str, path: str, headers: dict[str, str]
) -> None:
    reply = await serve(_Service(_echo)).send(method, path, b"{}", headers=headers)
    assert (reply.status, _error(reply)["code"]) == (404, "bad_route")


async def test_a_broken_handler_is_internal_and_says_nothing_more(serve: Serve) -> None:
    async def broken(request: CreateRoomRequest, context: CallContext) -> Room:
        raise KeyError("a secret")

    reply = await serve(_Service(broken)).send("POST", _PATH, b"", headers=_PROTOBUF)
    assert reply.status == 500
    assert _error(reply) == {"code": "internal", "msg": "internal error"}


async def test_the_context_holds_claims_deadline_and_request_id(serve: Serve, clock: Clock) -> None:
    seen: list[CallContext] = []

    async def look(request: CreateRoomRequest, context: CallContext) -> Room:
        seen.append(context)
        return Room()

    headers = {
        **_PROTOBUF,
        "authorization": "Bearer " + token(room_create=True),
        "x-twirp-timeout-ms": "2500",
        "x-livekit-request-id": "0b9d",
    }
    client = serve(_Service(look))
    await client.send("POST", _PATH, b"", headers=headers)
    await client.send("POST", _PATH, b"", headers={**_PROTOBUF, "x-twirp-timeout-ms": "soon"})
    assert seen[0].claims is not None
    assert seen[0].claims.video is not None
    assert seen[0].claims.video.room_create
    assert (seen[0].deadline, seen[0].request_id) == (clock.now + 2.5, "0b9d")
    assert seen[0].idempotency_key == "0b9d"
    assert seen[1] == CallContext(claims=None)


async def test_the_callers_own_idempotency_key_goes_first(serve: Serve) -> None:
    seen: list[CallContext] = []

    async def look(request: CreateRoomRequest, context: CallContext) -> Room:
        seen.append(context)
        return Room()

    headers = {**_PROTOBUF, "idempotency-key": "mine", "x-livekit-request-id": "0b9d"}
    await serve(_Service(look)).send("POST", _PATH, b"", headers=headers)
    assert (seen[0].idempotency_key, seen[0].request_id) == ("mine", "0b9d")


async def test_a_body_beyond_the_limit_is_refused_while_it_arrives(serve: Serve) -> None:
    chunks = [b"x" * 1024 * 1024] * 11
    headers = {**_PROTOBUF, "authorization": f"Bearer {token(room_list=True)}"}
    reply = await serve(_Service(_echo)).send("POST", _PATH, headers=headers, chunks=chunks)
    assert reply.status == 413


@pytest.mark.parametrize("claims", [None, {"room_join": True, "room": "r"}])
async def test_of_a_caller_whom_nothing_is_granted_no_long_body_is_decoded(
    serve: Serve, claims: dict[str, Any] | None
) -> None:
    """Nor read: it is refused while it arrives."""
    headers = dict(_JSON)
    if claims is not None:
        headers["authorization"] = f"Bearer {token(**claims)}"
    long = json.dumps({"name": "r", "metadata": "x" * STRANGERS_LIMIT}).encode()
    reply = await serve(_Service(_echo)).send("POST", _PATH, headers=headers, chunks=[long, b""])
    assert (reply.status, _error(reply)["code"]) == (401, "unauthenticated")
    short = b'{"name": "r"}'
    assert (await serve(_Service(_echo)).send("POST", _PATH, short, headers=headers)).status == 200


async def test_a_request_nobody_waits_for_is_cancelled_when_it_asks_for_that(serve: Serve) -> None:
    started = asyncio.Event()
    ended: list[str] = []

    async def dial(request: CreateRoomRequest, context: CallContext) -> Room:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return Room()

    client = serve(_Service(dial, cancelled_with_client=True))
    request = asyncio.ensure_future(client.send("POST", _PATH, b"", headers=_PROTOBUF))
    await started.wait()
    client.hang_up.set()
    reply = await request
    assert ended == ["cancelled"]
    assert reply.status == 0, "there is nobody left to answer"


async def test_a_cancellable_request_is_answered_as_any_other(serve: Serve) -> None:
    client = serve(_Service(_echo, cancelled_with_client=True))
    request = CreateRoomRequest(name="r").SerializeToString()
    reply = await client.send("POST", _PATH, request, headers=_PROTOBUF)
    assert Room.FromString(reply.body).name == "r"


async def test_who_cancels_a_cancellable_request_from_outside_is_heard(serve: Serve) -> None:
    started = asyncio.Event()

    async def dial(request: CreateRoomRequest, context: CallContext) -> Room:
        started.set()
        await asyncio.Event().wait()
        return Room()

    client = serve(_Service(dial, cancelled_with_client=True))
    request = asyncio.ensure_future(client.send("POST", _PATH, b"", headers=_PROTOBUF))
    await started.wait()
    client.hang_up.set()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request


async def test_a_client_that_leaves_when_its_answer_is_ready_disturbs_nothing(serve: Serve) -> None:
    async def dial(request: CreateRoomRequest, context: CallContext) -> Room:
        client.hang_up.set()
        return Room(name="r")

    client = serve(_Service(dial, cancelled_with_client=True))
    reply = await client.send("POST", _PATH, b"", headers=_PROTOBUF)
    await asyncio.sleep(0)
    assert Room.FromString(reply.body).name == "r"
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
