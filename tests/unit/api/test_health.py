from __future__ import annotations

from collections.abc import Callable

import pytest

from switchroom.api.health import Condition, Health

from .conftest import Client

Serve = Callable[..., Client]


@pytest.mark.parametrize(
    ("condition", "serving", "ready", "words"),
    [
        (Condition.STARTING, 406, 503, "NotStarted"),
        (Condition.READY, 200, 200, "OK"),
        (Condition.BUSY, 200, 429, "UnderLoad"),
        (Condition.DRAINING, 406, 503, "Draining"),
        (Condition.BROKEN, 406, 503, "MediaFailed"),
    ],
)
async def test_serving_ready_and_alive_are_three_questions(
    serve: Serve, condition: Condition, serving: int, ready: int, words: str
) -> None:
    client = serve(routes=Health(lambda: condition).routes)
    assert [(await client.send("GET", path)).status for path in ("/", "/healthz")] == [serving] * 2
    answer = await client.send("GET", "/readyz")
    assert (answer.status, answer.text) == (ready, words)
    alive = 503 if condition is Condition.BROKEN else 200
    assert (await client.send("GET", "/livez")).status == alive


async def test_the_condition_is_asked_each_time(serve: Serve) -> None:
    now = [Condition.STARTING]
    client = serve(routes=Health(lambda: now[0]).routes)
    assert (await client.send("GET", "/")).status == 406
    now[0] = Condition.READY
    assert (await client.send("GET", "/")).status == 200
