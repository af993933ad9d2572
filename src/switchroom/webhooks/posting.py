"""One request to a receiver: signed as LiveKit signs it, bounded in time, and its outcome."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Protocol

import httpx

from switchroom.auth.grants import Claims
from switchroom.auth.tokens import mint
from switchroom.base.clock import Clock
from switchroom.base.records import record
from switchroom.webhooks.receiver import Outcome

TIME_LIMIT = 10.0
"""Seconds for a whole request, from connecting to the end of the answer."""

_VALIDITY = 300.0
_MAX_ANSWER = 64 * 1024
_WORTH_RETRYING = frozenset({408, 425, 429})


@record
class Answer:
    """How an attempt went; `why` is a status or what went wrong, `retry_after` in seconds."""

    outcome: Outcome
    why: str
    retry_after: float = 0.0


class Poster(Protocol):
    """Posts a body to a URL. Never raises but when cancelled."""

    async def post(self, url: str, body: bytes) -> Answer: ...

    async def aclose(self) -> None: ...


class HttpPoster:
    """The Poster of a running server. `api_key` and `secret` sign."""

    def __init__(self, api_key: str, secret: str, clock: Clock) -> None:
        self._api_key = api_key
        self._secret = secret
        self._clock = clock
        # The environment has no say: a proxy that is meant for something else would be told all.
        self._client = httpx.AsyncClient(
            timeout=TIME_LIMIT, follow_redirects=False, trust_env=False
        )

    async def post(self, url: str, body: bytes) -> Answer:
        headers = {
            # Without "Bearer ", and a media type of its own: receivers check before they parse.
            "Authorization": self._token(body),
            "Content-Type": "application/webhook+json",
            "User-Agent": "LiveKit",
        }
        try:
            async with asyncio.timeout(TIME_LIMIT):
                return await self._exchange(url, body, headers)
        except TimeoutError:
            return Answer(Outcome.FAILED, "no answer in time")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as failure:
            return Answer(Outcome.FAILED, type(failure).__name__)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _exchange(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        # What a receiver wants remembered is nothing to us, and might be without end.
        self._client.cookies.clear()
        async with self._client.stream("POST", url, content=body, headers=headers) as response:
            size = 0
            # Read to the end, the connection serves again; a long answer costs it.
            async for part in response.aiter_raw():
                size += len(part)
                if size > _MAX_ANSWER:
                    break
            return answer_of(response.status_code, response.headers.get("Retry-After", ""))

    def _token(self, body: bytes) -> str:
        now = self._clock.unix_ns() / 1e9
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        claims = Claims(
            self._api_key, sha256=digest, not_before=now - 1, expires_at=now + _VALIDITY
        )
        return mint(claims, self._secret)


def answer_of(status: int, retry_after: str) -> Answer:
    """What a status means for the notice; only 2xx says that it has arrived."""
    seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    if 200 <= status < 300:
        return Answer(Outcome.DELIVERED, str(status))
    if status >= 500 or status in _WORTH_RETRYING:
        return Answer(Outcome.FAILED, str(status), seconds)
    return Answer(Outcome.REFUSED, str(status), seconds)
