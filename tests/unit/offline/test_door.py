"""Who may use the gateway."""

from __future__ import annotations

import json

import pytest

from switchroom.auth.claims_json import claims_to_json
from switchroom.auth.grants import Claims
from switchroom.auth.tokens import _JWS
from switchroom.offline.door import Door

KEYS = {"devkey": "secret"}


def token(key: str = "devkey", secret: str = "secret", **more: object) -> str:
    claims = Claims(api_key=key, identity="agent", expires_at=4e9)
    payload = {**claims_to_json(claims), **more}
    return _JWS.encode(json.dumps(payload).encode(), secret, algorithm="HS256")


PERFORM = {"perform": True}


def test_without_keys_everybody_may_pass() -> None:
    assert Door({}).refusal("") == ""


def test_an_agent_of_the_same_key_may_pass() -> None:
    assert Door(KEYS).refusal(f"Bearer {token(inference=PERFORM)}") == ""


def test_the_secret_itself_will_do_as_openai_clients_send_it() -> None:
    assert Door(KEYS).refusal("Bearer secret") == ""


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "a bearer token is needed"),
        ("Basic secret", "a bearer token is needed"),
        ("Bearer ", "a bearer token is needed"),
        ("Bearer nonsense", "invalid authorization token"),
        (f"Bearer {token('other', inference=PERFORM)}", "invalid API key"),
        (f"Bearer {token('devkey', 'wrong', inference=PERFORM)}", "signature verification failed"),
        (f"Bearer {token(exp=1, inference=PERFORM)}", "token is expired"),
        (f"Bearer {token()}", "lacks the grant inference.perform"),
        (f"Bearer {token(inference={'perform': 'yes'})}", "lacks the grant"),
        (f"Bearer {token(inference=7)}", "lacks the grant"),
        ("Bearer ünï", "invalid authorization token"),
    ],
)
def test_others_are_told_why_not(header: str, reason: str) -> None:
    assert reason in Door(KEYS).refusal(header)
