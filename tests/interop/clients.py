"""Every official client under one set of commands: the columns of the table in `test_every_client`.

A client is a program that takes commands as lines of JSON and tells answers and events the same way
(`client_program.py` for each release of the Python package, `javascript/client.mjs` for Node). The
newest Python package runs in the test's own process.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from livekit import api

from interop.client_program import LISTEN_RATE, Program
from interop.hearing import Window, steady_stretch, windows
from interop.json_program import PATIENCE, Facts, Refused, Told, json_program
from interop.server import KEY, SECRET, Server

ROOM = "meeting"
_TESTS = Path(__file__).parents[1]
_PEERS = _TESTS.parent / ".peers"
_OLDER = _PEERS / "livekit-1.1.21" / "bin" / "python"
_NODE = _TESTS / "interop" / "javascript" / "client.mjs"


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
    def label(self) -> str:
        """What the column is called."""
        connections = "one-connection" if self.single else "two-connections"
        return f"{self.name}-{self.version}-{connections}"

    @property
    def is_here(self) -> bool:
        """Whether it is installed."""
        return self.needs is None or self.needs.exists()


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
FAMILIES = (NEWEST, OLDER, NODE)
"""For rows in which releases of one package, or its modes, do not differ."""


class _Link(Protocol):
    """Where the program is."""

    async def do(self, what: str, facts: Facts) -> Any: ...

    async def close(self) -> None: ...


class Client(Told):
    """A client in a room, and the events that it has told and nobody has asked for yet."""

    def __init__(self, identity: str) -> None:
        super().__init__()
        self.identity = identity
        self.sid = ""
        self.link: _Link

    async def do(self, what: str, **facts: Any) -> Any:
        """Perform a command and return its result. Raises Refused."""
        return await asyncio.wait_for(self.link.do(what, facts), PATIENCE)

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
    link = await json_program((*around, *command), client, {"PYTHONPATH": str(_TESTS)})
    ready = await client.next("ready")
    assert ready["version"] == kind.version
    return link


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
