"""Our SIP driver calls SIPp: the ways a call can go on the wire, with an independent far end.

SIPp ends each scenario by itself: exit status 0 says that we did what the scenario demands.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from interop.sipp_phone import (
    ANSWER,
    RINGING,
    SippPhone,
    cancelled,
    is_bound,
    needs_sipp,
    receive,
    refusal,
    send,
    sipp_phone,
)
from switchroom.base.clock import SystemClock
from switchroom.sip.digest import Credentials
from switchroom.sip.invite_session import (
    Answered,
    AuthProblem,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    InviteSession,
    OfferAnswered,
    OfferReceived,
    OutgoingInvite,
    Provisional,
    ReferAnswered,
    ReferNotified,
    SessionEvent,
)
from switchroom.sip.uri import NameAddr, Uri
from switchroom.sip_io.driver import SipConfig, SipDriver
from switchroom.sip_io.tap import TapRecord

pytestmark = [pytest.mark.interop, needs_sipp]

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
OK = send("200 OK")

_NOTE_VIA = '<ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via"/>'
NOTED_INVITE = (
    f'<recv request="INVITE" crlf="true"><action>{_NOTE_VIA}<log message="[$via]"/></action></recv>'
)
"""Take the INVITE and remember its Via, for answers given after other requests have come."""


def inside(response: str) -> str:
    """A response to a request that has our To tag already."""
    return response.replace("[last_To:];tag=[pid]SIPp[call_number]", "[last_To:]")


def to_the_noted_invite(response: str) -> str:
    """A response to the INVITE of NOTED_INVITE, whatever came last."""
    response = inside(response).replace("[last_CSeq:]", "CSeq: 1 INVITE")
    return response.replace("[last_Via:]", "Via: [$via]")


_Event = TypeVar("_Event")


class Call:
    """A call of ours and what it hears, waited for by kind."""

    def __init__(self, driver: SipDriver, invite: OutgoingInvite) -> None:
        self.events: list[SessionEvent] = []
        self._changed = asyncio.Event()
        self.session: InviteSession = driver.invite(invite, self._hear)

    def _hear(self, event: SessionEvent) -> None:
        self.events.append(event)
        self._changed.set()

    async def next(
        self, kind: type[_Event], that: Callable[[_Event], bool] | None = None
    ) -> _Event:
        """The first event of this kind (that fulfils ``that``), now or later."""
        async with asyncio.timeout(180):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and (that is None or that(event)):
                        return event
                self._changed.clear()
                await self._changed.wait()


class Wire:
    """What passes our tap, by direction and first word (or status)."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._changed = asyncio.Event()

    def __call__(self, record: TapRecord) -> None:
        start = record.data.split(b"\r\n")[0].decode().split(" ")
        word = start[1] if start[0] == "SIP/2.0" else start[0]
        self.seen.append(f"{'>' if record.direction == 'out' else '<'} {word}")
        self._changed.set()

    async def passed(self, message: str, *, times: int = 1) -> None:
        """Until this message has passed so many times; nobody above is told of ACKs."""
        async with asyncio.timeout(180):
            while self.seen.count(message) < times:
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def driver(wire: Wire, request: pytest.FixtureRequest) -> AsyncIterator[SipDriver]:
    options = getattr(request, "param", {})
    config = SipConfig(bind=(("127.0.0.1", 0),), user_agent="interop", **options)
    driver = SipDriver(config, SystemClock(), tap=wire)
    await driver.start()
    yield driver
    await driver.stop()


def place(
    driver: SipDriver,
    phone: SippPhone,
    *,
    credentials: Credentials | None = None,
    transport: str | None = None,
) -> Call:
    host, _, port = phone.address.partition(":")
    target = Uri.sip("+15551234", host, int(port))
    invite = OutgoingInvite(
        call_id=f"call-{phone.address}",
        local_tag="ours",
        request_uri=target,
        to=NameAddr(target),
        from_=NameAddr(Uri.sip("+15550100", "127.0.0.1"), "Test"),
        body=OFFER,
        credentials=credentials,
        transport=transport,
    )
    return Call(driver, invite)


