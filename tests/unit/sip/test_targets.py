"""In which order addresses are tried, and where a redirect may lead."""

from __future__ import annotations

import random

import pytest

from switchroom.sip.flows import Flow
from switchroom.sip.message import Response
from switchroom.sip.targets import (
    Hop,
    Penalties,
    SrvRecord,
    for_size,
    in_order,
    redirected,
    same_flow,
)
from switchroom.sip.uri import Uri

A, B = Hop("udp", "192.0.2.1", 5060), Hop("udp", "192.0.2.2", 5060)


def test_lower_priorities_come_first_and_weights_are_odds() -> None:
    heavy, light = SrvRecord(10, 75, 1, "heavy"), SrvRecord(10, 25, 2, "light")
    spare, never = SrvRecord(20, 0, 3, "spare"), SrvRecord(30, 9, 4, "last")
    luck = random.Random(1)
    first = {"heavy": 0, "light": 0}
    for _ in range(1000):
        order = in_order([never, light, spare, heavy], lambda most: luck.randint(0, most))
        assert sorted(order) == sorted([heavy, light, spare, never])
        assert order[2:] == [spare, never]
        first[order[0].target] += 1
    assert 700 < first["heavy"] < 800


def test_records_without_weight_come_last_of_their_kind_but_for_luck() -> None:
    idle, busy = SrvRecord(1, 0, 1, "idle"), SrvRecord(1, 5, 2, "busy")
    assert in_order([busy, idle], lambda most: most) == [busy, idle]
    assert in_order([busy, idle], lambda _most: 0) == [idle, busy]
    assert in_order([], lambda _most: 0) == []


def test_who_failed_is_tried_last_for_a_while() -> None:
    penalties = Penalties()
    penalties.blame(A, 100.0)
    assert penalties.sort([A, B], 129.9) == [B, A]
    assert penalties.sort([A, B], 130.1) == [A, B]
    # Whatever name it was asked for: it is the same machine.
    assert penalties.sort([A._replace(name="x"), B], 101.0)[0] == B
    penalties.forgive(A)
    assert penalties.sort([A, B], 101.0) == [A, B]


def test_penalties_do_not_grow_without_bound() -> None:
    penalties = Penalties()
    for number in range(5_000):
        penalties.blame(Hop("udp", f"192.0.2.{number}", number), 0.0)
    assert len(penalties._until) <= 1_000


def test_what_is_too_large_for_a_datagram_tries_tcp_first() -> None:
    assert for_size([A, B], 1_300, 1_300) == [A, B]
    tcp = [hop._replace(transport="tcp") for hop in (A, B)]
    assert for_size([A, B], 1_301, 1_300) == [*tcp, A, B]
    tls = A._replace(transport="tls")
    assert for_size([tls], 9_000, 1_300) == [tls]


@pytest.mark.parametrize(
    ("transport", "ip", "same"),
    [
        ("tcp", "198.51.100.7", True),
        ("tcp", "192.168.1.5", True),
        ("tcp", "198.18.0.9", True),
        ("tcp", "8.8.8.8", False),
        ("udp", "198.51.100.7", False),
    ],
)
def test_a_dialogs_connection_serves_its_own_peer_only(transport: str, ip: str, same: bool) -> None:
    flow = Flow("tcp", ("8.8.4.4", 1), ("198.51.100.7", 40000), ("8.8.4.4", 5060), 3)
    if ip == "8.8.8.8" or ip.startswith(("192.168", "198.18")):
        flow = Flow("tcp", ("8.8.4.4", 1), ("9.9.9.9", 40000), ("8.8.4.4", 5060), 3)
    assert (same_flow(Hop(transport, ip, 5060), flow) is flow) is same
    inside = Flow("tcp", ("10.0.0.1", 1), ("10.0.0.2", 40000), ("10.0.0.1", 5060), 3)
    assert same_flow(Hop("tcp", "10.0.0.3", 5060), inside) is None
    assert same_flow(Hop(transport, ip, 5060), None) is None


def test_a_dialogs_datagrams_stay_on_its_flow_if_they_go_to_the_same_place() -> None:
    flow = Flow("udp", ("10.0.0.1", 5060), ("10.0.0.2", 5062), ("10.0.0.1", 5060))
    assert same_flow(Hop("udp", "10.0.0.2", 5062, "carrier.example"), flow) is flow
    assert same_flow(Hop("udp", "10.0.0.2", 5060), flow) is None
    assert same_flow(Hop("udp", "10.0.0.3", 5062), flow) is None
    assert same_flow(Hop("tcp", "10.0.0.2", 5062), flow) is None
    # A phone behind a NAT is reached where it was heard from, and nowhere else.
    natted = Flow("udp", ("10.0.0.1", 5060), ("9.9.9.9", 40000), ("8.8.4.4", 5060))
    assert same_flow(Hop("udp", "192.168.1.5", 5060), natted) is natted
    assert same_flow(Hop("udp", "8.8.8.8", 5060), natted) is None


def moved(*contacts: str) -> Response:
    return Response(302, "Moved", [("Contact", contact) for contact in contacts])


@pytest.mark.parametrize(
    ("first", "contact", "followed"),
    [
        ("sip:a@sip.carrier.example", "<sip:a@sip.carrier.example:5070>", True),
        ("sip:a@sip.carrier.example", "<sip:a@edge.carrier.example>", True),
        ("sip:a@sip.carrier.example", "<sip:a@carrier.example>", True),
        ("sip:a@carrier.example", "<sip:a@edge.carrier.example>", True),
        ("sip:a@carrier.example", "<sip:a@other.example>", False),
        ("sip:a@sip.carrier.example", "<sip:a@evilcarrier.example>", False),
        ("sip:a@sip.carrier.example", "<sip:a@192.0.2.9>", False),
        ("sip:a@192.0.2.8", "<sip:b@192.0.2.8>", True),
        ("sip:a@192.0.2.8", "<sip:b@192.0.2.9>", False),
        ("sip:a@[2001:db8::1]", "<sip:b@[2001:db8::2]>", False),
        ("sips:a@carrier.example", "<sip:a@carrier.example>", False),
        ("sip:a@carrier.example", "<sips:a@carrier.example>", True),
        ("sip:a@carrier.example", "<tel:+15550100>", False),
        ("sip:a@carrier.example", "<sip:a@carrier", False),
        ("sip:a@localhost", "<sip:b@localhost>", True),
    ],
)
def test_a_redirect_stays_in_the_house(first: str, contact: str, followed: bool) -> None:
    assert bool(redirected(moved(contact), Uri.parse(first))) is followed


def test_the_contact_liked_best_comes_first_and_loses_its_headers() -> None:
    response = moved(
        "<sip:low@c.example>;q=0.2, <sip:top@c.example?Subject=x>", "<sip:mid@c.example>;q=0.7"
    )
    found = redirected(response, Uri.parse("sip:a@c.example"))
    assert [str(uri) for uri in found] == [
        "sip:top@c.example",
        "sip:mid@c.example",
        "sip:low@c.example",
    ]
    assert redirected(moved("<sip:a@c.example>;q=nonsense"), Uri.parse("sip:a@c.example"))
