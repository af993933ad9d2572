"""The API's client: protobuf, as `livekit-api` sends it, over kept connections, with the time at
which each request left.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import jwt
from google.protobuf.message import Message

_Body = TypeVar("_Body", bound=Message)


class ApiError(Exception):
    """The server refused; the message is its answer."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[_Body]):
    """``sent`` and ``returned`` are nanoseconds since 1970."""

    body: _Body
    sent: int
    returned: int


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Api:
    """Calls of the public API, as many at once as are made."""

    def __init__(self, host: str, port: int, key: str, secret: str) -> None:
        self._host, self._port = host, port
        self._key, self._secret = key, secret
        self._token = self._mint("")
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._idle:
            connection.writer.close()

    async def is_ready(self) -> bool:
        """Whether the server answers its health check."""
        try:
            connection = await self._connect()
            head = f"GET / HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n\r\n"
            connection.writer.write(head.encode())
            status, _ = await _read_response(connection.reader)
        except (OSError, asyncio.IncompleteReadError):
            return False
        connection.writer.close()
        return status == 200

    async def call(
        self, service: str, method: str, request: Message, response: type[_Body], *, room: str = ""
    ) -> Answer[_Body]:
        """One request, with rights for a room where that needs them.

        Raises :class:`ApiError` with what the server says against it.
        """
        token = self._mint(room) if room else self._token
        body = request.SerializeToString()
        head = (
            f"POST /twirp/livekit.{service}/{method} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/protobuf\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        connection = self._take_idle() or await self._connect()
        sent = time.time_ns()
        connection.writer.write(head.encode() + body)
        status, answer = await _read_response(connection.reader)
        returned = time.time_ns()
        self._idle.append(connection)
        if status != 200:
            raise ApiError(f"{method}: {status} {answer.decode(errors='replace')}")
        return Answer(response.FromString(answer), sent, returned)

    def _mint(self, room: str) -> str:
        grants = {
            "iss": self._key,
            "sub": "bench",
            "exp": int(time.time()) + 86_400,
            "video": {"roomCreate": True, "roomList": True, "roomAdmin": True, "room": room},
            "sip": {"admin": True, "call": True},
        }
        return jwt.encode(grants, self._secret, algorithm="HS256")

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.reader.at_eof():  # the server closes what is idle for long
                return connection
        return None

    async def _connect(self) -> _Connection:
        return _Connection(*await asyncio.open_connection(self._host, self._port))


async def _read_response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    return int(head[0].split()[1]), await reader.readexactly(int(headers["content-length"]))
