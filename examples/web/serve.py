"""A page that lets a person join a running call: hear both sides, see who speaks, read along.

    python examples/web/serve.py

Then open the address it prints. The server is the one of ``switchroom dev``, or that of
LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET. livekit-client comes from npm (``tools/set-up
peers`` or ``npm install livekit-client``); --sdk names another copy of ``livekit-client.umd.js``.

Listens on 127.0.0.1 only: whoever reaches this page gets a token and is not asked for a name. A
page for more than one person asks first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import aiohttp
from livekit import api

HERE = Path(__file__).parent
SDK = "node_modules/livekit-client/dist/livekit-client.umd.js"
SDK_PLACES = (HERE.parents[1] / ".peers/node" / SDK, HERE / SDK, Path(SDK))
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
HEADERS = {
    "Cache-Control": "no-store",
    # Everything the page needs comes from here, but for the room itself.
    "Content-Security-Policy": "default-src 'self'; connect-src 'self' ws: wss: http: https:;"
    " img-src 'self' data:; media-src 'self' blob:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
LISTED_ROOMS = 20
Role = Literal["listener", "speaker"]

# The key of `switchroom dev` is as short as that of `livekit-server --dev`.
warnings.filterwarnings("ignore", message="The HMAC key is")


class Unavailable(Exception):
    """The room server can't be asked, or has no such room; the message is for the person."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the page asks for, answered with the SDK of the room server."""

    url: str
    """Of the room server, as ws:// or http://."""
    key: str
    secret: str

    async def rooms(self) -> list[dict[str, Any]]:
        """The running rooms, the newest first, and who is in them."""
        try:
            async with api.LiveKitAPI(
                self.url, self.key, self.secret, timeout=aiohttp.ClientTimeout(5)
            ) as livekit:
                listed = (await livekit.room.list_rooms(api.ListRoomsRequest())).rooms
                newest = sorted(listed, key=lambda room: -room.creation_time)[:LISTED_ROOMS]
                return list(await asyncio.gather(*(_describe(livekit, room) for room in newest)))
        except api.TwirpError as refused:
            raise Unavailable(f"The room server refused: {refused.message}") from refused
        except (aiohttp.ClientError, TimeoutError) as lost:
            raise Unavailable(f"No room server answers at {self.url}. Is it running?") from lost

    async def invite(self, room: str, role: Role) -> dict[str, str]:
        """What a client joins a room with. The room is there: looking does not make one."""
        if room not in {known["name"] for known in await self.rooms()}:
            raise Unavailable(f"There is no call in “{room}” any more.")
        identity = f"{role}-{secrets.token_hex(4)}"
        token = (
            api.AccessToken(self.key, self.secret)
            .with_identity(identity)
            .with_name("Web guest")
            .with_grants(_grants(room, role))
            .with_ttl(timedelta(minutes=10))
        )
        url = self.url.replace("http", "ws", 1)
        return {"url": url, "identity": identity, "token": token.to_jwt()}


def _grants(room: str, role: Role) -> api.VideoGrants:
    if role == "speaker":
        return api.VideoGrants(room_join=True, room=room, can_subscribe=False)
    # A hidden participant does not exist for the others. An agent attaches itself to the first
    # person it sees; it never sees this one.
    return api.VideoGrants(room_join=True, room=room, hidden=True, can_publish=False)


async def _describe(livekit: api.LiveKitAPI, room: api.Room) -> dict[str, Any]:
    try:
        present = await livekit.room.list_participants(api.ListParticipantsRequest(room=room.name))
    except api.TwirpError:  # closed since it was listed
        present = api.ListParticipantsResponse()
    return {
        "name": room.name,
        "participants": [
            {
                "identity": one.identity,
                "name": one.name,
                "kind": api.ParticipantInfo.Kind.Name(one.kind).lower(),
                "attributes": dict(one.attributes),
            }
            for one in present.participants
            if not one.permission.hidden
        ],
    }


class Page(BaseHTTPRequestHandler):
    """Serves the files of this folder, livekit-client, and the two questions of the page."""

    protocol_version = "HTTP/1.1"
    desk: Desk
    sdk: Path

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        # A name that only pretends to be this machine (DNS rebinding) gets nothing.
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in {"127.0.0.1", "localhost"}:
            self._send(HTTPStatus.FORBIDDEN, b"", "text/plain")
        elif address.path.startswith("/api/"):
            self._answer(address.path, {k: v[0] for k, v in parse_qs(address.query).items()})
        else:
            self._file(address.path)

    def _answer(self, path: str, query: Mapping[str, str]) -> None:
        try:
            match path, query.get("role"):
                case "/api/rooms", _:
                    self._json(HTTPStatus.OK, {"rooms": asyncio.run(self.desk.rooms())})
                case "/api/token", ("listener" | "speaker") as role:
                    invitation = asyncio.run(self.desk.invite(query.get("room", ""), role))
                    self._json(HTTPStatus.OK, invitation)
                case _:
                    self._json(HTTPStatus.NOT_FOUND, {"error": "There is no such question."})
        except Unavailable as why:
            self._json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(why)})

    def _file(self, path: str) -> None:
        name = path.removeprefix("/") or "index.html"
        file = self.sdk if name == self.sdk.name else HERE / name
        kind = TYPES.get(file.suffix)
        if "/" in name or kind is None or not file.is_file():
            self._send(HTTPStatus.NOT_FOUND, b"There is no such page.", "text/plain")
        else:
            self._send(HTTPStatus.OK, file.read_bytes(), kind)

    def _json(self, status: HTTPStatus, value: object) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *facts: Any) -> None:
        """Nothing: requests carry tokens."""


class PageServer(ThreadingHTTPServer):
    """The page, ready for `serve_forever`, on 127.0.0.1. Port 0: any free one."""

    def __init__(self, desk: Desk, port: int, sdk: Path) -> None:
        handler = type("DeskPage", (Page,), {"desk": desk, "sdk": sdk})
        super().__init__(("127.0.0.1", port), handler)

    def handle_error(self, *facts: Any) -> None:
        """A browser that closes its connection early is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*facts)


def main() -> None:
    parser = argparse.ArgumentParser(description="A page that joins a running call.")
    parser.add_argument("--url", default=os.environ.get("LIVEKIT_URL", "ws://127.0.0.1:7880"))
    parser.add_argument("--key", default=os.environ.get("LIVEKIT_API_KEY", "devkey"))
    parser.add_argument("--secret", default=os.environ.get("LIVEKIT_API_SECRET", "secret"))
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--sdk", type=Path, help="livekit-client.umd.js, if it is elsewhere")
    asked = parser.parse_args()
    sdk = asked.sdk or next((place for place in SDK_PLACES if place.is_file()), None)
    if sdk is None or not sdk.is_file():
        raise SystemExit(
            "livekit-client is missing: tools/set-up peers, or npm install livekit-client"
        )
    with PageServer(Desk(asked.url, asked.key, asked.secret), asked.port, sdk) as server:
        print(f"Calls of {asked.url}: http://127.0.0.1:{server.server_port}/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
