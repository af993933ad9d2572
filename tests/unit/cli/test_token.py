from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from switchroom.auth.grants import Claims, VideoGrants
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
    told = run("token", "create", "--list").out
    assert told.startswith("Token grants:\n{")
    assert verified(told.rpartition("Access token: ")[2]).video == claims.video


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "a token without rights is of no use"),
        (("--admin", "--allow-source", "radio"), "--allow-source must be one of camera, "),
        (("--admin", "--job-metadata", "m"), "--deployment and --job-metadata are for an --agent"),
        (("--admin", "--attribute-file", "absent.json"), "can't read absent.json"),
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
    assert outcome.status == 2
    assert outcome.err.startswith(f"error: {sentence}")


def test_who_joins_and_where_is_made_up_if_nobody_says(run: Run) -> None:
    outcome = run("token", "create", "--join")
    claims = verified(outcome.out.rpartition("Access token: ")[2])
    assert claims.video is not None
    assert f"Using a made-up participant: {claims.identity}\n" in outcome.err
    assert f"Using a made-up room: {claims.video.room}\n" in outcome.err
    assert run("token", "create", "--join", "--token-only").err == ""


def test_nothing_is_made_up_for_a_token_that_is_not_made(run: Run) -> None:
    outcome = run("token", "create", "--join", "--valid-for", "soon")
    assert outcome.err.startswith("error: --valid-for must be a duration")


def test_a_token_can_bring_an_agent_and_narrow_what_is_published(run: Run, tmp_path: Path) -> None:
    attributes = tmp_path / "attributes.json"
    attributes.write_text('{"plan": "gold"}')
    claims = verified(
        run(
            *("token", "create", "--join", "-r", "r", "-i", "i", "-n", "Ida", "--token-only"),
            *("--agent", "support", "--deployment", "blue", "--job-metadata", "m"),
            *("--allow-source", "microphone,screen_share_audio", "--allow-update-metadata"),
            *("--attribute", "team=red", "--attribute-file", str(attributes)),
            *("--room-preset", "calls", "--egress", "--ingress"),
        ).out
    )
    assert claims.room_config == {
        "agents": [{"agentName": "support", "deployment": "blue", "metadata": "m"}]
    }
    assert (claims.room_preset, claims.name) == ("calls", "Ida")
    assert claims.attributes == {"team": "red", "plan": "gold"}
    assert claims.video == VideoGrants(
        room="r",
        room_join=True,
        room_record=True,
        ingress_admin=True,
        can_publish_sources=("microphone", "screen_share_audio"),
        can_update_own_metadata=True,
    )
