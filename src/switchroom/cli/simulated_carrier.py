"""The simulated carrier as a child process: started, listened to, and gone when we are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from switchroom.base.records import record
from switchroom.phonenet import events
from switchroom.phonenet.orders import CallOrder

from .errors import CommandFailed

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_LONGEST_LINE = 1 << 20


@record
class SimulatedCarrier:
    """A carrier that starts, or runs."""

    output: asyncio.StreamReader
    orders: asyncio.StreamWriter

    async def ready(self) -> events.Ready:
        """Wait until phones can be called. Raises :class:`CommandFailed` if it does not start."""
        try:
            line = await asyncio.wait_for(self.output.readline(), _START_SECONDS)
            event = events.from_line(line)
        except (TimeoutError, ValueError):
            event = None
        if not isinstance(event, events.Ready):
            raise CommandFailed("the simulated carrier did not start; its words are above")
        return event

    def place(self, order: CallOrder) -> None:
        """Let one of its phones dial; what comes of it is among the lines."""
        self.orders.write(order.as_line().encode() + b"\n")

    async def lines(self) -> AsyncIterator[str]:
        """Each later event as it was written, one JSON object a line, until the carrier ends."""
        async for line in self.output:
            yield line.decode().rstrip()


@asynccontextmanager
async def simulated_carrier(*arguments: str) -> AsyncIterator[SimulatedCarrier]:
    """Run the carrier while the body runs; :meth:`SimulatedCarrier.ready` comes first."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "switchroom.phonenet",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
        # Ctrl-C is for us: the server hangs up its calls first, and only then the phones go.
        start_new_session=True,
    )
    try:
        output, orders = process.stdout, process.stdin
        if output is None or orders is None:
            raise CommandFailed("the simulated carrier cannot be spoken to")
        yield SimulatedCarrier(output, orders)
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
