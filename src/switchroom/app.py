"""The whole server: the only place where the rooms are put together.

Whoever hears whom is listed in `Switchroom.__init__`; there is no other wiring.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

from switchroom import __version__
from switchroom.agents.dispatcher import Dispatcher
from switchroom.api.agent_socket import AgentSockets
from switchroom.api.calls import Calls
from switchroom.api.dispatch_service import DispatchService
from switchroom.api.health import Condition, Health
from switchroom.api.listener import ListenError
from switchroom.api.meters import Meters
from switchroom.api.ports import Applications, HttpPorts
from switchroom.api.room_service import RoomService
from switchroom.api.server import build_app
from switchroom.api.signal_socket import SignalSockets
from switchroom.api.sip_service import SipService
from switchroom.auth.tokens import TokenVerifier
from switchroom.base.certificates import CertificateError, CertificateWatch, ServerCertificate
from switchroom.base.clock import Clock, SystemClock
from switchroom.base.config import Config
from switchroom.base.external_address import AddressUnknown, external_address
from switchroom.base.load_meter import LoadMeter
from switchroom.base.log import get_logger
from switchroom.base.node_address import Reach, reach
from switchroom.base.overload import Limits, Overload, Overloaded
from switchroom.base.records import record, replace
from switchroom.media import Engine, EngineConfig, EngineError
from switchroom.rooms.registry import Rooms
from switchroom.sip_io.driver import SipDriver
from switchroom.sip_io.errors import SipStartError
from switchroom.sip_io.from_settings import sip_config
from switchroom.storage.call_archive import SqlCallArchive
from switchroom.storage.calls import SqlCallStore
from switchroom.storage.connection import Database
from switchroom.storage.dispatch_rules import SqlDispatchRuleStore
from switchroom.storage.dispatches import SqlDispatchStore
from switchroom.storage.errors import StorageError
from switchroom.storage.pruning import Pruning
from switchroom.storage.rooms import SqlRoomStore
from switchroom.storage.trunks import SqlInboundTrunkStore, SqlTrunkStore
from switchroom.storage.webhooks import SqlDeliveryStore
from switchroom.telephony.calls.known_calls import KnownCalls
from switchroom.telephony.events import Listener as CallListener
from switchroom.telephony.inbound.sounds import SoundMissing
from switchroom.telephony.stores import RoutingStores
from switchroom.telephony.telephony import Telephony
from switchroom.webhooks.webhooks import Webhooks

_log = get_logger("app")


# Calls drain while the API still answers (new ones are refused by name), and clients hear that
# their room is closing before the listener takes their sockets away.
_STOP_ORDER = (
    "telephony",
    "load",
    "agents",
    "rooms",
    "webhooks",
    "pruning",
    "http",
    "certificates",
    "sip",
    "engine",
    "database",
)


_START_FAILURES = (StorageError, CertificateError, EngineError, SipStartError, ListenError)

# Seconds after which a caller may try again who comes while the server starts or stops.
_RETRY = {Condition.STARTING: 2, Condition.DRAINING: 10}


@record
class _Part:
    start: Callable[[], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]


class StartFailed(Exception):
    """The server can't start; the message is one line that says what to mend."""


