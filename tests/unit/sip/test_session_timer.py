"""Session timers, both refreshers, and what becomes of a call that nobody refreshes."""

from __future__ import annotations

import pytest

from switchroom.sip.callee_session import CalleeSession
from switchroom.sip.caller_session import CallerSession
from switchroom.sip.endpoint import EndpointConfig
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import (
    DialogEnded,
    Failed,
    FailureKind,
    OfferAnswered,
    OfferReceived,
)
from switchroom.sip.message import Message, Request, Response
from switchroom.sip.session_timer import SessionExpires
from unit.sip.wire import ANSWER, OFFER, THEM, Agent, a_call_to_us, in_dialog, reply

WANTING = EndpointConfig(user_agent="test", session_expires=600)
UPDATES = ("Allow", "INVITE, BYE, UPDATE")


def expires(message: Message) -> str | None:
    return message.headers.get("Session-Expires")


def called(
    agent: Agent, *answer: tuple[str, str], body: bytes = ANSWER
) -> tuple[CallerSession, Request]:
    """A call of ours, answered with these fields."""
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, body=body, headers=answer))
    agent.sent_request("ACK")
    agent.events()
    return session, invite


def calling(agent: Agent, *fields: tuple[str, str]) -> tuple[CalleeSession, Response]:
    """A call to us, answered and acknowledged."""
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(a_call_to_us(headers=fields))
    ((session, _),) = agent.heard
    assert isinstance(session, CalleeSession)
    session.answer(agent.now, ANSWER)
    agent.settle()
    ok = agent.sent_response(200)
    to_tag = ok.to_tag or ""
    agent.hear(a_call_to_us(method="ACK", to_tag=to_tag, branch="z9hG4bKack", body=b""))
    agent.events()
    return session, ok


def expiry_of(agent: Agent) -> str:
    (event,) = agent.events()
    assert isinstance(event, DialogEnded)
    assert event.failure is not None
    assert event.failure.kind is FailureKind.TIMED_OUT
    return event.failure.reason


# ── as the one who called ──


def test_a_call_asks_for_a_timer_only_if_it_is_told_to() -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    assert expires(invite) is None
    assert "timer" in invite.headers.tokens("Supported")
    agent = Agent(config=WANTING)
    agent.call()
    assert expires(agent.sent_request("INVITE")) == "600"


def test_we_refresh_by_update_at_half_time_where_the_peer_takes_it() -> None:
    agent = Agent()
    session, _ = called(agent, ("Session-Expires", "100;refresher=uac"), UPDATES)
    agent.advance(49.9)
    assert agent.sent() == []
    agent.advance(0.2)
    update = agent.sent_request("UPDATE")
    assert expires(update) == "100;refresher=uac"
    assert update.body == b""
    assert "timer" in update.headers.tokens("Supported")
    assert "Contact" in update.headers
    agent.hear(reply(update, 200, headers=(("Session-Expires", "100;refresher=uac"),)))
    agent.advance(49.9)
    assert agent.sent() == []
    agent.advance(0.2)
    agent.sent_request("UPDATE")
    assert agent.events() == []
    assert session.snapshot() is not None


def test_we_refresh_by_reinvite_with_the_same_sdp_where_it_does_not() -> None:
    agent = Agent()
    called(agent, ("Session-Expires", "100;refresher=uac"))
    agent.advance(50)
    invite = agent.sent_request("INVITE")
    assert (expires(invite), invite.body) == ("100;refresher=uac", OFFER)
    agent.hear(reply(invite, 200, body=ANSWER, headers=(("Session-Expires", "100;refresher=uac"),)))
    agent.sent_request("ACK")
    assert agent.events() == []
    agent.advance(50)
    agent.sent_request("INVITE")


def test_an_answer_to_a_refresh_that_moves_the_media_is_told() -> None:
    agent = Agent()
    called(agent, ("Session-Expires", "100;refresher=uac"))
    agent.advance(50)
    agent.hear(reply(agent.sent_request("INVITE"), 200, body=b"moved"))
    (event,) = agent.events()
    assert isinstance(event, OfferAnswered)
    assert (event.status, event.body) == (200, b"moved")


@pytest.mark.parametrize("status", [405, 501])
def test_a_peer_that_refuses_update_gets_a_reinvite(status: int) -> None:
    agent = Agent()
    called(agent, ("Session-Expires", "100;refresher=uac"), UPDATES)
    agent.advance(50)
    agent.hear(reply(agent.sent_request("UPDATE"), status))
    assert expires(agent.sent_request("INVITE")) == "100;refresher=uac"


