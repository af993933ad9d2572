"""Answers to our INVITE that come when the call is over: nobody is left talking to himself."""

from __future__ import annotations

from switchroom.sip.late_answers import MAX_FORKS
from switchroom.sip.message import Request
from unit.sip.wire import ANSWER, Agent, reply


def over(agent: Agent) -> tuple[Request, Request]:
    """INVITE and ACK of a call that was answered, and that we have hung up."""
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, tag="first", body=ANSWER))
    ack = agent.sent_request("ACK")
    session.bye(agent.now)
    agent.settle()
    agent.hear(reply(agent.sent_request("BYE"), 200))
    agent.events()
    assert not agent.endpoint.sessions
    return invite, ack


def test_a_repeated_200_gets_its_ack_again() -> None:
    agent = Agent()
    invite, ack = over(agent)
    for _ in range(2):
        agent.hear(reply(invite, 200, tag="first", body=ANSWER))
        assert agent.sent_request("ACK").serialise() == ack.serialise()
    assert agent.events() == []
    assert agent.at_rest()


def test_somebody_else_who_answers_is_acknowledged_and_hung_up_on_once() -> None:
    agent = Agent()
    invite, _ = over(agent)
    agent.hear(reply(invite, 200, tag="second", body=ANSWER))
    ack, bye = agent.sent()
    assert isinstance(ack, Request)
    assert isinstance(bye, Request)
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert (ack.to_tag, bye.to_tag) == ("second", "second")
    agent.hear(reply(bye, 200))
    agent.hear(reply(invite, 200, tag="second", body=ANSWER))
    assert agent.sent_request("ACK").serialise() == ack.serialise()
    assert agent.events() == []
    assert agent.at_rest()


def test_who_was_hung_up_on_before_the_end_is_not_hung_up_on_again() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, tag="first", body=ANSWER))
    agent.hear(reply(invite, 200, tag="second", body=ANSWER))
    *_, bye = agent.sent()
    assert isinstance(bye, Request)
    agent.hear(reply(bye, 200))
    session.bye(agent.now)
    agent.settle()
    agent.hear(reply(agent.sent_request("BYE"), 200))
    agent.hear(reply(invite, 200, tag="second", body=ANSWER))
    assert agent.sent_request("ACK").to_tag == "second"
    assert agent.at_rest()


def test_more_answers_than_any_network_has_callees_are_let_be() -> None:
    agent = Agent()
    invite, _ = over(agent)
    for number in range(MAX_FORKS):
        agent.hear(reply(invite, 200, tag=f"fork-{number}"))
    assert sum(isinstance(m, Request) and m.method == "BYE" for m in agent.sent()) == MAX_FORKS - 1


def test_a_refusal_that_is_repeated_gets_its_ack_again_when_the_call_is_over() -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 486))
    ack = agent.sent_request("ACK")
    assert not agent.endpoint.sessions
    agent.hear(reply(invite, 486))
    assert agent.sent_request("ACK").serialise() == ack.serialise()
    assert agent.at_rest()


def test_somebody_else_who_answers_late_is_hung_up_on_with_a_higher_number() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 183, tag="second", headers=(("Require", "100rel"), ("RSeq", "1"))))
    prack = agent.sent_request("PRACK")
    agent.hear(reply(prack, 200))
    agent.hear(reply(invite, 200, tag="first", body=ANSWER))
    agent.sent_request("ACK")
    session.bye(agent.now)
    agent.settle()
    agent.hear(reply(agent.sent_request("BYE"), 200))
    agent.hear(reply(invite, 200, tag="second", body=ANSWER))
    _, bye = agent.sent()
    assert isinstance(bye, Request)
    assert (bye.method, bye.to_tag) == ("BYE", "second")
    assert bye.cseq.number > prack.cseq.number
