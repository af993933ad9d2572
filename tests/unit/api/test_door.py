"""The door: CORS, double slashes, size, tokens, and what happens when something breaks inside."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from switchroom.api.asgi import Receive, Scope, Send, claims_of, respond_text

from .conftest import Client, Clock, token

Serve = Callable[..., Client]


async def _whoami(scope: Scope, receive: Receive, send: Send) -> None:
    claims = claims_of(scope)
    await respond_text(scope, send, 200, claims.identity if claims else "nobody")


async def _broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise KeyError("a secret")


@pytest.fixture
def client(serve: Serve) -> Client:
    return serve(routes={"/whoami": _whoami, "/broken": _broken})


async def test_an_unknown_path_is_not_found(client: Client) -> None:
    assert (await client.send("GET", "/nothing")).status == 404


async def test_a_doubled_slash_is_repaired(client: Client) -> None:
    assert (await client.send("GET", "//whoami")).text == "nobody"


async def test_the_token_is_taken_from_the_header_or_the_query(client: Client) -> None:
    bearer = {"authorization": "Bearer " + token(room_join=True)}
    assert (await client.send("GET", "/whoami", headers=bearer)).text == "ann"
    assert (await client.send("GET", "/whoami?x=1&access_token=" + token())).text == "ann"
    assert (await client.send("GET", "/whoami?access_token=")).text == "nobody"


@pytest.mark.parametrize(
    ("authorization", "text"),
    [
        ("Basic abc", "invalid authorization header. Must start with Bearer "),
        ("Bearer garbage", "invalid authorization token"),
        ("Bearer ", "invalid authorization token"),
    ],
)
async def test_a_bad_token_is_refused_in_plain_text(
    client: Client, authorization: str, text: str
) -> None:
    reply = await client.send("GET", "/whoami", headers={"authorization": authorization})
    assert (reply.status, reply.text) == (401, text)
    assert reply.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/", "/nothing", "/broken", "/whoami?access_token=x"])
async def test_every_answer_may_be_read_by_any_origin(client: Client, path: str) -> None:
    reply = await client.send("GET", path)
    assert reply.headers["access-control-allow-origin"] == "*"


async def test_a_preflight_is_granted_for_a_day(client: Client) -> None:
    asked = {"access-control-request-headers": "authorization,x-mine", "origin": "https://a.b"}
    reply = await client.send("OPTIONS", "/twirp/livekit.RoomService/ListRooms", headers=asked)
    assert reply.status == 204
    assert reply.headers["access-control-allow-headers"] == "authorization,x-mine"
    assert "PATCH" in reply.headers["access-control-allow-methods"]
    assert reply.headers["access-control-max-age"] == "86400"


async def test_a_declared_size_beyond_the_limit_is_refused(client: Client) -> None:
    size = str(10 * 1024 * 1024 + 1)
    reply = await client.send("POST", "/whoami", headers={"content-length": size})
    assert reply.status == 413


async def test_a_failure_inside_says_nothing_about_itself(client: Client) -> None:
    reply = await client.send("GET", "/broken")
    assert (reply.status, reply.text) == (500, "internal error")


async def test_refused_tokens_are_told_with_who_sent_them_but_not_without_end(
    client: Client, clock: Clock
) -> None:
    with capture_logs() as told:
        for _ in range(100):
            await client.send("GET", "/whoami", headers={"authorization": "Bearer nonsense"})
        clock.now += 2
        await client.send("GET", "/whoami", headers={"authorization": "Bearer nonsense"})
    lines = [line for line in told if line["event"] == "token refused"]
    assert len(lines) == 11
    assert (lines[0]["path"], lines[0]["why"]) == ("/whoami", "invalid authorization token")
    assert "nonsense" not in str(lines)