@pytest.mark.parametrize("status", [408, 481])
def test_a_refresh_that_finds_no_call_ends_ours(status: int) -> None:
    agent = Agent()
    called(agent, ("Session-Expires", "100;refresher=uac"), UPDATES)
    agent.advance(50)
    agent.hear(reply(agent.sent_request("UPDATE"), status))
    agent.sent_request("BYE")
    assert expiry_of(agent) == "session refresh failed"
    assert agent.at_rest()


def test_a_refresh_that_is_refused_for_the_moment_is_tried_again_and_then_given_up() -> None:
    agent = Agent()
    called(agent, ("Session-Expires", "100;refresher=uac"), UPDATES)
    agent.advance(50)
    agent.hear(reply(agent.sent_request("UPDATE"), 503))
    agent.advance(5)
    again = agent.sent_request("UPDATE")
    agent.hear(reply(again, 503))
    assert agent.events() == []
    # 100 - min(32, 100/3) after the last success.
    agent.advance(12.9)
    assert agent.events() == []
    agent.advance(0.2)
    assert expiry_of(agent) == "session timer expired"


def test_a_peer_that_refreshes_keeps_the_call_and_one_that_stops_loses_it() -> None:
    agent = Agent()
    _, invite = called(agent, ("Session-Expires", "100;refresher=uas"))
    agent.advance(60)
    asked = (("Session-Expires", "100;refresher=uac"), ("Supported", "timer"))
    agent.hear(in_dialog("UPDATE", invite, headers=asked))
    ok = agent.sent_response(200)
    assert expires(ok) == "100;refresher=uac"
    assert "timer" in ok.headers.tokens("Require")
    agent.advance(67.9)
    assert agent.sent() == []
    agent.advance(0.2)
    agent.sent_request("BYE")
    assert expiry_of(agent) == "session timer expired"


def test_a_2xx_without_a_timer_means_none() -> None:
    agent = Agent(config=WANTING)
    called(agent)
    agent.advance(5000)
    assert agent.sent() == []


def test_a_2xx_that_does_not_say_who_refreshes_means_us() -> None:
    agent = Agent()
    called(agent, ("Session-Expires", "100"), UPDATES)
    agent.advance(50)
    agent.sent_request("UPDATE")


def test_a_422_is_answered_with_the_interval_it_wants() -> None:
    agent = Agent(config=WANTING)
    agent.call()
    first = agent.sent_request("INVITE")
    agent.hear(reply(first, 422, headers=(("Min-SE", "1800"),)))
    _, second = agent.sent()
    assert isinstance(second, Request)
    assert (expires(second), second.headers.get("Min-SE")) == ("1800", "1800")
    assert second.cseq.number == first.cseq.number + 1
    agent.hear(reply(second, 422, headers=(("Min-SE", "1800"),)))
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.status == 422


def test_a_422_to_a_call_that_asked_for_nothing_is_a_refusal() -> None:
    agent = Agent()
    agent.call()
    agent.hear(reply(agent.sent_request("INVITE"), 422, headers=(("Min-SE", "1800"),)))
    (event,) = agent.events()
    assert isinstance(event, Failed)


def test_hanging_up_stops_the_timer() -> None:
    agent = Agent()
    session, _ = called(agent, ("Session-Expires", "100;refresher=uac"), UPDATES)
    session.bye(agent.now)
    agent.settle()
    agent.hear(reply(agent.sent_request("BYE"), 200))
    agent.advance(40)
    assert agent.endpoint.deadline() is None
    agent.advance(200)
    assert agent.sent() == []
    assert agent.at_rest()


# ── as the one who was called ──


@pytest.mark.parametrize(
    ("fields", "told", "required"),
    [
        ((), None, False),
        ((("Supported", "timer"),), None, False),
        ((("Supported", "timer"), ("Session-Expires", "1800")), "1800;refresher=uac", True),
        ((("k", "timer"), ("x", "1800;refresher=uas")), "1800;refresher=uas", False),
        ((("Require", "timer"), ("Session-Expires", "90")), "90;refresher=uac", True),
        ((("Session-Expires", "1800"),), "1800;refresher=uas", False),
        ((("Session-Expires", "60"),), "60;refresher=uas", False),
        ((("Supported", "timer"), ("Session-Expires", "nonsense")), None, False),
    ],
)
def test_a_caller_that_asks_for_a_timer_gets_it(
    fields: tuple[tuple[str, str], ...], told: str | None, required: bool
) -> None:
    _, ok = calling(Agent(), *fields)
    assert expires(ok) == told
    assert ("timer" in ok.headers.tokens("Require")) is required


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ((("Supported", "timer"),), "600;refresher=uas"),
        ((), "600;refresher=uas"),
        ((("Supported", "timer"), ("Session-Expires", "1800")), "600;refresher=uac"),
        (
            (("Supported", "timer"), ("Session-Expires", "1800"), ("Min-SE", "900")),
            "900;refresher=uac",
        ),
        ((("Supported", "timer"), ("Session-Expires", "300")), "300;refresher=uac"),
    ],
)
def test_a_timer_of_ours_shortens_theirs_down_to_their_floor(
    fields: tuple[tuple[str, str], ...], told: str
) -> None:
    _, ok = calling(Agent(config=WANTING), *fields)
    assert expires(ok) == told


