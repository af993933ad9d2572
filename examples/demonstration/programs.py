"""The programs of the demo, each a process of its own: server and phones, models, agent worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "examples" / "agents" / "appointment_confirmation.py"
AGENT_SCRIPT = AGENT.with_suffix(".yaml")
PAGE = ROOT / "examples" / "web" / "serve.py"
AGENTS_PYTHON = ROOT / ".peers" / "agents" / "bin" / "python"

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_KEPT_LINES = 200

# Should the demo be killed, its programs are told to end as well (Linux; util-linux has the tool).
_WITH_ITS_PARENT = ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()

Record = dict[str, Any]


class ProgramFailed(Exception):
    """A program did not start, or ended by itself; the message is for the reader of the demo."""


@dataclass
class Program:
    """A running program whose output is a record a line; what is no JSON is only a ``message``."""

    name: str
    process: asyncio.subprocess.Process
    on_record: Callable[[Record], None]
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))

    async def read(self) -> None:
        """Hand every record on, until the program ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            text = line.decode(errors="replace").rstrip()
            self.last_words.append(text)
            self.on_record(_record(text))

    def failed(self, what: str) -> ProgramFailed:
        """An error that tells what the program said last."""
        words = "\n".join(f"    {line}" for line in self.last_words)
        return ProgramFailed(f"{self.name} {what}. Its last words:\n{words or '    (none)'}")


@contextlib.asynccontextmanager
async def running(
    name: str,
    command: Sequence[str | Path],
    is_ready: Callable[[Record], bool],
    on_record: Callable[[Record], None] = lambda _: None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Record]:
    """Run a program while the block runs; yields the record that said it is ready."""
    process = await asyncio.create_subprocess_exec(
        *_WITH_ITS_PARENT,
        *command,
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**20,
        # Ctrl-C is for the demo, which ends its programs in order.
        start_new_session=True,
    )
    ready: asyncio.Future[Record] = asyncio.get_running_loop().create_future()

    def hear(record: Record) -> None:
        if not ready.done() and is_ready(record):
            ready.set_result(record)
        else:
            on_record(record)

    program = Program(name, process, hear)
    reading = asyncio.create_task(program.read(), name=name)
    try:
        either: set[asyncio.Future[Any]] = {ready, reading}
        await asyncio.wait(either, timeout=_START_SECONDS, return_when="FIRST_COMPLETED")
        if not ready.done():
            raise program.failed("ended at its start" if reading.done() else "did not start")
        yield ready.result()
    finally:
        await _stop(process)
        await reading


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ask it to end; whatever is left of it and its children is killed."""
    if process.returncode is None:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _record(line: str) -> Record:
    with contextlib.suppress(ValueError):
        read = json.loads(line)
        if isinstance(read, dict):
            return read
    return {"message": line}


@dataclass(frozen=True)
class Server:
    """Where the server is, its key, and the trunk to the simulated phones."""

    url: str
    ws_url: str
    api_key: str
    api_secret: str
    trunk_id: str


@contextlib.asynccontextmanager
async def running_server(data: Path, on_phone: Callable[[Record], None]) -> AsyncIterator[Server]:
    """``switchroom dev``: the server and the phones; `on_phone` hears what the phones report."""
    command: list[str | Path] = [_switchroom(), "dev", "--json", "--data", data]
    async with running("the server", command, _says("ready"), on_phone) as ready:
        yield Server(*(ready[name] for name in Server.__annotations__))


@contextlib.asynccontextmanager
async def running_models(on_model: Callable[[Record], None]) -> AsyncIterator[str]:
    """``switchroom offline serve``: the agent's models, on this machine; yields their URL.

    `on_model` hears when they understood, replied and spoke.
    """
    serve = ("offline", "serve", "--port", "0", "--script")
    command: list[str | Path] = [_switchroom(), *serve, AGENT_SCRIPT]
    async with running("the offline models", command, _tells_inference_url, on_model) as ready:
        yield ready["LIVEKIT_INFERENCE_URL"]


@contextlib.asynccontextmanager
async def running_agent(
    server: Server, models: str, on_record: Callable[[Record], None]
) -> AsyncIterator[None]:
    """The agent's worker, run by livekit-agents in an environment of its own."""
    if not AGENTS_PYTHON.exists():
        raise ProgramFailed("livekit-agents is missing: tools/set-up agents")
    environment = {
        "LIVEKIT_URL": server.ws_url,
        "LIVEKIT_API_KEY": server.api_key,
        "LIVEKIT_API_SECRET": server.api_secret,
        "LIVEKIT_INFERENCE_URL": models,
        "LIVEKIT_SIP_OUTBOUND_TRUNK": server.trunk_id,
        # One process is kept warm; the demo makes one call at a time.
        "NUM_CPUS": "1",
    }
    # A busy machine is no reason to refuse the call: that is all that --simulation changes.
    command: list[str | Path] = [AGENTS_PYTHON, AGENT, "start", "--simulation"]
    async with running("the agent", command, _has("registered worker"), on_record, environment):
        yield


@contextlib.asynccontextmanager
async def running_page(server: Server) -> AsyncIterator[str]:
    """The page that joins a running call; yields its address."""
    command: list[str | Path] = [sys.executable, PAGE]
    environment = {
        "LIVEKIT_URL": server.ws_url,
        "LIVEKIT_API_KEY": server.api_key,
        "LIVEKIT_API_SECRET": server.api_secret,
    }
    async with running("the page", command, _has("Calls of"), environment=environment) as ready:
        yield str(ready["message"]).rpartition(" ")[2]


def _switchroom() -> Path:
    return Path(sys.executable).with_name("switchroom")


def _says(event: str) -> Callable[[Record], bool]:
    return lambda record: record.get("event") == event


def _tells_inference_url(record: Record) -> bool:
    return "LIVEKIT_INFERENCE_URL" in record


def _has(words: str) -> Callable[[Record], bool]:
    return lambda record: words in str(record.get("message", ""))
