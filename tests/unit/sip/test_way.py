"""Calls that turn to another target, and which one requests of a dialog go to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from switchroom.sip.callee_session import CalleeSession
from switchroom.sip.digest import Credentials
from switchroom.sip.endpoint import EndpointConfig
from switchroom.sip.invite_session import Answered, ByeReceived, Failed, FailureKind, Provisional
from switchroom.sip.message import Request, Response, parse_message
from switchroom.sip.targets import Hop
from switchroom.sip.uri import Uri
from unit.sip.wire import ANSWER, THEM, Agent, a_call_to_us, an_invite, in_dialog, reply

CARRIER = Uri.parse("sip:bob@carrier.example")
ONE, TWO = Hop("udp", "192.0.2.11", 5060), Hop("udp", "192.0.2.12", 5070)


def two_targets(*hops: Hop, config: EndpointConfig | None = None) -> Agent:
    agent = Agent(config=config)
    agent.zone["carrier.example"] = list(hops or (ONE, TWO))
    return agent


def sent_to(agent: Agent) -> list[tuple[str, tuple[str, int]]]:
    """What was sent and where, since last asked."""
    sent, agent.out = agent.out, []
    return [(parse_message(action.data).cseq.method, action.flow.remote) for action in sent]


def test_a_target_that_says_nothing_for_four_seconds_loses_the_call_to_the_next() -> None:
    agent = two_targets()
    agent.call(request_uri=CARRIER)
    agent.advance(3.9)
    first = agent.sent()
    assert len(first) == 4
    agent.advance(0.2)
    second = agent.sent_request("INVITE")
    assert isinstance(first[0], Request)
    assert second.branch != first[0].branch
    assert second.cseq == first[0].cseq
    assert (second.call_id, second.from_tag) == (first[0].call_id, first[0].from_tag)
    # The silent one is not asked again.
    agent.hear(reply(second, 180), TWO[1:3])
    agent.advance(60)
    assert agent.sent() == []
    agent.hear(reply(second, 200, body=ANSWER))
    assert [type(event) for event in agent.events()] == [Provisional, Answered]


def test_the_last_target_gets_the_usual_thirty_two_seconds() -> None:
    agent = two_targets()
    agent.call(request_uri=CARRIER)
    agent.advance(4 + 31.9)
    assert agent.events() == []
    agent.advance(0.2)
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.kind is FailureKind.NO_RESPONSE
    assert agent.at_rest()


def test_a_silent_target_that_rings_after_all_is_cancelled() -> None:
    agent = two_targets()
    agent.call(request_uri=CARRIER)
    first = agent.sent_request("INVITE")
    agent.advance(4)
    agent.sent()
    agent.hear(reply(first, 180), ONE[1:3])
    cancel = agent.sent_request("CANCEL")
    assert cancel.branch == first.branch
    agent.hear(reply(first, 180), ONE[1:3])
    assert agent.sent() == []
    agent.hear(reply(cancel, 200))
    agent.hear(reply(first, 487))
    agent.sent_request("ACK")
    assert agent.events() == []


def test_a_target_that_was_cancelled_and_never_says_so_is_forgotten() -> None:
    agent = two_targets()
    agent.call(request_uri=CARRIER)
    first = agent.sent_request("INVITE")
    agent.advance(4)
    second = agent.sent()[-1]
    assert isinstance(second, Request)
    agent.hear(reply(first, 180), ONE[1:3])
    agent.hear(reply(second, 486), TWO[1:3])
    assert agent.at_rest()


def test_a_silent_target_that_answers_first_has_the_call_and_the_other_is_cancelled() -> None:
    agent = two_targets()
    session = agent.call(request_uri=CARRIER)
    first = agent.sent_request("INVITE")
    agent.advance(4)
    second = agent.sent()[-1]
    assert isinstance(second, Request)
    agent.hear(reply(second, 180, tag="b"), TWO[1:3])
    agent.events()
    agent.hear(reply(first, 200, tag="a", body=ANSWER), ONE[1:3])
    sent = agent.sent()
    assert {m.method for m in sent if isinstance(m, Request)} == {"ACK", "CANCEL"}
    (event,) = agent.events()
    assert isinstance(event, Answered)
    assert event.dialog == "a"
    # Both answered: the second is hung up, the first stays.
    agent.hear(reply(second, 200, tag="b", body=ANSWER), TWO[1:3])
    assert [m.method for m in agent.sent() if isinstance(m, Request)] == ["ACK", "BYE"]
    assert agent.events() == []
    assert session.snapshot() is not None


def test_who_has_said_nothing_is_not_rung_any_more_once_somebody_has_answered() -> None:
    agent = two_targets()
    agent.call(request_uri=CARRIER)
    first = agent.sent_request("INVITE")
    agent.advance(4)
    assert [at for _, at in sent_to(agent)][-1] == TWO[1:3]
    agent.hear(reply(first, 200, tag="a", body=ANSWER), ONE[1:3])
    agent.sent_request("ACK")
    agent.advance(40)
    assert agent.sent() == []


def test_an_answer_that_comes_after_the_call_was_given_up_is_hung_up() -> None:
    agent = two_targets()
    session = agent.call(request_uri=CARRIER)
    first = agent.sent_request("INVITE")
    agent.advance(4)
    second = agent.sent()[-1]
    assert isinstance(second, Request)
    agent.hear(reply(second, 486), TWO[1:3])
    assert isinstance(agent.events()[0], Failed)
    agent.sent()
    agent.hear(reply(first, 200, tag="a", body=ANSWER), ONE[1:3])
    assert [m.method for m in agent.sent() if isinstance(m, Request)] == ["ACK", "BYE"]
    assert session.snapshot() is None
    assert agent.events() == []


def test_503_and_a_refused_connection_lead_to_the_next_target() -> None:
    agent = two_targets()
    agent.call(request_uri=CARRIER)
    first = agent.sent_request("INVITE")
    agent.hear(reply(first, 503, headers=(("Retry-After", "60"),)), ONE[1:3])
    assert sent_to(agent) == [("ACK", ONE[1:3]), ("INVITE", TWO[1:3])]
    agent = two_targets()
    agent.call(request_uri=CARRIER)
    agent.endpoint.flow_failed(agent.out[0].flow, "connection refused", agent.now)
    agent.settle()
    assert sent_to(agent) == [("INVITE", ONE[1:3]), ("INVITE", TWO[1:3])]
    by_tcp = two_targets(ONE._replace(transport="tcp"), TWO)
    by_tcp.dead.add(("tcp", *ONE[1:3]))
    by_tcp.call(request_uri=CARRIER)
    assert sent_to(by_tcp) == [("INVITE", TWO[1:3])]


def test_a_503_of_the_last_target_is_the_failure() -> None:
    agent = two_targets()
    agent.call(request_uri=CARRIER)
    agent.hear(reply(agent.sent_request("INVITE"), 503), ONE[1:3])
    _, second = agent.sent()
    assert isinstance(second, Request)
    agent.hear(reply(second, 503), TWO[1:3])
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.status == 503


def test_a_503_is_the_failure_if_nobody_else_can_be_reached() -> None:
    agent = two_targets(ONE, TWO._replace(transport="tcp"))
    agent.dead.add(("tcp", *TWO[1:3]))
    agent.call(request_uri=CARRIER)
    agent.hear(reply(agent.sent_request("INVITE"), 503), ONE[1:3])
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert (event.failure.kind, event.failure.status) == (FailureKind.REJECTED, 503)


@pytest.mark.parametrize("status", [404, 486, 480, 500, 603])
def test_other_refusals_are_meant_for_the_call_and_not_for_the_target(status: int) -> None:
    agent = two_targets()
    agent.call(request_uri=CARRIER)
    agent.hear(reply(agent.sent_request("INVITE"), status), ONE[1:3])
    agent.sent_request("ACK")
    assert isinstance(agent.events()[0], Failed)


def test_the_next_call_begins_with_the_target_that_works() -> None:
    agent = two_targets()
    agent.call(request_uri=CARRIER)
    agent.advance(4)
    agent.sent()
    agent.call(request_uri=CARRIER, call_id="call-2")
    assert sent_to(agent) == [("INVITE", TWO[1:3])]
    agent.advance(31)
    agent.out.clear()
    agent.call(request_uri=CARRIER, call_id="call-3")
    assert sent_to(agent)[0] == ("INVITE", ONE[1:3])


def test_a_login_stays_with_the_target_that_asked_and_takes_the_next_number() -> None:
    agent = two_targets()
    agent.call(request_uri=CARRIER, credentials=Credentials("alice", "secret"))
    agent.advance(4.1)
    second = agent.sent()[-1]
    assert isinstance(second, Request)
    challenge = ("Proxy-Authenticate", 'Digest realm="r", nonce="n1"')
    agent.hear(reply(second, 407, headers=(challenge,)), TWO[1:3])
    assert [action.flow.remote for action in agent.out] == [TWO[1:3]] * 2
    _, third = agent.sent()
    assert isinstance(third, Request)
    assert third.cseq.number == second.cseq.number + 1


def test_a_call_that_is_cancelled_turns_to_nobody_else() -> None:
    agent = two_targets()
    session = agent.call(request_uri=CARRIER)
    invite = agent.sent_request("INVITE")
    session.cancel(agent.now)
    agent.advance(10)
    assert all(m.branch == invite.branch for m in agent.sent())
    agent.hear(reply(invite, 503))
    agent.sent_request("ACK")
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.kind is FailureKind.CANCELLED


# ── size ──


def test_an_invite_too_large_for_a_datagram_goes_by_tcp_and_by_udp_where_there_is_none() -> None:
    long = (("X-Long", "x" * 1_000),)
    agent = two_targets(ONE)
    agent.call(request_uri=CARRIER, headers=long)
    assert agent.out[0].flow.transport == "tcp"
    agent = two_targets(ONE)
    agent.dead.add(("tcp", *ONE[1:3]))
    agent.call(request_uri=CARRIER, headers=long)
    assert agent.out[0].flow.transport == "udp"
    # It is remembered: the next one does not knock in vain.
    agent.connected.clear()
    agent.call(request_uri=CARRIER, headers=long, call_id="call-2")
    assert [action.hop.transport for action in agent.connected] == ["udp"]


@pytest.mark.parametrize("transport", ["udp", None])
def test_a_transport_that_is_named_is_kept_whatever_the_size(transport: str | None) -> None:
    agent = Agent()
    uri = Uri.parse("sip:bob@192.0.2.2;transport=udp" if transport is None else "sip:bob@192.0.2.2")
    agent.call(request_uri=uri, headers=(("X-Long", "x" * 1_000),), transport=transport)
    assert agent.out[0].flow.transport == "udp"
    short = Agent()
    short.call()
    assert short.out[0].flow.transport == "udp"


# ── redirects ──

FOLLOWING = EndpointConfig(user_agent="test", redirects=2)


def redirect(agent: Agent, request: Request, contact: str) -> None:
    agent.hear(reply(request, 302, headers=(("Contact", contact),), contact=None))


def test_a_redirect_is_a_failure_unless_it_is_to_be_followed() -> None:
    agent = two_targets(ONE)
    agent.call(request_uri=CARRIER)
    redirect(agent, agent.sent_request("INVITE"), "<sip:desk@edge.carrier.example>")
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.status == 302


def test_a_redirect_is_followed_within_the_house_with_the_next_number() -> None:
    agent = two_targets(ONE, config=FOLLOWING)
    agent.zone["edge.carrier.example"] = [TWO]
    agent.call(request_uri=CARRIER)
    first = agent.sent_request("INVITE")
    redirect(agent, first, "<sip:desk@edge.carrier.example>")
    assert [flow.flow.remote for flow in agent.out] == [ONE[1:3], TWO[1:3]]
    _, second = agent.sent()
    assert isinstance(second, Request)
    assert second.target == "sip:desk@edge.carrier.example"
    assert second.headers.get("To") == first.headers.get("To")
    assert second.cseq.number == first.cseq.number + 1
    agent.hear(reply(second, 200, body=ANSWER))
    assert isinstance(agent.events()[0], Answered)


def test_a_redirect_elsewhere_is_a_failure() -> None:
    agent = two_targets(ONE, config=FOLLOWING)
    agent.call(request_uri=CARRIER)
    redirect(agent, agent.sent_request("INVITE"), "<sip:+88212345@premium.example>")
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.status == 302


def test_redirects_neither_circle_nor_go_on_for_ever() -> None:
    agent = two_targets(ONE, config=FOLLOWING)
    agent.call(request_uri=CARRIER)
    redirect(agent, agent.sent_request("INVITE"), f"<{CARRIER}>")
    assert isinstance(agent.events()[0], Failed)
    agent = two_targets(ONE, config=FOLLOWING)
    agent.call(request_uri=CARRIER)
    request = agent.sent_request("INVITE")
    for number in range(2):
        redirect(agent, request, f"<sip:{number}@carrier.example>")
        _, again = agent.sent()
        assert isinstance(again, Request)
        request = again
    redirect(agent, request, "<sip:2@carrier.example>")
    assert isinstance(agent.events()[0], Failed)


# ── flows of dialogs ──


def test_an_address_is_not_looked_up_and_requests_of_the_dialog_stay_on_its_datagrams() -> None:
    agent = Agent()
    session = agent.call(request_uri=Uri.parse("sip:bob@192.0.2.2"))
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, body=ANSWER, contact="<sip:bob@192.0.2.2>"))
    session.bye(agent.now)
    agent.settle()
    assert sent_to(agent) == [("ACK", THEM), ("BYE", THEM)]
    assert agent.located == []
    assert [action.hop.ip for action in agent.connected] == ["192.0.2.2"]


def test_requests_go_where_the_contact_says_though_the_answer_came_from_elsewhere() -> None:
    agent = Agent()
    agent.call(request_uri=Uri.parse("sip:bob@192.0.2.2"))
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, body=ANSWER, contact="<sip:bob@192.0.2.2:5071>"))
    assert sent_to(agent) == [("ACK", ("192.0.2.2", 5071))]


def test_requests_of_a_call_that_came_on_a_connection_go_back_on_it() -> None:
    agent = Agent(transport="tls")
    agent.endpoint.admit_with(lambda _request, _flow: None)
    source = ("192.0.2.2", 49152)
    invite = a_call_to_us()
    agent.hear(invite, source)
    ((session, _),) = agent.heard
    session.answer(agent.now, ANSWER)  # type: ignore[attr-defined]
    agent.settle()
    ok = agent.sent_response(200)
    tag = ok.to_tag or ""
    agent.hear(a_call_to_us(method="ACK", to_tag=tag, branch="z9hG4bKack", body=b""), source)
    session.bye(agent.now)
    agent.settle()
    assert sent_to(agent) == [("BYE", source)]


def test_a_bare_contact_of_a_call_over_tls_is_trusted_under_the_name_that_was_called() -> None:
    agent = Agent(transport="tls")
    tls = Hop("tls", "192.0.2.11", 5061, "carrier.example")
    agent.zone["carrier.example"] = [tls]
    agent.peer_name = "carrier.example"
    agent.call(request_uri=Uri.parse("sip:bob@carrier.example;transport=tls"))
    invite = agent.sent_request("INVITE")
    contact = "<sip:bob@192.0.2.99:5061;transport=tls>"
    agent.hear(reply(invite, 200, body=ANSWER, contact=contact))
    assert agent.connected[-1].hop == Hop("tls", "192.0.2.99", 5061, "carrier.example")


def test_sips_is_tls_from_end_to_end() -> None:
    agent = Agent(transport="tls")
    agent.call(request_uri=Uri.parse("sips:bob@192.0.2.2"))
    assert agent.connected[-1].hop[:3] == ("tls", "192.0.2.2", 5061)
    invite = agent.sent_request("INVITE")
    assert invite.headers.get("Contact") == "<sips:alice@192.0.2.1:5060>"
    agent.hear(reply(invite, 200, body=ANSWER, contact="<sips:bob@192.0.2.2>"))
    agent.sent_request("ACK")
    agent.events()
    agent.hear(in_dialog("BYE", invite))
    assert isinstance(agent.sent()[0], Response)
    assert isinstance(agent.events()[0], ByeReceived)


def test_a_call_says_where_it_went_last_and_who_has_it() -> None:
    agent = two_targets()
    session = agent.endpoint.invite(replace(an_invite(), request_uri=CARRIER), agent.now)
    assert session.remote == ""
    agent.settle()
    first = agent.sent_request("INVITE")
    assert session.remote == "192.0.2.11:5060"
    agent.advance(4)
    assert session.remote == "192.0.2.12:5070"
    agent.hear(reply(first, 200, body=ANSWER), ONE[1:3])
    assert session.remote == "192.0.2.11:5060"


def test_a_call_that_came_in_says_where_from() -> None:
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(a_call_to_us(), ("192.0.2.66", 1234))
    ((session, _),) = agent.heard
    assert session.remote == "192.0.2.66:1234"


@pytest.mark.parametrize(
    ("contact", "reached"), [("192.168.1.5", ("9.9.9.9", 40_001)), ("8.8.8.8", ("8.8.8.8", 5060))]
)
def test_a_phone_behind_a_nat_hears_the_bye_where_it_called_from(
    contact: str, reached: tuple[str, int]
) -> None:
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    source = ("9.9.9.9", 40_001)

    def hear(request: Request) -> None:
        agent.hear(
            request.serialise().replace(b"bob@192.0.2.2:5060", f"bob@{contact}".encode()), source
        )

    hear(a_call_to_us())
    ((session, _),) = agent.heard
    assert isinstance(session, CalleeSession)
    session.answer(agent.now, ANSWER)
    agent.settle()
    tag = agent.sent_response(200).to_tag or ""
    hear(a_call_to_us(method="ACK", to_tag=tag, branch="z9hG4bKack", body=b""))
    session.bye(agent.now)
    agent.settle()
    assert sent_to(agent) == [("BYE", reached)]
