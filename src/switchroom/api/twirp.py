"""Twirp: `POST /twirp/<package>.<Service>/<Method>` in protobuf or JSON, to typed handlers.

A service is an object with a `name` and its `methods`. A handler gets the decoded request and a
CallContext and returns the response message; it refuses by raising ServiceError. Anything else that
a handler raises becomes `internal` without a word about its cause, and a line in the log.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from switchroom.api.asgi import (
    BodyTooLarge,
    ClientGone,
    Receive,
    Scope,
    Send,
    claims_of,
    headers_of,
    read_body,
    respond,
    respond_text,
)
from switchroom.auth.grants import Claims, PermissionDenied, grants_methods
from switchroom.base.clock import Clock
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.base.log import get_logger
from switchroom.base.records import record
from switchroom.rooms.signal.proto_json import read_json

_log = get_logger("api")

PREFIX = "/twirp/"

STRANGERS_LIMIT = 16 * 1024
"""Bytes of a body from a caller whom nothing is granted. A method looks at the grants when its
request is decoded, as LiveKit's do, and ten MB of JSON would keep everybody waiting for seconds."""

_STATUS = {
    ErrorCode.CANCELED: 408,
    ErrorCode.UNKNOWN: 500,
    ErrorCode.INVALID_ARGUMENT: 400,
    ErrorCode.MALFORMED: 400,
    ErrorCode.DEADLINE_EXCEEDED: 408,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.BAD_ROUTE: 404,
    ErrorCode.ALREADY_EXISTS: 409,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.RESOURCE_EXHAUSTED: 429,
    ErrorCode.FAILED_PRECONDITION: 412,
    ErrorCode.ABORTED: 409,
    ErrorCode.OUT_OF_RANGE: 400,
    ErrorCode.UNIMPLEMENTED: 501,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.DATA_LOSS: 503,
}

_PROTOBUF = "application/protobuf"
_JSON = "application/json"


@record
class CallContext:
    """What a handler knows of its caller.

    `deadline` is on the server's monotonic clock (seconds), from `X-Twirp-Timeout-Ms`. `request_id`
    is `X-Livekit-Request-Id`, the same over all retries of one SDK call; `idempotency_key` is the
    caller's own `Idempotency-Key`, else that.
    """

    claims: Claims | None
    deadline: float | None = None
    request_id: str | None = None
    idempotency_key: str | None = None


Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


def never(_request: Message) -> bool:
    """No request is given up with its client."""
    return False


def always(_request: Message) -> bool:
    """Every request is."""
    return True


@record
class Method(Generic[Request, Response]):
    """One remote procedure.

    Of a request for which `cancelled_with_client` holds the handler is cancelled when the client
    closes the connection before the answer, as a dial that nobody waits for any more must be.
    """

    request_type: type[Request]
    handler: Callable[[Request, CallContext], Awaitable[Response]]
    cancelled_with_client: Callable[[Request], bool] = never


class Service(Protocol):
    """A Twirp service: `name` is `livekit.RoomService` or the like."""

    @property
    def name(self) -> str: ...

    @property
    def methods(self) -> Mapping[str, Method[Any, Any]]: ...


@record
class Answered:
    """A call of the API that is over; `service` as in `RoomService`, no `error` if it went well."""

    service: str
    method: str
    error: ErrorCode | None
    seconds: float

    @property
    def status(self) -> str:
        """The family of its HTTP status, as in `4xx`."""
        return f"{(_STATUS[self.error] if self.error else 200) // 100}xx"


Observer = Callable[[Answered], None]


