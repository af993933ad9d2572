from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from switchroom.auth.grants import Claims
from switchroom.auth.tokens import TokenVerifier
from switchroom.base.clock import SystemClock

if TYPE_CHECKING:
    from unit.cli.conftest import Run


def verified(token: str) -> Claims:
    return TokenVerifier({"devkey": "secret"}, SystemClock()).verify(token.strip())


def test_a_token_to_join_says_who_and_where(run: Run) -> None:
    claims = verified(
        run(
            *("token", "create", "--join", "--room", "hello", "--identity", "ada"),
            *("--name", "Ada", "--attribute", "team=red", "--token-only"),
        ).out
    )
    assert (claims.identity, claims.name, claims.attributes) == ("ada", "Ada", {"team": "red"})
    assert claims.video is not None
    assert (claims.video.room, claims.video.room_join, claims.video.room_admin) == (
        "hello",
        True,
        False,
    )
    assert claims.sip is None


def test_a_grant_in_json_adds_to_the_options(run: Run) -> None:
    token = run(
        *("token", "create", "--admin", "--room", "r", "--sip-call", "--token-only"),
        *("--grant", '{"canPublish": false, "hidden": true}'),
    ).out
    claims = verified(token)
    assert claims.video is not None
    assert (claims.video.can_publish, claims.video.hidden) == (False, True)
    assert (claims.video.room_admin, claims.video.room) == (True, "r")
    assert claims.sip is not None
    assert claims.sip.call


def test_a_token_can_be_json_or_a_sentence(run: Run) -> None:
    shown = json.loads(run("token", "create", "--list", "--json").out)
    claims = verified(shown["access_token"])
    assert claims.video is not None
    assert claims.video.room_list
    assert run("token", "create", "--list").out.startswith("Token for devkey, valid for 5m:\n")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--join", "--room", "r"), "a token to join needs --room and --identity"),
        (("--attribute", "x"), "--attribute 'x' must be written key=value"),
        (("--valid-for", "long"), "--valid-for must be a duration"),
        (("--valid-for", "0"), "--valid-for must be longer than nothing"),
        (("--grant", "["), "--grant: not valid JSON"),
        (("--grant", "[]"), "--grant must be a JSON object"),
        (("--grant", '{"canPublish": "no"}'), "--grant: claim canPublish must be true or false"),
    ],
)
def test_what_makes_no_token_is_refused(run: Run, options: tuple[str, ...], sentence: str) -> None:
    outcome = run("token", "create", *options)
    assert outcome.status == 1
    assert outcome.err.startswith(f"error: {sentence}")
