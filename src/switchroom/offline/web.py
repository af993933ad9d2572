"""The few things that all endpoints share: bounded JSON in, errors in OpenAI's form out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMsgType, web

from switchroom.offline.errors import BadRequest, shown
from switchroom.speech.pcm import RATES

LARGEST_BODY = 16 * 1024 * 1024
LARGEST_MESSAGE = 4 * 1024 * 1024
"""Bytes of a request body and of a message on a socket."""

_LONGEST_NAME = 200
"""Characters; every piece of an answer repeats the model's."""


async def json_body(request: web.Request) -> dict[str, Any]:
    """The body as an object. Raises BadRequest."""
    return json_object(await request.read())


def json_object(text: str | bytes) -> dict[str, Any]:
    """Parse an object. Raises BadRequest."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"this is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRequest("this is JSON, but no object")
    return value


def error_response(status: int, message: str, kind: str = "invalid_request_error") -> web.Response:
    """An error as OpenAI's clients read it."""
    return web.json_response(
        {"error": {"message": message, "type": kind, "param": None, "code": None}}, status=status
    )


async def open_socket(request: web.Request) -> web.WebSocketResponse:
    """Upgrade to a WebSocket."""
    socket = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE, heartbeat=30, compress=False)
    await socket.prepare(request)
    return socket


async def next_message(socket: web.WebSocketResponse) -> dict[str, Any] | None:
    """The next JSON message; None when the client is gone. Raises BadRequest."""
    message = await socket.receive()
    if message.type is WSMsgType.TEXT:
        return json_object(message.data)
    if message.type is WSMsgType.BINARY:
        raise BadRequest("messages on this socket are JSON texts")
    return None


def name_of(message: Mapping[str, Any], field: str) -> str:
    """A name that may be left out, such as that of a voice or a model. Raises BadRequest."""
    name = message.get(field)
    if name is None:
        return ""
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        raise BadRequest(f"{field} must be a text of {_LONGEST_NAME} characters at most")
    return name


def rate_of(settings: Mapping[str, Any], usual: int) -> int:
    """The samples a second of a `session.create`, if we know them and the encoding.

    A number may be written as a text, as the agents do. Raises BadRequest.
    """
    asked = settings.get("sample_rate", usual)
    try:
        rate = int(asked)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadRequest(f"sample_rate must be a whole number, not {shown(asked)}") from error
    if rate not in RATES:
        raise BadRequest(f"sample_rate {shown(rate)}; known are {', '.join(map(str, RATES))}")
    encoding = settings.get("encoding", "pcm_s16le")
    if encoding != "pcm_s16le":
        raise BadRequest(f"encoding {shown(encoding)}; there is pcm_s16le only")
    return rate
