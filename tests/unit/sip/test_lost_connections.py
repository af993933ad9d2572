"""Calls over connections that are lost in the middle: what is owed goes out on another one."""

from __future__ import annotations

import pytest

from switchroom.sip.callee_session import CalleeSession
from switchroom.sip.caller_session import CallerSession
from switchroom.sip.invite_session import (
    Answered,
    DialogEnded,
    Failed,
    FailureKind,
    Provisional,
)
from switchroom.sip.message import Request, Response
from switchroom.sip.targets import Hop
from switchroom.sip.uri import Uri
from unit.sip.wire import ANSWER, THEM, Agent, a_call_to_us, reply


def answered() -> tuple[Agent, CallerSession, Request]:
    """A call of ours over TCP that is up, and its INVITE."""
    agent = Agent(transport="tcp")
    session = agent.call(transport="tcp")
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, body=ANSWER))
    agent.sent_request("ACK")
    agent.events()
    return agent, session, invite


def test_a_phone_that_rings_hears_the_cancel_on_a_new_connection() -> None:
    """Section 9.1: a CANCEL goes where the INVITE went, and the phone would ring on without it."""
    agent = Agent(transport="tcp")
    session = agent.call(transport="tcp")
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 180))
    agent.lose_connection()
    session.cancel(agent.now)
    agent.settle()
    assert [sent.flow.connection for sent in agent.out] == [agent.connection]
    cancel = agent.sent_request("CANCEL")
    assert cancel.branch == invite.branch
    agent.hear(reply(cancel, 200))
    agent.hear(reply(invite, 487))
    agent.sent_request("ACK")
    assert agent.at_rest()


def test_a_cancel_that_finds_no_way_ends_the_call_as_one_that_nobody_answers() -> None:
    agent = Agent(transport="tcp")
    session = agent.call(transport="tcp")
    agent.hear(reply(agent.sent_request("INVITE"), 180))
    agent.lose_connection()
    agent.unreachable = (FailureKind.TRANSPORT, "connection refused")
    session.cancel(agent.now)
    agent.settle()
    assert agent.sent() == []
    assert agent.at_rest()


def test_an_ack_that_was_lost_with_its_connection_is_sent_on_another() -> None:
    agent = Agent(transport="tcp")
    agent.call(transport="tcp")
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, body=ANSWER))
    ack = agent.sent_request("ACK")
    agent.lose_connection()
    agent.hear(reply(invite, 200, body=ANSWER))
    assert [sent.flow.connection for sent in agent.out] == [agent.connection]
    assert agent.sent_request("ACK").serialise() == ack.serialise()


def test_an_ack_is_repeated_on_its_connection_as_long_as_that_is_open() -> None:
    agent = Agent(transport="tcp")
    agent.call(transport="tcp")
    invite = agent.sent_request("INVITE")
    for _ in range(2):
        agent.hear(reply(invite, 200, body=ANSWER))
        (sent,) = agent.out
        assert sent.flow.connection == 1
        assert isinstance(agent.sent_request("ACK"), Request)


def test_a_bye_whose_connection_was_closed_under_it_is_sent_on_another_once() -> None:
    agent, session, _ = answered()
    session.bye(agent.now)
    agent.settle()
    first = agent.sent_request("BYE")
    agent.lose_connection()
    assert [sent.flow.connection for sent in agent.out] == [agent.connection]
    second = agent.sent_request("BYE")
    # Were it a new request to a peer that had read the first one, it would only be refused.
    assert second.cseq == first.cseq
    assert second.branch != first.branch
    agent.lose_connection()
    assert agent.sent() == []
    assert agent.events() == [DialogEnded()]
    assert agent.at_rest()


@pytest.mark.parametrize("answers", [True, False])
def test_an_invite_whose_connection_was_closed_under_it_is_sent_on_another_once(
    answers: bool,
) -> None:
    """A connection that is kept for the next call may be closed by the peer just then."""
    agent, _, _ = answered()
    agent.call(transport="tcp", call_id="call-2")
    first = agent.sent_request("INVITE")
    agent.lose_connection()
    assert [sent.flow.connection for sent in agent.out] == [agent.connection]
    second = agent.sent_request("INVITE")
    # The same branch: whoever had read it before does not take it for another call.
    assert second.serialise() == first.serialise()
    agent.events()
    if answers:
        agent.hear(reply(second, 180))
        agent.hear(reply(second, 200, body=ANSWER))
        assert [type(event) for event in agent.events()] == [Provisional, Answered]
    else:
        agent.lose_connection()
        assert agent.sent() == []
        (event,) = agent.events()
        assert isinstance(event, Failed)
        assert event.failure.kind is FailureKind.TRANSPORT


