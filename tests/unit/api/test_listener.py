"""The TCP port: what uvicorn and its WebSocket library must let through."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest

from switchroom.api import websocket
from switchroom.api.asgi import Receive, Scope, Send, read_body, respond, respond_text
from switchroom.api.http import HEAD_LIMIT, PIPELINE_LIMIT, HttpProtocol
from switchroom.api.listener import HttpListener, ListenError
from switchroom.api.websocket import abort_of

_UPGRADE = (
    "GET /rtc/v1?join_request={query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n\r\n"
)


_BIG = 16 * 1024 * 1024
"""More bytes than socket buffers take from a client that does not read."""


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/echo":
        await respond_text(scope, send, 200, (await read_body(receive)).decode())
        return
    if scope["path"] == "/head-only":
        await send({"type": "http.response.start", "status": 200, "headers": ()})
        return
    if scope["path"] == "/parts":
        await send({"type": "http.response.start", "status": 200, "headers": ()})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})
        return
    if scope["path"] == "/big":
        await respond_text(scope, send, 200, "x" * _BIG)
        return
    if scope["path"] == "/two-in-one":
        extra = ((b"x-first", b"one\r\nx-second: two"),)
        await respond(scope, send, 200, b"", content_type=b"text/plain", extra=extra)
        return
    if scope["type"] == "http":
        await respond_text(scope, send, 200, "here")
        return
    await receive()
    if scope["path"] == "/talk":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(_BIG)})
        abort_of(scope)()
        return
    if scope["path"] == "/leave":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(_BIG)})
        return
    size = len(scope["query_string"])
    await respond_text(scope, send, 418, f"a query of {size}")


async def _ask(port: int, request: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.fixture
async def listener() -> Any:
    listening = HttpListener(_app, ["127.0.0.1"], 0)
    await listening.start()
    yield listening
    await listening.stop()


async def _exchange(port: int, *requests: bytes) -> list[bytes]:
    """What one connection is sent in one piece for each request."""
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setblocking(False)
        answers = []
        for request in requests:
            await loop.sock_sendall(client, request)
            answers.append(await asyncio.wait_for(loop.sock_recv(client, 65_536), 60))
        return answers


_GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
_LAST = _GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


async def test_an_answer_comes_in_one_piece_and_the_connection_stays(
    listener: HttpListener,
) -> None:
    for answer in await _exchange(listener.port, _GET, _GET):
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == b"here"


async def test_requests_that_come_at_once_are_answered_one_after_the_other(
    listener: HttpListener,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(_GET + _GET + _LAST)
    answers = await asyncio.wait_for(reader.read(), 60)
    assert answers.count(b"HTTP/1.1 200 ") == answers.count(b"\r\n\r\nhere") == 3
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_asks_before_it_sends_its_body_is_told_to_go_on(
    listener: HttpListener,
) -> None:
    ask = b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    told, _ = await _exchange(listener.port, ask, b"hi")
    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_an_answer_whose_body_never_comes_is_a_fault(listener: HttpListener) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(_GET.replace(b"GET /", b"GET /head-only"))
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.count(b"HTTP/1.1") == 1
    writer.close()
    await writer.wait_closed()


async def test_an_answer_in_parts_comes_whole(listener: HttpListener) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(_LAST.replace(b"GET /", b"GET /parts"))
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def test_the_head_alone_is_sent_to_who_asks_for_it_alone(listener: HttpListener) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(_LAST.replace(b"GET /", b"HEAD /"))
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: 4\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def test_no_header_of_an_answer_begins_another(listener: HttpListener) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(_LAST.replace(b"GET /", b"GET /two-in-one"))
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"x-second" not in answer
    writer.close()
    await writer.wait_closed()


async def test_a_connection_that_is_idle_for_long_is_closed() -> None:
    listener = HttpListener(_app, ["127.0.0.1"], 0)
    listener._server.config.timeout_keep_alive = 0.05  # type: ignore[assignment]
    await listener.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    for _ in range(2):
        writer.write(_GET)
        await reader.readuntil(b"here")
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
    await writer.wait_closed()
    await listener.stop()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HT",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nfour",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
        _GET + b"GET /",
    ],
)
async def test_a_client_that_falls_silent_before_its_request_is_complete_is_let_go(
    begun: bytes,
) -> None:
    listener = HttpListener(_app, ["127.0.0.1"], 0)
    listener._server.config.timeout_keep_alive = 0.05  # type: ignore[assignment]
    await listener.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(begun)
    answer = await asyncio.wait_for(reader.read(), 60)
    assert (b"here" in answer) == begun.startswith(_GET)
    writer.close()
    await writer.wait_closed()
    await listener.stop()


@pytest.mark.parametrize("begun", [b"GET /", b"GET / HTTP/1.1\r\nX-Long: "])
async def test_a_head_that_is_too_long_is_refused(listener: HttpListener, begun: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(begun.ljust(HEAD_LIMIT + 1, b"x"))
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.1 431 ")
    writer.close()
    await writer.wait_closed()


async def test_what_follows_a_body_is_not_read_without_end(listener: HttpListener) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", listener.port)) as client:
        client.setblocking(False)
        begun = b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Long: "
        await loop.sock_sendall(client, begun)
        with suppress(ConnectionError):
            while listener.open_connections:
                await asyncio.wait_for(loop.sock_sendall(client, b"x" * 65_536), 60)


async def test_of_requests_without_end_the_most_are_not_even_kept(listener: HttpListener) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(_GET * (PIPELINE_LIMIT + 1))
    for _ in range(PIPELINE_LIMIT + 1):
        assert (await reader.readuntil(b"here")).startswith(b"HTTP/1.1 200 ")
    writer.write(_GET * 10_000)
    with suppress(ConnectionError):
        while told := await asyncio.wait_for(reader.read(65_536), 60):
            assert b" 400 " not in told, "it would be the answer to another request"
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_an_answer_that_nobody_reads_does_not_keep_its_connection() -> None:
    listener = HttpListener(_app, ["127.0.0.1"], 0)
    listener._server.config.timeout_keep_alive = 0.05  # type: ignore[assignment]
    await listener.start()
    _, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1024)
    writer.write(_GET.replace(b"GET /", b"GET /big"))
    while not listener.open_connections:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0)
    while listener.open_connections:  # noqa: ASYNC110
        await asyncio.sleep(0)
    writer.transport.abort()
    await listener.stop()


async def test_a_timer_that_is_due_while_the_connection_is_in_use_is_set_again(
    listener: HttpListener,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(_GET)
    await reader.readuntil(b"here")
    (connection,) = listener._server.server_state.connections
    assert isinstance(connection, HttpProtocol)
    connection._look_whether_idle()
    assert connection._idle_timer is not None
    writer.write(_GET)
    await reader.readuntil(b"here")
    writer.close()
    await writer.wait_closed()
    while listener.open_connections:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0)
    assert connection._idle_timer is None


@pytest.mark.parametrize("size", [10, 8_000, 9_000, 60_000])
async def test_an_upgrade_may_carry_a_whole_offer_in_its_query(
    listener: HttpListener, size: int
) -> None:
    answer = await _ask(listener.port, _UPGRADE.format(query="A" * size, token="t"))
    assert answer.startswith(b"HTTP/1.1 418 ")


async def test_an_upgrade_may_carry_a_long_token(listener: HttpListener) -> None:
    answer = await _ask(listener.port, _UPGRADE.format(query="A", token="t" * 60_000))
    assert answer.startswith(b"HTTP/1.1 418 ")


@pytest.mark.parametrize("path", ["/talk", "/leave"])
async def test_a_client_that_does_not_read_does_not_keep_its_connection(
    listener: HttpListener, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing alone would wait for ever for what it has not read."""
    monkeypatch.setattr(websocket, "_LINGER", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1024)
    request = _UPGRADE.replace("/rtc/v1", path).format(query="A", token="t")
    writer.write(request.encode())
    await reader.readuntil(b"\r\n\r\n")
    while listener.open_connections:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0)
    arrived = 0
    with suppress(ConnectionError):
        while part := await reader.read(65_536):
            arrived += len(part)
    assert arrived < _BIG, "what it did not read in time it never got"
    writer.close()
    await asyncio.wait_for(writer.wait_closed(), 60)


async def test_a_refused_upgrade_is_no_fault_in_the_log(
    listener: HttpListener, caplog: pytest.LogCaptureFixture
) -> None:
    await _ask(listener.port, _UPGRADE.format(query="A", token="t"))
    assert caplog.records == []


async def test_a_port_that_is_taken_is_named(listener: HttpListener) -> None:
    with pytest.raises(ListenError, match=f"{listener.port} on 127.0.0.1 is in use"):
        await HttpListener(_app, ["127.0.0.1"], listener.port).start()
