"""One thing after the other: negotiations must not overlap, and not pile up either."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from switchroom.base.tasks import Tasks

_MAX_WAITING = 16

Job = Callable[[], Awaitable[None]]


class Serial:
    """Runs asynchronous jobs one by one in the order they came.

    A job that fails, or too many that wait, end the series: `failed` is called once and nothing
    runs any more.
    """

    def __init__(self, tasks: Tasks, name: str, failed: Callable[[Exception], None]) -> None:
        self._tasks = tasks
        self._name = name
        self._failed = failed
        self._waiting: deque[Job] = deque()
        self._running = False
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._running or bool(self._waiting)

    def submit(self, job: Job) -> None:
        """Run `job` after those before it."""
        if self._closed:
            return
        self._waiting.append(job)
        if len(self._waiting) > _MAX_WAITING:
            self._fail(OverflowError("too many negotiations wait"))
        elif not self._running:
            self._running = True
            self._tasks.spawn(self._run(), name=self._name)

    def close(self) -> None:
        """Drop what waits; a job that runs is let finish."""
        self._closed = True
        self._waiting.clear()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._waiting.popleft()()
        except Exception as failure:  # noqa: BLE001 - handed to the owner, who ends the session
            self._fail(failure)
        finally:
            self._running = False

    def _fail(self, failure: Exception) -> None:
        if not self._closed:
            self.close()
            self._failed(failure)
