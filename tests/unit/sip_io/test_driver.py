"""The driver on real sockets, on the loopback address."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import TypeVar

import pytest
import uvloop

from switchroom.base.clock import SystemClock
from switchroom.sip.errors import LocalSipError
from switchroom.sip.invite_session import (
    Acknowledged,
    Answered,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    IncomingInviteSession,
    OutgoingInvite,
    Provisional,
    SessionEvent,
)
from switchroom.sip.message import Request, Response, parse_message
from switchroom.sip.sanity import Refusal
from switchroom.sip.timers import TimerQueue
from switchroom.sip.uri import NameAddr, Uri
from switchroom.sip_io import driver as module
from switchroom.sip_io.driver import SipConfig, SipDriver
from switchroom.sip_io.errors import SipStartError
from switchroom.sip_io.tap import TapRecord
from unit.sip.wire import ANSWER, OFFER, a_call_to_us, crlf, reply

PATIENCE = 60
_Event = TypeVar("_Event")

OPTIONS = """
OPTIONS sip:alice@127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bKping;rport
Max-Forwards: 70
From: <sip:probe@example.com>;tag=p
To: <sip:alice@192.0.2.1>
Call-ID: ping-1
CSeq: 1 OPTIONS
X-Padding: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
Content-Length: 0
"""


class Ear:
    """Hears the events of one call."""

    def __init__(self) -> None:
        self.events: list[SessionEvent] = []
        self._changed = asyncio.Event()

    def __call__(self, event: SessionEvent) -> None:
        self.events.append(event)
        self._changed.set()

    async def next(self, kind: type[_Event]) -> _Event:
        async with asyncio.timeout(PATIENCE):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                self._changed.clear()
                await self._changed.wait()


class Phone:
    """Takes calls as ``act`` says."""

    def __init__(self, act: Callable[[IncomingInviteSession], None]) -> None:
        self.ear = Ear()
        self.sessions: list[IncomingInviteSession] = []
        self.sources: list[str] = []
        self._act = act

    def __call__(
        self, session: IncomingInviteSession, request: Request, source: str
    ) -> Callable[[SessionEvent], None]:
        assert request.method == "INVITE"
        self.sessions.append(session)
        self.sources.append(source)
        self._act(session)
        return self.ear


@asynccontextmanager
async def driver(
    bind: tuple[tuple[str, int], ...] = (("127.0.0.1", 0),), **options: object
) -> AsyncIterator[SipDriver]:
    one = SipDriver(SipConfig(bind, user_agent="test"), SystemClock(), **options)  # type: ignore[arg-type]
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def ours() -> AsyncIterator[SipDriver]:
    async with driver() as one:
        yield one


@pytest.fixture
async def theirs() -> AsyncIterator[SipDriver]:
    async with driver() as one:
        yield one


def invite_to(
    address: tuple[str, int], transport: str | None = None, call_id: str = "call-1"
) -> OutgoingInvite:
    target = Uri.sip("bob", *address)
    return OutgoingInvite(
        call_id=call_id,
        local_tag="ours",
        request_uri=target,
        to=NameAddr(target),
        from_=NameAddr(Uri.sip("alice", "127.0.0.1")),
        body=OFFER,
        transport=transport,
    )


def answer(session: IncomingInviteSession) -> None:
    session.ring()
    session.answer(ANSWER)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_goes_up_and_down(ours: SipDriver, theirs: SipDriver, transport: str) -> None:
    phone = Phone(answer)
    theirs.set_incoming_handler(phone)
    ear = Ear()
    session = ours.invite(invite_to(theirs.bound[0], transport), ear)
    assert ear.events == []  # never from inside the command
    assert session.call_id == "call-1"
    assert (await ear.next(Answered)).body == ANSWER
    await phone.ear.next(Acknowledged)
    assert phone.sources[0].startswith("127.0.0.1:")
    assert (ours.calls, theirs.calls) == (1, 1)
    assert (ours.transactions, theirs.transactions) == (1, 1)
    assert session.snapshot() is not None
    session.bye()
    await ear.next(DialogEnded)
    await phone.ear.next(ByeReceived)
    assert ours.calls == 0
    repeated = 2 if transport == "udp" else 1
    assert ours.transactions == repeated, "the answers may come again"
    starts = [record.data[:7] for record in ours.traces.of("call-1")]
    assert starts[0] == b"INVITE "
    assert b"ACK sip" in starts


async def test_a_stored_dialog_is_hung_up_by_another_driver(
    ours: SipDriver, theirs: SipDriver
) -> None:
    phone = Phone(answer)
    theirs.set_incoming_handler(phone)
    ear = Ear()
    session = ours.invite(invite_to(theirs.bound[0]), ear)
    await ear.next(Answered)
    snapshot = session.snapshot()
    assert snapshot is not None
    await phone.ear.next(Acknowledged)
    async with driver() as later:
        await asyncio.wait_for(later.end_orphan(snapshot), PATIENCE)
        await phone.ear.next(ByeReceived)


async def test_stopping_hangs_up_and_leaves_nothing(theirs: SipDriver) -> None:
    phone = Phone(answer)
    theirs.set_incoming_handler(phone)
    ear = Ear()
    async with driver() as one:
        one.invite(invite_to(theirs.bound[0]), ear)
        await ear.next(Answered)
    await phone.ear.next(ByeReceived)
    await ear.next(DialogEnded)
    assert one.calls == 0
    assert len(asyncio.all_tasks()) == 1


async def test_while_stopping_new_calls_get_503_with_retry_after() -> None:
    one = SipDriver(SipConfig(bind=(("127.0.0.1", 0),)), SystemClock())
    await one.start()
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        ear = Ear()
        one.invite(invite_to(phone.getsockname()), ear)
        invite = await receive(phone)
        contact = "<sip:bob@127.0.0.1:{1}>".format(*phone.getsockname())
        phone.sendto(reply(invite, 200, contact=contact).serialise(), one.bound[0])
        assert (await receive(phone)).method == "ACK"
        stopping = asyncio.create_task(one.stop())
        bye = await receive(phone)
        assert bye.method == "BYE"
        phone.sendto(a_call_to_us().serialise(), one.bound[0])
        loop = asyncio.get_running_loop()
        refusal = parse_message(await asyncio.wait_for(loop.sock_recv(phone, 65_535), PATIENCE))
        assert isinstance(refusal, Response)
        assert (refusal.status, refusal.headers.get("Retry-After")) == (503, "10")
        phone.sendto(reply(bye, 200).serialise(), one.bound[0])
        await asyncio.wait_for(stopping, PATIENCE)


async def test_a_call_that_can_not_be_hung_up_in_time_ends_with_the_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_FAREWELL", 0.0)
    one = SipDriver(SipConfig(bind=(("127.0.0.1", 0),)), SystemClock())
    await one.start()
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        up, ringing = Ear(), Ear()
        one.invite(invite_to(phone.getsockname()), up)
        invite = await receive(phone)
        contact = "<sip:bob@127.0.0.1:{1}>".format(*phone.getsockname())
        phone.sendto(reply(invite, 200, contact=contact).serialise(), one.bound[0])
        await up.next(Answered)
        one.invite(invite_to(phone.getsockname(), call_id="call-2"), ringing)
        await one.stop()
        ended = up.events[-1]
        assert isinstance(ended, DialogEnded)
        assert ended.failure is not None
        assert ended.failure.reason == "stopped"
        assert isinstance(ringing.events[-1], Failed)


async def receive(sock: socket.socket) -> Request:
    loop = asyncio.get_running_loop()
    message = parse_message(await asyncio.wait_for(loop.sock_recv(sock, 65_535), PATIENCE))
    assert isinstance(message, Request)
    return message


async def test_without_a_handler_a_call_gets_404(ours: SipDriver, theirs: SipDriver) -> None:
    ear = Ear()
    ours.invite(invite_to(theirs.bound[0]), ear)
    failure = (await ear.next(Failed)).failure
    assert (failure.status, failure.reason) == (404, "No Inbound Trunk")


async def test_who_admits_calls_is_asked_first(ours: SipDriver, theirs: SipDriver) -> None:
    phone = Phone(answer)
    theirs.set_incoming_handler(phone, admit=lambda _request, _flow: Refusal(403))
    ear = Ear()
    ours.invite(invite_to(theirs.bound[0]), ear)
    assert (await ear.next(Failed)).failure.status == 403
    assert phone.sessions == []


@pytest.mark.parametrize("refuse", ["reject", "cancel", "bye"])
async def test_nobody_listens_any_more_to_a_call_that_was_refused_after_it_had_rung(
    ours: SipDriver, theirs: SipDriver, refuse: str
) -> None:
    """No last event tells of its end: who listens would be kept for ever."""
    phone = Phone(lambda session: session.ring())
    theirs.set_incoming_handler(phone)
    ear = Ear()
    ours.invite(invite_to(theirs.bound[0]), ear)
    await ear.next(Provisional)
    (session,) = phone.sessions
    if refuse == "reject":
        session.reject(486)
    else:
        getattr(session, refuse)()
    await ear.next(Failed)
    assert phone.ear.events == []
    assert not theirs._listeners


async def test_who_gives_up_in_the_breath_of_calling_is_not_waited_for(ours: SipDriver) -> None:
    """INVITE and CANCEL in one segment: the end was told before anybody listened for it."""
    phone = Phone(lambda session: session.ring())
    ours.set_incoming_handler(phone)
    invite, cancel = (
        a_call_to_us(method=method, body=body).serialise().replace(b"/UDP", b"/TCP")
        for method, body in (("INVITE", OFFER), ("CANCEL", b""))
    )
    _, writer = await asyncio.open_connection(*ours.bound[0])
    writer.write(invite + cancel)
    failed = await phone.ear.next(Failed)
    assert failed.failure.kind is FailureKind.CANCELLED
    assert not ours._listeners
    writer.close()
    await writer.wait_closed()


class Impatient:
    """A server that closes a connection which is used a second time, and serves on the next."""

    def __init__(self) -> None:
        self.invites: list[Request] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for status in (486, 0):
            while True:
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                except asyncio.IncompleteReadError:
                    writer.close()
                    return
                request = parse_message(head + await reader.readexactly(_length(head)))
                if isinstance(request, Request) and request.method == "INVITE":
                    break
            self.invites.append(request)
            if status:
                writer.write(reply(request, status).serialise())
        writer.close()


def _length(head: bytes) -> int:
    return int(head.rpartition(b"Content-Length:")[2])


async def test_a_connection_that_is_closed_under_a_call_is_made_anew_for_it(
    ours: SipDriver,
) -> None:
    impatient = Impatient()
    server = await asyncio.start_server(impatient, "127.0.0.1", 0)
    async with server:
        address = server.sockets[0].getsockname()
        for number in range(2):
            ear = Ear()
            ours.invite(invite_to(address, "tcp", f"call-{number}"), ear)
            failed = await ear.next(Failed)
            assert failed.failure.status == 486
        await ours.stop()
    first, second, again = impatient.invites
    assert second.call_id != first.call_id
    assert again.serialise() == second.serialise()


class JumpingClock(SystemClock):
    """The system's, and a time that has passed meanwhile."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@pytest.mark.parametrize("calls", [True, False])
