"""A thin client of the public API, Twirp with JSON and REST, as any program could write it."""

from __future__ import annotations

import http.client
import json
import shlex
import ssl
import sys
import time
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from google.protobuf import json_format
from google.protobuf.message import Message

from switchroom.auth.grants import Claims, SipGrants, VideoGrants
from switchroom.auth.tokens import mint

from .connection import Connection
from .errors import CommandFailed, Mistyped

_TOKEN_LIFETIME = 600.0
_ALLOWANCE = 5.0
_CREDENTIALS = "check --api-key and --api-secret"
_SCHEMES = {"http": False, "ws": False, "https": True, "wss": True}

Answer = TypeVar("Answer", bound=Message)


class RequestRefused(CommandFailed):
    """The server answered with an error; ``meta`` holds LiveKit's keys, such as ``sip_status``."""

    def __init__(self, code: str, message: str, meta: Mapping[str, str]) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.meta = meta

    def as_json(self) -> str:
        """As the server said it, in a line."""
        return json.dumps({"code": self.code, "msg": self.message, "meta": dict(self.meta)})


def call(
    connection: Connection,
    method: str,
    request: Message,
    answer: type[Answer],
    *,
    room: str = "",
    timeout: float = 30.0,
) -> Answer:
    """Call ``Service/Method`` (such as ``RoomService/ListRooms``) and return its answer.

    ``room`` is the room that the token must be good for; ``timeout`` is in seconds and is told to
    the server. Raises :class:`RequestRefused` for an error of the API, :class:`CommandFailed` when
    the server can't be reached.
    """
    body = json_format.MessageToJson(request, preserving_proto_field_name=True, indent=None)
    headers = {
        "Authorization": f"Bearer {_token(connection, room)}",
        "Content-Type": "application/json",
        "X-Twirp-Timeout-Ms": str(int(timeout * 1000)),
    }
    path = f"/twirp/livekit.{method}"
    content = _exchange(connection, "POST", path, headers, body, timeout=timeout)
    return _decode(connection.url, content, answer)


def fetch(
    connection: Connection, path: str, query: Mapping[str, str], *, holds: str
) -> dict[str, Any]:
    """What the server's REST API answers to a GET: a JSON object with `holds` among its fields.

    Raises as `call` does.
    """
    asked = f"{quote(path)}?{urlencode(query)}" if query else quote(path)
    headers = {"Authorization": f"Bearer {_token(connection, '')}"}
    content = _exchange(connection, "GET", asked, headers)
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or holds not in answer:
        raise _not_understood(connection.url)
    return answer


def _exchange(
    connection: Connection,
    verb: str,
    path: str,
    headers: Mapping[str, str],
    body: str = "",
    *,
    timeout: float = 30.0,
) -> bytes:
    """Send one request and return the body of its answer, which must be a 200."""
    host, port, secure, prefix = _parse_url(connection.url)
    path = prefix + path
    if connection.show_curl:
        _print_curl(f"http{'s' if secure else ''}://{host}:{port}{path}", headers, body)
    door = _open(host, port, timeout + _ALLOWANCE, secure=secure)
    try:
        door.request(verb, path, body.encode() or None, dict(headers))
        response = door.getresponse()
        status, content = response.status, response.read()
    except TimeoutError:
        raise CommandFailed(f"{connection.url} did not answer within {timeout:.0f} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(connection.url, error) from None
    finally:
        door.close()
    if status != http.HTTPStatus.OK:
        raise _refusal(connection.url, status, content)
    return content


def _parse_url(url: str) -> tuple[str, int, bool, str]:
    """Host, port, whether over TLS, and the path in front of every method."""
    try:
        parts = urlsplit(url)
        secure = _SCHEMES[parts.scheme]
        port = parts.port or (443 if secure else 80)
        host = parts.hostname
    except (KeyError, ValueError):
        raise _bad_url(url) from None
    if not host:
        raise _bad_url(url)
    return host, port, secure, parts.path.rstrip("/")


def _bad_url(url: str) -> CommandFailed:
    return Mistyped(f"{url!r} is no URL of a server; write it like http://127.0.0.1:7880")


def _open(host: str, port: int, timeout: float, *, secure: bool) -> http.client.HTTPConnection:
    if secure:
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    return http.client.HTTPConnection(host, port, timeout=timeout)


def _token(connection: Connection, room: str) -> str:
    """A short-lived token with every right of an operator."""
    claims = Claims(
        api_key=connection.api_key,
        identity="switchroom-cli",
        video=VideoGrants(room=room, room_create=True, room_list=True, room_admin=True),
        sip=SipGrants(admin=True, call=True),
        expires_at=time.time() + _TOKEN_LIFETIME,
    )
    return mint(claims, connection.api_secret)


def _refusal(url: str, status: int, content: bytes) -> CommandFailed:
    try:
        error = json.loads(content)
        code, message = str(error["code"]), str(error["msg"])
        meta = {str(key): str(value) for key, value in (error.get("meta") or {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        if status == http.HTTPStatus.UNAUTHORIZED:
            # The door of the API says so in plain text, as livekit-server does.
            return CommandFailed(f"{url} does not know that API key and secret; {_CREDENTIALS}")
        return CommandFailed(f"{url} answered {status}; is that a Switchroom or LiveKit server?")
    if code == "unauthenticated":
        message += f"; {_CREDENTIALS}"
    return RequestRefused(code, message, meta)


def _unreachable(url: str, error: OSError | http.client.HTTPException) -> CommandFailed:
    match error:
        case ssl.SSLCertVerificationError():
            return CommandFailed(f"the certificate of {url} is not good: {error.verify_message}")
        case ssl.SSLError():
            return CommandFailed(f"{url} does not speak TLS; write it with http:// or ws://")
        case _:
            return CommandFailed(
                f"can't reach {url} ({_reason(error)}); is the server running? "
                "Start one with: switchroom dev"
            )


def _decode(url: str, content: bytes, answer: type[Answer]) -> Answer:
    try:
        return json_format.Parse(content, answer(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError):
        raise _not_understood(url) from None


def _not_understood(url: str) -> CommandFailed:
    return CommandFailed(f"{url} gave an answer that can't be understood")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _print_curl(url: str, headers: Mapping[str, str], body: str) -> None:
    shown = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    words = ["-X", "POST", url, *shown, "-d", body] if body else [url, *shown]
    print(shlex.join(["curl", *words]), file=sys.stderr)
