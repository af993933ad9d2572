"""Who may use the gateway: agents of the same API keys as the server, if keys are given.

livekit-agents signs a token with its own key and the grant ``inference.perform``; OpenAI's client
sends its API key as it is, for which the secret of one of the keys stands here.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from typing import Any

from switchroom.auth.tokens import TokenRefused, TokenVerifier
from switchroom.base.clock import Clock, SystemClock


class Door:
    """Checks the bearer token of a request. Without keys everybody may pass."""

    def __init__(self, keys: Mapping[str, str], clock: Clock | None = None) -> None:
        self._secrets = tuple(keys.values())
        self._tokens = TokenVerifier(keys, clock or SystemClock())

    def refusal(self, authorization: str) -> str:
        """Why a request with this header may not pass; empty if it may."""
        if not self._secrets:
            return ""
        kind, _, token = authorization.partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or not token:
            return (
                "a bearer token is needed: set the agent's LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
            )
        if any(_same(secret, token) for secret in self._secrets):
            return ""
        try:
            self._tokens.verify(token)
        except TokenRefused as refused:
            return str(refused)
        inference = _payload(token).get("inference")
        if not isinstance(inference, dict) or inference.get("perform") is not True:
            return "the token lacks the grant inference.perform"
        return ""


def _payload(token: str) -> dict[str, Any]:
    """The claims of a token that was verified: the grant for models is not one of the server's."""
    part = token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
