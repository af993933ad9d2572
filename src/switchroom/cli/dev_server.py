"""The server of `switchroom dev`, with the simulated phones beside it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path
from typing import Any

import uvloop
from livekit.protocol import sip as proto

from switchroom.base import log
from switchroom.base.config import Config, variable_of
from switchroom.base.tasks import Tasks
from switchroom.phonenet.events import from_line
from switchroom.phonenet.pretty import pretty

from .api_client import call
from .connection import Connection
from .dev_page import Running, show_welcome
from .errors import CommandFailed
from .serving import read_settings
from .simulated_carrier import SimulatedCarrier, simulated_carrier
from .terminal import Page, stop_printing
from .way_in import lay_way_in

_KEY, _SECRET = "devkey", "secret"
_TRUNK_NAME = "simulated carrier"
_CALLER_NUMBER = "+15550000000"
_OPTIONS = {"port": "--port", "storage.url": "--data"}


def run_dev_server(given: Mapping[str, Any], data: Path, *, as_json: bool, verbose: bool) -> None:
    """Run both until they are told to stop; ``given`` is what was typed, by setting."""
    settings = read_settings(
        {
            **given,
            "keys": {_KEY: _SECRET},
            "storage.url": f"sqlite:///{data / 'dev.db'}",
            # Whoever presses Ctrl-C here wants the prompt back.
            "shutdown.drain": 0,
            # A laptop that is busy with something else is no reason to refuse a call.
            "sip.max_cpu_utilization": 1,
            "sip.max_loop_lag": 0,
        },
    )
    log.configure("debug" if verbose else "warn")
    uvloop.run(_run(settings, data / "messages", as_json=as_json))


async def _run(settings: Config, messages: Path, *, as_json: bool) -> None:
    # Whose port is taken by another one has its own: the trunk leads to where it is.
    async with simulated_carrier("--messages", str(messages), "--any-port") as carrier:
        # Here, while the carrier is starting too.
        from switchroom.app import StartFailed, Switchroom  # noqa: PLC0415

        from .dev_calls import CallLines  # noqa: PLC0415

        calls = CallLines()
        server = Switchroom(settings, hear_calls=() if as_json else (calls.hear,))
        try:
            await server.start()
        except StartFailed as failed:
            raise CommandFailed(as_set_here(str(failed))) from None
        tasks = Tasks("dev")
        try:
            ready = await carrier.ready()
            connection = Connection(server.url, _KEY, _SECRET)
            trunk_id = await asyncio.to_thread(lay_trunk, connection, ready.address)
            await asyncio.to_thread(lay_way_in, connection)
            running = Running(server.url, _KEY, _SECRET, trunk_id, ready)
            if as_json:
                tasks.spawn(_tell(_print_json(running, carrier)), name="tell")
            else:
                page = Page()
                tasks.spawn(_tell(_print_phones(running, carrier, page)), name="tell of phones")
                tasks.spawn(_tell(_print(calls.lines(), page)), name="tell of calls")
            await server.run_until_signal()
        finally:
            await server.stop()
            await tasks.aclose()


def as_set_here(remedy: str) -> str:
    """There is no file here: what a remedy says to set at its end is an option or a variable."""
    return re.sub(
        r"(?<= set )[a-z_.]+$", lambda name: _OPTIONS.get(name[0]) or variable_of(name[0]), remedy
    )


def lay_trunk(connection: Connection, address: str) -> str:
    """The id of the trunk to the simulated carrier, made now or by an earlier run."""
    known = call(
        connection,
        "SIP/ListSIPOutboundTrunk",
        proto.ListSIPOutboundTrunkRequest(),
        proto.ListSIPOutboundTrunkResponse,
    )
    wanted = proto.SIPOutboundTrunkInfo(
        name=_TRUNK_NAME,
        address=address,
        numbers=[_CALLER_NUMBER],
        transport=proto.SIP_TRANSPORT_UDP,
    )
    for trunk in known.items:
        if trunk.name == _TRUNK_NAME:
            request = proto.UpdateSIPOutboundTrunkRequest(
                sip_trunk_id=trunk.sip_trunk_id, replace=wanted
            )
            call(connection, "SIP/UpdateSIPOutboundTrunk", request, proto.SIPOutboundTrunkInfo)
            return trunk.sip_trunk_id
    created = call(
        connection,
        "SIP/CreateSIPOutboundTrunk",
        proto.CreateSIPOutboundTrunkRequest(trunk=wanted),
        proto.SIPOutboundTrunkInfo,
    )
    return created.sip_trunk_id


async def _tell(telling: Coroutine[None, None, None]) -> None:
    """The server goes on if nobody listens."""
    try:
        await telling
    except BrokenPipeError:
        stop_printing()


async def _print_json(running: Running, carrier: SimulatedCarrier) -> None:
    """That all is ready, then what the phones do, one object a line."""
    print(running.as_json(), flush=True)
    async for line in carrier.lines():
        print(line, flush=True)


async def _print_phones(running: Running, carrier: SimulatedCarrier, page: Page) -> None:
    show_welcome(running, page)
    async for line in carrier.lines():
        page.print(pretty(from_line(line)), highlight=False, markup=False, soft_wrap=True)


async def _print(lines: AsyncIterator[str], page: Page) -> None:
    async for line in lines:
        page.print(line, highlight=False, markup=False, soft_wrap=True)
