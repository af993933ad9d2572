"""Access tokens: HS256 JSON Web Tokens (RFC 7519) signed with the secret of an API key."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import jwt
from jwt.algorithms import HMACAlgorithm

from switchroom.auth.claims_json import ClaimError, claims_from_json, claims_to_json
from switchroom.auth.grants import Claims
from switchroom.base.clock import Clock
from switchroom.base.legible import legible_json

_LEEWAY = 60.0
"""Seconds of clock difference forgiven on `exp` and `nbf`, as LiveKit does."""

_CACHED_TOKENS = 4096
_MAX_TOKEN_CHARS = 64 * 1024


class TokenRefused(Exception):
    """The token is not valid here. `str()` is the plain text that LiveKit answers with a 401."""


class _ApiSecret(HMACAlgorithm):
    """HS256 keyed with an API secret, which is any text, "secret" in development included."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return key.encode() if isinstance(key, str) else key

    def check_key_length(self, key: bytes) -> str | None:
        return None


_JWS = jwt.PyJWS(algorithms=[])
_JWS.register_algorithm("HS256", _ApiSecret(HMACAlgorithm.SHA256))


class TokenVerifier:
    """Verifies tokens against the configured API keys.

    A program sends the same token again and again, so what was verified once is remembered
    (bounded, least recently used goes first) and then costs a look-up. Times are checked each time.
    """

    def __init__(self, keys: Mapping[str, str], clock: Clock) -> None:
        self._keys = dict(keys)
        self._clock = clock
        self._verified: OrderedDict[str, Claims] = OrderedDict()

    def verify(self, token: str) -> Claims:
        """Return what the token claims; raises TokenRefused with the text to answer."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._verify_signature(token)
            self._remember(token, claims)
        else:
            self._verified.move_to_end(token)
        self._check_times(claims)
        return claims

    def secret_of(self, api_key: str) -> str:
        """Return the secret of a configured key; raises KeyError."""
        return self._keys[api_key]

    def _verify_signature(self, token: str) -> Claims:
        payload = _payload(token)
        secret = self._keys.get(str(payload.get("iss")))
        if secret is None:
            raise TokenRefused("invalid API key")
        try:
            _JWS.decode_complete(token, secret, algorithms=["HS256"])
            return claims_from_json(payload)
        except (jwt.PyJWTError, ClaimError) as refused:
            reason = str(refused)
            raise TokenRefused(
                f"invalid authorization token: {reason[:1].lower()}{reason[1:]}"
            ) from refused

    def _check_times(self, claims: Claims) -> None:
        now = self._clock.unix_ns() / 1e9
        if now > claims.expires_at + _LEEWAY:
            raise TokenRefused("invalid authorization token: token is expired")
        if now < claims.not_before - _LEEWAY:
            raise TokenRefused("invalid authorization token: token is not valid yet")

    def _remember(self, token: str, claims: Claims) -> None:
        self._verified[token] = claims
        if len(self._verified) > _CACHED_TOKENS:
            self._verified.popitem(last=False)


def _payload(token: str) -> dict[str, Any]:
    """The claims of a token whose signature is not checked yet; raises TokenRefused."""
    if len(token) > _MAX_TOKEN_CHARS:
        raise TokenRefused("invalid authorization token")
    try:
        unverified = _JWS.decode_complete(token, options={"verify_signature": False})
        written = unverified["payload"]
        payload = json.loads(written)
        # Half a surrogate pair comes as an escape or as bytes that are no UTF-8.
        if b"\\" in written or not written.isascii():
            payload = legible_json(payload)
    except (jwt.PyJWTError, ValueError, RecursionError) as undecodable:
        raise TokenRefused("invalid authorization token") from undecodable
    if not isinstance(payload, dict):
        raise TokenRefused("invalid authorization token")
    return payload


def mint(claims: Claims, secret: str) -> str:
    """Sign claims. `claims.api_key` names the key that the secret belongs to."""
    payload = json.dumps(claims_to_json(claims), separators=(",", ":")).encode()
    return _JWS.encode(payload, secret, algorithm="HS256")