async def test_a_call_is_answered_and_hung_up_by_us(
    driver: SipDriver, wire: Wire, tmp_path: Path
) -> None:
    steps = [receive("INVITE"), RINGING, ANSWER, receive("ACK"), receive("BYE"), OK]
    async with sipp_phone(tmp_path, steps) as phone:
        call = place(driver, phone)
        assert (await call.next(Answered)).status == 200
        assert call.session.snapshot() is not None
        call.session.bye((("Reason", "Q.850;cause=16"),))
        await call.next(DialogEnded)
        assert await phone.finished() == 0
        assert wire.seen == ["> INVITE", "< 180", "< 200", "> ACK", "> BYE", "< 200"]


async def test_a_call_is_hung_up_by_the_phone(driver: SipDriver, tmp_path: Path) -> None:
    bye = """<send retrans="500"><![CDATA[
      BYE [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: [$1]
      To: [$2]
      [last_Call-ID:]
      CSeq: 1 BYE
      Max-Forwards: 70
      Content-Length: 0

    ]]></send>"""
    ack = """<recv request="ACK" crlf="true"><action>
      <ereg regexp=".*" search_in="hdr" header="To:" assign_to="1"/>
      <ereg regexp=".*" search_in="hdr" header="From:" assign_to="2"/>
      <log message="[$1] [$2]"/>
    </action></recv>"""
    invite = '<recv request="INVITE" rrs="true" crlf="true"></recv>'
    steps = [invite, RINGING, ANSWER, ack, bye, '<recv response="200"></recv>']
    async with sipp_phone(tmp_path, steps) as phone:
        call = place(driver, phone)
        await call.next(ByeReceived)
        assert await phone.finished() == 0


@pytest.mark.parametrize("status", ["486 Busy Here", "603 Decline", "404 Not Found", "503 Full"])
async def test_a_refusal_is_acknowledged_and_named(
    driver: SipDriver, tmp_path: Path, status: str
) -> None:
    async with sipp_phone(tmp_path, refusal(status)) as phone:
        failure = (await place(driver, phone).next(Failed)).failure
        assert failure.kind is FailureKind.REJECTED
        assert f"{failure.status} {failure.reason}" == status
        assert failure.provisional_seen == 1
        assert await phone.finished() == 0


def challenge(nonce: str, *, proxy: bool = True) -> str:
    value = f'Digest realm="carrier", nonce="{nonce}", qop="auth", algorithm=MD5'
    if proxy:
        header = f"Proxy-Authenticate: {value}"
        return send("407 Proxy Authentication Required", headers=(header,))
    return send("401 Unauthorized", headers=(f"WWW-Authenticate: {value}",))


def verified(username: str, password: str) -> str:
    """Take an INVITE whose login SIPp itself finds right."""
    check = f'assign_to="ok" username="{username}" password="{password}"'
    return (
        f'<recv request="INVITE" crlf="true"><action><verifyauth {check}/></action></recv>\n'
        '<nop test="ok" next="good"></nop>\n'
        f"{send('403 Forbidden')}\n"
        '<recv request="ACK" next="end"></recv>\n'
        '<label id="good"/>'
    )


async def test_the_right_login_gets_through(driver: SipDriver, tmp_path: Path) -> None:
    steps = [
        receive("INVITE"),
        # SIPp's own check reads Authorization only.
        challenge("abc", proxy=False),
        receive("ACK"),
        verified("alice", "secret"),
        ANSWER,
        receive("ACK"),
        receive("BYE"),
        OK,
        '<label id="end"/>',
    ]
    async with sipp_phone(tmp_path, steps) as phone:
        call = place(driver, phone, credentials=Credentials("alice", "secret"))
        await call.next(Answered)
        call.session.bye()
        await call.next(DialogEnded)
        assert await phone.finished() == 0
        traced = b"".join(record.data for record in driver.traces.of(f"call-{phone.address}"))
        assert b"Authorization: (hidden)" in traced
        assert b"response=" not in traced


async def test_the_wrong_login_is_tried_once(driver: SipDriver, tmp_path: Path) -> None:
    steps = [receive("INVITE"), challenge("abc"), receive("ACK")]
    steps += [receive("INVITE"), challenge("def"), receive("ACK")]
    async with sipp_phone(tmp_path, steps) as phone:
        call = place(driver, phone, credentials=Credentials("alice", "wrong"))
        failure = (await call.next(Failed)).failure
        assert (failure.kind, failure.status) == (FailureKind.AUTH, 407)
        assert failure.auth is AuthProblem.REJECTED
        assert await phone.finished() == 0


