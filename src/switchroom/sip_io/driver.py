"""Drives the SIP endpoint: real sockets, one timer, and the calls' owners.

Whatever comes in – a datagram, bytes of a connection, a command, the timer – is one input to the
pure endpoint; then its actions are performed, its events handed out, and the timer armed anew.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import Final

from switchroom.base.clock import Clock
from switchroom.base.ip_addresses import ip_of, is_ip
from switchroom.base.log import get_logger
from switchroom.base.records import record
from switchroom.base.tasks import Tasks
from switchroom.base.timers import LoopTimers, Timer
from switchroom.sip.actions import CloseFlow, Connect, Locate, Send
from switchroom.sip.call_session import CallSession
from switchroom.sip.callee_session import CalleeSession
from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.digest_server import DigestServer, PasswordOf
from switchroom.sip.endpoint import Endpoint, EndpointConfig
from switchroom.sip.flows import Address, Flow
from switchroom.sip.invite_session import (
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    IncomingInvite,
    IncomingInviteSession,
    InviteSession,
    OutgoingInvite,
    SessionEvent,
    SipFailure,
)
from switchroom.sip.message import Request
from switchroom.sip.sanity import Refusal
from switchroom.sip.uas_core import NO_TRUNK, Admit, Overloaded
from switchroom.sip_io.addresses import is_loopback, is_wildcard, source_towards
from switchroom.sip_io.errors import SipStartError
from switchroom.sip_io.reaching import Reaching
from switchroom.sip_io.session_handle import IncomingHandle, SessionHandle
from switchroom.sip_io.tap import CallTraces, Direction, Tap, TapRecord
from switchroom.sip_io.tcp import TcpConnections
from switchroom.sip_io.tls import TlsConfig, prepare_server
from switchroom.sip_io.tokens import Tokens
from switchroom.sip_io.udp import UdpSockets, describe_error

_SWEEP_EVERY: Final = 10.0
_FAREWELL: Final = 2.0
_PORT_TRIES: Final = 20
_LAST_EVENTS: Final = (Failed, ByeReceived, DialogEnded)
_log = get_logger("sip_io")

Listener = Callable[[SessionEvent], None]
IncomingHandler = Callable[[IncomingInviteSession, Request, str], Listener]
"""(session, INVITE, source as ``ip:port``) → who hears the events of this call."""


@record
class SipConfig:
    """Where the SIP endpoint lives."""

    bind: tuple[Address, ...]
    """Addresses for UDP and TCP alike; port 0 picks a free one."""
    contact_host: str | None = None
    """Host for Via and Contact instead of the socket's address (NAT); not used on loopback."""
    media_host: str | None = None
    """IP address told for media behind a NAT, where it is another than ``contact_host``."""
    user_agent: str = "Switchroom"
    digest_algorithms: tuple[str, ...] = ("MD5",)
    """Challenges for callers who must log in, in this order."""
    refer: bool = True
    """Whether peers may ask for transfers inside a call (ReferReceived)."""
    replaces: bool = False
    """Whether calls may take over others: their owner must look at ``session.replaces``."""
    session_expires: int | None = None
    """The session timer that we ask for, in seconds; ``None``: only if the peer asks."""
    redirects: int = 0
    """How many 3xx a call may follow within the domain it was placed to."""
    udp_limit: int = 1_300
    """Bytes of an INVITE above which TCP is tried first, where the transport is left open."""
    contact_port: int | None = None
    """The port told to peers for UDP and TCP, where it is another than the one listened on."""
    tls: TlsConfig = field(default_factory=TlsConfig)
    dns_servers: tuple[Address, ...] = ()
    """Asked for names in place of the system's resolver."""
    port_setting: str = "sip.port"
    """What to set for another port, in the words of whoever reads that this one is taken."""


def _never() -> None:
    return None


def _endpoint_config(config: SipConfig) -> EndpointConfig:
    """What of it the protocol itself must know."""
    return EndpointConfig(
        user_agent=config.user_agent,
        refer=config.refer,
        replaces=config.replaces,
        session_expires=config.session_expires,
        redirects=config.redirects,
        udp_limit=config.udp_limit,
    )


