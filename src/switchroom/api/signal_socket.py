"""The doors of the signal protocol: `/rtc/v1`, `/rtc`, and their `validate` twins.

All the work of a join is done before the WebSocket is accepted, so that a refusal is an ordinary
HTTP answer in plain text, which is what clients look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from google.protobuf import json_format
from livekit.protocol import rtc

from switchroom.api.asgi import AsgiApp, Receive, Scope, Send, claims_of, respond_text
from switchroom.api.message_socket import MessageSocket
from switchroom.auth.grants import PermissionDenied
from switchroom.auth.tokens import TokenVerifier
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.base.log import get_logger
from switchroom.rooms.errors import Invalid
from switchroom.rooms.registry import Rooms
from switchroom.rooms.session.sessions import Sessions, SignalLink
from switchroom.rooms.signal.join import read_join_query, read_join_request
from switchroom.rooms.signal.proto_json import NotProtoJson, read_json
from switchroom.rooms.signal.requests import JoinRequest

_log = get_logger("api")

_STATUS = {
    ErrorCode.INVALID_ARGUMENT: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.RESOURCE_EXHAUSTED: 429,
    ErrorCode.UNAVAILABLE: 503,
}


_MAX_JSON_VALUES = 10_000
"""Of one text frame. They cost by the piece: two MB of empty ones held everybody up for seconds."""


class SignalSockets:
    """Serves clients that join rooms."""

    def __init__(self, rooms: Rooms, tokens: TokenVerifier) -> None:
        self._sessions = Sessions(rooms, tokens)

    @property
    def routes(self) -> Mapping[str, AsgiApp]:
        """The applications by path, for `server.build_app`."""
        return {
            "/rtc": self._socket,
            "/rtc/v1": self._socket,
            "/rtc/validate": self._validate,
            "/rtc/v1/validate": self._validate,
        }

    async def _validate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say in plain HTTP how a join would fare: clients ask after a refused upgrade."""
        try:
            self._sessions.check(claims_of(scope), _join_request(scope))
        except ServiceError as refusal:
            await _refuse(scope, send, refusal)
        else:
            await respond_text(scope, send, 200, "success")

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await respond_text(scope, send, 404, "404 page not found")
            return
        await receive()
        try:
            link = await self._sessions.open(claims_of(scope), _join_request(scope))
        except ServiceError as refusal:
            await _refuse(scope, send, refusal)
            return
        try:
            await send({"type": "websocket.accept"})
            await MessageSocket(_Frames(link), scope, receive, send).serve()
        finally:
            link.lost()


class _Frames:
    """The signal protocol's two encodings, and a session in between."""

    def __init__(self, link: SignalLink) -> None:
        self._link = link

    @property
    def closed_for(self) -> str | None:
        return self._link.closed_for

    async def next(self) -> bytes | None:
        return await self._link.next()

    async def closed(self) -> str:
        return await self._link.closed()

    def receive(self, frame: bytes | str) -> None:
        data = frame if isinstance(frame, bytes) else _from_json(frame)
        if data is None:
            self._link.refuse()
        else:
            self._link.receive(data)

    def as_text(self, message: bytes) -> str:
        return _to_json(message)


def _join_request(scope: Scope) -> JoinRequest:
    """Raises PermissionDenied, Invalid."""
    claims = claims_of(scope)
    if claims is None or claims.video is None:
        raise PermissionDenied
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    if not scope["path"].startswith("/rtc/v1"):
        return read_join_query(query)
    value = query.get("join_request", "")
    if not value:
        raise Invalid("join_request is required")
    return read_join_request(value)


async def _refuse(scope: Scope, send: Send, refusal: ServiceError) -> None:
    await respond_text(scope, send, _STATUS.get(refusal.code, 500), refusal.message)


def _from_json(text: str) -> bytes | None:
    if sum(map(text.count, "{[,")) > _MAX_JSON_VALUES:
        return None
    request = rtc.SignalRequest()
    try:
        read_json(text, request)
    except NotProtoJson:
        return None
    return request.SerializeToString()


def _to_json(message: bytes) -> str:
    return json_format.MessageToJson(rtc.SignalResponse.FromString(message), indent=None)