async def test_a_silent_connection_is_kept_for_the_call_that_goes_by_it(
    theirs: SipDriver, calls: bool
) -> None:
    phone = Phone(lambda session: session.answer(ANSWER))
    theirs.set_incoming_handler(phone)
    clock = JumpingClock()
    ours = SipDriver(SipConfig((("127.0.0.1", 0),), user_agent="test"), clock)
    await ours.start()
    ear = Ear()
    session = ours.invite(invite_to(theirs.bound[0], "tcp"), ear)
    await phone.ear.next(Acknowledged)
    if not calls:
        session.bye()
        await ear.next(DialogEnded)
    clock.ahead = 3_600.0
    ours._woken()
    (connection,) = ours._tcp.open.values()
    assert (connection.send(b"\r\n\r\n") is None) is calls
    await ours.stop()


async def test_a_handler_that_fails_costs_its_call_and_no_other(
    ours: SipDriver, theirs: SipDriver
) -> None:
    def fail(session: IncomingInviteSession) -> None:
        raise RuntimeError("a fault in foreign code")

    theirs.set_incoming_handler(Phone(fail))
    ear = Ear()
    ours.invite(invite_to(theirs.bound[0]), ear)
    assert (await ear.next(Failed)).failure.status == 500
    theirs.set_incoming_handler(Phone(answer))
    ear = Ear()
    ours.invite(invite_to(theirs.bound[0], call_id="call-2"), ear)
    await ear.next(Answered)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_port_nobody_listens_on_is_a_prompt_failure(
    ours: SipDriver, transport: str
) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ear = Ear()
    ours.invite(invite_to(("127.0.0.1", port), transport), ear)
    failure = (await ear.next(Failed)).failure
    assert (failure.kind, failure.reason) == (FailureKind.TRANSPORT, "connection refused")
    assert ours.calls == 0


