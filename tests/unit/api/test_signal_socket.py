"""The signal doors: refusals as plain HTTP, frames in both directions, slow and rude clients."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from livekit.protocol import models, rtc

from switchroom.api import message_socket
from switchroom.api.server import build_app
from switchroom.api.signal_socket import SignalSockets
from switchroom.auth.tokens import TokenVerifier
from switchroom.base.config import Config
from switchroom.media import Engine
from switchroom.rooms.registry import Rooms
from switchroom.rooms.session import session
from switchroom.rooms.stores import NoRoomStore
from unit.rooms.fake_engine import FakeEngine

from .conftest import KEY, SECRET, Client, Clock, Reply, token


class _Socket:
    """A WebSocket client in ASGI terms."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        self.gone = False
        self.dropped = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def open(self, path: str, **headers: str) -> Reply | None:
        """Ask for an upgrade; the refusal, or None when it was accepted."""
        route, _, query = path.partition("?")
        scope = {
            "type": "websocket",
            "path": route,
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
            "extensions": {
                "websocket.http.response": {},
                "switchroom.abort": {"call": self.dropped.set},
            },
        }
        self._to_app.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.ensure_future(self._app(scope, self._to_app.get, self._send))
        first = await self._from_app.get()
        if first["type"] == "websocket.accept":
            return None
        headers = {k.decode(): v.decode() for k, v in first["headers"]}
        body = await self._from_app.get()
        return Reply(first["status"], headers, body["body"])

    async def _send(self, message: dict[str, Any]) -> None:
        if self.gone:
            raise OSError("client disconnected")
        if message["type"] in ("websocket.send", "websocket.close"):
            await self.reads.wait()
        self._from_app.put_nowait(message)

    def send(self, **frame: Any) -> None:
        self._to_app.put_nowait({"type": "websocket.receive", **frame})

    async def next(self) -> dict[str, Any]:
        return await self._from_app.get()

    async def next_response(self) -> rtc.SignalResponse:
        return rtc.SignalResponse.FromString((await self.next())["bytes"])

    async def hang_up(self) -> None:
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1006})
        assert self.task is not None
        await self.task


@pytest.fixture
async def rooms(clock: Clock) -> AsyncIterator[Rooms]:
    found = Rooms(cast("Engine", FakeEngine()), Config(), clock, NoRoomStore())
    yield found
    await found.stop()


@pytest.fixture
def app(rooms: Rooms, clock: Clock) -> Any:
    tokens = TokenVerifier({KEY: SECRET}, clock)
    routes = SignalSockets(rooms, tokens).routes
    return build_app(tokens=tokens, clock=clock, services=(), routes=routes)


@pytest.fixture
def socket(app: Any) -> _Socket:
    return _Socket(app)


def _bearer(**grants: Any) -> str:
    return "Bearer " + token(**(grants or {"room_join": True, "room": "r"}))


def _join_request(**fields: Any) -> str:
    client = models.ClientInfo(protocol=17)
    inner = rtc.JoinRequest(client_info=client, **fields).SerializeToString()
    wrapped = rtc.WrappedJoinRequest(join_request=inner).SerializeToString()
    return base64.urlsafe_b64encode(wrapped).decode()


async def test_a_client_joins_speaks_and_leaves(socket: _Socket, rooms: Rooms) -> None:
    path = f"/rtc/v1?join_request={_join_request()}"
    assert await socket.open(path, authorization=_bearer()) is None
    assert (await socket.next_response()).join.room.name == "r"
    socket.send(bytes=rtc.SignalRequest(ping=4).SerializeToString())
    assert (await socket.next_response()).pong
    socket.send(bytes=rtc.SignalRequest(leave=rtc.LeaveRequest()).SerializeToString())
    assert (await socket.next_response()).HasField("leave")
    await socket.hang_up()
    assert rooms.participants("r") == ()


