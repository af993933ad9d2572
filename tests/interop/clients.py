"""Every official client under one set of commands: the columns of the table in `test_every_client`.

A client is a program that takes commands as lines of JSON and tells answers and events the same way
(`client_program.py` for each release of the Python package, `javascript/client.mjs` for Node). The
newest Python package runs in the test's own process.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from array import array
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from livekit import api

from interop.client_program import LISTEN_RATE, Facts, Program
from interop.hearing import Window, steady_stretch, windows
from interop.server import KEY, SECRET, Server

ROOM = "meeting"
PATIENCE = 30.0
"""Seconds that a test waits for an event."""

_TESTS = Path(__file__).parents[1]
_PEERS = _TESTS.parent / ".peers"
_OLDER = _PEERS / "livekit-1.1.21" / "bin" / "python"
_NODE = _TESTS / "interop" / "javascript" / "client.mjs"
_LINE_LIMIT = 2**26


@dataclass(frozen=True)
class Kind:
    """One column: which package, and how many connections it is asked to make."""

    name: str
    version: str
    single: bool
    command: tuple[str, ...] = ()
    """What runs it; nothing for the package that is installed here."""
    needs: Path | None = None

    @property
    def column(self) -> Any:
        """For `pytest.mark.parametrize`."""
        missing = self.needs is not None and not self.needs.exists()
        reason = f"{self.name} {self.version} is missing: tools/set-up peers"
        label = f"{self.name}-{self.version}-{'one' if self.single else 'two'}-connection"
        mark = pytest.mark.skipif(missing, reason=reason)
        return pytest.param(self, id=label if self.single else f"{label}s", marks=mark)


def _node(package: str, version: str) -> Kind:
    installed = _PEERS / "node" / "node_modules" / package
    return Kind("node", version, True, ("node", str(_NODE), package), installed)


NEWEST = Kind("python", "1.2.0", single=True)
OLDER = Kind(
    "python",
    "1.1.21",
    single=False,
    command=(str(_OLDER), str(_TESTS / "interop" / "client_program.py")),
    needs=_OLDER,
)
"""What livekit-agents pins, in the mode of clients that are older still, and of those in Go."""

NODE = _node("rtc-node-newest", "1.1.0")

KINDS = (
    NEWEST,
    Kind("python", "1.2.0", single=False),
    OLDER,
    NODE,
    _node("@livekit/rtc-node", "0.13.35"),
)
EVERY_CLIENT = pytest.mark.parametrize("kind", [kind.column for kind in KINDS])
EACH_FAMILY = pytest.mark.parametrize("kind", [kind.column for kind in (NEWEST, OLDER, NODE)])
"""For rows in which releases of one package, or its modes, do not differ."""


class _Link(Protocol):
    """Where the program is."""

    async def do(self, what: str, facts: Facts) -> Any: ...

    async def close(self) -> None: ...


class Refused(Exception):
    """The client's package raised; the text begins with the name of its error."""


class Client:
    """A client in a room, and the events that it has told and nobody has asked for yet."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.sid = ""
        self.link: _Link
        self._told: list[Facts] = []
        self._news = asyncio.Event()

    def hear_of(self, event: Facts) -> None:
        """For the link: something happened."""
        self._told.append(event)
        self._news.set()

    async def do(self, what: str, **facts: Any) -> Any:
        """Perform a command and return its result. Raises Refused."""
        return await asyncio.wait_for(self.link.do(what, facts), 30)

    async def next(self, event: str, **like: Any) -> Facts:
        """The next event of that name with these facts, and everything before it that is not."""
        async with asyncio.timeout(PATIENCE):
            while (found := self.told(event, **like)) is None:
                self._news.clear()
                await self._news.wait()
        self._told.remove(found)
        return found

    def told(self, event: str, **like: Any) -> Facts | None:
        """The first such event that waits, if any."""
        wanted = {"event": event, **like}
        return next((told for told in self._told if wanted.items() <= told.items()), None)

    async def told_more(self) -> None:
        """Wait until there is any new event."""
        self._news.clear()
        await self._news.wait()

    def all_told(self, event: str) -> list[Facts]:
        """Every event of that name that waits, taken out."""
        found = [told for told in self._told if told["event"] == event]
        self._told = [told for told in self._told if told["event"] != event]
        return found

    # ── what tests do often ──────────────────────────────────────────────────

    async def publish(self, hz: int, name: str = "voice") -> str:
        """Play a sine of that frequency to the others; the track's sid."""
        return str(await self.do("publish", name=name, hz=hz))

    async def listen(self, sid: str, seconds: float) -> list[Window]:
        """What a track sounds like from now on, by tenths of a second."""
        heard = array("h", base64.b64decode(await self.do("listen", sid=sid, seconds=seconds)))
        return windows(heard, LISTEN_RATE)

    async def hears(self, sid: str, hz: int) -> bool:
        """Whether a second of a track holds the tone for the most part."""
        return len(steady_stretch(await self.listen(sid, 1.0), hz)) >= 5

    async def until_heard(self, sid: str, hz: int) -> None:
        """Wait until a track holds the tone: a busy machine may need a moment."""
        async with asyncio.timeout(PATIENCE):
            while not await self.hears(sid, hz):
                pass

    async def until_silent(self, sid: str, hz: int) -> None:
        """Wait until a track does not hold the tone any more.

        The Rust client has no event for a subscription that the server ends.
        """
        async with asyncio.timeout(PATIENCE):
            while await self.hears(sid, hz):
                pass

    async def send(
        self, text: str | bytes, *, reliable: bool = True, topic: str = "", to: tuple[str, ...] = ()
    ) -> None:
        payload = base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
        await self.do("send", payload=payload, reliable=reliable, topic=topic, to=list(to))