def test_an_invite_that_can_not_be_sent_again_goes_to_the_next_target() -> None:
    agent, _, _ = answered()
    spare = Hop("tcp", "192.0.2.3", 5060, "carrier.example")
    agent.zone["carrier.example"] = [Hop("tcp", *THEM, "carrier.example"), spare]
    agent.call(transport="tcp", call_id="call-2", request_uri=Uri.parse("sip:bob@carrier.example"))
    agent.sent_request("INVITE")
    agent.dead.add(("tcp", *THEM))
    agent.lose_connection()
    assert [sent.flow.remote for sent in agent.out] == [spare[1:3]]
    agent.sent_request("INVITE")
    assert agent.events() == []


def test_a_call_that_is_cancelled_meanwhile_is_not_sent_again() -> None:
    agent, _, _ = answered()
    session = agent.call(transport="tcp", call_id="call-2")
    agent.sent_request("INVITE")
    session.cancel(agent.now)
    agent.lose_connection()
    assert agent.sent() == []
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.kind is FailureKind.CANCELLED


def test_a_dialog_whose_connection_was_lost_goes_on_by_the_one_the_peer_comes_by() -> None:
    """Behind a NAT there is no other way to it."""
    agent = Agent(transport="tcp")
    agent.endpoint.admit_with(lambda _request, _flow: None)
    before, after = ("9.9.9.9", 40_001), ("9.9.9.9", 40_002)
    agent.hear(a_call_to_us(), before)
    ((session, _),) = agent.heard
    assert isinstance(session, CalleeSession)
    session.answer(agent.now, ANSWER)
    agent.settle()
    tag = agent.sent_response(200).to_tag or ""
    agent.hear(a_call_to_us(method="ACK", to_tag=tag, branch="z9hG4bKack", body=b""), before)
    agent.lose_connection(before)
    agent.hear(
        a_call_to_us(method="UPDATE", to_tag=tag, cseq=2, branch="z9hG4bKnew", body=b""), after
    )
    agent.sent_response(200)
    session.bye(agent.now)
    agent.settle()
    (sent,) = agent.out
    assert (sent.flow.remote, sent.flow.connection) == (after, agent.connection)
    agent.sent_request("BYE")


def test_nobody_draws_an_answer_to_another_host_by_repeating_a_request() -> None:
    agent = Agent(transport="tcp")
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(a_call_to_us(), ("9.9.9.9", 40_001))
    ((session, _),) = agent.heard
    assert isinstance(session, CalleeSession)
    agent.hear(a_call_to_us(), ("8.8.8.8", 40_002))
    session.answer(agent.now, ANSWER)
    agent.settle()
    assert {sent.flow.remote for sent in agent.out} == {("9.9.9.9", 40_001)}


def test_a_caller_that_comes_back_by_another_connection_is_answered_there() -> None:
    """Its Via can't be connected from outside; the request that it repeats shows the way."""
    agent = Agent(transport="tcp")
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(a_call_to_us(), ("9.9.9.9", 40_001))
    ((session, _),) = agent.heard
    assert isinstance(session, CalleeSession)
    agent.unreachable = (FailureKind.TRANSPORT, "connection refused")
    agent.lose_connection(("9.9.9.9", 40_001))
    session.ring(agent.now)
    agent.settle()
    agent.out.clear()
    agent.hear(a_call_to_us(), ("9.9.9.9", 40_002))
    session.answer(agent.now, ANSWER)
    agent.settle()
    assert {sent.flow.remote for sent in agent.out} == {("9.9.9.9", 40_002)}
    assert [m.status for m in agent.sent() if isinstance(m, Response)] == [180, 200]
    agent.lose_connection(("9.9.9.9", 40_002))
    assert agent.at_rest()