async def test_a_name_that_is_none_is_a_dns_failure(ours: SipDriver) -> None:
    ear = Ear()
    ours.invite(invite_to(("does-not-exist.invalid", 5060)), ear)
    failure = (await ear.next(Failed)).failure
    assert failure.kind is FailureKind.DNS
    assert "does-not-exist.invalid" in failure.reason


async def test_a_name_that_is_one_is_found(ours: SipDriver, theirs: SipDriver) -> None:
    theirs.set_incoming_handler(Phone(answer))
    ear = Ear()
    ours.invite(invite_to(("localhost", theirs.bound[0][1])), ear)
    await ear.next(Answered)
    assert ours.local_address_towards("localhost") == "127.0.0.1"
    assert ours.local_address_towards("127.0.0.1") == "127.0.0.1"


async def test_text_that_can_not_be_sent_is_refused_at_once(ours: SipDriver) -> None:
    invite = invite_to(("127.0.0.1", 9))
    bad = OutgoingInvite(
        "c", "t", invite.request_uri, invite.to, invite.from_, headers=(("X", "a\r\nb"),)
    )
    with pytest.raises(LocalSipError):
        ours.invite(bad, Ear())
    assert ours.calls == 0


async def test_an_address_that_is_taken_is_a_line_for_the_console(ours: SipDriver) -> None:
    other = SipDriver(SipConfig(bind=(ours.bound[0],)), SystemClock())
    with pytest.raises(SipStartError, match=r"SIP port \d+ on 127\.0\.0\.1 is in use"):
        await other.start()
    strange = SipDriver(SipConfig(bind=(("192.0.2.77", 0),)), SystemClock())
    with pytest.raises(SipStartError, match="can't listen for SIP on 192\\.0\\.2\\.77"):
        await strange.start()


