"""Calls that take over other calls."""

from __future__ import annotations

import pytest

from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.endpoint import EndpointConfig
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.invite_session import IncomingInvite
from switchroom.sip.message import Request
from switchroom.sip.replaces import Replaces, refer_to_replacing
from switchroom.sip.uri import NameAddr, unescape
from unit.sip.wire import ANSWER, Agent, a_call_to_us, reply

TAKING = EndpointConfig(user_agent="test", replaces=True)


def house(config: EndpointConfig = TAKING) -> Agent:
    agent = Agent(config=config)
    agent.endpoint.admit_with(lambda _request, _flow: None)
    return agent


def taking_over(value: str, *more: str) -> Request:
    headers = tuple(("Replaces", text) for text in (value, *more))
    return a_call_to_us(call_id="in-2", branch="z9hG4bKin2", headers=headers)


def answered(agent: Agent) -> None:
    """A call of ours to THEM: call-1, tags ours and theirs."""
    agent.call()
    agent.hear(reply(agent.sent_request("INVITE"), 200, body=ANSWER))
    agent.sent()
    agent.events()


def test_an_invite_names_the_call_it_takes_over() -> None:
    agent = house()
    answered(agent)
    agent.hear(taking_over("call-1;to-tag=ours;from-tag=theirs"))
    (event,) = agent.events()
    assert isinstance(event, IncomingInvite)
    assert event.replaces == "call-1"


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("call-1;to-tag=theirs;from-tag=ours", 481),
        ("call-9;to-tag=ours;from-tag=theirs", 481),
        ("call-1;to-tag=ours;from-tag=others", 481),
        ("call-1;to-tag=ours;from-tag=theirs;early-only", 486),
        ("call-1;to-tag=ours", 400),
        (";to-tag=ours;from-tag=theirs", 400),
    ],
)
def test_a_call_that_can_not_be_taken_over_is_refused_by_name(value: str, status: int) -> None:
    agent = house()
    answered(agent)
    agent.hear(taking_over(value))
    agent.sent_response(status)
    assert agent.events() == []


def test_two_replaces_are_one_too_many() -> None:
    agent = house()
    answered(agent)
    value = "call-1;to-tag=ours;from-tag=theirs"
    agent.hear(taking_over(value, value))
    agent.sent_response(400)


def test_a_call_that_has_ended_gets_603_and_one_that_rings_here_481() -> None:
    agent = house()
    session = agent.call()
    agent.hear(reply(agent.sent_request("INVITE"), 200, body=ANSWER))
    session.bye(agent.now)
    agent.settle()
    agent.sent()
    agent.hear(taking_over("call-1;to-tag=ours;from-tag=theirs"))
    agent.sent_response(603)
    agent = house()
    agent.hear(a_call_to_us())
    ((ringing, _),) = agent.heard
    agent.heard.clear()
    value = f"in-1;to-tag={ringing.local_tag};from-tag=theirs"
    agent.hear(taking_over(value))
    agent.sent_response(481)


def test_an_early_call_of_ours_may_be_taken_over() -> None:
    agent = house()
    agent.call()
    agent.hear(reply(agent.sent_request("INVITE"), 180))
    agent.events()
    value = "call-1;to-tag=ours;from-tag=theirs;early-only"
    agent.hear(taking_over(value))
    (event,) = agent.events()
    assert isinstance(event, IncomingInvite)
    assert event.replaces == "call-1"


def test_who_does_not_serve_it_neither_claims_it_nor_obeys() -> None:
    agent = house(EndpointConfig())
    answered(agent)
    agent.hear(taking_over("call-1;to-tag=ours;from-tag=theirs"))
    (event,) = agent.events()
    assert isinstance(event, IncomingInvite)
    assert event.replaces is None
    wanted = (("Require", "replaces"), ("Replaces", "call-1;to-tag=ours;from-tag=theirs"))
    agent.hear(a_call_to_us(call_id="in-3", branch="z9hG4bKin3", headers=wanted))
    assert agent.sent_response(420).headers.get("Unsupported") == "replaces"
    for config, claimed in ((TAKING, True), (EndpointConfig(), False)):
        agent = house(config)
        agent.call()
        supported = agent.sent_request("INVITE").headers.tokens("Supported")
        assert ("replaces" in supported) is claimed


def test_a_refer_to_for_an_attended_transfer_names_the_other_call() -> None:
    dialog = DialogSnapshot(
        call_id='odd"id@host',
        local='"Us" <sip:us@192.0.2.1>;tag=mine',
        remote="<sip:carol@192.0.2.3>;tag=hers",
        remote_target="sip:carol@192.0.2.3:5070;transport=tcp",
        route_set=(),
        local_cseq=1,
        remote_cseq=None,
        transport=None,
    )
    value = refer_to_replacing(dialog)
    uri = NameAddr.parse(value).uri
    assert (uri.user, uri.host, uri.port) == ("carol", "192.0.2.3", 5070)
    name, _, escaped = uri.headers.partition("=")
    assert name == "Replaces"
    assert unescape(escaped) == 'odd"id@host;to-tag=hers;from-tag=mine'


def test_a_replaces_is_written_as_it_is_read() -> None:
    value = "a@b;to-tag=1;from-tag=2;early-only"
    assert str(Replaces.parse(value)) == value
    with pytest.raises(MalformedValueError):
        Replaces.parse("a@b")