async def test_a_client_that_does_not_close_after_leave_is_closed(
    socket: _Socket, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LINGER", 0.0)
    await socket.open("/rtc/v1?join_request=" + _join_request(), authorization=_bearer())
    await rooms.delete("r")
    assert (await socket.next_response()).HasField("join")
    assert (await socket.next_response()).HasField("leave")
    assert (await socket.next())["type"] == "websocket.close"
    assert socket.task is not None
    await socket.task


async def test_a_client_that_is_gone_when_it_is_written_to_disturbs_nobody(
    socket: _Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    await socket.open("/rtc/v1?join_request=" + _join_request(), authorization=_bearer())
    await socket.next()
    socket.gone = True
    socket.send(bytes=rtc.SignalRequest(ping=4).SerializeToString())
    await socket.hang_up()


async def test_browsers_bring_the_token_in_the_query(socket: _Socket) -> None:
    query = f"join_request={_join_request()}&access_token={token(room_join=True, room='r')}"
    assert await socket.open("/rtc/v1?" + query) is None
    await socket.hang_up()


async def test_a_doubled_slash_before_rtc_is_forgiven(socket: _Socket) -> None:
    assert await socket.open("//rtc?protocol=17", authorization=_bearer()) is None
    await socket.hang_up()


async def test_a_client_that_speaks_json_is_answered_in_json(socket: _Socket) -> None:
    await socket.open("/rtc/v1?join_request=" + _join_request(), authorization=_bearer())
    await socket.next()
    socket.send(text='{"pingReq": {"timestamp": "7"}, "new": 1}')
    answer = json.loads((await socket.next())["text"])
    assert answer["pongResp"]["lastPingTimestamp"] == "7"
    socket.send(bytes=rtc.SignalRequest(ping=4).SerializeToString())
    assert "bytes" in await socket.next()
    await socket.hang_up()


MANY_VALUES = json.dumps({"subscription": {"trackSids": ["TR_1"] * 10_000}})
"""JSON costs by the value, and this is what would keep the server busy."""


@pytest.mark.parametrize(
    "frame",
    [{"bytes": b"\xff\xff"}, {"text": "{"}, {"text": "[]"}, {"text": ""}, {"text": MANY_VALUES}],
    ids=["bytes", "brace", "list", "nothing", "many values"],
)
async def test_garbage_is_answered_with_leave_and_the_end(
    socket: _Socket, rooms: Rooms, frame: dict[str, Any]
) -> None:
    await socket.open("/rtc/v1?join_request=" + _join_request(), authorization=_bearer())
    await socket.next()
    socket.send(**frame)
    message = await socket.next()
    assert "leave" in str(message.get("text")) or (
        rtc.SignalResponse.FromString(message["bytes"]).HasField("leave")
    )
    await socket.hang_up()
    assert rooms.participants("r") == ()


async def test_a_lost_socket_frees_what_never_connected(socket: _Socket, rooms: Rooms) -> None:
    await socket.open("/rtc/v1?join_request=" + _join_request(), authorization=_bearer())
    await socket.hang_up()
    assert rooms.participants("r") == ()


async def test_a_client_that_does_not_read_is_dropped_at_once(
    socket: _Socket, rooms: Rooms
) -> None:
    await socket.open("/rtc/v1?join_request=" + _join_request(), authorization=_bearer())
    socket.reads.clear()
    for _ in range(1100):
        socket.send(bytes=rtc.SignalRequest(ping=4).SerializeToString())
    await socket.dropped.wait()
    assert socket.task is not None
    await socket.task
    assert rooms.participants("r") == ()


async def test_a_client_that_does_not_read_its_last_messages_is_dropped(
    socket: _Socket, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_socket, "LAST_WORDS", 0.01)
    monkeypatch.setattr(session, "LINGER", 0.01)
    await socket.open("/rtc/v1?join_request=" + _join_request(), authorization=_bearer())
    socket.reads.clear()
    await rooms.delete("r")
    await socket.dropped.wait()
    assert socket.task is not None
    await socket.task


_GOOD = {"room_join": True, "room": "r"}


@pytest.mark.parametrize("twin", ["", "/validate"])
@pytest.mark.parametrize(
    ("path", "grants", "status", "text"),
    [
        ("/rtc/v1", None, 401, "permissions denied"),
        ("/rtc/v1", {"room": "r"}, 400, "join_request is required"),
        ("/rtc/v1?join_request=!!", _GOOD, 400, "cannot decode join_request"),
        ("/rtc", {"room": "r"}, 401, "permissions denied"),
        ("/rtc", {"room_join": True}, 400, "room name is required"),
        ("/rtc?attributes=!", _GOOD, 400, "cannot decode attributes"),
    ],
)
async def test_a_refusal_is_plain_http_at_the_door_and_at_its_twin(
    app: Any, *, path: str, grants: dict[str, Any] | None, status: int, text: str, twin: str
) -> None:
    headers = {"authorization": _bearer(**grants)} if grants else {}
    route, _, query = path.partition("?")
    path = route + twin + ("?" + query if query else "")
    if twin:
        reply = await Client(app).send("GET", path, headers=headers)
    else:
        refused = await _Socket(app).open(path, **headers)
        assert refused is not None
        reply = refused
    assert (reply.status, reply.text) == (status, text)
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["content-type"].startswith("text/plain")


async def test_a_bad_token_is_refused_at_the_socket_too(socket: _Socket) -> None:
    reply = await socket.open("/rtc", authorization="Bearer x")
    assert reply is not None
    assert (reply.status, reply.text) == (401, "invalid authorization token")


async def test_a_join_that_would_do_validates(app: Any) -> None:
    for path in ("/rtc/validate", f"/rtc/v1/validate?join_request={_join_request()}"):
        reply = await Client(app).send("GET", path, headers={"authorization": _bearer()})
        assert (reply.status, reply.text) == (200, "success")


async def test_the_doors_are_for_sockets_only(app: Any) -> None:
    reply = await Client(app).send("GET", "/rtc", headers={"authorization": _bearer()})
    assert reply.status == 404


async def test_an_unknown_session_is_told_to_start_anew(socket: _Socket) -> None:
    path = "/rtc?reconnect=1&sid=PA_gone"
    assert await socket.open(path, authorization=_bearer()) is None
    leave = (await socket.next_response()).leave
    assert leave.action == rtc.LeaveRequest.RECONNECT
    assert (await socket.next())["type"] == "websocket.close"
