"""A stand-in for the server's HTTP side, and the command line as a user types it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from switchroom.auth.grants import Claims
from switchroom.auth.tokens import TokenVerifier
from switchroom.base.clock import SystemClock
from switchroom.cli import main as command_line


@dataclass(frozen=True, slots=True)
class Received:
    """One request as the server saw it."""

    path: str
    body: dict[str, Any]
    claims: Claims
    timeout_ms: int


@dataclass(slots=True)
class FakeApi:
    """Answers ``Service/Method`` with what a test has put there; remembers what was asked.

    A path of REST is answered by each of its answers in turn, the last one for ever.
    """

    url: str = ""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    pages: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)

    def serve(self, path: str, *answers: dict[str, Any], status: int = 200) -> None:
        self.pages[path] = [(status, json.dumps(answer).encode()) for answer in answers]

    def answer(self, method: str, message: dict[str, Any]) -> None:
        self.answers[f"/twirp/livekit.{method}"] = (200, json.dumps(message).encode())

    def refuse(self, method: str, status: int, content: bytes) -> None:
        self.answers[f"/twirp/livekit.{method}"] = (status, content)


class _Handler(BaseHTTPRequestHandler):
    api: FakeApi
    keys = TokenVerifier({"devkey": "secret", "k": "s"}, SystemClock())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        token = self.headers["Authorization"].removeprefix("Bearer ")
        timeout = int(self.headers["X-Twirp-Timeout-Ms"])
        self.api.received.append(
            Received(self.path, json.loads(body), self.keys.verify(token), timeout)
        )
        self._answer(*self.api.answers[self.path])

    def do_GET(self) -> None:
        claims = self.keys.verify(self.headers["Authorization"].removeprefix("Bearer "))
        path, _, query = self.path.partition("?")
        self.api.received.append(Received(unquote(path), dict(parse_qsl(query)), claims, 0))
        answers = self.api.pages[unquote(path)]
        self._answer(*(answers.pop(0) if len(answers) > 1 else answers[0]))

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests look at what was received."""


@pytest.fixture
def api() -> Iterator[FakeApi]:
    fake = FakeApi()
    handler = type("Handler", (_Handler,), {"api": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Type a command; get its exit status and what it printed."""
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def typed(*arguments: str) -> Outcome:
        monkeypatch.setattr("sys.argv", ["switchroom", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    return typed
