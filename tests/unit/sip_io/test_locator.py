"""From names to targets, with a real DNS server on a socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from switchroom.base.clock import SystemClock
from switchroom.sip.invite_session import Answered, Failed, FailureKind, OutgoingInvite
from switchroom.sip.targets import Hop
from switchroom.sip.uri import NameAddr, Uri
from switchroom.sip_io import dns as dns_module, locator as module
from switchroom.sip_io.dns import Dns
from switchroom.sip_io.driver import SipConfig, SipDriver
from switchroom.sip_io.errors import ResolveError
from switchroom.sip_io.locator import Locator
from switchroom.sip_io.resolver import Resolver
from unit.sip.wire import OFFER
from unit.sip_io.name_server import NameServer, name_server
from unit.sip_io.stopped_clock import StoppedClock
from unit.sip_io.test_driver import Ear, Phone, answer


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with name_server() as server:
        server.zone = {
            ("carrier.example", "A"): ["192.0.2.1"],
            ("a.carrier.example", "A"): ["192.0.2.11"],
            ("b.carrier.example", "A"): ["192.0.2.12"],
            ("b.carrier.example", "AAAA"): ["2001:db8::12"],
            ("plain.example", "A"): ["192.0.2.2", "192.0.2.3"],
            ("_sip._udp.carrier.example", "SRV"): [
                "20 0 5060 b.carrier.example.",
                "10 0 5070 a.carrier.example.",
            ],
            ("_sip._tcp.carrier.example", "SRV"): ["10 0 5080 a.carrier.example."],
            ("_sips._tcp.carrier.example", "SRV"): ["10 0 5081 a.carrier.example."],
        }
        yield server


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


def locator(server: NameServer, clock: StoppedClock) -> Locator:
    return Locator(Resolver(clock), Dns(clock, (server.address,)), lambda _most: 0)


async def test_srv_records_are_followed_in_their_order(
    server: NameServer, clock: StoppedClock
) -> None:
    hops = await locator(server, clock).locate("carrier.example", None, None)
    assert hops == [
        Hop("udp", "192.0.2.11", 5070, "carrier.example"),
        Hop("udp", "192.0.2.12", 5060, "carrier.example"),
        Hop("udp", "2001:db8::12", 5060, "carrier.example"),
    ]


@pytest.mark.parametrize(("transport", "port"), [("tcp", 5080), ("tls", 5081)])
async def test_a_transport_that_is_named_has_its_own_records(
    server: NameServer, clock: StoppedClock, transport: str, port: int
) -> None:
    hops = await locator(server, clock).locate("carrier.example", None, transport)
    assert hops == [Hop(transport, "192.0.2.11", port, "carrier.example")]
    assert ("carrier.example", "NAPTR") not in server.asked


async def test_naptr_says_which_transport_the_host_prefers(
    server: NameServer, clock: StoppedClock
) -> None:
    server.zone["carrier.example", "NAPTR"] = [
        '20 1 "s" "SIP+D2U" "" _sip._udp.carrier.example.',
        '10 2 "s" "SIPS+D2T" "" _sips._tcp.carrier.example.',
        '10 1 "u" "E2U+sip" "!^.*$!sip:a@b!" .',
        '5 1 "a" "SIP+D2U" "" b.carrier.example.',
    ]
    hops = await locator(server, clock).locate("carrier.example", None, None)
    assert hops == [Hop("tls", "192.0.2.11", 5081, "carrier.example")]


@pytest.mark.parametrize("host", ["carrier.example", "plain.example"])
async def test_a_port_or_an_address_rules_out_srv(
    server: NameServer, clock: StoppedClock, host: str
) -> None:
    hops = await locator(server, clock).locate(host, 5099, None)
    assert {hop.port for hop in hops} == {5099}
    assert not any(kind == "SRV" for _, kind in server.asked)
    (alone,) = await locator(server, clock).locate("192.0.2.9", None, "tls")
    assert alone == Hop("tls", "192.0.2.9", 5061, "192.0.2.9")


async def test_without_srv_the_addresses_of_the_host_are_meant(
    server: NameServer, clock: StoppedClock
) -> None:
    hops = await locator(server, clock).locate("plain.example", None, None)
    assert {(hop.transport, hop.ip, hop.port) for hop in hops} == {
        ("udp", "192.0.2.2", 5060),
        ("udp", "192.0.2.3", 5060),
    }
    hops = await locator(server, clock).locate("plain.example", None, "tls")
    assert hops[0].port == 5061


async def test_a_target_of_a_dot_says_that_there_is_no_such_service(
    server: NameServer, clock: StoppedClock
) -> None:
    server.zone["_sip._udp.plain.example", "SRV"] = ["0 0 0 ."]
    with pytest.raises(ResolveError, match="no SIP service"):
        await locator(server, clock).locate("plain.example", None, "udp")


async def test_targets_without_an_address_are_passed_over(
    server: NameServer, clock: StoppedClock
) -> None:
    server.zone["_sip._udp.plain.example", "SRV"] = [
        "1 0 5060 gone.example.",
        "2 0 5066 a.carrier.example.",
    ]
    hops = await locator(server, clock).locate("plain.example", None, None)
    assert [(hop.ip, hop.port) for hop in hops] == [("192.0.2.11", 5066)]
    server.zone["_sip._udp.plain.example", "SRV"] = ["1 0 5060 gone.example."]
    with pytest.raises(ResolveError, match="lead nowhere"):
        await locator(server, clock).locate("plain.example", None, None)


async def test_a_name_that_does_not_exist_is_named(server: NameServer, clock: StoppedClock) -> None:
    with pytest.raises(ResolveError, match=r"nobody\.example: no such host"):
        await locator(server, clock).locate("nobody.example", None, None)


async def test_a_bare_name_is_not_looked_for_in_the_world(
    server: NameServer, clock: StoppedClock
) -> None:
    server.zone["pbx", "A"] = ["192.0.2.44"]
    hops = await locator(server, clock).locate("pbx", None, None)
    assert hops == [Hop("udp", "192.0.2.44", 5060, "pbx")]
    assert {kind for _, kind in server.asked} == {"A", "AAAA"}


async def test_a_server_that_swallows_srv_questions_does_not_hold_up_a_call(
    server: NameServer, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HEAD_START", 0.05)
    server.silent = {"SRV", "NAPTR"}
    hops = await locator(server, clock).locate("plain.example", None, None)
    assert len(hops) == 2


async def test_a_server_that_says_nothing_at_all_is_given_up(
    server: NameServer, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    server.silent = {"SRV", "NAPTR", "A", "AAAA"}
    with pytest.raises(ResolveError, match="no answer from DNS"):
        await locator(server, clock).locate("plain.example", None, None)


def test_no_look_up_can_take_longer_than_five_seconds() -> None:
    assert module._PATIENCE <= 5
    assert dns_module._ALL_TRIES <= 3


async def test_answers_are_kept_as_long_as_they_say_and_failures_briefly(
    server: NameServer, clock: StoppedClock
) -> None:
    asking = locator(server, clock)
    await asking.locate("carrier.example", None, "udp")
    before = len(server.asked)
    clock.now = 59.0
    await asking.locate("carrier.example", None, "udp")
    # The AAAA that is not there is asked for again after ten seconds, the SRV is not.
    assert not any(kind == "SRV" for _, kind in server.asked[before:])
    clock.now = 61.0
    await asking.locate("carrier.example", None, "udp")
    assert any(kind == "SRV" for _, kind in server.asked[before:])


async def test_a_call_by_srv_passes_over_a_dead_target(server: NameServer) -> None:
    """The whole way on real sockets: the first target refuses (ICMP), the second answers."""
    phone, ear = Phone(answer), Ear()
    theirs = SipDriver(SipConfig((("127.0.0.1", 0),)), SystemClock())
    ours = SipDriver(SipConfig((("127.0.0.1", 0),), dns_servers=(server.address,)), SystemClock())
    await theirs.start()
    await ours.start()
    theirs.set_incoming_handler(phone)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        dead = probe.getsockname()[1]
    server.zone["here.example", "A"] = ["127.0.0.1"]
    server.zone["_sip._udp.here.example", "SRV"] = [
        f"1 0 {dead} here.example.",
        f"2 0 {theirs.bound[0][1]} here.example.",
    ]
    target = Uri.parse("sip:bob@here.example")
    from_ = NameAddr(Uri.sip("alice", "127.0.0.1"))
    ours.invite(OutgoingInvite("c-1", "t", target, NameAddr(target), from_, body=OFFER), ear)
    try:
        await ear.next(Answered)
        lost = Ear()
        nobody = Uri.parse("sip:bob@nobody.example")
        ours.invite(OutgoingInvite("c-2", "t", nobody, NameAddr(nobody), from_), lost)
        assert (await lost.next(Failed)).failure.kind is FailureKind.DNS
    finally:
        await asyncio.gather(ours.stop(), theirs.stop())
