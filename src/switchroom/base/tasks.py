"""Owned asyncio tasks: each has a name and an owner, none is forgotten, no failure is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .log import get_logger

_Result = TypeVar("_Result")
_log = get_logger("tasks")


def nothing_to_wait_for() -> asyncio.Future[None]:
    """For whoever is asked what is to be waited for."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


class Tasks:
    """The tasks of one owner. Close the owner and they are gone."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, coro: Coroutine[Any, Any, _Result], *, name: str) -> asyncio.Task[_Result]:
        """Run ``coro`` until it ends or the owner closes; its failure is logged under ``name``.

        Raises ``RuntimeError`` when the owner is closed: work begun then would outlive it.
        """
        if self._closed:
            coro.close()
            raise RuntimeError(f"{self._owner} is closed and starts no task {name!r}")
        task = asyncio.get_running_loop().create_task(coro, name=f"{self._owner}: {name}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def until_idle(self, seconds: float) -> None:
        """Wait until no task runs, at most so long. Tasks may still be started meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                while self._running:
                    await asyncio.wait(set(self._running))
        except TimeoutError:
            return

    async def aclose(self) -> None:
        """Cancel every task and wait until each has ended. The calling task itself is let be."""
        self._closed = True
        caller = asyncio.current_task()
        others = [task for task in self._running if task is not caller]
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None:
            _log.error("task failed", task=task.get_name(), exc_info=failure)
