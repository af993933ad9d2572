"""Access tokens: what is accepted, what is refused, and with which words."""

from __future__ import annotations

import base64
import json
import math
import time
from dataclasses import replace
from typing import Any

import jwt
import pytest
from livekit import api as livekit_api

from switchroom.auth.grants import Claims, SipGrants, VideoGrants
from switchroom.auth.tokens import TokenRefused, TokenVerifier, mint

_KEY, _SECRET = "devkey", "secret-of-at-least-thirty-two-characters"
_NOW = 1_800_000_000


class _Clock:
    def __init__(self) -> None:
        self.unix = float(_NOW)

    def monotonic(self) -> float:
        return 0.0

    def unix_ns(self) -> int:
        return int(self.unix * 1e9)


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def verifier(clock: _Clock) -> TokenVerifier:
    return TokenVerifier({_KEY: _SECRET}, clock)


def _sign(secret: str = _SECRET, **changes: Any) -> str:
    payload = {"iss": _KEY, "sub": "ann", "exp": _NOW + 600, **changes}
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, secret)


def _refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(TokenRefused) as refused:
        verifier.verify(token)
    return str(refused.value)


def test_what_is_minted_reads_back_the_same(verifier: TokenVerifier) -> None:
    claims = Claims(
        api_key=_KEY,
        identity="ann",
        name="Ann",
        kind="agent",
        metadata="m",
        attributes={"a": "1"},
        video=VideoGrants(
            room="r", room_join=True, can_publish=False, can_publish_sources=("microphone",)
        ),
        sip=SipGrants(call=True),
        room_config={"maxParticipants": 3},
        expires_at=_NOW + 60,
        not_before=_NOW,
    )
    assert verifier.verify(mint(claims, _SECRET)) == claims


def test_a_token_of_the_official_sdk_is_understood() -> None:
    token = (
        livekit_api.AccessToken(_KEY, _SECRET)
        .with_identity("ann")
        .with_kind("agent")
        .with_attributes({"lang": "de"})
        .with_grants(livekit_api.VideoGrants(room_join=True, room="r", can_publish=False))
        .with_sip_grants(livekit_api.SIPGrants(admin=True, call=True))
        .to_jwt()
    )

    class Now(_Clock):
        def unix_ns(self) -> int:
            return time.time_ns()

    claims = TokenVerifier({_KEY: _SECRET}, Now()).verify(token)
    assert (claims.identity, claims.kind, claims.attributes) == ("ann", "agent", {"lang": "de"})
    assert claims.sip == SipGrants(admin=True, call=True)
    assert claims.video is not None
    assert claims.video.can_publish is False
    assert claims.video.can_publish_data in (None, True)


def test_short_secrets_work_without_a_warning(clock: _Clock) -> None:
    claims = Claims(api_key="k", identity="ann", expires_at=_NOW + 60)
    assert TokenVerifier({"k": "secret"}, clock).verify(mint(claims, "secret")) == claims


def test_an_empty_subject_falls_back_to_the_token_id(verifier: TokenVerifier) -> None:
    assert verifier.verify(_sign(sub="", jti="from-jti")).identity == "from-jti"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "a" * 70_000, "." * 30])
def test_undecodable_text_is_refused_with_livekits_words(
    verifier: TokenVerifier, token: str
) -> None:
    assert _refusal(verifier, token) == "invalid authorization token"


def test_an_unknown_key_is_refused_with_livekits_words(verifier: TokenVerifier) -> None:
    assert _refusal(verifier, _sign(iss="other")) == "invalid API key"
    assert _refusal(verifier, _sign(iss=None)) == "invalid API key"


def test_a_wrong_signature_is_refused(verifier: TokenVerifier) -> None:
    text = _refusal(verifier, _sign(secret="another-secret-of-thirty-two-characters"))
    assert text.startswith("invalid authorization token: ")


