"""Calls of a participant's methods, made by the server for whoever asks over the API.

The wire is that of LiveKit's RPC between participants, version 1: request, acknowledgement within
two seconds, response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.base.records import record
from switchroom.base.timers import Timer, Timers

ACK_LIMIT = 2.0
"""Seconds in which the participant's client must show that it is there."""

RESPONSE_LIMIT = 10.0
"""Seconds that a method may take unless the request says otherwise."""

MAX_PAYLOAD = 15 * 1024
"""Bytes of UTF-8, each way."""

MAX_WAITING = 1000
"""Calls of a room that wait for an answer."""


UNSUPPORTED = "Method not supported at destination"
"""LiveKit's words for UNSUPPORTED_METHOD."""


class RpcCode(IntEnum):
    """LiveKit's own codes; methods may fail with any other number."""

    UNSUPPORTED_METHOD = 1400
    RECIPIENT_NOT_FOUND = 1401
    REQUEST_PAYLOAD_TOO_LARGE = 1402
    APPLICATION_ERROR = 1500
    CONNECTION_TIMEOUT = 1501
    RESPONSE_TIMEOUT = 1502
    RECIPIENT_DISCONNECTED = 1503


@record
class RpcRequest:
    """A method is called. `response_timeout_ms` is what the caller will wait for the answer."""

    id: str
    method: str
    payload: str
    response_timeout_ms: int


@record
class RpcAck:
    """The request has come."""

    request_id: str


@record
class RpcAnswer:
    """What the method returned, or how it failed: a code, a sentence, and data of its own."""

    request_id: str
    payload: str = ""
    error: tuple[int, str, str] | None = None


Rpc = RpcRequest | RpcAck | RpcAnswer

RpcMethod = Callable[[str], str]
"""What a participant of this process offers: payload in, payload of the answer out. Raises
RpcFailed; must not wait."""

_CODES = {
    RpcCode.UNSUPPORTED_METHOD: ErrorCode.UNIMPLEMENTED,
    RpcCode.REQUEST_PAYLOAD_TOO_LARGE: ErrorCode.INVALID_ARGUMENT,
    RpcCode.CONNECTION_TIMEOUT: ErrorCode.DEADLINE_EXCEEDED,
    RpcCode.RESPONSE_TIMEOUT: ErrorCode.DEADLINE_EXCEEDED,
    RpcCode.RECIPIENT_DISCONNECTED: ErrorCode.UNAVAILABLE,
}
_MESSAGES = {
    RpcCode.UNSUPPORTED_METHOD: UNSUPPORTED,
    RpcCode.REQUEST_PAYLOAD_TOO_LARGE: "Request payload too large",
    RpcCode.CONNECTION_TIMEOUT: "Connection timeout",
    RpcCode.RESPONSE_TIMEOUT: "Response timeout",
    RpcCode.RECIPIENT_DISCONNECTED: "Recipient disconnected",
}


class RpcFailed(ServiceError):
    """The method did not return; `rpc_code` and `rpc_data` are in the refusal's meta."""

    def __init__(self, code: int, message: str = "", data: str = "") -> None:
        self.rpc_code = int(code)
        meta = {"rpc_code": str(int(code))} | ({"rpc_data": data} if data else {})
        known = RpcCode(code) if code in set(RpcCode) else RpcCode.APPLICATION_ERROR
        said = message or _MESSAGES.get(known, "Application error in method handler")
        super().__init__(_CODES.get(known, ErrorCode.UNKNOWN), said, meta)


@dataclass(slots=True)
class _Call:
    callee_sid: str
    answer: asyncio.Future[str]
    response_limit: float
    timer: Timer
    acknowledged: bool = False


class ServerCalls:
    """The calls of one room that wait."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._waiting: dict[str, _Call] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    async def call(
        self, callee_sid: str, request: RpcRequest, send: Callable[[], None], response_limit: float
    ) -> str:
        """Send a request and return its answer. Raises RpcFailed."""
        if len(request.payload.encode()) > MAX_PAYLOAD:
            raise RpcFailed(RpcCode.REQUEST_PAYLOAD_TOO_LARGE)
        if len(self._waiting) >= MAX_WAITING:
            raise ServiceError(ErrorCode.RESOURCE_EXHAUSTED, "too many calls are waiting")
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        timer = self._timers.after(
            ACK_LIMIT, partial(self._fail, request.id, RpcFailed(RpcCode.CONNECTION_TIMEOUT))
        )
        call = self._waiting[request.id] = _Call(callee_sid, answer, response_limit, timer)
        try:
            send()
            return await answer
        finally:
            call.timer.cancel()
            del self._waiting[request.id]

    def hear(self, sender_sid: str, rpc: Rpc) -> bool:
        """Whether this is for the server; then it has been taken."""
        if isinstance(rpc, RpcRequest):
            return False
        call = self._waiting.get(rpc.request_id)
        if call is None or call.callee_sid != sender_sid:
            return False
        match rpc:
            case RpcAck():
                self._acknowledged(rpc.request_id, call)
            case RpcAnswer(error=None) if not call.answer.done():
                call.answer.set_result(rpc.payload)
            case RpcAnswer(error=(code, message, data)):
                self._fail(rpc.request_id, RpcFailed(code, message, data))
        return True

    def left(self, callee_sid: str) -> None:
        """A participant is gone: it will not answer any more."""
        for request_id, call in self._waiting.items():
            if call.callee_sid == callee_sid:
                self._fail(request_id, RpcFailed(RpcCode.RECIPIENT_DISCONNECTED))

    def _acknowledged(self, request_id: str, call: _Call) -> None:
        if call.acknowledged:
            return
        call.acknowledged = True
        call.timer.cancel()
        late = RpcFailed(RpcCode.RESPONSE_TIMEOUT)
        call.timer = self._timers.after(call.response_limit, partial(self._fail, request_id, late))

    def _fail(self, request_id: str, failure: RpcFailed) -> None:
        call = self._waiting.get(request_id)
        if call is not None and not call.answer.done():
            call.answer.set_exception(failure)