async def test_a_phone_that_rings_for_ever_is_cancelled(driver: SipDriver, tmp_path: Path) -> None:
    steps = [receive("INVITE"), RINGING, *cancelled()]
    async with sipp_phone(tmp_path, steps) as phone:
        call = place(driver, phone)
        await call.next(Provisional, lambda event: event.status == 180)
        call.session.cancel()
        failure = (await call.next(Failed)).failure
        assert (failure.kind, failure.status) == (FailureKind.CANCELLED, 487)
        assert await phone.finished() == 0


async def test_a_200_that_crosses_our_cancel_is_acknowledged_and_hung_up(
    driver: SipDriver, tmp_path: Path
) -> None:
    ok_to_invite = ANSWER.replace("[last_CSeq:]", "CSeq: 1 INVITE").replace(' retrans="500"', "")
    steps = [
        receive("INVITE"),
        RINGING,
        receive("CANCEL"),
        ok_to_invite,
        receive("ACK"),
        receive("BYE"),
        OK,
    ]
    async with sipp_phone(tmp_path, steps) as phone:
        call = place(driver, phone)
        await call.next(Provisional, lambda event: event.status == 180)
        call.session.cancel()
        failure = (await call.next(Failed)).failure
        assert (failure.kind, failure.status) == (FailureKind.CANCELLED, 200)
        assert await phone.finished() == 0


async def test_each_repeated_200_gets_its_ack(
    driver: SipDriver, wire: Wire, tmp_path: Path
) -> None:
    once = ANSWER.replace(' retrans="500"', "")
    steps = [NOTED_INVITE, once, receive("ACK")]
    again = to_the_noted_invite(once)
    # SIPp itself takes some of the same ACKs for retransmissions; the wire tells them all.
    repeated = receive("ACK", optional=True)
    steps += [again, again, repeated, repeated, receive("BYE"), OK]
    async with sipp_phone(tmp_path, steps) as phone:
        call = place(driver, phone)
        await call.next(Answered)
        await wire.passed("> ACK", times=3)
        call.session.bye()
        await call.next(DialogEnded)
        assert await phone.finished() == 0
        assert len([event for event in call.events if isinstance(event, Answered)]) == 1


ROUTES = (
    "Record-Route: &lt;sip:[local_ip]:[local_port];lr;hop=2&gt;",
    "Record-Route: &lt;sip:[local_ip]:[local_port];lr;hop=1&gt;",
)


def demand_header(header: str, expected: str) -> str:
    """Take a request whose header has to hold this text."""
    return (
        f'<ereg regexp="{expected}" search_in="hdr" header="{header}" check_it="true" '
        'assign_to="seen"/><log message="[$seen]"/>'
    )


async def test_ack_and_bye_follow_the_recorded_route_in_reverse(
    driver: SipDriver, tmp_path: Path
) -> None:
    plain = tuple(route.replace("&lt;", "<").replace("&gt;", ">") for route in ROUTES)
    # Somewhere nothing listens: only the route leads back to the phone.
    contact = "Contact: <sip:elsewhere@192.0.2.99:5099>"
    answer = send("200 OK", headers=plain, codecs="0", repeat=True).replace(
        "Contact: <sip:[local_ip]:[local_port];transport=[transport]>", contact
    )
    demand = f"<action>{demand_header('Route:', 'hop=1')}</action>"
    ack = f'<recv request="ACK" crlf="true">{demand}</recv>'
    bye = f'<recv request="BYE" crlf="true">{demand}</recv>'
    async with sipp_phone(tmp_path, [receive("INVITE"), answer, ack, bye, OK]) as phone:
        call = place(driver, phone)
        await call.next(Answered)
        call.session.bye()
        await call.next(DialogEnded)
        assert await phone.finished() == 0
        (last,) = [
            record.data
            for record in driver.traces.of(f"call-{phone.address}")
            if record.data.startswith(b"BYE")
        ]
        assert last.startswith(b"BYE sip:elsewhere@192.0.2.99:5099 SIP/2.0\r\n")
        assert last.index(b"hop=1") < last.index(b"hop=2")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_reliable_183_gets_its_prack(
    driver: SipDriver, tmp_path: Path, transport: str
) -> None:
    progress = send("183 Session Progress", headers=("Require: 100rel", "RSeq: 5"), codecs="0")
    prack = f"<action>{demand_header('RAck:', '5 1 INVITE')}</action>"
    final = to_the_noted_invite(ANSWER)
    ok_to_prack = inside(OK)
    steps = [
        NOTED_INVITE,
        progress,
        f'<recv request="PRACK" crlf="true">{prack}</recv>',
        ok_to_prack,
        final,
        receive("ACK"),
        receive("BYE"),
        OK,
    ]
    options = ("-t", "t1") if transport == "tcp" else ()
    async with sipp_phone(tmp_path, steps, *options) as phone:
        call = place(driver, phone, transport=transport)
        await call.next(Answered)
        call.session.bye()
        await call.next(DialogEnded)
        assert await phone.finished() == 0


