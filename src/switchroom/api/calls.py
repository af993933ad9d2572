"""`GET /v1/calls` and `GET /v1/calls/{call_id}`: which calls there were, and why they ended.

LiveKit has no API for this. Refusals look like those of Twirp: ``{"code": …, "msg": …}``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from switchroom.api.asgi import AsgiApp, Receive, Scope, Send, claims_of, respond
from switchroom.api.calls_json import call_to_json
from switchroom.api.calls_ladder import ladder_to_json
from switchroom.api.calls_query import cursor_of, read_query
from switchroom.api.twirp import send_refusal
from switchroom.auth.grants import require_sip_admin
from switchroom.base.clock import Clock
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.sip_io.tap import TapRecord
from switchroom.telephony.calls.known_calls import KnownCalls

_LIST = "/v1/calls"
_ONE = "/v1/calls/"
_LONGEST_NAME = 512
#: Phone numbers are nothing for the caches of proxies.
_HEADERS = ((b"cache-control", b"no-store"),)
_ALLOWED = ((b"allow", b"GET"),)


class Calls:
    """The calls of this server over HTTP, for holders of the grant `sip.admin`."""

    def __init__(
        self, calls: KnownCalls, messages_of: Callable[[str], Sequence[TapRecord]], clock: Clock
    ) -> None:
        """`messages_of` has the SIP messages of a Call-ID, as long as they are kept."""
        self._calls = calls
        self._messages_of = messages_of
        self._clock = clock

    @property
    def routes(self) -> Mapping[str, AsgiApp]:
        """The applications by path, for `server.build_app`; a slash ends one for all below it."""
        return {_LIST: self._list, _ONE: self._show}

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope, send, self._page)

    async def _show(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope, send, self._call)

    async def _answer(self, scope: Scope, send: Send, look_up: Callable[[Scope], Any]) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            text = b"only GET is allowed here"
            await respond(scope, send, 405, text, content_type=b"text/plain", extra=_ALLOWED)
            return
        try:
            require_sip_admin(claims_of(scope))
            found = await look_up(scope)
        except ServiceError as refusal:
            await send_refusal(scope, send, refusal)
            return
        body = json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()
        await respond(scope, send, 200, body, content_type=b"application/json", extra=_HEADERS)

    async def _page(self, scope: Scope) -> dict[str, Any]:
        asked = read_query(scope["query_string"])
        found = await self._calls.page(asked.search, asked.before, asked.limit)
        now = self._clock.unix_ns()
        return {
            "calls": [call_to_json(call, now) for call in found.calls],
            "next": None if found.rest is None else cursor_of(found.rest),
        }

    async def _call(self, scope: Scope) -> dict[str, Any]:
        name = scope["path"].removeprefix(_ONE)
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise ServiceError(ErrorCode.NOT_FOUND, "no call has such an id")
        call = await self._calls.find(name)
        messages = self._messages_of(call.sip_call_id)
        return {
            **call_to_json(call, self._clock.unix_ns()),
            "ladder": ladder_to_json(messages, hides_numbers=call.hides_numbers),
        }