def test_an_interval_that_nobody_may_ask_for_gets_422_and_makes_no_state() -> None:
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(a_call_to_us(headers=(("Supported", "timer"), ("Session-Expires", "89"))))
    assert agent.sent_response(422).headers.get("Min-SE") == "90"
    assert agent.endpoint.idle


def test_an_interval_too_short_inside_a_call_gets_422_too() -> None:
    agent = Agent()
    _, invite = called(agent)
    asked = (("Supported", "timer"), ("Session-Expires", "10"))
    agent.hear(in_dialog("UPDATE", invite, headers=asked))
    assert agent.sent_response(422).headers.get("Min-SE") == "90"


def test_a_caller_that_does_not_know_timers_is_refreshed_by_us() -> None:
    agent = Agent()
    calling(agent, ("Session-Expires", "100"), UPDATES)
    agent.advance(50)
    update = agent.sent_request("UPDATE")
    assert expires(update) == "100;refresher=uac"


def test_a_reinvite_of_the_peer_refreshes_and_its_answer_says_so() -> None:
    agent = Agent()
    asked = (("Supported", "timer"), ("Session-Expires", "100;refresher=uac"))
    session, ok = calling(agent, *asked)
    agent.advance(60)
    tag = ok.to_tag or ""
    agent.hear(a_call_to_us(cseq=2, branch="z9hG4bKre", to_tag=tag, headers=asked))
    (event,) = agent.events()
    assert isinstance(event, OfferReceived)
    session.respond_offer(agent.now, event.offer_id, 200, "OK", ANSWER)
    agent.settle()
    assert expires(agent.sent_response(200)) == "100;refresher=uac"
    agent.hear(a_call_to_us(method="ACK", cseq=2, to_tag=tag, branch="z9hG4bKa2", body=b""))
    agent.advance(60)
    assert session.snapshot() is not None
    agent.advance(10)
    assert session.snapshot() is None


def test_our_own_offer_keeps_the_roles() -> None:
    agent = Agent()
    session, _ = called(agent, ("Session-Expires", "100;refresher=uas"))
    session.offer(agent.now, OFFER)
    agent.settle()
    invite = agent.sent_request("INVITE")
    assert expires(invite) == "100;refresher=uas"


@pytest.mark.parametrize("value", ["", "x", "-1", "1800;refresher", "99999999999"])
def test_a_field_that_can_not_be_read_does_no_harm(value: str) -> None:
    found = SessionExpires.of(Headers([("Session-Expires", value)]))
    assert found is None or found.refresher is None


@pytest.mark.parametrize("kind", [FailureKind.TRANSPORT, FailureKind.DNS])
def test_a_refresh_that_does_not_reach_the_peer_is_tried_again(kind: FailureKind) -> None:
    """A name server that is away for a moment says nothing about the peer."""
    agent = Agent()
    session = agent.call()
    fields = (("Session-Expires", "100;refresher=uac"), UPDATES)
    ok = reply(agent.sent_request("INVITE"), 200, headers=fields, contact="<sip:bob@peer.example>")
    agent.hear(ok)
    agent.sent()
    agent.events()
    agent.unreachable = (kind, "not now")
    agent.advance(54)
    assert agent.sent() == []
    agent.unreachable = None
    agent.advance(1)
    agent.hear(reply(agent.sent_request("UPDATE"), 200, headers=fields))
    agent.advance(49)
    assert agent.events() == []
    assert session.snapshot() is not None


def test_a_refresh_that_never_reaches_the_peer_ends_the_call_in_time() -> None:
    agent = Agent()
    called(agent, ("Session-Expires", "100;refresher=uac"), UPDATES)
    agent.advance(50)
    for _ in range(4):
        agent.sent_request("UPDATE")
        agent.endpoint.flow_failed(agent.flow_to(THEM), "network unreachable", agent.now)
        assert agent.events() == []
        agent.advance(5)
    assert expiry_of(agent) == "session timer expired"


@pytest.mark.parametrize("over", [False, True])
def test_a_refresh_that_is_never_answered_for_good_has_an_end(over: bool) -> None:
    """A 100 stops the timers of a re-INVITE, and its peer may say no more."""
    agent = Agent()
    _, invite = called(agent, ("Session-Expires", "100;refresher=uac"))
    agent.advance(50)
    again = agent.sent_request("INVITE")
    agent.hear(reply(again, 100))
    if over:
        agent.hear(in_dialog("BYE", invite))
    assert agent.at_rest()