def test_a_port_whose_last_connection_is_just_over_is_not_taken_for_a_phone_that_listens() -> None:
    table = Path("/proc/net/tcp")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert is_bound(port, table.read_text())
        caller = socket.create_connection(("127.0.0.1", port))
        answered, _ = listener.accept()
        caller.close()
        answered.close()
    seen = table.read_text()
    assert f":{port:04X} " in seen
    assert not is_bound(port, seen)


async def test_a_call_over_tcp_uses_one_connection(driver: SipDriver, tmp_path: Path) -> None:
    steps = [receive("INVITE"), RINGING, ANSWER, receive("ACK"), receive("BYE"), OK]
    async with sipp_phone(tmp_path, steps, "-t", "t1") as phone:
        call = place(driver, phone, transport="tcp")
        await call.next(Answered)
        call.session.bye()
        await call.next(DialogEnded)
        assert await phone.finished() == 0
        flows = {
            (record.transport, record.local, record.remote)
            for record in driver.traces.of(f"call-{phone.address}")
        }
        assert len(flows) == 1
        assert next(iter(flows))[0] == "tcp"


async def test_a_reinvite_of_the_phone_is_answered_and_ours_is_acknowledged(
    driver: SipDriver, wire: Wire, tmp_path: Path
) -> None:
    reinvite = """<send retrans="500"><![CDATA[
      INVITE [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: [$1]
      To: [$2]
      [last_Call-ID:]
      CSeq: {cseq} {method}
      Contact: <sip:[local_ip]:[local_port];transport=[transport]>
      Max-Forwards: 70
      {tail}

    ]]></send>"""
    sdp = """Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=user1 53655765 2353687638 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [media_port] RTP/AVP 0
      a=sendonly"""
    ack = """<recv request="ACK" crlf="true"><action>
      <ereg regexp=".*" search_in="hdr" header="To:" assign_to="1"/>
      <ereg regexp=".*" search_in="hdr" header="From:" assign_to="2"/>
      <log message="[$1] [$2]"/>
    </action></recv>"""
    ours = [
        receive("INVITE"),
        inside(ANSWER),
        receive("ACK"),
    ]
    steps = [
        '<recv request="INVITE" rrs="true" crlf="true"></recv>',
        ANSWER,
        ack,
        reinvite.format(cseq=1, method="INVITE", tail=sdp),
        '<recv response="200" crlf="true"></recv>',
        reinvite.replace("INVITE [next_url]", "ACK [next_url]")
        .replace(' retrans="500"', "")
        .format(cseq=1, method="ACK", tail="Content-Length: 0"),
        *ours,
        receive("BYE"),
        OK,
    ]
    async with sipp_phone(tmp_path, steps) as phone:
        call = place(driver, phone)
        offer = await call.next(OfferReceived)
        assert b"a=sendonly" in offer.body
        call.session.respond_offer(offer.offer_id, 200, "OK", OFFER.replace(b"1 1", b"1 2"))
        await wire.passed("< ACK")
        call.session.offer(OFFER.replace(b"1 1", b"1 3"))
        assert (await call.next(OfferAnswered)).status == 200
        call.session.bye()
        await call.next(DialogEnded)
        assert await phone.finished() == 0


