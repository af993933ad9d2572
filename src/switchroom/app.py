"""The whole server: the only place where the rooms are put together.

Whoever hears whom is listed in `Switchroom.__init__`; there is no other wiring.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from switchroom import __version__
from switchroom.agents.dispatcher import Dispatcher
from switchroom.api.agent_socket import AgentSockets
from switchroom.api.dispatch_service import DispatchService
from switchroom.api.listener import HttpListener, ListenError
from switchroom.api.room_service import RoomService
from switchroom.api.server import build_app
from switchroom.api.signal_socket import SignalSockets
from switchroom.api.sip_service import SipService
from switchroom.auth.tokens import TokenVerifier
from switchroom.base.clock import Clock, SystemClock
from switchroom.base.config import Config
from switchroom.base.log import get_logger
from switchroom.base.node_address import LOOPBACK, Reach, reach
from switchroom.media import Engine, EngineConfig, EngineError
from switchroom.rooms.events import RoomEvent
from switchroom.rooms.registry import Rooms
from switchroom.sip_io.driver import SipConfig, SipDriver
from switchroom.sip_io.errors import SipStartError
from switchroom.storage.calls import SqlCallStore
from switchroom.storage.connection import Database
from switchroom.storage.dispatches import SqlDispatchStore
from switchroom.storage.errors import StorageError
from switchroom.storage.pruning import Pruning
from switchroom.storage.rooms import SqlRoomStore
from switchroom.storage.trunks import SqlTrunkStore
from switchroom.storage.webhooks import SqlDeliveryStore
from switchroom.telephony.telephony import Telephony
from switchroom.webhooks.webhooks import Webhooks

_log = get_logger("app")


# Calls drain while the API still answers (new ones are refused by name), and clients hear that
# their room is closing before the listener takes their sockets away.
_STOP_ORDER = (
    "telephony",
    "agents",
    "rooms",
    "webhooks",
    "pruning",
    "http",
    "sip",
    "engine",
    "database",
)


@dataclass(frozen=True, slots=True)
class _Part:
    start: Callable[[], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]


class StartFailed(Exception):
    """The server can't start; the message is one line that says what to mend."""


class Switchroom:
    """A server, as its configuration says."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ready = False
        clock = SystemClock()
        place = reach(config.rtc.node_ip)
        self._database = Database(config.storage.url)
        self.engine = _engine(config, place)
        self._sip = _sip(config, place, clock)
        self.webhooks = Webhooks(
            config.webhook, config.keys, clock, SqlDeliveryStore(self._database)
        )
        tell_webhooks = (self.webhooks.hear,) if self.webhooks.wanted else ()
        self.rooms = Rooms(
            self.engine,
            config,
            clock,
            SqlRoomStore(self._database),
            listeners=(*tell_webhooks, self._tell_agents),
        )
        tokens = TokenVerifier(config.keys, clock)
        self.agents = Dispatcher(
            self.rooms,
            tokens,
            SqlDispatchStore(self._database),
            wait=config.agents.dispatch_wait,
            listeners=tell_webhooks,
        )
        calls = SqlCallStore(self._database)
        pruning = Pruning(calls, config.storage.keep_calls, clock)
        self.telephony = Telephony(
            engine=self.engine,
            rooms=self.rooms,
            sip=self._sip,
            trunks=SqlTrunkStore(self._database),
            calls=calls,
            clock=clock,
            config=config,
        )
        self._http = self._door(tokens, clock)
        # In the order of starting.
        self._parts: dict[str, _Part] = {
            "database": _Part(self._database.open, self._database.close),
            "engine": _Part(self.engine.start, self.engine.stop),
            "sip": _Part(self._sip.start, self._sip.stop),
            "webhooks": _Part(self.webhooks.start, self.webhooks.stop),
            "agents": _Part(self.agents.start, self.agents.stop),
            "rooms": _Part(self.rooms.start, self.rooms.stop),
            "telephony": _Part(self.telephony.start, self._drain),
            "pruning": _Part(pruning.start, pruning.stop),
            "http": _Part(self._http.start, self._http.stop),
        }
        self._started: list[str] = []

    def _door(self, tokens: TokenVerifier, clock: Clock) -> HttpListener:
        signals = SignalSockets(self.rooms, tokens)
        app = build_app(
            tokens=tokens,
            clock=clock,
            services=(
                RoomService(self.rooms),
                SipService(self.telephony),
                DispatchService(self.rooms, self.agents),
            ),
            routes={**signals.routes, **AgentSockets(self.agents).routes},
            is_ready=lambda: self._ready,
        )
        return HttpListener(app, self._config.bind_addresses, self._config.port)

    @property
    def url(self) -> str:
        """Where clients on this machine find the server: ``http://host:port``."""
        first = self._config.bind_addresses[0]
        host = LOOPBACK if first in ("0.0.0.0", "::") else first
        return (
            f"http://[{host}]:{self._http.port}"
            if ":" in host
            else f"http://{host}:{self._http.port}"
        )

    async def start(self) -> None:
        """Start everything. Raises StartFailed; what had been started by then is stopped again."""
        try:
            await self._start_in_order()
        except (StorageError, EngineError, SipStartError, ListenError) as failure:
            await self._stop_what_runs()
            raise StartFailed(str(failure)) from failure
        self.webhooks.close_the_past()
        _spare_the_collector()
        self._ready = True
        _log.info("ready", url=self.url, sip_port=self._config.sip.port)

    async def run_until_signal(self) -> None:
        """Serve until SIGTERM or SIGINT, then stop; a second signal ends the drain at once."""
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, told.set)
        await told.wait()
        told.clear()
        stopping = asyncio.ensure_future(self.stop())
        hurried = asyncio.ensure_future(told.wait())
        await asyncio.wait((stopping, hurried), return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not stopping.done():
            self.telephony.stop_draining()
        await stopping

    async def stop(self) -> None:
        """Drain the calls, tell everybody good-bye, stop everything. Idempotent."""
        self._ready = False
        self.agents.drain()
        await self._stop_what_runs()

    def _tell_agents(self, event: RoomEvent) -> None:
        """Rooms and agents need each other; the rooms are made first."""
        self.agents.hear(event)

    async def _drain(self) -> None:
        await self.telephony.stop(self._config.shutdown.drain)

    async def _start_in_order(self) -> None:
        for name, part in self._parts.items():
            await part.start()
            self._started.append(name)

    async def _stop_what_runs(self) -> None:
        for name in _STOP_ORDER:
            if name in self._started:
                self._started.remove(name)
                await self._parts[name].stop()


def _engine(config: Config, place: Reach) -> Engine:
    return Engine(
        EngineConfig(
            rtc_addresses=place.addresses,
            rtc_port=config.rtc.udp_port,
            rtp_port_range=(config.sip.rtp_port.first, config.sip.rtp_port.last),
            advertised={place.addresses[-1]: place.told},
        )
    )


def _sip(config: Config, place: Reach, clock: Clock) -> SipDriver:
    return SipDriver(
        SipConfig(
            bind=tuple((address, config.sip.port) for address in place.addresses),
            contact_host=place.told if place.behind_nat else None,
            user_agent=f"Switchroom/{__version__}",
        ),
        clock,
    )


def _spare_the_collector() -> None:
    """Keep the cyclic garbage collector from walking what lives as long as the process.

    Some 90 MB of modules are walked in each full collection, which shows as a pause of tens of
    milliseconds between a request and its INVITE. A call leaves few cycles behind, so collecting
    seldom costs little memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