class SipDriver:
    """The SIP endpoint of this process. Use it from the event loop's thread only."""

    def __init__(
        self,
        config: SipConfig,
        clock: Clock,
        *,
        tap: Tap | None = None,
        overloaded: Overloaded = _never,
    ) -> None:
        """``tap`` sees every message in and out, as it is on the wire, credentials included.

        ``overloaded`` is asked about each INVITE from outside, before anything else; if it names
        seconds, the caller gets 503 with that Retry-After.
        """
        self.traces = CallTraces()
        """The messages of recent calls, by Call-ID, without credentials."""
        self._config = config
        public = config.media_host or config.contact_host or ""
        self._public_ip = public if is_ip(public) else None
        self._clock = clock
        self._tap = tap
        self._endpoint = Endpoint(
            _endpoint_config(config),
            new_token=Tokens().take,
            secret=secrets.token_bytes(32),
            tap=partial(self._record, "in"),
        )
        self._endpoint.ask_overload(overloaded)
        self._digest = DigestServer(secrets.token_bytes(32), algorithms=config.digest_algorithms)
        self._udp = UdpSockets(self._datagram, self._pump, self._network_error)
        self._tcp = TcpConnections(
            clock, self._sent_by, self._pump, self._stream_data, self._network_error
        )
        self._bound_tls: list[Address] = []
        self._tasks = Tasks("sip_io")
        self._bound: list[Address] = []
        self._reaching = Reaching(
            self._endpoint,
            self._udp,
            self._tcp,
            clock,
            self._tasks,
            bound=self._bound,
            tls=config.tls,
            dns_servers=config.dns_servers,
            pump=self._pump,
        )
        self._incoming: IncomingHandler | None = None
        self._listeners: dict[CallSession, Listener] = {}
        self._failures: list[tuple[Flow, str]] = []
        self._pumping = False
        self._timers = LoopTimers()
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._next_sweep = 0.0
        self._quiet: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # ── life ──

    async def start(self) -> None:
        """Open the sockets. Raises SipStartError with a line for the console."""
        loop = self._loop = asyncio.get_running_loop()
        try:
            for ip, port in self._config.bind:
                self._bound.append(await self._open(ip, port))
            for ip, port in self._config.tls.bind:
                self._bound_tls.append(await self._open_tls(ip, port))
        except SipStartError:
            await self._close()
            raise
        self._udp.start(loop)

    async def stop(self) -> None:
        """Hang up what is up, give the peers two seconds to answer, and close the sockets."""
        self._incoming = None
        self._endpoint.admit_with(_closing)
        sessions = list(self._endpoint.sessions.values())
        for session in sessions:
            SessionHandle(session, self._command).cancel()
        if sessions and self._endpoint.sessions:
            self._quiet = asyncio.Event()
            try:
                async with asyncio.timeout(_FAREWELL):
                    await self._quiet.wait()
            except TimeoutError:
                _log.warning("calls not closed in time", calls=len(self._endpoint.sessions))
        await self._close()

    @property
    def bound(self) -> tuple[Address, ...]:
        """The addresses listened on, with their real ports, in the order of the configuration."""
        return tuple(self._bound)

    @property
    def bound_tls(self) -> tuple[Address, ...]:
        """The addresses listened on for TLS, likewise."""
        return tuple(self._bound_tls)

    @property
    def idle(self) -> bool:
        """Whether no call, transaction or timer is left."""
        return self._endpoint.idle and not self._listeners

    @property
    def calls(self) -> int:
        """How many calls exist, those just ending included."""
        return len(self._endpoint.sessions)

    @property
    def transactions(self) -> int:
        """How many are remembered, for up to 32 s after a call those that a repeat may meet."""
        return self._endpoint.transactions

    # ── what owners of calls use ──

    def invite(self, invite: OutgoingInvite, on_event: Listener) -> InviteSession:
        """Place a call. Raises LocalSipError for text that can't be sent, and nothing else.

        ``on_event`` is never called from inside this or another command.
        """
        session = self._endpoint.invite(invite, self._clock.monotonic())
        self.traces.follow(invite.call_id)
        self._listeners[session] = on_event
        self._flush()
        return SessionHandle(session, self._command)

    async def end_orphan(self, snapshot: DialogSnapshot) -> None:
        """Send BYE in a dialog of an earlier process; returns when it was answered or given up."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        session = self._endpoint.end_orphan(snapshot, self._clock.monotonic())
        self.traces.follow(snapshot.call_id)
        self._listeners[session] = lambda event: _resolve(over, event)
        self._flush()
        await over

    def set_incoming_handler(
        self, handler: IncomingHandler | None, *, admit: Admit | None = None
    ) -> None:
        """Who takes calls from outside. Without a handler they get 404 "No Inbound Trunk".

        ``admit`` is asked first, before any state is made; without it every call is let in.
        """
        self._incoming = handler
        self._endpoint.admit_with(admit or (_everybody if handler else _nobody))

    def demand_login(
        self,
        request: Request,
        flow: Flow,
        realm: str,
        password_of: PasswordOf,
        *,
        status: int = 407,
    ) -> Refusal | None:
        """For an ``admit``: ``None`` if the INVITE is logged in, else the challenge to return.

        Nothing is stored for who is asked. A login is good once, for a minute, from one address.
        """
        now = self._clock.monotonic()
        source = flow.remote[0]
        return self._digest.demand(request, source, realm, password_of, now, status=status)

    def local_address_towards(self, host: str) -> str:
        """The IP address of ours that packets to ``host`` leave from: where to bind its media.

        A name is taken from recent look-ups; if it is new, as a host out in the world.
        """
        target = host
        if ip_of(host) is None:
            known = self._reaching.known(host)
            target = known[0] if known else _far_away(host)
        local = self._reaching.local_towards(target) or (self._bound or self._config.bind)[-1]
        if is_wildcard(local[0]):
            return source_towards(target) or local[0]
        return local[0]

    def advertised_address_of(self, local_ip: str) -> str:
        """The IP address that peers reach ``local_ip`` at: the public one in front of a 1:1 NAT."""
        public = self._public_ip
        return public if public and not is_loopback(local_ip) else local_ip

    def advertised_address_towards(self, host: str) -> str:
        """The IP address that ``host`` reaches us at."""
        return self.advertised_address_of(self.local_address_towards(host))

    # ── input ──

    def _datagram(self, flow: Flow, data: bytes) -> None:
        try:
            self._endpoint.receive(flow, data, self._clock.monotonic())
        except Exception:  # noqa: BLE001
            # Never seen in a million spoilt messages; if it happens, it costs one message.
            _log.exception("a message was not dealt with", bytes=len(data))

    def _stream_data(self, flow: Flow, data: bytes) -> None:
        self._datagram(flow, data)
        self._pump()

    def _network_error(self, flow: Flow, reason: str) -> None:
        self._endpoint.flow_failed(flow, reason, self._clock.monotonic())
        self._pump()

    def _command(self, command: Callable[[float], None]) -> None:
        command(self._clock.monotonic())
        self._flush()

    def _woken(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        self._endpoint.wake(now)
        if self._tcp.open and now >= self._next_sweep:
            self._next_sweep = now + _SWEEP_EVERY
            self._tcp.sweep(
                now,
                self._endpoint.unfinished,
                in_use=bool(self._endpoint.sessions),
                held=self._endpoint.connections_of_calls(),
            )
        self._pump()

    # ── output ──

    def _flush(self) -> None:
        """Perform actions now, but hand out events later: owners must not be called back inside."""
        if not self._pumping and self._loop is not None:
            self._perform_all()
            if self._endpoint.untold:
                self._loop.call_soon(self._pump)
            else:
                self._settle()

    def _pump(self) -> None:
        """Perform actions and hand out events until both have run dry."""
        if self._pumping or self._loop is None:
            return
        self._pumping = True
        try:
            while self._endpoint.undone or self._endpoint.untold:
                self._perform_all()
                for session, event in self._endpoint.events():
                    self._hand_out(session, event)
        finally:
            self._pumping = False
        self._settle()

    def _perform_all(self) -> None:
        while self._endpoint.undone:
            for action in self._endpoint.actions():
                if isinstance(action, Send):
                    self._send(action)
                elif isinstance(action, Locate):
                    self._reaching.locate(action)
                elif isinstance(action, Connect):
                    self._reaching.connect(action)
                elif isinstance(action, CloseFlow):
                    self._tcp.close(action.flow)
            failures, self._failures = self._failures, []
            for flow, reason in failures:
                self._endpoint.flow_failed(flow, reason, self._clock.monotonic())

    def _hand_out(self, session: CallSession, event: SessionEvent | IncomingInvite) -> None:
        # Owners are foreign code to this room: their faults are logged and stay theirs.
        try:
            if isinstance(event, IncomingInvite):
                self._hand_over(session, event)
                return
            listener = self._listeners.get(session)
            if isinstance(event, _LAST_EVENTS):
                self._listeners.pop(session, None)
            if listener is not None:
                listener(event)
        except Exception:  # noqa: BLE001
            _log.exception("a listener failed", about=type(event).__name__)

    def _hand_over(self, session: CallSession, invite: IncomingInvite) -> None:
        if not isinstance(session, CalleeSession):
            return
        self.traces.follow(session.call_id)
        handle = IncomingHandle(session, self._command, self._quiet_end)
        if self._incoming is None:
            handle.reject(503)
            return
        try:
            listener = self._incoming(handle, invite.request, session.remote)
        except Exception:
            handle.reject(500)
            raise
        if not session.refused:
            # One that was given up meanwhile, its CANCEL read together with it, is told of next.
            self._listeners[session] = listener

    def _quiet_end(self, session: CallSession) -> None:
        """A call was refused: no last event will say that nobody need listen any more."""
        self._listeners.pop(session, None)

    def _send(self, action: Send) -> None:
        flow = action.flow
        sockets = self._udp if flow.transport == "udp" else self._tcp
        problem = sockets.send(flow, action.data)
        if problem is not None:
            self._failures.append((flow, problem))
        elif action.call_id:
            self._record("out", flow, action.call_id, action.data)

    def _settle(self) -> None:
        """All is done that can be done now: tell who waits for that, and arm the timer."""
        if self._quiet is not None and not self._endpoint.sessions:
            self._quiet.set()
        deadline = self._endpoint.deadline()
        if self._tcp.open:
            deadline = min(deadline or self._next_sweep, self._next_sweep)
        if deadline is None or (self._timer is not None and self._timer_at <= deadline):
            return  # an early timer is harmless and cheaper than arming it anew each time
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._timers.after(deadline - self._clock.monotonic(), self._woken)

    # ── sockets ──

    async def _open(self, ip: str, port: int) -> Address:
        for attempt in range(_PORT_TRIES):
            try:
                local = await self._tcp.listen(ip, port)
                self._udp.bind(*local)
            except OSError as error:
                # A free port for TCP may be taken for UDP: then another one.
                if port == 0 and attempt + 1 < _PORT_TRIES:
                    continue
                setting = self._config.port_setting
                raise SipStartError(_why_not(ip, port, setting, error)) from None
            self._udp.advertise(local, self._sent_by("udp", local))
            return local
        raise SipStartError(f"no free SIP port on {ip}")

    async def _open_tls(self, ip: str, port: int) -> Address:
        tls = self._config.tls
        if tls.server is None:
            raise SipStartError("SIP over TLS needs a certificate")
        prepare_server(tls.server, tls)
        try:
            return await self._tcp.listen(ip, port, tls.server)
        except OSError as error:
            raise SipStartError(_why_not(ip, port, "sip.tls.port", error)) from None

    def _sent_by(self, transport: str, local: Address) -> Address:
        """Our Via and Contact address for a socket or connection with this local address."""
        config = self._config
        bound, port = self._bound, config.contact_port
        if transport == "tls":
            # Without a listener of our own the peer has but this connection; the port is a name.
            bound, port = self._bound_tls, config.tls.contact_port
        host = local[0]
        here = (number for ip, number in bound if ip in (host, "0.0.0.0", "::"))
        port = port or next(here, local[1])
        if is_wildcard(host):
            host = source_towards(_far_away("")) or host
        if not is_loopback(local[0]):
            named = config.tls.contact_host if transport == "tls" else None
            host = named or config.contact_host or host
        return host, port

    async def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell_the_rest()
        await self._tasks.aclose()
        await self._tcp.stop()
        if self._loop is not None:
            self._udp.stop(self._loop)
        self._reaching.close()
        self._loop = None

    def _tell_the_rest(self) -> None:
        """Nobody waits for ever: the calls that are still there end with us."""
        failure = SipFailure(FailureKind.TRANSPORT, reason="stopped")
        for session in list(self._listeners):
            event = Failed(failure) if session.dialog is None else DialogEnded(failure)
            self._hand_out(session, event)

    # ── the tap ──

    def _record(self, direction: Direction, flow: Flow, call_id: str, data: bytes) -> None:
        at_unix_ns = self._clock.unix_ns()
        self.traces.keep(at_unix_ns, direction, flow, call_id, data)
        if self._tap is not None:
            self._tap(TapRecord.of(at_unix_ns, direction, flow, call_id, data))


def _far_away(host: str) -> str:
    """A target that stands for a name we have not looked up: this machine, or the world."""
    return "127.0.0.1" if host.lower().rstrip(".") == "localhost" else "192.0.2.1"


def _why_not(ip: str, port: int, setting: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"SIP port {port} on {ip} is in use: stop what uses it, or set {setting}"
    return f"can't listen for SIP on {ip} port {port}: {describe_error(error.errno or 0)}"


def _resolve(future: asyncio.Future[None], event: SessionEvent) -> None:
    if isinstance(event, _LAST_EVENTS) and not future.done():
        future.set_result(None)


def _everybody(_request: Request, _flow: Flow) -> None:
    return None


def _nobody(_request: Request, _flow: Flow) -> Refusal:
    return NO_TRUNK


def _closing(_request: Request, _flow: Flow) -> Refusal:
    return Refusal(503, "", (("Retry-After", "10"),))
