"""A call that is over is freed with its last user: it does not wait for the cyclic collector."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from switchroom.sip.call_session import CallSession
from unit.sip.test_callee_session import ack_for, later, ringing
from unit.sip.wire import ANSWER, Agent, a_call_to_us, in_dialog, reply


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def is_freed(agent: Agent, call: weakref.ref[CallSession]) -> bool:
    """Whether nothing holds the call once all timers have run out."""
    agent.events()
    assert agent.at_rest()
    agent.heard.clear()
    return call() is None


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