def payload_of(event: Facts) -> bytes:
    """The bytes of a data event."""
    return base64.b64decode(event["payload"])


@asynccontextmanager
async def joined(
    server: Server,
    kind: Kind,
    identity: str,
    *,
    url: str = "",
    automatic: bool = True,
    around: tuple[str, ...] = (),
    token: str = "",
    **grants: Any,
) -> AsyncIterator[Client]:
    """A client in the room with all rights unless `grants` says otherwise; it leaves at the end.

    `url` is another way to the server, `around` what the program is run by, for other networks.
    """
    client = Client(identity)
    client.link = await _link_to(kind, client, around)
    try:
        token = token or token_for(identity, **grants)
        facts = await client.do(
            "join", url=url or server.ws_url, token=token, single=kind.single, automatic=automatic
        )
        client.sid = facts["sid"]
        yield client
        await client.do("leave")
    finally:
        await client.link.close()


def token_for(identity: str, *, room: str = ROOM, kind: Any = "standard", **grants: Any) -> str:
    """To join with all rights, unless `grants` says otherwise."""
    video = {"room_join": True, "room": room, "can_update_own_metadata": True, **grants}
    token = api.AccessToken(KEY, SECRET).with_identity(identity).with_kind(kind)
    return token.with_grants(api.VideoGrants(**video)).to_jwt()


async def _link_to(kind: Kind, client: Client, around: tuple[str, ...]) -> _Link:
    if not kind.command and not around:
        return _Here(client)
    command = kind.command or (sys.executable, str(_TESTS / "interop" / "client_program.py"))
    process = await asyncio.create_subprocess_exec(
        *around,
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_LIMIT,
        env=_environment(),
    )
    link = _There(process, client)
    ready = await client.next("ready")
    assert ready["version"] == kind.version
    return link


def _environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(_TESTS)}


class _Here:
    """The Python package of this process."""

    def __init__(self, client: Client) -> None:
        self._program = Program(lambda **facts: client.hear_of(facts))

    async def do(self, what: str, facts: Facts) -> Any:
        try:
            return await getattr(self._program, what)(**facts)
        except Exception as failure:
            raise Refused(f"{type(failure).__name__}: {failure}") from failure

    async def close(self) -> None:
        self._program.hush()
        with suppress(Exception):
            await self._program.leave()


class _There:
    """A process."""

    def __init__(self, process: asyncio.subprocess.Process, client: Client) -> None:
        self._process = process
        self._client = client
        self._numbers = iter(range(1, 1_000_000))
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())

    async def do(self, what: str, facts: Facts) -> Any:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "do": what, **facts}).encode() + b"\n")
        return await answer

    async def close(self) -> None:
        """The end of its commands ends it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if not line.startswith((b'{"event"', b'{"id"')):
                continue  # the log of the Node package
            said = json.loads(line)
            if "event" in said:
                self._client.hear_of(said)
            else:
                self._settle(said)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Refused("the client's program ended"))
        self._answers.clear()

    def _settle(self, said: Facts) -> None:
        answer = self._answers.pop(said["id"])
        if answer.done():
            return
        if "error" in said:
            answer.set_exception(Refused(said["error"]))
        else:
            answer.set_result(said["ok"])