async def test_the_tap_sees_every_message_and_the_trace_keeps_those_of_calls(
    theirs: SipDriver,
) -> None:
    seen: list[TapRecord] = []
    async with driver(tap=seen.append) as one:
        ear = Ear()
        one.invite(invite_to(theirs.bound[0]), ear)
        await ear.next(Failed)
    assert [record.direction for record in seen] == ["out", "in", "out"]
    assert {record.call_id for record in seen} == {"call-1"}
    assert seen[0].remote == theirs.bound[0]
    assert seen[0].at_unix_ns > 0
    assert tuple(seen) == one.traces.of("call-1")


async def test_several_addresses_are_served_and_the_right_one_is_shown() -> None:
    async with driver((("127.0.0.1", 0), ("127.0.0.2", 0))) as one:
        assert [ip for ip, _ in one.bound] == ["127.0.0.1", "127.0.0.2"]
        for address in one.bound:
            reply = await ask_by_udp(address, crlf(OPTIONS))
            assert reply.startswith(b"SIP/2.0 200 OK")


async def ask_by_udp(address: tuple[str, int], data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.setblocking(False)
        sock.connect(address)
        sock.send(data)
        return await asyncio.wait_for(loop.sock_recv(sock, 65_535), PATIENCE)


async def test_garbage_disturbs_nobody(ours: SipDriver) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as noise:
        for data in (b"", b"\x00" * 1400, b"\xff\xfe" * 200, b"INVITE\r\n\r\n" * 100):
            noise.sendto(data, ours.bound[0])
    assert (await ask_by_udp(ours.bound[0], crlf(OPTIONS))).startswith(b"SIP/2.0 200 OK")
    assert ours.idle


async def test_a_stream_is_answered_on_the_connection_it_came_on(ours: SipDriver) -> None:
    reader, writer = await asyncio.open_connection(*ours.bound[0])
    data = crlf(OPTIONS.replace("/UDP", "/TCP"))
    writer.write(data[:50])
    await writer.drain()
    writer.write(data[50:] + b"\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    assert parse_message(head).call_id == "ping-1"
    assert await asyncio.wait_for(reader.readexactly(2), PATIENCE) == b"\r\n"
    writer.write(b"garbage\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
    writer.close()
    await writer.wait_closed()


async def test_a_contact_host_is_shown_but_not_on_loopback() -> None:
    config = SipConfig(bind=(("127.0.0.1", 0),), contact_host="pbx.example.com")
    one = SipDriver(config, SystemClock())
    assert one._sent_by("udp", ("127.0.0.1", 5060)) == ("127.0.0.1", 5060)
    assert one._sent_by("udp", ("192.0.2.1", 5060)) == ("pbx.example.com", 5060)


async def test_the_address_for_sdp_is_that_of_the_nat_in_front_of_us() -> None:
    bind = (("127.0.0.1", 5060), ("192.0.2.10", 5060))
    for contact_host, towards_the_world in (
        (None, "192.0.2.10"),
        ("203.0.113.5", "203.0.113.5"),
        ("pbx.example.com", "192.0.2.10"),
    ):
        one = SipDriver(SipConfig(bind=bind, contact_host=contact_host), SystemClock())
        one._bound.extend(bind)
        assert one.advertised_address_towards("198.51.100.1") == towards_the_world
        assert one.advertised_address_towards("127.0.0.1") == "127.0.0.1"


async def test_a_wildcard_address_shows_the_one_the_peer_sees() -> None:
    async with driver((("0.0.0.0", 0),)) as one, driver() as phone_driver:
        phone = Phone(answer)
        phone_driver.set_incoming_handler(phone)
        assert one.local_address_towards("127.0.0.1") == "127.0.0.1"
        ear = Ear()
        session = one.invite(invite_to(phone_driver.bound[0]), ear)
        await ear.next(Answered)
        session.bye()
        await ear.next(DialogEnded)


class _Silent(asyncio.DatagramProtocol):
    """A peer that answers nothing, and knows when all of its callers have asked twice."""

    CALLERS = 100

    def __init__(self) -> None:
        self.asked = 0
        self.asked_again = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.asked += 1
        if self.asked == 2 * self.CALLERS:
            self.asked_again.set()


def test_the_timer_does_not_wake_the_driver_before_there_is_something_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """uvloop fires up to two milliseconds early; the driver went round and round meanwhile."""
    early: list[bool] = []
    run_due = TimerQueue.run_due

    def watched(queue: TimerQueue, now: float) -> None:
        deadline = queue.deadline()
        early.append(deadline is not None and deadline > now)
        run_due(queue, now)

    async def call_somebody_silent() -> None:
        loop = asyncio.get_running_loop()
        transport, silent = await loop.create_datagram_endpoint(_Silent, ("127.0.0.1", 0))
        async with driver() as ours:
            address = transport.get_extra_info("sockname")
            for number in range(silent.CALLERS):  # fractions of a millisecond apart
                ours.invite(invite_to(address, call_id=f"call-{number}"), Ear())
            async with asyncio.timeout(PATIENCE):
                await silent.asked_again.wait()
        transport.close()

    monkeypatch.setattr(module, "_FAREWELL", 0.0)
    monkeypatch.setattr(TimerQueue, "run_due", watched)
    uvloop.run(call_somebody_silent())
    assert early
    assert not any(early)
