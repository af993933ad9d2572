"""A worker of livekit-agents, unmodified, as a process group of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interop.server import KEY, SECRET

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".peers" / "agents" / "bin" / "python"
EXAMPLES = ROOT / "examples" / "agents"

NODE_PACKAGES = ROOT / ".peers" / "node" / "node_modules" / "@livekit" / "agents"

needs_node = pytest.mark.skipif(
    not NODE_PACKAGES.exists(), reason="@livekit/agents is missing: tools/set-up node"
)
needs_agents = pytest.mark.skipif(
    not PYTHON.exists(), reason="livekit-agents is missing: tools/set-up agents"
)

# One process is kept warm instead of one per core, and a busy machine is no reason to refuse a job:
# that is what `--simulation` switches off in the worker, with its health page.
_ONE_WARM_PROCESS = {"NUM_CPUS": "1"}
# Node starts a process anew, where Python forks one: it would take the processor from the call that
# has just begun.
_NONE_WARM = {"NUM_CPUS": "0"}
START = ("start", "--simulation")
DEV = ("dev",)
"""What tutorials type: no process is kept warm, the log is for people, no job is ever too much."""
_PATIENCE = 120.0


@dataclass
class Worker:
    """A running worker and what it has written, its job processes' words among them."""

    process: asyncio.subprocess.Process
    log: list[dict[str, Any]] = field(default_factory=list)
    """Its log, a record a line; what is not JSON (a print) has only a `message`."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def messages(self) -> list[str]:
        """What the records say, without the rest of them."""
        return [str(record["message"]) for record in self.log]

    async def wait_for(self, words: str, *, times: int = 1) -> list[dict[str, Any]]:
        """Until so many records hold these words; they are returned."""
        return await self._wait_until(
            lambda: [record for record in self.log if words in str(record["message"])],
            times,
            words,
        )

    async def _wait_until(
        self, found: Callable[[], list[dict[str, Any]]], times: int, words: str
    ) -> list[dict[str, Any]]:
        async with self.changed:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.changed.wait_for(lambda: len(found()) >= times or self._ended)
            except TimeoutError:
                pytest.fail(f"the worker never said {words!r}; it said:\n{self.told()}")
        if len(found()) < times:
            pytest.fail(f"the worker ended without saying {words!r}; it said:\n{self.told()}")
        return found()

    @property
    def _ended(self) -> bool:
        return self.process.returncode is not None

    def told(self) -> str:
        """The whole log, for a failure's message."""
        return "\n".join(json.dumps(record) for record in self.log)

    def terminate(self) -> None:
        """Ask it to drain and end, as an orchestrator does."""
        self.process.send_signal(signal.SIGTERM)

    async def killed(self) -> None:
        """End the worker's own process at once; its job processes are not told."""
        self.process.kill()
        await self.process.wait()

    async def ended(self) -> int:
        """Its exit status, once it has ended by itself."""
        async with asyncio.timeout(_PATIENCE):
            return await self.process.wait()


@asynccontextmanager
async def started(
    command: Sequence[str | Path],
    url: str,
    environment: Mapping[str, str],
    registered: str,
) -> AsyncIterator[Worker]:
    """A worker, from its registration on. Whatever is left of it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={
            **os.environ,
            "LIVEKIT_URL": url,
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
            **environment,
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=2**20,
    )
    worker = Worker(process)
    reading = asyncio.create_task(_read_log(worker))
    try:
        await worker.wait_for(registered)
        yield worker
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await reading


@asynccontextmanager
async def agent_worker(
    file: Path,
    url: str,
    inference: str = "",
    mode: Sequence[str] = START,
    **environment: str,
) -> AsyncIterator[Worker]:
    """`python FILE start`, or another mode, with its models at `inference`."""
    settings = {
        **_ONE_WARM_PROCESS,
        "LIVEKIT_LOG_LEVEL": "DEBUG",
        "LIVEKIT_INFERENCE_URL": inference,
        **environment,
    }
    command: list[str | Path] = [PYTHON, file, *mode]
    async with started(command, url, settings, "registered worker") as worker:
        yield worker


@asynccontextmanager
async def javascript_worker(
    file: Path, url: str, inference: str = "", **environment: str
) -> AsyncIterator[Worker]:
    """`node FILE start`, with its models at `inference`."""
    settings = {**_NONE_WARM, "LIVEKIT_INFERENCE_URL": inference, **environment}
    command: list[str | Path] = ["node", file, *START, "--log-level", "debug"]
    async with started(command, url, settings, "registered worker") as worker:
        yield worker


async def _read_log(worker: Worker) -> None:
    assert worker.process.stdout is not None
    async for line in worker.process.stdout:
        async with worker.changed:
            worker.log.append(_record(line.decode(errors="replace").rstrip()))
            worker.changed.notify_all()
    await worker.process.wait()
    async with worker.changed:
        worker.changed.notify_all()


def _record(line: str) -> dict[str, Any]:
    with suppress(ValueError):
        read = json.loads(line)
        if isinstance(read, dict):
            return {**read, "message": read.get("message", read.get("msg", ""))}
    return {"message": line}