def test_an_unsigned_token_is_refused(verifier: TokenVerifier) -> None:
    unsigned = jwt.encode({"iss": _KEY, "exp": _NOW + 600}, "", algorithm="none")
    assert _refusal(verifier, unsigned).startswith("invalid authorization token")


def test_another_hash_than_sha256_is_refused(verifier: TokenVerifier) -> None:
    long_secret = _SECRET * 3
    token = jwt.encode({"iss": _KEY, "exp": _NOW + 600}, long_secret, algorithm="HS512")
    assert _refusal(verifier, token).startswith("invalid authorization token")


def test_a_payload_that_is_no_object_is_refused(verifier: TokenVerifier) -> None:
    head, _, tail = _sign().split(".")
    body = base64.urlsafe_b64encode(json.dumps([1]).encode()).rstrip(b"=").decode()
    assert _refusal(verifier, f"{head}.{body}.{tail}") == "invalid authorization token"


def test_expiry_is_required(verifier: TokenVerifier) -> None:
    assert "exp" in _refusal(verifier, _sign(exp=None))


def test_a_minute_of_clock_difference_is_forgiven_and_no_more(
    verifier: TokenVerifier, clock: _Clock
) -> None:
    token = _sign(exp=_NOW, nbf=_NOW)
    clock.unix = _NOW + 60
    verifier.verify(token)
    clock.unix = _NOW - 60
    verifier.verify(token)
    clock.unix = _NOW + 61
    assert "expired" in _refusal(verifier, token)
    clock.unix = _NOW - 61
    assert "not valid yet" in _refusal(verifier, token)


def test_a_remembered_token_expires_all_the_same(verifier: TokenVerifier, clock: _Clock) -> None:
    token = _sign(exp=_NOW + 10)
    assert verifier.verify(token) is verifier.verify(token)
    clock.unix = _NOW + 3600
    assert "expired" in _refusal(verifier, token)


def test_remembered_tokens_are_bounded(verifier: TokenVerifier) -> None:
    for number in range(5000):
        verifier._remember(str(number), replace(Claims(api_key=_KEY), identity=str(number)))
    assert len(verifier._verified) == 4096


@pytest.mark.parametrize(
    "wrong",
    [
        {"video": {"roomJoin": "yes"}},
        {"video": {"room": 7}},
        {"video": []},
        {"video": {"canPublishSources": "microphone"}},
        {"sip": {"admin": 1}},
        {"attributes": {"a": 1}},
        {"attributes": "a"},
        {"name": 5},
        {"exp": "soon"},
        {"nbf": True},
    ],
)
def test_claims_of_a_wrong_type_are_refused_by_name(
    verifier: TokenVerifier, wrong: dict[str, Any]
) -> None:
    assert _refusal(verifier, _sign(**wrong)).startswith("invalid authorization token: claim ")


def test_unknown_claims_are_ignored(verifier: TokenVerifier) -> None:
    claims = verifier.verify(_sign(inference={"perform": True}, video={"roomJoin": True, "new": 1}))
    assert claims.video is not None
    assert claims.video.room_join


def test_half_a_surrogate_pair_does_not_get_further_than_the_token(verifier: TokenVerifier) -> None:
    """JavaScript mints such names, and no message to the others could carry them."""
    config = {"metadata": "\udc00"}
    claims = verifier.verify(_sign(sub="a\ud800", name="\ud83d", roomConfig=config))
    assert (claims.identity, claims.name) == ("a\ufffd", "\ufffd")
    assert claims.room_config == {"metadata": "\ufffd"}


@pytest.mark.parametrize("claim", ["exp", "nbf"])
@pytest.mark.parametrize("time", [10**400, math.inf, math.nan], ids=["long", "endless", "none"])
def test_a_time_that_never_comes_is_refused(
    verifier: TokenVerifier, claim: str, time: float
) -> None:
    endless: dict[str, Any] = {claim: time}
    refusal = _refusal(verifier, _sign(**endless))
    assert refusal == f"invalid authorization token: claim {claim} must be a number"
