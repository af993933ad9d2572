"""Dialogs: routes, numbers, targets."""

from __future__ import annotations

import json

import pytest

from switchroom.sip.dialog import Dialog, DialogSnapshot
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.flows import Flow
from switchroom.sip.message import Request, parse_message
from unit.sip.wire import a_call_to_us, crlf, reply


def dialog(*routes: str, target: str = "sip:bob@192.0.2.2:5062") -> Dialog:
    return Dialog.restore(
        DialogSnapshot(
            call_id="c",
            local="<sip:a@us>;tag=ours",
            remote="<sip:b@them>;tag=theirs",
            remote_target=target,
            route_set=routes,
            local_cseq=7,
            remote_cseq=None,
            transport="udp",
        )
    )


def test_a_request_has_the_dialogs_names_and_the_next_number() -> None:
    request = dialog().request("BYE", "SIP/2.0/UDP us;branch=z9hG4bK1", "")
    assert request.target == "sip:bob@192.0.2.2:5062"
    assert (request.call_id, request.from_tag, request.to_tag) == ("c", "ours", "theirs")
    assert request.cseq.number == 8
    assert "Contact" not in request.headers
    assert "Route" not in request.headers


def test_loose_routers_are_listed_and_the_target_stays_in_the_request_line() -> None:
    one = dialog("<sip:p1;lr>", "<sip:p2;lr>")
    request = one.request("BYE", "v", "", cseq=3)
    assert request.target == "sip:bob@192.0.2.2:5062"
    assert request.headers.get_all("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert request.cseq.number == 3
    assert one.local_cseq == 7
    assert str(one.next_hop()) == "sip:p1;lr"


def test_a_strict_router_goes_into_the_request_line_and_the_target_to_the_end() -> None:
    """Section 12.2.1.1, the example with strict routing."""
    one = dialog("<sip:p1;x=y?h=1>", "<sip:p2;lr>", target="sip:bob@b?h=2")
    request = one.request("BYE", "v", "<sip:a@us>")
    assert request.target == "sip:p1;x=y" == one.request_target
    assert request.headers.get_all("Route") == ["<sip:p2;lr>", "<sip:bob@b>"]
    assert request.headers.get("Contact") == "<sip:a@us>"


def test_routes_are_reversed_for_the_caller_and_not_for_the_callee() -> None:
    routes = (("Record-Route", "<sip:p2;lr>, <sip:p1;lr>"), ("Record-Route", "<sip:p0;lr>"))
    invite = a_call_to_us(headers=routes)
    callee = Dialog.as_callee(invite, "ours", "udp")
    assert callee.route_set == ("<sip:p2;lr>", "<sip:p1;lr>", "<sip:p0;lr>")
    assert (callee.local_tag, callee.remote_tag) == ("ours", "theirs")
    caller = Dialog.as_caller(invite, reply(invite, 200, headers=routes), None)
    assert caller.route_set == ("<sip:p0;lr>", "<sip:p1;lr>", "<sip:p2;lr>")


def test_an_answer_with_unreadable_routes_or_contact_still_makes_a_dialog() -> None:
    invite = a_call_to_us()
    answer = reply(invite, 200, headers=(("Record-Route", "<<nonsense"),), contact="<sip:")
    made = Dialog.as_caller(invite, answer, None)
    assert made.route_set == ()
    assert str(made.remote_target) == invite.target


def test_an_invite_without_contact_makes_none() -> None:
    invite = a_call_to_us()
    bare = Request("INVITE", invite.target, [f for f in invite.headers if f[0] != "Contact"])
    with pytest.raises(MalformedValueError):
        Dialog.as_callee(bare, "ours", None)


def test_numbers_must_rise() -> None:
    one = dialog()
    assert one.accepts_cseq(5)
    assert not one.accepts_cseq(5)
    assert not one.accepts_cseq(4)
    assert one.accepts_cseq(9)


def test_a_new_contact_is_the_new_target_and_a_bad_one_is_not() -> None:
    one = dialog()
    for contact, target in (("<sip:new@host>", "sip:new@host"), ("<tel:+1>", "sip:new@host")):
        one.refresh_target(parse_message(crlf(f"INVITE sip:a SIP/2.0\nContact: {contact}")))
        assert str(one.remote_target) == target
    one.refresh_target(parse_message(crlf("INVITE sip:a SIP/2.0")))
    assert str(one.remote_target) == "sip:new@host"


def test_a_snapshot_survives_json() -> None:
    one = dialog("<sip:p1;lr>")
    one.accepts_cseq(3)
    snapshot = one.snapshot()
    again = DialogSnapshot.from_json(json.loads(json.dumps(snapshot.to_json())))
    assert again == snapshot
    assert Dialog.restore(again).snapshot() == snapshot


THEM = ("192.0.2.2", 5062)


def on_flow(
    *routes: str,
    target: str = "sip:bob@192.0.2.2:5062",
    transport: str = "udp",
    remote: tuple[str, int] = THEM,
) -> Flow | None:
    one = dialog(*routes, target=target)
    one.flow = Flow(transport, ("192.0.2.1", 5060), remote, ("192.0.2.1", 5060))
    return one.straight()


def test_a_flow_over_udp_that_leads_to_the_target_is_the_whole_way() -> None:
    flow = on_flow()
    assert flow is not None
    assert flow.remote == THEM
    assert on_flow(target="sip:bob@192.0.2.2", remote=("192.0.2.2", 5060)) is not None
    assert on_flow(target="sip:[2001:db8::2]:5062", remote=("2001:db8::2", 5062)) is not None


@pytest.mark.parametrize(
    "target",
    [
        "sip:bob@192.0.2.2",
        "sip:bob@192.0.2.3:5062",
        "sip:bob@example.com:5062",
        "sips:bob@192.0.2.2:5062",
        "sip:bob@192.0.2.2:5062;transport=tcp",
        "sip:bob@192.0.2.2:5062;maddr=192.0.2.9",
    ],
)
def test_a_target_elsewhere_has_a_way_to_be_found(target: str) -> None:
    assert on_flow(target=target) is None


def test_a_route_a_connection_and_a_dialog_without_a_flow_have_a_way_to_be_found() -> None:
    assert on_flow("<sip:192.0.2.2:5062;lr>") is None
    assert on_flow(transport="tcp") is None
    assert dialog().straight() is None
