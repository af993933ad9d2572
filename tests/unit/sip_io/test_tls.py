"""SIP over TLS: who is trusted, and what goes over which connection."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from switchroom.base.clock import SystemClock
from switchroom.sip.invite_session import (
    Acknowledged,
    Answered,
    ByeReceived,
    Failed,
    FailureKind,
    OutgoingInvite,
)
from switchroom.sip.targets import Hop
from switchroom.sip.uri import NameAddr, Uri
from switchroom.sip_io.driver import SipConfig, SipDriver
from switchroom.sip_io.errors import SipStartError
from switchroom.sip_io.tap import TapRecord
from switchroom.sip_io.tcp import TcpConnections
from switchroom.sip_io.tls import TlsConfig, client_context, openssl_name, prepare_server
from unit.sip.wire import ANSWER, OFFER
from unit.sip_io.certificates import Authority
from unit.sip_io.stopped_clock import StoppedClock
from unit.sip_io.test_driver import Ear, Phone, answer

HERE = ("127.0.0.1", 0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), "stranger")


def serving(signed: tuple[str, str], **options: object) -> TlsConfig:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*signed)
    return TlsConfig(bind=(HERE,), server=context, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def driver(tls: TlsConfig, tapped: list[TapRecord] | None = None) -> AsyncIterator[SipDriver]:
    tap = tapped.append if tapped is not None else None
    one = SipDriver(SipConfig((HERE,), tls=tls), SystemClock(), tap=tap)
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


def call_to(port: int, uri: str = "sip:bob@127.0.0.1:{};transport=tls") -> OutgoingInvite:
    target = Uri.parse(uri.format(port))
    return OutgoingInvite(
        call_id="call-1",
        local_tag="ours",
        request_uri=target,
        to=NameAddr(target),
        from_=NameAddr(Uri.sip("alice", "127.0.0.1")),
        body=OFFER,
    )


async def failure(ours: SipDriver, invite: OutgoingInvite) -> str:
    ear = Ear()
    ours.invite(invite, ear)
    event = await ear.next(Failed)
    assert event.failure.kind is FailureKind.TRANSPORT
    return event.failure.reason


@pytest.mark.parametrize("uri", ["sip:bob@127.0.0.1:{};transport=tls", "sips:bob@127.0.0.1:{}"])
async def test_a_call_goes_over_tls_and_the_callee_hangs_up_on_the_same_connection(
    authority: Authority, uri: str
) -> None:
    theirs_tls = serving(authority.sign("callee", "IP:127.0.0.1"))
    phone, ear = Phone(answer), Ear()
    tapped: list[TapRecord] = []
    async with (
        driver(theirs_tls) as theirs,
        driver(TlsConfig(ca_file=authority.file), tapped) as ours,
    ):
        theirs.set_incoming_handler(phone)
        ours.invite(call_to(theirs.bound_tls[0][1], uri), ear)
        assert (await ear.next(Answered)).body == ANSWER
        await phone.ear.next(Acknowledged)
        phone.sessions[0].bye()
        await ear.next(ByeReceived)
    assert {record.transport for record in tapped} == {"tls"}
    # We listen for no TLS, so there is no other way back than this connection.
    assert len({record.local for record in tapped}) == 1
    invite = tapped[0].data
    assert b"Via: SIP/2.0/TLS " in invite
    assert (b"Contact: <sips:" in invite) is uri.startswith("sips")


async def test_a_certificate_of_a_stranger_is_not_trusted(
    authority: Authority, stranger: Authority
) -> None:
    theirs_tls = serving(stranger.sign("callee", "IP:127.0.0.1"))
    async with (
        driver(theirs_tls) as theirs,
        driver(TlsConfig(ca_file=authority.file)) as ours,
    ):
        port = theirs.bound_tls[0][1]
        assert (await failure(ours, call_to(port))).startswith("certificate not trusted")


async def test_a_certificate_for_another_host_is_not_taken(authority: Authority) -> None:
    theirs_tls = serving(authority.sign("other", "DNS:other.example"))
    async with (
        driver(theirs_tls) as theirs,
        driver(TlsConfig(ca_file=authority.file)) as ours,
    ):
        port = theirs.bound_tls[0][1]
        assert "certificate not trusted" in await failure(ours, call_to(port))


async def test_verification_can_be_switched_off(stranger: Authority) -> None:
    theirs_tls = serving(stranger.sign("elsewhere", "DNS:elsewhere.example"))
    phone, ear = Phone(answer), Ear()
    async with driver(theirs_tls) as theirs, driver(TlsConfig(verify=False)) as ours:
        theirs.set_incoming_handler(phone)
        ours.invite(call_to(theirs.bound_tls[0][1]), ear)
        await ear.next(Answered)


async def test_what_speaks_no_tls_fails_by_name(authority: Authority) -> None:
    async def shrug(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(shrug, *HERE)
    async with server, driver(TlsConfig(ca_file=authority.file)) as ours:
        port = server.sockets[0].getsockname()[1]
        assert (await failure(ours, call_to(port))).startswith("TLS handshake failed")


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("listens", "TLS handshake failed: connected, but no answer came; is it a port for TLS?"),
        ("leaves", "TLS handshake failed: connection closed"),
        ("answers", "TLS handshake failed: the answer is not TLS; is it a port for TLS?"),
    ],
)
async def test_a_port_for_plain_sip_is_told_from_one_that_can_not_be_reached(
    manner: str, reason: str
) -> None:
    left = asyncio.Event()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(1)
            if manner == "answers":
                writer.write(b"SIP/2.0 400 Bad Request\r\n\r\n")
            if manner != "leaves":
                await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        left.set()

    connections = TcpConnections(
        StoppedClock(),
        lambda _transport, local: local,
        lambda: None,
        lambda _flow, _data: None,
        lambda _flow, _reason: None,
    )
    server = await asyncio.start_server(plain, *HERE)
    async with server:
        hop = Hop("tls", *server.sockets[0].getsockname())
        # Who says nothing is given up at some time; the others answer long before.
        patience = 0.05 if manner == "listens" else 5.0
        with pytest.raises(OSError, match=f"^{re.escape(reason)}$"):
            await connections.connect(hop, patience, client_context(TlsConfig()))
        await left.wait()


async def test_a_peer_may_be_asked_for_a_certificate(authority: Authority) -> None:
    theirs_tls = serving(
        authority.sign("strict", "IP:127.0.0.1"),
        ca_file=authority.file,
        require_client_certificate=True,
    )
    chain, key = authority.sign("ours", "IP:127.0.0.1")
    known = TlsConfig(ca_file=authority.file, client_chain=chain, client_key=key)
    phone, ear = Phone(answer), Ear()
    async with driver(theirs_tls) as theirs, driver(known) as ours:
        theirs.set_incoming_handler(phone)
        port = theirs.bound_tls[0][1]
        ours.invite(call_to(port), ear)
        await ear.next(Answered)
        async with driver(TlsConfig(ca_file=authority.file)) as unknown:
            assert await failure(unknown, replace(call_to(port), call_id="call-2"))


async def test_the_server_name_is_sent(authority: Authority) -> None:
    """A carrier with many names behind one address shows the certificate that is asked for."""
    asked: list[str | None] = []
    tls = serving(authority.sign("named", "DNS:localhost"))
    assert tls.server is not None
    tls.server.sni_callback = lambda _sock, name, _context: asked.append(name)
    phone, ear = Phone(answer), Ear()
    async with driver(tls) as theirs, driver(TlsConfig(ca_file=authority.file)) as ours:
        theirs.set_incoming_handler(phone)
        port = theirs.bound_tls[0][1]
        ours.invite(call_to(port, "sip:bob@localhost:{};transport=tls"), ear)
        await ear.next(Answered)
    assert asked == ["localhost"]


async def test_a_second_call_uses_the_connection_that_is_there(authority: Authority) -> None:
    tls = serving(authority.sign("again", "IP:127.0.0.1"))
    phone, first, second = Phone(answer), Ear(), Ear()
    async with driver(tls) as theirs, driver(TlsConfig(ca_file=authority.file)) as ours:
        theirs.set_incoming_handler(phone)
        port = theirs.bound_tls[0][1]
        ours.invite(call_to(port), first)
        await first.next(Answered)
        ours.invite(replace(call_to(port), call_id="call-2"), second)
        await second.next(Answered)
        assert phone.sources[0] == phone.sources[1]


async def test_rubbish_on_the_tls_port_disturbs_nobody(authority: Authority) -> None:
    tls = serving(authority.sign("calm", "IP:127.0.0.1"))
    phone, ear = Phone(answer), Ear()
    async with driver(tls) as theirs, driver(TlsConfig(ca_file=authority.file)) as ours:
        theirs.set_incoming_handler(phone)
        port = theirs.bound_tls[0][1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"OPTIONS sip:a SIP/2.0\r\n\r\n" * 100)
        assert b"SIP" not in await reader.read()
        writer.close()
        ours.invite(call_to(port), ear)
        await ear.next(Answered)


def test_files_and_names_that_can_not_be_used_are_said_at_start(tmp_path: Path) -> None:
    with pytest.raises(SipStartError, match=r"missing\.pem"):
        client_context(TlsConfig(ca_file=str(tmp_path / "missing.pem")))
    with pytest.raises(SipStartError, match="can't be set up"):
        client_context(TlsConfig(cipher_suites=("NO-SUCH-CIPHER",)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(SipStartError):
        prepare_server(context, TlsConfig(min_version="ssl3"))
    prepare_server(context, TlsConfig(min_version="tls1.3", alpn=("sip",)))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3


async def test_a_listener_without_a_certificate_is_refused_at_start() -> None:
    one = SipDriver(SipConfig((HERE,), tls=TlsConfig(bind=(HERE,))), SystemClock())
    with pytest.raises(SipStartError, match="certificate"):
        await one.start()


@pytest.mark.parametrize(
    ("iana", "openssl"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", "ECDHE-RSA-AES256-SHA384"),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"),
        ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
        ("ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES128-SHA"),
    ],
)
def test_cipher_suites_are_named_as_openssl_wants(iana: str, openssl: str) -> None:
    assert openssl_name(iana) == openssl
    client_context(TlsConfig(cipher_suites=(iana,), verify=False))
