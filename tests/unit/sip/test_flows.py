"""Flows and what depends on them."""

from __future__ import annotations

from switchroom.sip.flows import Flow, bracketed, reply_flow, stamp_via
from switchroom.sip.message import Request

UDP = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 40000), ("203.0.113.5", 5060))
TCP = Flow("tcp", ("192.0.2.1", 5060), ("198.51.100.7", 40000), ("203.0.113.5", 5060), 4)


def request(via: str) -> Request:
    return Request("OPTIONS", "sip:a", [("Via", via)])


def test_our_via_and_contact_name_the_advertised_address() -> None:
    assert UDP.via("z9hG4bK1") == "SIP/2.0/UDP 203.0.113.5:5060;rport;branch=z9hG4bK1"
    assert UDP.contact("alice") == "<sip:alice@203.0.113.5:5060>"
    assert TCP.contact(None) == "<sip:203.0.113.5:5060;transport=tcp>"
    six = Flow("udp", ("::1", 5060), ("::1", 1), ("2001:db8::1", 5060))
    assert six.contact("a") == "<sip:a@[2001:db8::1]:5060>"
    assert bracketed("[::1]") == "[::1]"
    assert TCP.reliable
    assert not UDP.reliable


def test_received_is_noted_where_the_host_differs() -> None:
    """Section 18.2.1; a forged received of the peer's is replaced."""
    assert (
        stamp_via(request("SIP/2.0/UDP 198.51.100.7;branch=x"), UDP)
        == "SIP/2.0/UDP 198.51.100.7;branch=x"
    )
    stamped = stamp_via(request("SIP/2.0/UDP host;received=6.6.6.6;branch=x"), UDP)
    assert stamped == "SIP/2.0/UDP host;branch=x;received=198.51.100.7"


def test_rport_is_filled_in_where_it_was_asked_for() -> None:
    stamped = stamp_via(request("SIP/2.0/UDP 198.51.100.7;rport;branch=x"), UDP)
    assert stamped == "SIP/2.0/UDP 198.51.100.7;branch=x;received=198.51.100.7;rport=40000"


def test_responses_go_where_the_rfcs_say() -> None:
    assert reply_flow(request("SIP/2.0/UDP h:5070;rport;branch=x"), UDP) is UDP
    assert reply_flow(request("SIP/2.0/TCP h:5070;branch=x"), TCP) is TCP
    there = reply_flow(request("SIP/2.0/UDP h:5070;branch=x"), UDP)
    assert (there.remote, there.local) == (("198.51.100.7", 5070), UDP.local)
    assert reply_flow(request("SIP/2.0/UDP h;branch=x"), UDP).remote[1] == 5060
