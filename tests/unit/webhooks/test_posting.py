"""One request to a real HTTP receiver: what it is sent, and what its answer means."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from switchroom.auth.tokens import TokenVerifier
from switchroom.base.clock import SystemClock
from switchroom.webhooks import posting
from switchroom.webhooks.posting import HttpPoster, answer_of
from switchroom.webhooks.receiver import Outcome

KEY, SECRET = "devkey", "a secret"


class Receiver:
    """An HTTP server that writes down what it got and answers with fixed bytes, or never."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.port = 0
        self.serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self.serving.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append((first, headers, body))
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            # What nobody reads would keep the connection open for the next test to trip over.
            writer.transport.abort()
            self.serving.discard(task)


@asynccontextmanager
async def receiver(answer: bytes) -> AsyncIterator[Receiver]:
    there = Receiver(answer)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    there.port = server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        server.close()
        for task in tuple(there.serving):
            task.cancel()
        await asyncio.gather(*there.serving, return_exceptions=True)


@pytest.fixture
async def poster() -> AsyncIterator[HttpPoster]:
    poster = HttpPoster(KEY, SECRET, SystemClock())
    yield poster
    await poster.aclose()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


async def test_the_body_is_signed_as_livekit_signs_it(poster: HttpPoster) -> None:
    async with receiver(OK) as there:
        answer = await poster.post(there.url, b'{"event":"x"}')
    assert answer.outcome is Outcome.DELIVERED
    ((first, headers, body),) = there.requests
    assert (first, body) == ("POST /hook?x=1 HTTP/1.1", b'{"event":"x"}')
    assert headers["content-type"] == "application/webhook+json"
    assert headers["user-agent"] == "LiveKit"
    clock = SystemClock()
    claims = TokenVerifier({KEY: SECRET}, clock).verify(headers["authorization"])
    assert base64.b64decode(claims.sha256) == hashlib.sha256(body).digest()
    assert 290 < claims.expires_at - clock.unix_ns() / 1e9 <= 300


async def test_a_connection_serves_again(poster: HttpPoster) -> None:
    async with receiver(OK) as there:
        for _ in range(3):
            await poster.post(there.url, b"{}")
    assert (len(there.requests), there.connections) == (3, 1)


async def test_a_redirect_is_not_followed(poster: HttpPoster) -> None:
    async with receiver(OK) as other:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n"
        async with receiver(moved.encode()) as there:
            answer = await poster.post(there.url, b"{}")
    assert (answer.outcome, answer.why) == (Outcome.REFUSED, "307")
    assert other.requests == []


async def test_nobody_there_is_a_failure(poster: HttpPoster) -> None:
    async with receiver(OK) as there:
        pass
    answer = await poster.post(there.url, b"{}")
    assert (answer.outcome, answer.why) == (Outcome.FAILED, "ConnectError")


async def test_a_receiver_that_never_answers_is_not_waited_for(
    poster: HttpPoster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "TIME_LIMIT", 0.05)
    async with receiver(b"") as there:
        answer = await poster.post(there.url, b"{}")
    assert (answer.outcome, answer.why) == (Outcome.FAILED, "no answer in time")


@pytest.mark.parametrize(
    "garbage",
    [
        b"SIP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x00" * 70_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_garbage_is_a_failure(poster: HttpPoster, garbage: bytes) -> None:
    async with receiver(garbage) as there:
        assert (await poster.post(there.url, b"{}")).outcome is Outcome.FAILED


async def test_an_endless_answer_is_not_read(poster: HttpPoster) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    async with receiver(head + b"x" * 1_000_000) as there:
        answer = await poster.post(there.url, b"{}")
    assert answer.outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (301, Outcome.REFUSED),
        (400, Outcome.REFUSED),
        (401, Outcome.REFUSED),
        (410, Outcome.REFUSED),
        (408, Outcome.FAILED),
        (429, Outcome.FAILED),
        (500, Outcome.FAILED),
        (503, Outcome.FAILED),
    ],
)
def test_what_a_status_means(status: int, outcome: Outcome) -> None:
    assert answer_of(status, "").outcome is outcome


@pytest.mark.parametrize(("said", "seconds"), [("30", 30.0), ("", 0.0), ("soon", 0.0), ("-1", 0.0)])
def test_a_time_to_retry_is_read_when_it_is_one(said: str, seconds: float) -> None:
    assert answer_of(503, said).retry_after == seconds


async def test_the_cookies_of_a_receiver_are_not_kept(poster: HttpPoster) -> None:
    baked = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nOK"
    async with receiver(baked) as there:
        for _ in range(2):
            await poster.post(there.url, b"{}")
    assert [headers.get("cookie") for _, headers, _ in there.requests] == [None, None]
