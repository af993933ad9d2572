"""The one door of this room: bytes, time and commands in; actions, events and a deadline out.

Feed it with ``receive``, ``wake`` and the answers to its actions; after each of these drain
``actions()`` and ``events()`` and arm one timer for ``deadline()``. Nothing that comes from the
network makes it raise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Final

from switchroom.base.records import record
from switchroom.sip.actions import Action, CloseFlow, Connect, Locate, Send
from switchroom.sip.call_session import CallSession, restore
from switchroom.sip.caller_session import CallerSession
from switchroom.sip.dialog import Dialog, DialogSnapshot
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.flows import Flow
from switchroom.sip.framing import BrokenStream, KeepAlive, StreamFramer
from switchroom.sip.grammar import DEFAULT_LIMITS, Limits
from switchroom.sip.invite_session import (
    Failed,
    FailureKind,
    IncomingInvite,
    OutgoingInvite,
    SessionEvent,
    SipFailure,
)
from switchroom.sip.message import Request, Response, UnparsableError, parse_message, salvage
from switchroom.sip.responses import METHODS, OPTIONS, allow, supported
from switchroom.sip.sanity import Refusal, check_response
from switchroom.sip.session_host import Session
from switchroom.sip.targets import Hop, Penalties
from switchroom.sip.timers import TimerQueue, Timing
from switchroom.sip.transactions.client import ClientTransaction, ClientUser
from switchroom.sip.transactions.invite_client import InviteClientTransaction
from switchroom.sip.transactions.machine import Key, Transaction
from switchroom.sip.transactions.non_invite_client import NonInviteClientTransaction
from switchroom.sip.transactions.server import ServerTransaction
from switchroom.sip.uas_core import Admit, Overloaded, UasCore
from switchroom.sip.uri import Uri
from switchroom.sip.way import Located, Reached, Way

_KEEP_ALIVE: Final = (b"", b"\r\n", b"\r\n\r\n", b"\x00", b"\x00\x00\x00\x00")
"""Datagrams that only keep a NAT binding open (RFC 5626 section 4.4.1, and habits in the field)."""

_AGAIN: Final = 5.0
"""Seconds that a connection may take which replaces one that was lost."""

Tap = Callable[[Flow, str, bytes], None]
"""Sees every message received: flow, Call-ID (empty if there is none), bytes."""

EndpointEvent = tuple[CallSession, SessionEvent | IncomingInvite]


@record
class EndpointConfig:
    """What an endpoint is and how much it takes on."""

    user_agent: str = "Switchroom"
    timing: Timing = field(default_factory=Timing)
    limits: Limits = DEFAULT_LIMITS
    max_sessions: int = 10_000
    max_transactions: int = 50_000
    refer: bool = True
    """Whether a peer may ask inside a call for its transfer; the owner of the call decides."""
    replaces: bool = False
    """Whether calls that take over another call are told of as such. Their owner ends the other."""
    session_expires: int | None = None
    """The session timer that we ask for (seconds, 90 at least); peers may ask in any case."""
    redirects: int = 0
    """How many 3xx a call may follow, within the house of whom it was placed to."""
    udp_limit: int = 1_300
    """Bytes of an INVITE above which it goes by TCP if the host has that (section 18.1.1)."""


class Endpoint:
    """A SIP user agent: any number of calls over any number of flows."""

    def __init__(
        self,
        config: EndpointConfig,
        *,
        new_token: Callable[[], str],
        secret: bytes,
        tap: Tap | None = None,
    ) -> None:
        """``new_token``: hex digits of 64 random bits or more. ``secret`` keys stateless tags."""
        self.user_agent = config.user_agent
        self.timing = config.timing
        self.methods = frozenset(METHODS) - (frozenset() if config.refer else {"REFER"})
        self.session_expires = config.session_expires
        self.redirects = config.redirects
        self.udp_limit = config.udp_limit
        self.penalties = Penalties()
        self.allow = allow(self.methods)
        self.options = frozenset(OPTIONS) - (frozenset() if config.replaces else {"replaces"})
        self.supported = supported(self.options)
        self.timers = TimerQueue()
        self.wake = self.timers.run_due
        """Call it with the present time when that has passed."""
        self.deadline = self.timers.deadline
        """Tells when ``wake`` is wanted next; ``None`` if everything is at rest."""
        self.new_token = new_token
        self.max_sessions = config.max_sessions
        self.max_transactions = config.max_transactions
        self.sessions: dict[tuple[str, str], CallSession] = {}
        self.dropped: Counter[str] = Counter()
        """What was thrown away without an answer, by reason."""
        self._limits = config.limits
        self._tap = tap
        self._uas = UasCore(self, secret)
        self._clients: dict[Key, ClientTransaction] = {}
        self._by_flow: dict[Flow, set[Transaction]] = {}
        self._framers: dict[Flow, StreamFramer] = {}
        self._locating: dict[int, Located] = {}
        self._connecting: dict[int, Reached] = {}
        self._tickets = 0
        self.undone: list[Action] = []
        """What ``actions`` will give out."""
        self.untold: list[EndpointEvent] = []
        """What ``events`` will give out."""

    # ── commands ──

    def admit_with(self, admit: Admit) -> None:
        """Ask ``admit`` about each INVITE from outside; without it all get 404."""
        self._uas.admit = admit

    def ask_overload(self, overloaded: Overloaded) -> None:
        """Ask ``overloaded`` before anything else about each INVITE from outside."""
        self._uas.overloaded = overloaded

    def invite(self, invite: OutgoingInvite, now: float) -> CallerSession:
        """Place a call. Raises LocalSipError for text that can't be sent, and nothing else."""
        session = CallerSession(self, invite)
        if len(self.sessions) >= self.max_sessions:
            self.emit(session, Failed(SipFailure(FailureKind.TRANSPORT, reason="too many calls")))
            return session
        self.sessions[session.call_id, session.local_tag] = session
        session.start(now)
        return session

    def end_orphan(self, snapshot: DialogSnapshot, now: float) -> CallSession:
        """Hang up the call of a stored dialog; ends with DialogEnded."""
        session = restore(self, snapshot)
        self.sessions[session.call_id, session.local_tag] = session
        session.bye(now)
        return session

    # ── input ──

    def receive(self, flow: Flow, data: bytes, now: float) -> None:
        """Bytes from the network: one datagram, or any piece of a stream."""
        if flow.transport == "udp":
            if data not in _KEEP_ALIVE:
                self._message(flow, data, now)
            return
        framer = self._framers.get(flow)
        if framer is None:
            framer = self._framers[flow] = StreamFramer(self._limits)
        for frame in framer.feed(data):
            if isinstance(frame, bytes):
                self._message(flow, frame, now)
            elif frame is KeepAlive.PING:
                # RFC 5626 section 3.5.1: ping CRLF CRLF, pong CRLF.
                self.undone.append(Send(flow, b"\r\n", ""))
            elif isinstance(frame, BrokenStream):
                self._broken(flow, frame)

    def unfinished(self, flow: Flow) -> int:
        """Bytes of an incomplete message on a stream: more than 0 for long is a stalled peer."""
        framer = self._framers.get(flow)
        return framer.pending if framer else 0

    def flow_failed(self, flow: Flow, reason: str, now: float) -> None:
        """A connection is gone, or the network said that a peer can't be reached."""
        self._framers.pop(flow, None)
        for transaction in list(self._by_flow.get(flow, ())):
            if isinstance(transaction, ServerTransaction) and flow.reliable:
                self._reroute(transaction, reason, now)
            else:
                transaction.transport_failed(reason, now)

    def located(self, ticket: int, hops: Sequence[Hop], now: float) -> None:
        """A Locate action succeeded."""
        then = self._locating.pop(ticket, None)
        if then is not None:
            then(hops, now)

    def reached(self, ticket: int, flow: Flow, now: float) -> None:
        """A Connect action succeeded."""
        then = self._connecting.pop(ticket, None)
        if then is not None:
            then(flow, now)

    def unreachable(self, ticket: int, kind: FailureKind, reason: str, now: float) -> None:
        """A Locate or Connect action failed: DNS or TRANSPORT."""
        then = self._locating.pop(ticket, None) or self._connecting.pop(ticket, None)
        if then is not None:
            then(SipFailure(kind, reason=reason), now)

    # ── output ──

    def actions(self) -> list[Action]:
        """What is to be done, in order; each is given out once."""
        actions, self.undone = self.undone, []
        return actions

    def events(self) -> list[EndpointEvent]:
        """What happened to which call, in order; each is given out once."""
        events, self.untold = self.untold, []
        return events

    def connections_of_calls(self) -> set[int]:
        """The numbers of the connections that requests of answered calls go by; 0 is UDP's."""
        dialogs = (session.dialog for session in self.sessions.values())
        return {dialog.flow.connection for dialog in dialogs if dialog and dialog.flow}

    @property
    def transactions(self) -> int:
        """How many are remembered; those of ended calls are for a while (section 17)."""
        return len(self._clients) + len(self._uas.transactions)

    @property
    def idle(self) -> bool:
        """Whether no call, transaction, timer or open question is left."""
        tables = (
            self.sessions,
            self._clients,
            self._locating,
            self._connecting,
            self._by_flow,
        )
        return not any(tables) and self._uas.idle and self.deadline() is None

    # ── messages ──

    def _message(self, flow: Flow, data: bytes, now: float) -> None:
        try:
            message = parse_message(data, self._limits)
        except UnparsableError as error:
            self._unparsable(error, flow, data)
            return
        if self._tap is not None:
            self._tap(flow, message.call_id, data)
        if isinstance(message, Request):
            self._uas.receive(message, flow, len(data), now)
        else:
            self._response(message, now)

    def _unparsable(self, error: UnparsableError, flow: Flow, data: bytes) -> None:
        if self._tap is not None:
            self._tap(flow, error.request.call_id if error.request else "", data)
        self._uas.unparsable(error, flow, len(data))

    def _response(self, response: Response, now: float) -> None:
        fault = check_response(response)
        if fault is not None:
            self.dropped[f"response: {fault}"] += 1
            return
        try:
            key: Key = (response.branch, response.cseq.method)
        except MalformedValueError:
            key = ()
        transaction = self._clients.get(key)
        if transaction is None:
            # Section 18.1.2: none of ours (RFC 4475 bcast), or long over.
            self.dropped["response: no transaction"] += 1
        else:
            transaction.receive(response, now)

    def _broken(self, flow: Flow, broken: BrokenStream) -> None:
        self._unparsable(UnparsableError(broken.fault, salvage(broken.head)), flow, broken.head)
        self.undone.append(CloseFlow(flow))

    # ── what sessions and transactions ask for ──

    def send(self, flow: Flow, data: bytes, call_id: str) -> None:
        """Put bytes on a flow."""
        self.undone.append(Send(flow, data, call_id))

    def emit(self, session: Session, event: SessionEvent) -> None:
        """Tell the owner of a call."""
        if isinstance(session, CallSession):
            self.untold.append((session, event))

    def emit_incoming(self, session: CallSession, invite: IncomingInvite) -> None:
        """Tell the owner of the endpoint that somebody calls."""
        self.untold.append((session, invite))

    def turned_away(self, request: Request, refusal: Refusal, now: float) -> None:
        """Remember whom the owner has rejected."""
        self._uas.turned_away(request, refusal, now)

    def session_over(self, session: Session) -> None:
        """Forget a call."""
        self.sessions.pop((session.call_id, session.local_tag), None)

    def way(self, uri: Uri, transport: str | None, *, size: int) -> Way:
        """The targets of a request: over the transport the URI names, else the one given."""
        return Way(self, uri, transport, size=size)

    def reach(self, dialog: Dialog, then: Reached, now: float) -> None:
        """Find a flow to where the requests of a dialog go: its own, if that is straight."""
        flow = dialog.straight()
        if flow is not None:
            then(flow, now)
        else:
            Way(self, dialog.next_hop(), dialog.transport, flow=dialog.flow).next(then, now)

    def follow(self, flow: Flow, then: Reached, now: float) -> None:
        """Find a flow to the peer of this one: itself, or another if it was closed."""
        if flow.reliable:
            peer = Hop(flow.transport, *flow.remote, flow.name or flow.remote[0])
            self.connect(peer, flow, _AGAIN, then)
        else:
            then(flow, now)

    def locate(self, host: str, port: int | None, transport: str | None, then: Located) -> None:
        """Have the addresses of a host found."""
        self._tickets += 1
        self._locating[self._tickets] = then
        self.undone.append(Locate(self._tickets, host, port, transport))

    def connect(self, hop: Hop, instead: Flow | None, patience: float, then: Reached) -> None:
        """Have a flow found or made."""
        self._tickets += 1
        self._connecting[self._tickets] = then
        self.undone.append(Connect(self._tickets, hop, instead, patience))

    def start_request(
        self, flow: Flow, request: Request, user: ClientUser, now: float
    ) -> ClientTransaction:
        """Send a request in the client transaction its method needs."""
        kind = InviteClientTransaction if request.method == "INVITE" else NonInviteClientTransaction
        transaction = kind(self, flow, request, user)
        transaction.reused = flow in self._framers
        self._clients[transaction.key] = transaction
        self.track(transaction)
        transaction.start(now)
        return transaction

    def track(self, transaction: Transaction) -> None:
        """Note which flow a transaction depends on."""
        users = self._by_flow.get(transaction.flow)
        if users is None:
            self._by_flow[transaction.flow] = {transaction}
        else:
            users.add(transaction)

    def terminated(self, transaction: Transaction) -> None:
        """Forget a transaction."""
        if isinstance(transaction, ClientTransaction):
            self._clients.pop(transaction.key, None)
        elif isinstance(transaction, ServerTransaction):
            self._uas.forget(transaction)
        self._untrack(transaction)

    def _untrack(self, transaction: Transaction) -> None:
        users = self._by_flow.get(transaction.flow)
        if users is not None:
            users.discard(transaction)
            if not users:
                del self._by_flow[transaction.flow]

    def came_again(self, transaction: ServerTransaction, flow: Flow) -> None:
        """A request was repeated: over a stream nobody does that before its connection is lost."""
        before = transaction.flow
        if flow.reliable and flow != before and flow.remote[0] == before.remote[0]:
            self._untrack(transaction)
            transaction.flow = flow
            self.track(transaction)

    def came_by(self, flow: Flow, dialog: Dialog | None) -> None:
        """A request of the peer's came inside a dialog."""
        before = dialog.flow if dialog is not None else None
        if dialog and before and before.reliable and before not in self._framers:
            # Its connection was lost. Where the peer has come from is perhaps the only way to it.
            dialog.flow = flow

    def _reroute(self, transaction: ServerTransaction, reason: str, now: float) -> None:
        # Section 18.2.2: the response goes to the address of Via's sent-by on a new connection, if
        # the one the request came on is gone.
        if transaction.rerouted or transaction.settled:
            transaction.transport_failed(reason, now)
            return
        transaction.rerouted = True
        self._untrack(transaction)
        lost = transaction.flow
        host, port = lost.remote[0], transaction.request.via.sent_by[1]

        def reached(result: Flow | SipFailure, at: float) -> None:
            if transaction.over or transaction.flow != lost:
                return
            if isinstance(result, SipFailure):
                transaction.transport_failed(result.reason, at)
            else:
                transaction.move_to(result)
                self.track(transaction)

        hop = Hop(lost.transport, host, port, lost.name or host)
        self.connect(hop, None, _AGAIN, reached)