async def test_a_transfer_is_asked_for_and_its_news_are_answered(
    driver: SipDriver, wire: Wire, tmp_path: Path
) -> None:
    notify = """<send retrans="500"><![CDATA[
      NOTIFY [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: [$1]
      To: [$2]
      [last_Call-ID:]
      CSeq: {cseq} NOTIFY
      Contact: <sip:[local_ip]:[local_port];transport=[transport]>
      Max-Forwards: 70
      Event: refer
      Subscription-State: {state}
      Content-Type: message/sipfrag
      Content-Length: [len]

      SIP/2.0 {status}

    ]]></send>"""
    names = """<recv request="REFER" crlf="true"><action>
      <ereg regexp="sip:carol@192.0.2.9" search_in="hdr" header="Refer-To:" check_it="true"
        assign_to="3"/>
      <ereg regexp=".*" search_in="hdr" header="To:" assign_to="1"/>
      <ereg regexp=".*" search_in="hdr" header="From:" assign_to="2"/>
      <log message="[$1] [$2] [$3]"/>
    </action></recv>"""
    heard = '<recv response="200" crlf="true"></recv>'
    steps = [
        '<recv request="INVITE" rrs="true" crlf="true"></recv>',
        ANSWER,
        receive("ACK"),
        names,
        inside(send("202 Accepted")),
        notify.format(cseq=1, state="active;expires=60", status="180 Ringing"),
        heard,
        notify.format(cseq=2, state="terminated;reason=noresource", status="200 OK"),
        heard,
        receive("BYE"),
        OK,
    ]
    async with sipp_phone(tmp_path, steps) as phone:
        call = place(driver, phone)
        await call.next(Answered)
        refer_id = call.session.refer("sip:carol@192.0.2.9")
        assert (await call.next(ReferAnswered)).status == 202
        over = await call.next(ReferNotified, lambda event: event.over)
        assert (over.refer_id, over.status) == (refer_id, 200)
        call.session.bye()
        await call.next(DialogEnded)
        assert await phone.finished() == 0


@pytest.mark.parametrize("driver", [{"session_expires": 600}], indirect=True)
async def test_a_longer_session_interval_is_agreed_to(driver: SipDriver, tmp_path: Path) -> None:
    asked = """<recv request="INVITE" crlf="true"><action>
      <ereg regexp="{value}" search_in="hdr" header="Session-Expires:" check_it="true"
        assign_to="1"/>
      <log message="[$1]"/>
    </action></recv>"""
    steps = [
        asked.format(value="600"),
        send("422 Session Interval Too Small", headers=("Min-SE: 1800",)),
        receive("ACK"),
        asked.format(value="1800"),
        ANSWER,
        receive("ACK"),
        receive("BYE"),
        OK,
    ]
    async with sipp_phone(tmp_path, steps) as phone:
        call = place(driver, phone)
        await call.next(Answered)
        call.session.bye()
        await call.next(DialogEnded)
        assert await phone.finished() == 0


@pytest.mark.parametrize("driver", [{"redirects": 1}], indirect=True)
async def test_a_redirect_on_the_same_host_is_followed_once(
    driver: SipDriver, tmp_path: Path
) -> None:
    moved = send("302 Moved").replace("<sip:[local_ip]", "<sip:{}@[local_ip]")
    steps = [
        receive("INVITE"),
        moved.format("desk"),
        receive("ACK"),
        receive("INVITE"),
        moved.format("attic"),
        receive("ACK"),
    ]
    async with sipp_phone(tmp_path, steps) as phone:
        call = place(driver, phone)
        assert (await call.next(Failed)).failure.status == 302
        assert await phone.finished() == 0


async def test_nobody_listening_is_refused_within_a_moment(driver: SipDriver) -> None:
    phone = SippPhone("127.0.0.1:9", None)  # type: ignore[arg-type]  # only its address is used
    for transport in ("udp", "tcp"):
        failure = (await place(driver, phone, transport=transport).next(Failed)).failure
        assert failure.kind is FailureKind.TRANSPORT
        assert failure.reason == "connection refused"
