"""A call that is over is freed with its last user, while SIP still remembers its transactions.

It waits neither for them, which may be half a minute, nor for the cyclic collector.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from switchroom.sip.call_session import CallSession
from switchroom.sip.message import Response
from switchroom.sip.transactions.machine import LET_GO
from unit.sip.test_callee_session import ack_for, cancel_for, later, ringing
from unit.sip.wire import ANSWER, THEM, Agent, a_call_to_us, in_dialog, reply


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def is_freed(agent: Agent, call: weakref.ref[CallSession]) -> bool:
    """Whether nothing holds the call, though what belongs to it may still come again."""
    agent.events()
    assert agent.endpoint.transactions
    freed = call() is None
    assert agent.at_rest()
    return freed


def test_a_call_that_we_placed_and_hung_up_is_freed() -> None:
    agent = Agent()
    session = agent.call()
    agent.hear(reply(agent.sent_request("INVITE"), 200, body=ANSWER))
    agent.sent_request("ACK")
    session.bye(agent.now)
    agent.settle()
    agent.hear(reply(agent.sent_request("BYE"), 200))
    call = weakref.ref[CallSession](session)
    del session
    assert is_freed(agent, call)


def test_a_call_that_we_placed_and_the_peer_hung_up_is_freed() -> None:
    agent = Agent()
    call = weakref.ref[CallSession](agent.call())
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, body=ANSWER))
    agent.hear(in_dialog("BYE", invite))
    assert is_freed(agent, call)


def test_a_call_that_was_refused_is_freed() -> None:
    agent = Agent()
    call = weakref.ref[CallSession](agent.call())
    agent.hear(reply(agent.sent_request("INVITE"), 486))
    agent.sent_request("ACK")
    assert is_freed(agent, call)


def test_a_call_that_we_gave_up_is_freed() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 180))
    session.cancel(agent.now)
    agent.settle()
    agent.hear(reply(agent.sent_request("CANCEL"), 200))
    agent.hear(reply(invite, 487))
    call = weakref.ref[CallSession](session)
    del session
    assert is_freed(agent, call)


def test_a_call_that_came_in_is_freed() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    session.answer(agent.now, ANSWER)
    agent.settle()
    answer = agent.sent_response(200)
    agent.hear(ack_for(answer))
    agent.hear(later("BYE", answer, 2))
    call = weakref.ref[CallSession](session)
    del session
    assert is_freed(agent, call)


def test_a_call_that_came_in_and_was_hung_up_by_us_is_freed() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    session.answer(agent.now, ANSWER)
    agent.settle()
    agent.hear(ack_for(agent.sent_response(200)))
    session.bye(agent.now)
    agent.settle()
    agent.hear(reply(agent.sent_request("BYE"), 200))
    call = weakref.ref[CallSession](session)
    del session
    assert is_freed(agent, call)


def test_a_call_that_came_in_and_was_given_up_is_freed() -> None:
    agent = Agent()
    invite = a_call_to_us()
    call = weakref.ref[CallSession](ringing(agent, invite))
    agent.hear(cancel_for(invite))
    _, refusal = agent.sent()
    assert isinstance(refusal, Response)
    agent.hear(ack_for(refusal, branch=invite.branch))
    assert is_freed(agent, call)


def test_the_messages_of_a_call_are_freed_while_its_transactions_are_remembered() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    invite = weakref.ref(session.request)
    session.answer(agent.now, ANSWER)
    agent.settle()
    answer = agent.sent_response(200)
    agent.hear(ack_for(answer))
    agent.hear(later("BYE", answer, 2))
    del session
    agent.events()
    assert agent.endpoint.transactions == 2
    assert invite() is None


def test_of_a_request_that_was_answered_nothing_is_kept_but_what_is_repeated() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    session.answer(agent.now, ANSWER)
    agent.settle()
    answer = agent.sent_response(200)
    agent.hear(ack_for(answer))
    agent.hear(later("INFO", answer, 2))
    agent.sent_response(200)
    session.bye(agent.now)
    agent.settle()
    agent.hear(reply(agent.sent_request("BYE"), 200))
    endpoint = agent.endpoint
    ours = [transaction.request for transaction in endpoint._clients.values()]
    theirs = [transaction.request for transaction in endpoint._uas.transactions.values()]
    assert (ours, theirs) == ([LET_GO], [LET_GO, LET_GO])


# ── what may still come ──────────────────────────────────────────────────────


def over(agent: Agent) -> Response:
    """Our answer to a call that came in and was hung up by its caller."""
    session = ringing(agent, a_call_to_us())
    session.answer(agent.now, ANSWER)
    agent.settle()
    answer = agent.sent_response(200)
    agent.hear(ack_for(answer))
    agent.hear(later("BYE", answer, 2))
    agent.sent_response(200)
    agent.events()
    return answer


def test_a_repeated_bye_is_answered_again_when_the_call_is_over() -> None:
    agent = Agent()
    agent.hear(later("BYE", over(agent), 2))
    agent.sent_response(200)
    assert agent.at_rest()


def test_a_repeated_invite_is_swallowed_when_the_call_is_over() -> None:
    agent = Agent()
    over(agent)
    agent.hear(a_call_to_us())
    assert agent.sent() == []
    assert agent.events() == []


def test_the_same_call_by_another_way_is_refused_when_the_call_is_over() -> None:
    agent = Agent()
    over(agent)
    agent.hear(a_call_to_us(branch="z9hG4bKanother"))
    assert agent.sent_response(482)
    agent.advance(40)
    agent.hear(a_call_to_us(branch="z9hG4bKthird"))
    assert len(agent.events()) == 1, "after half a minute it is a call as any other"


def test_what_comes_for_a_call_that_is_over_is_answered_as_for_none() -> None:
    agent = Agent()
    answer = over(agent)
    for request in (later("INFO", answer, 3), later("PRACK", answer, 4)):
        agent.hear(request)
        agent.sent_response(481)
    agent.hear(cancel_for(a_call_to_us()))
    agent.sent_response(200)
    agent.hear(ack_for(answer))
    agent.hear(ack_for(answer, branch="z9hG4bKin1"))
    assert agent.sent() == []
    assert agent.events() == []


def test_a_prack_that_comes_after_the_ack_is_refused() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us(headers=(("Require", "100rel"),)))
    session.answer(agent.now, ANSWER)
    agent.settle()
    answer = agent.sent_response(200)
    agent.hear(ack_for(answer))
    agent.hear(later("PRACK", answer, 2, (("RAck", "1 1 INVITE"),)))
    agent.sent_response(481)
    assert session.up


def test_a_connection_that_is_lost_after_the_ack_is_not_made_anew_for_the_answer() -> None:
    agent = Agent(transport="tcp")
    session = ringing(agent, a_call_to_us())
    session.answer(agent.now, ANSWER)
    agent.settle()
    agent.hear(ack_for(agent.sent_response(200)))
    agent.endpoint.flow_failed(agent.flow_to(THEM), "connection closed", agent.now)
    agent.settle()
    assert agent.connected == []
    assert session.up