class TwirpRouter:
    """The ASGI application behind `/twirp/`."""

    def __init__(
        self, services: Iterable[Service], clock: Clock, observe: Observer | None = None
    ) -> None:
        """`observe` hears of every call of a method that exists."""
        self._clock = clock
        self._observe = observe
        self._methods: dict[str, Method[Any, Any]] = {
            f"{PREFIX}{service.name}/{name}": method
            for service in services
            for name, method in service.methods.items()
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[Any]:
        """Serve one HTTP request; every outcome is answered, only cancellation gets out."""
        serving = self._serve(scope, receive, send)
        if self._observe is None or scope["path"] not in self._methods:
            return serving
        return self._observed(scope["path"], serving, self._observe)

    async def _observed(
        self, path: str, serving: Awaitable[ErrorCode | None], observe: Observer
    ) -> None:
        began = self._clock.monotonic()
        code = await serving
        service, _, name = path.removeprefix(PREFIX).rpartition("/")
        seconds = self._clock.monotonic() - began
        observe(Answered(service.rpartition(".")[2], name, code, seconds))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> ErrorCode | None:
        """Answer, and say with which error."""
        try:
            headers = headers_of(scope)
            method, encoding = self._route(scope, headers)
            body = await _read_body(scope, receive)
            request = _decode(method.request_type, body, encoding)
            context = self._context(scope, headers)
            response = await _call(method, request, context, receive)
            await _send_message(scope, send, response, encoding)
        except ServiceError as refusal:
            await send_refusal(scope, send, refusal)
            return refusal.code
        except ClientGone:
            _log.debug("client left before its answer", path=scope["path"])
            return ErrorCode.CANCELED
        except BodyTooLarge:
            await respond_text(scope, send, 413, "request body too large")
            return ErrorCode.MALFORMED
        except Exception as failure:  # noqa: BLE001 - the last door: nothing may leak to the caller
            _log.error("handler failed", path=scope["path"], exc_info=failure)
            await send_refusal(scope, send, ServiceError(ErrorCode.INTERNAL, "internal error"))
            return ErrorCode.INTERNAL
        return None

    def _route(self, scope: Scope, headers: Mapping[bytes, bytes]) -> tuple[Method[Any, Any], str]:
        verb, path = scope["method"], scope["path"]
        if verb != "POST":
            raise _bad_route(scope, f'unsupported method "{verb}" (only POST is allowed)')
        method = self._methods.get(path)
        if method is None:
            raise _bad_route(scope, f'no handler for path "{path}"')
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        encoding = content_type.partition(";")[0].strip().lower()
        if encoding not in (_PROTOBUF, _JSON):
            raise _bad_route(scope, f'unexpected Content-Type: "{content_type}"')
        return method, encoding

    def _context(self, scope: Scope, headers: Mapping[bytes, bytes]) -> CallContext:
        request_id = headers.get(b"x-livekit-request-id", b"").decode("latin-1") or None
        own_key = headers.get(b"idempotency-key", b"").decode("latin-1")
        timeout_ms = headers.get(b"x-twirp-timeout-ms", b"")
        deadline = None
        # A value that is no number is as good as none: the header is an offer, not a request.
        if timeout_ms.isdigit():
            deadline = self._clock.monotonic() + int(timeout_ms[:9]) / 1000
        return CallContext(claims_of(scope), deadline, request_id, own_key or request_id)


def _call(
    method: Method[Any, Any], request: Message, context: CallContext, receive: Receive
) -> Awaitable[Message]:
    handling: Awaitable[Message] = method.handler(request, context)
    if method.cancelled_with_client(request):
        return _call_while_connected(handling, receive)
    return handling


async def _call_while_connected(handling: Awaitable[Message], receive: Receive) -> Message:
    """The work stays in this task, for its end is waited for; only the client has one beside it."""
    work = asyncio.current_task()
    gone = over = False

    def left(_watch: asyncio.Task[None]) -> None:
        nonlocal gone
        if not over and work is not None:
            gone = True
            work.cancel()

    watch = asyncio.ensure_future(_disconnected(receive))
    watch.add_done_callback(left)
    try:
        return await handling
    except asyncio.CancelledError:
        # As in `asyncio.timeout`: somebody else may have cancelled this task as well.
        if gone and work is not None and not work.uncancel():
            raise ClientGone from None
        raise
    finally:
        over = True
        watch.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    if grants_methods(claims_of(scope)):
        return await read_body(receive)
    try:
        return await read_body(receive, STRANGERS_LIMIT)
    except BodyTooLarge:
        raise PermissionDenied from None


def _decode(request_type: type[Message], body: bytes, encoding: str) -> Message:
    request = request_type()
    try:
        if encoding == _PROTOBUF:
            request.ParseFromString(body)
        else:
            read_json(body, request)
    except (DecodeError, ValueError) as undecodable:
        kind = "protobuf" if encoding == _PROTOBUF else "json"
        raise ServiceError(
            ErrorCode.MALFORMED, f"the {kind} request could not be decoded"
        ) from undecodable
    return request


def _send_message(scope: Scope, send: Send, message: Message, encoding: str) -> Awaitable[None]:
    if encoding == _PROTOBUF:
        written = message.SerializeToString()
        return respond(scope, send, 200, written, content_type=b"application/protobuf")
    # Like livekit-server: names as in the .proto files, and every field there is.
    fields = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    body = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    return respond(scope, send, 200, body, content_type=_JSON.encode())


def send_refusal(scope: Scope, send: Send, refusal: ServiceError) -> Awaitable[None]:
    error: dict[str, Any] = {"code": refusal.code.value, "msg": refusal.message}
    if refusal.meta:
        error["meta"] = dict(refusal.meta)
    # The Node SDK compares this header with "application/json" literally: no charset may follow.
    body = json.dumps(error, separators=(",", ":")).encode()
    return respond(scope, send, _STATUS[refusal.code], body, content_type=_JSON.encode())


def _bad_route(scope: Scope, message: str) -> ServiceError:
    route = {"twirp_invalid_route": f"{scope['method']} {scope['path']}"}
    return ServiceError(ErrorCode.BAD_ROUTE, message, route)
