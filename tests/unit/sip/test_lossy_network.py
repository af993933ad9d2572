"""Two endpoints on a network that loses, doubles and reorders: whole calls, and what must hold.

In the end both sides agree, nothing is left in any table, and no timer is armed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from switchroom.sip.call_session import CallSession
from switchroom.sip.caller_session import CallerSession
from switchroom.sip.invite_session import (
    Acknowledged,
    Answered,
    ByeReceived,
    DialogEnded,
    Failed,
    IncomingInvite,
    SessionEvent,
)
from unit.sip.wire import ANSWER, OFFER, Agent, Network, an_invite

LAST = (Failed, ByeReceived, DialogEnded)


def ends(heard: list[SessionEvent]) -> list[SessionEvent]:
    return [event for event in heard if isinstance(event, LAST)]


def play(
    network: Network, script: str, choices: random.Random
) -> tuple[list[SessionEvent], list[SessionEvent]]:
    """A call in which each side does what the script says; gives the events of both sides."""
    caller = network.caller.endpoint.invite(an_invite(), network.now)
    network.collect()
    for action in script:
        network.run(network.now + choices.random() * 3)
        if action == "i":
            wait_for_the_invite(network)
        act(network, caller, action)
        network.collect()
    network.run(network.now + 400)
    act(network, caller, "h")
    act(network, caller, "H")
    network.collect()
    network.run(network.now + 400)
    callee = network.callee_session()
    return heard_by(network.caller, caller), heard_by(network.callee, callee)


def act(network: Network, caller: CallerSession, action: str) -> None:
    """One letter of a script: small for the caller or the answer, capital for the callee."""
    now = network.now
    callee = network.callee_session()
    actions: dict[str, Callable[[], None]] = {
        "c": lambda: caller.cancel(now),
        "h": lambda: caller.bye(now),
        "o": lambda: caller.offer(now, OFFER),
    }
    if callee is not None:
        actions |= {
            "r": lambda: callee.ring(now),
            "a": lambda: callee.answer(now, ANSWER),
            "d": lambda: callee.reject(now, 603),
            "H": lambda: callee.bye(now),
            "O": lambda: callee.offer(now, OFFER),
            "s": lambda: answer_offers((caller, callee), now),
        }
    if action in actions:
        actions[action]()
    elif action == "x":
        network.lose_connection()


def answer_offers(sides: Sequence[CallSession], now: float) -> None:
    for side in sides:
        for offer_id in (1, 2):
            side.respond_offer(now, offer_id, 200, "OK", ANSWER)


def heard_by(agent: Agent, call: CallSession | None) -> list[SessionEvent]:
    return [
        event
        for session, event in agent.heard
        if session is call and not isinstance(event, IncomingInvite)
    ]


def wait_for_the_invite(network: Network) -> None:
    while network.callee_session() is None:
        network.run(network.now + 1)


def check_rest(network: Network) -> None:
    for agent in network.agents():
        assert agent.endpoint.deadline() is None
        assert not agent.endpoint.sessions
        assert agent.endpoint.idle


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    script=st.text("chorasdHO", max_size=8),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    duplication=st.sampled_from([0.0, 0.3]),
    jitter=st.sampled_from([0.0, 0.05, 1.0]),
)
def test_whatever_happens_both_sides_come_to_rest(
    seed: int, script: str, loss: float, duplication: float, jitter: float
) -> None:
    network = Network(seed, loss=loss, duplication=duplication, jitter=jitter)
    ours, theirs = play(network, script, random.Random(seed))
    # One last event each, and nothing after it.
    assert len(ends(ours)) <= 1
    assert not ends(ours) or isinstance(ours[-1], LAST)
    assert len(ends(theirs)) <= 1
    assert not ends(theirs) or isinstance(theirs[-1], LAST)
    assert len([event for event in ours if isinstance(event, Answered)]) <= 1
    # A call is up on both sides or on none: an ACK means that the caller heard the answer.
    if any(isinstance(event, Acknowledged) and event.offer_id == 0 for event in theirs):
        told = any(isinstance(event, Answered) for event in ours)
        assert told or any(isinstance(event, Failed) for event in ours)
    check_rest(network)


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.2])
def test_calls_get_through_a_lossy_network(loss: float) -> None:
    answered = 0
    for seed in range(40):
        network = Network(seed, loss=loss)
        ours, _ = play(network, "iras", random.Random(seed))
        answered += any(isinstance(event, Answered) for event in ours)
        check_rest(network)
    assert answered == 40


def test_a_perfect_network_carries_a_call_in_eight_messages() -> None:
    network = Network(1)
    ours, theirs = play(network, "rash", random.Random(3))
    assert isinstance(ours[-1], DialogEnded)
    assert isinstance(theirs[-1], ByeReceived)
    # INVITE, 100, 180, 200, ACK, BYE, 200 – and no retransmission but those waiting for us.
    assert network.datagrams <= 16


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), script=st.text("chrasdHO", max_size=6))
def test_over_tcp_as_well(seed: int, script: str) -> None:
    network = Network(seed, transport="tcp")
    play(network, script, random.Random(seed))
    check_rest(network)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), script=st.text("chorasdHOxxx", max_size=8))
def test_over_connections_that_are_lost_as_well(seed: int, script: str) -> None:
    network = Network(seed, transport="tcp")
    ours, theirs = play(network, script, random.Random(seed))
    assert len(ends(ours)) <= 1
    assert len(ends(theirs)) <= 1
    check_rest(network)
