from __future__ import annotations

import asyncio
import io

import pytest

from switchroom.base import log
from switchroom.base.tasks import Tasks


async def forever(started: asyncio.Event) -> None:
    started.set()
    await asyncio.Event().wait()


async def test_closing_the_owner_cancels_its_tasks_and_waits_for_them() -> None:
    tasks, started = Tasks("room"), asyncio.Event()
    task = tasks.spawn(forever(started), name="wait")
    await started.wait()
    await tasks.aclose()
    assert task.cancelled()
    assert len(tasks) == 0


async def test_a_result_reaches_whoever_awaits_the_task() -> None:
    tasks = Tasks("room")

    async def answer() -> int:
        return 42

    assert await tasks.spawn(answer(), name="answer") == 42
    await tasks.aclose()


async def test_a_failure_is_logged_with_the_name_of_owner_and_task() -> None:
    tasks, stream = Tasks("room"), io.StringIO()
    log.configure("error", json=True, stream=stream)

    async def fail() -> None:
        raise LookupError("gone")

    task = tasks.spawn(fail(), name="doomed")
    await asyncio.wait([task])
    await tasks.aclose()
    assert "room: doomed" in stream.getvalue()
    assert "LookupError: gone" in stream.getvalue()


async def test_a_closed_owner_starts_nothing() -> None:
    tasks = Tasks("room")
    await tasks.aclose()
    with pytest.raises(RuntimeError, match="room is closed"):
        tasks.spawn(forever(asyncio.Event()), name="late")


async def test_a_task_may_close_its_own_owner() -> None:
    tasks, started = Tasks("room"), asyncio.Event()
    other = tasks.spawn(forever(started), name="other")
    await started.wait()
    await tasks.spawn(tasks.aclose(), name="closer")
    assert other.cancelled()