class Switchroom:
    """A server, as its configuration says. `hear_calls` are told of calls as webhooks are."""

    def __init__(self, config: Config, *, hear_calls: Iterable[CallListener] = ()) -> None:
        """Raises StartFailed for settings that are of no use."""
        self._config = config
        self._condition = Condition.STARTING
        clock = SystemClock()
        place = reach(config.rtc.node_ip)
        with _refusals_told():
            self._database = Database(config.storage.url)
        self.engine = _engine(config, place)
        self._overload = Overload(_limits(config))
        sip_certificate = _sip_certificate(config)
        self._sip = SipDriver(
            sip_config(config.sip, place, sip_certificate, f"Switchroom/{__version__}"),
            clock,
            overloaded=self._retry_after,
        )
        self.webhooks = Webhooks(
            config.webhook, config.keys, clock, SqlDeliveryStore(self._database)
        )
        tell_webhooks = (self.webhooks.hear,) if self.webhooks.wanted else ()
        self._meters = self._measuring(clock)
        self.rooms = Rooms(
            self.engine,
            config,
            clock,
            SqlRoomStore(self._database),
            listeners=(*tell_webhooks, *self._meters.hear_rooms),
        )
        tokens = TokenVerifier(config.keys, clock)
        self.agents = Dispatcher(
            self.rooms,
            tokens,
            SqlDispatchStore(self._database),
            wait=config.agents.dispatch_wait,
            listeners=(*tell_webhooks, *self._meters.hear_jobs),
        )
        self.rooms.attended_by(self.agents)
        calls = SqlCallStore(self._database)
        with _refusals_told():
            self.telephony = Telephony(
                engine=self.engine,
                rooms=self.rooms,
                sip=self._sip,
                routing=_routing(self._database),
                calls=calls,
                clock=clock,
                config=config,
                listeners=(*tell_webhooks, *self._meters.hear_calls, *hear_calls),
                overloaded=self._refusal,
            )
        certificate = _certificate(config)
        watched = tuple(one for one in (certificate, sip_certificate) if one)
        self._certificates = CertificateWatch(watched)
        self._http = HttpPorts(config, self._applications(tokens, clock), certificate)
        self._parts = self._in_order(Pruning(calls, config.storage.keep_calls, clock))
        self._started: list[str] = []

    def _measuring(self, clock: Clock) -> Meters:
        return Meters(
            self._config.prometheus,
            self.engine,
            clock,
            load=lambda: self._overload.load,
            takes_calls=lambda: self.condition is Condition.READY,
            webhooks_waiting=lambda: self.webhooks.pending,
            transactions=lambda: self._sip.transactions,
        )

    def _in_order(self, pruning: Pruning) -> dict[str, _Part]:
        """What is started, in this order."""
        meter = LoadMeter(self._overload)
        return {
            "database": _Part(self._database.open, self._database.close),
            "certificates": _Part(self._certificates.start, self._certificates.stop),
            "engine": _Part(self.engine.start, self.engine.stop),
            "sip": _Part(self._sip.start, self._sip.stop),
            "webhooks": _Part(self.webhooks.start, self.webhooks.stop),
            "agents": _Part(self.agents.start, self.agents.stop),
            "rooms": _Part(self.rooms.start, self.rooms.stop),
            "telephony": _Part(self.telephony.start, self._drain),
            "pruning": _Part(pruning.start, pruning.stop),
            "load": _Part(meter.start, meter.stop),
            "http": _Part(self._http.start, self._http.stop),
        }

    def _applications(self, tokens: TokenVerifier, clock: Clock) -> Applications:
        signals = SignalSockets(self.rooms, tokens)
        health = Health(lambda: self.condition)
        known = KnownCalls(self.telephony.running, SqlCallArchive(self._database))
        calls = Calls(known, self._sip.traces.of, clock)
        public = build_app(
            tokens=tokens,
            clock=clock,
            services=(
                RoomService(self.rooms),
                SipService(self.telephony),
                DispatchService(self.rooms, self.agents),
            ),
            routes={
                **health.routes,
                **signals.routes,
                **AgentSockets(self.agents).routes,
                **calls.routes,
            },
            observe=self._meters.observe,
        )
        return Applications(public, self._meters.app, health.ready)

    @property
    def url(self) -> str:
        """Where clients on this machine find the server: ``http://host:port``."""
        return self._http.url

    @property
    def condition(self) -> Condition:
        """Whether new calls are welcome."""
        if self.engine.failed:
            return Condition.BROKEN
        if self._condition is Condition.READY and self._overloaded() is not None:
            return Condition.BUSY
        return self._condition

    async def start(self) -> None:
        """Start everything. Raises StartFailed; what had been started by then is stopped again."""
        try:
            await self._start_in_order()
        except _START_FAILURES as failure:
            await self._stop_what_runs()
            raise StartFailed(str(failure)) from failure
        self.webhooks.close_the_past()
        _spare_the_collector()
        self._condition = Condition.READY
        _log.info("ready", url=self.url, sip_port=self._config.sip.port)

    async def run_until_signal(self) -> None:
        """Serve until SIGTERM or SIGINT, then stop; a second signal ends the drain at once."""
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, told.set)
        loop.add_signal_handler(signal.SIGHUP, self._certificates.renew)
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
        self._condition = Condition.DRAINING
        self.agents.drain()
        await self._stop_what_runs()

    def _overloaded(self) -> Overloaded | None:
        """Why one more call is refused now."""
        return self._overload.refusal(len(self.telephony.running))

    def _retry_after(self) -> int | None:
        """Asked for each INVITE from outside; seconds after which to ask again."""
        self._meters.node.invite_came()
        if self._condition in _RETRY:
            return _RETRY[self._condition]
        refusal = self._refusal()
        return refusal.retry_after if refusal else None

    def _refusal(self) -> Overloaded | None:
        """Asked for each call that is about to begin."""
        overloaded = self._overloaded()
        if overloaded is not None:
            self._meters.node.refused(overloaded)
        return overloaded

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


async def with_known_address(config: Config) -> Config:
    """With `rtc.node_ip` asked for, where `rtc.use_external_ip` says so. Raises StartFailed."""
    if config.rtc.node_ip or not config.rtc.use_external_ip:
        return config
    local = reach("").addresses[-1]
    try:
        found = await external_address(local, config.rtc.stun_servers)
    except AddressUnknown as failure:
        raise StartFailed(str(failure)) from failure
    _log.info("external address", address=found)
    return replace(config, rtc=replace(config.rtc, node_ip=found))


@contextmanager
def _refusals_told() -> Iterator[None]:
    """A setting that turns out to be of no use is why the server can't start."""
    try:
        yield
    except (StorageError, SoundMissing) as refusal:
        raise StartFailed(str(refusal)) from None


def _routing(database: Database) -> RoutingStores:
    return RoutingStores(
        SqlTrunkStore(database), SqlInboundTrunkStore(database), SqlDispatchRuleStore(database)
    )


def _engine(config: Config, place: Reach) -> Engine:
    return Engine(
        EngineConfig(
            rtc_addresses=place.addresses,
            rtc_port=config.rtc.udp_port,
            rtp_port_range=(config.sip.rtp_port.first, config.sip.rtp_port.last),
            advertised={place.addresses[-1]: place.told},
        )
    )


def _limits(config: Config) -> Limits:
    sip = config.sip
    return Limits(sip.max_active_calls, sip.max_cpu_utilization, sip.max_loop_lag)


def _certificate(config: Config) -> ServerCertificate | None:
    https = config.https
    return ServerCertificate(https.cert_file, https.key_file) if https.cert_file else None


def _sip_certificate(config: Config) -> ServerCertificate | None:
    certs = config.sip.tls.certs
    return ServerCertificate(certs[0].cert_file, certs[0].key_file) if certs else None


def _spare_the_collector() -> None:
    """Keep the cyclic garbage collector from walking what lives as long as the process.

    Some 90 MB of modules are walked in each full collection, which shows as a pause of tens of
    milliseconds between a request and its INVITE. A call leaves no cycle behind, so collecting
    seldom costs no memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
