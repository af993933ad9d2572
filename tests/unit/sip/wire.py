"""Endpoints on a virtual clock: one talked to by hand, or two on a network with faults."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import replace

from switchroom.sip.actions import CloseFlow, Connect, Locate, Send
from switchroom.sip.call_session import CallSession
from switchroom.sip.callee_session import CalleeSession
from switchroom.sip.caller_session import CallerSession
from switchroom.sip.digest import Credentials
from switchroom.sip.endpoint import Endpoint, EndpointConfig
from switchroom.sip.flows import Flow
from switchroom.sip.invite_session import (
    FailureKind,
    IncomingInvite,
    OutgoingInvite,
    SessionEvent,
)
from switchroom.sip.message import Message, Request, Response, parse_message
from switchroom.sip.targets import DEFAULT_PORTS, Hop
from switchroom.sip.uri import NameAddr, Uri

US = ("192.0.2.1", 5060)
THEM = ("192.0.2.2", 5060)
OFFER = b"v=0\r\ns=offer\r\n"
ANSWER = b"v=0\r\ns=answer\r\n"


def crlf(text: str) -> bytes:
    """A message written with plain line ends; a blank line is added if it has no body."""
    text = text.strip("\n")
    if "\n\n" not in text:
        text += "\n\n"
    return text.replace("\n", "\r\n").encode()


class Agent:
    """An endpoint whose network is the test: what it sends piles up, what it hears is handed in."""

    def __init__(
        self,
        address: tuple[str, int] = US,
        *,
        transport: str = "udp",
        config: EndpointConfig | None = None,
        seed: int = 1,
    ) -> None:
        self.now = 1000.0
        self.address = address
        self.transport = transport
        self.unreachable: tuple[FailureKind, str] | None = None
        self.zone: dict[str, list[Hop]] = {}
        """What DNS says; a name that is not in it is its own address."""
        self.dead: set[tuple[str, str, int]] = set()
        """(transport, ip, port) that can't be connected."""
        self.peer_name = ""
        """What the certificates of TLS peers were checked for."""
        self.connection = 1
        """Number of the connection that is open, over TCP and TLS; see ``lose_connection``."""
        self.located: list[Locate] = []
        self.connected: list[Connect] = []
        self.out: list[Send] = []
        self.closed: list[Flow] = []
        self.heard: list[tuple[CallSession, SessionEvent | IncomingInvite]] = []
        self._tokens = seed << 32
        self.endpoint = Endpoint(
            config or EndpointConfig(user_agent="test"), new_token=self.token, secret=b"secret"
        )

    def token(self) -> str:
        self._tokens += 1
        return f"{self._tokens:016x}"

    def flow_to(self, remote: tuple[str, int], transport: str | None = None) -> Flow:
        transport = transport or self.transport
        number = 0 if transport == "udp" else self.connection
        return Flow(transport, self.address, remote, self.address, number, self.peer_name)

    def settle(self) -> None:
        """Perform actions until there are none; questions for a flow are answered at once."""
        while actions := self.endpoint.actions():
            for action in actions:
                if isinstance(action, Send):
                    self.out.append(action)
                elif isinstance(action, Locate):
                    self._locate(action)
                elif isinstance(action, Connect):
                    self._connect(action)
                elif isinstance(action, CloseFlow):
                    self.closed.append(action.flow)
        self.heard += self.endpoint.events()

    def _locate(self, action: Locate) -> None:
        self.located.append(action)
        found = self.zone.get(action.host)
        if found is None:
            transport = action.transport or "udp"
            port = action.port or DEFAULT_PORTS[transport]
            found = [Hop(transport, action.host, port, action.host)]
        self.endpoint.located(action.ticket, found, self.now)

    def _connect(self, action: Connect) -> None:
        self.connected.append(action)
        unreachable = self.unreachable
        if action.hop[:3] in self.dead:
            unreachable = (FailureKind.TRANSPORT, "connection refused")
        if unreachable is not None:
            self.endpoint.unreachable(action.ticket, *unreachable, self.now)
            return
        flow = self.flow_to((action.hop.ip, action.hop.port), action.hop.transport)
        instead = action.instead
        if instead is not None and instead.connection != flow.connection:
            instead = None  # it is not open any more
        self.endpoint.reached(action.ticket, instead or flow, self.now)

    # ── what the test does ──

    def advance(self, seconds: float) -> None:
        """Let time pass, waking the endpoint at each of its deadlines."""
        self.settle()
        end = self.now + seconds
        while (deadline := self.endpoint.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.endpoint.wake(self.now)
            self.settle()
        self.now = end

    def hear(self, data: bytes | Message | str, source: tuple[str, int] = THEM) -> None:
        """Something arrives."""
        if isinstance(data, str):
            data = crlf(data)
        elif not isinstance(data, bytes):
            data = data.serialise()
        self.endpoint.receive(self.flow_to(source), data, self.now)
        self.settle()

    def lose_connection(self, source: tuple[str, int] = THEM) -> None:
        """The connection to ``source`` is closed; the next one has another number."""
        flow = self.flow_to(source)
        self.connection += 1
        self.endpoint.flow_failed(flow, "connection closed", self.now)
        self.settle()

    def call(self, **changes: object) -> CallerSession:
        """Place a call to THEM."""
        session = self.endpoint.invite(replace(an_invite(), **changes), self.now)  # type: ignore[arg-type]
        self.settle()
        return session

    # ── what the test sees ──

    def sent(self) -> list[Message]:
        """What was sent since last asked."""
        sent, self.out = self.out, []
        return [parse_message(action.data) for action in sent]

    def sent_request(self, method: str) -> Request:
        """The one message sent since last asked, which must be this request."""
        (message,) = self.sent()
        assert isinstance(message, Request)
        assert message.method == method
        return message

    def sent_response(self, status: int) -> Response:
        """The one message sent since last asked, which must be this response."""
        (message,) = self.sent()
        assert isinstance(message, Response), message
        assert message.status == status, message
        return message

    def events(self) -> list[SessionEvent | IncomingInvite]:
        """What happened since last asked."""
        heard, self.heard = self.heard, []
        return [event for _, event in heard]

    def at_rest(self) -> bool:
        """Whether nothing at all is left, once all timers have run."""
        self.advance(200)
        self.out.clear()
        return self.endpoint.idle and not self.endpoint.sessions


def an_invite(
    *,
    credentials: Credentials | None = None,
    headers: Sequence[tuple[str, str]] = (),
    request_uri: str = "sip:bob@192.0.2.2",
) -> OutgoingInvite:
    return OutgoingInvite(
        call_id="call-1",
        local_tag="ours",
        request_uri=Uri.parse(request_uri),
        to=NameAddr.parse(f"<{request_uri}>"),
        from_=NameAddr.parse('"Alice" <sip:alice@192.0.2.1>'),
        headers=tuple(headers),
        body=OFFER,
        credentials=credentials,
    )


def reply(
    request: Request,
    status: int,
    *,
    tag: str | None = "theirs",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    contact: str | None = "<sip:bob@192.0.2.2:5060>",
) -> Response:
    """What the other side answers."""
    fields = [("Via", via) for via in request.headers.get_all("Via")]
    to = request.headers.get("To") or ""
    if tag and "tag=" not in to and status > 100:
        to = f"{to};tag={tag}"
    fields += [
        ("From", request.headers.get("From") or ""),
        ("To", to),
        ("Call-ID", request.call_id),
        ("CSeq", request.headers.get("CSeq") or ""),
    ]
    if contact and 100 < status < 300:
        fields.append(("Contact", contact))
    return Response(status, "Reason", [*fields, *headers], body)


def in_dialog(
    method: str,
    invite: Request,
    *,
    cseq: int = 1,
    branch: str = "z9hG4bKpeer",
    tag: str = "theirs",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> Request:
    """A request of the called party inside the dialog that ``invite`` of ours made."""
    to = invite.headers.get("From") or ""
    fields = [
        ("Via", f"SIP/2.0/UDP 192.0.2.2:5060;rport;branch={branch}{cseq}{method}"),
        ("Max-Forwards", "70"),
        ("From", f"{invite.headers.get('To')};tag={tag}"),
        ("To", to),
        ("Call-ID", invite.call_id),
        ("CSeq", f"{cseq} {method}"),
        ("Contact", "<sip:bob@192.0.2.2:5060>"),
        *headers,
    ]
    if body:
        fields.append(("Content-Type", "application/sdp"))
    return Request(method, "sip:alice@192.0.2.1:5060", fields, body)


def a_call_to_us(
    *,
    branch: str = "z9hG4bKin1",
    cseq: int = 1,
    call_id: str = "in-1",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = OFFER,
    method: str = "INVITE",
    to_tag: str = "",
) -> Request:
    """A request of THEM to us; an INVITE unless told otherwise."""
    fields = [
        ("Via", f"SIP/2.0/UDP 192.0.2.2:5060;rport;branch={branch}"),
        ("Max-Forwards", "70"),
        ("From", "<sip:bob@192.0.2.2>;tag=theirs"),
        ("To", f"<sip:alice@192.0.2.1>{f';tag={to_tag}' if to_tag else ''}"),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
        ("Contact", "<sip:bob@192.0.2.2:5060>"),
        *headers,
    ]
    if body:
        fields.append(("Content-Type", "application/sdp"))
    return Request(method, "sip:alice@192.0.2.1", fields, body)


class Network:
    """Two agents and a wire that loses, doubles and reorders with given odds."""

    def __init__(
        self,
        seed: int,
        *,
        loss: float = 0.0,
        duplication: float = 0.0,
        jitter: float = 0.0,
        transport: str = "udp",
    ) -> None:
        self.caller = Agent(US, transport=transport, seed=1)
        self.callee = Agent(THEM, transport=transport, seed=2)
        self.callee.endpoint.admit_with(lambda _request, _flow: None)
        self.now = 1000.0
        self.random = random.Random(seed)
        self.loss = loss
        self.duplication = duplication
        self.jitter = jitter
        self.datagrams = 0
        self._travelling: list[tuple[float, int, Agent, Send]] = []

    def agents(self) -> tuple[Agent, Agent]:
        return self.caller, self.callee

    def run(self, until: float) -> None:
        """Deliver and wake until ``until`` (absolute time) or until nothing is left to do."""
        while (at := self._next()) is not None and at <= until:
            self.now = at
            while self._travelling and self._travelling[0][0] <= at:
                _, _, to, sent = heapq.heappop(self._travelling)
                flow = to.flow_to(sent.flow.local)
                to.endpoint.receive(flow, sent.data, at)
                self.collect()
            for agent in self.agents():
                agent.now = at
                agent.endpoint.wake(at)
            self.collect()
        self.now = until if self._next() is not None else self.now

    def _next(self) -> float | None:
        times = [agent.endpoint.deadline() for agent in self.agents()]
        if self._travelling:
            times.append(self._travelling[0][0])
        known = [time for time in times if time is not None]
        return max(self.now, min(known)) if known else None

    def collect(self) -> None:
        """Put on the wire what the agents have sent."""
        for agent, other in ((self.caller, self.callee), (self.callee, self.caller)):
            agent.now = self.now
            agent.settle()
            while agent.out:
                sent = agent.out.pop(0)
                if sent.flow.connection in (0, agent.connection):
                    self._carry(other, sent)
                else:
                    agent.endpoint.flow_failed(sent.flow, "connection closed", self.now)
                    agent.settle()

    def lose_connection(self) -> None:
        """The connection between the two is closed, and what travels on it is lost."""
        self._travelling.clear()
        for agent, other in ((self.caller, self.callee), (self.callee, self.caller)):
            agent.now = self.now
            agent.lose_connection(other.address)

    def _carry(self, to: Agent, sent: Send) -> None:
        copies = 2 if self.random.random() < self.duplication else 1
        for _ in range(copies):
            if self.random.random() < self.loss:
                continue
            self.datagrams += 1
            at = self.now + 0.01 + self.random.random() * self.jitter
            heapq.heappush(self._travelling, (at, self.datagrams, to, sent))

    def callee_session(self) -> CalleeSession | None:
        """The latest call that came in."""
        for session, event in reversed(self.callee.heard):
            if isinstance(event, IncomingInvite) and isinstance(session, CalleeSession):
                return session
        return None
