"""Placing calls."""

from __future__ import annotations

import pytest

from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.digest import Credentials
from switchroom.sip.endpoint import EndpointConfig
from switchroom.sip.errors import LocalSipError
from switchroom.sip.invite_session import (
    Answered,
    AuthProblem,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    Provisional,
)
from switchroom.sip.message import Request, Response
from switchroom.sip.reason import parse_reasons
from switchroom.sip.uri import NameAddr, Uri
from unit.sip.wire import ANSWER, OFFER, THEM, Agent, an_invite, in_dialog, reply

LOGIN = Credentials("alice", "secret")
RELIABLE = (("Require", "100rel"), ("RSeq", "7"))
CHALLENGE = ("Proxy-Authenticate", 'Digest realm="r", nonce="n1", qop="auth", algorithm=MD5')


def answered(agent: Agent) -> Request:
    """A call that is up; gives its INVITE."""
    agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, body=ANSWER))
    agent.sent_request("ACK")
    agent.events()
    return invite


def failure_of(agent: Agent) -> tuple[FailureKind, int | None]:
    (event,) = agent.events()
    assert isinstance(event, Failed)
    return event.failure.kind, event.failure.status


def test_the_invite_has_what_rfc_3261_8_1_1_asks_for() -> None:
    agent = Agent()
    agent.call(headers=(("X-Trunk", "one"),))
    invite = agent.sent_request("INVITE")
    assert invite.target == "sip:bob@192.0.2.2"
    assert invite.from_tag == "ours"
    assert invite.to_tag is None
    assert invite.cseq.number == 1
    assert invite.branch.startswith("z9hG4bK")
    assert invite.via.wants_rport
    assert invite.headers.get("Max-Forwards") == "70"
    assert invite.headers.get("Contact") == "<sip:alice@192.0.2.1:5060>"
    assert "100rel" in invite.headers.tokens("Supported")
    assert "prack" in invite.headers.tokens("Allow")
    assert invite.headers.get("X-Trunk") == "one"
    assert invite.body == OFFER


def test_a_call_is_answered_acknowledged_and_hung_up() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 100))
    agent.hear(reply(invite, 180))
    agent.hear(reply(invite, 200, body=ANSWER))
    ack = agent.sent_request("ACK")
    assert ack.cseq.number == invite.cseq.number
    assert ack.branch != invite.branch
    assert ack.to_tag == "theirs"
    statuses = [
        event.status for event in agent.events() if isinstance(event, Provisional | Answered)
    ]
    assert statuses == [100, 180, 200]
    session.bye(agent.now, (("Reason", "Q.850;cause=16"),))
    agent.settle()
    bye = agent.sent_request("BYE")
    assert bye.cseq.number == 2
    assert bye.headers.get("Reason") == "Q.850;cause=16"
    agent.hear(reply(bye, 200))
    assert agent.events() == [DialogEnded()]
    assert agent.at_rest()


def test_a_late_offer_does_not_claim_100rel() -> None:
    agent = Agent()
    agent.call(body=b"")
    assert "100rel" not in agent.sent_request("INVITE").headers.tokens("Supported")
    agent = Agent()
    agent.call()
    assert "100rel" in agent.sent_request("INVITE").headers.tokens("Supported")


@pytest.mark.parametrize("status", [302, 404, 480, 486, 488, 500, 503, 603])
def test_a_rejection_is_acknowledged_and_reported_with_its_status(status: int) -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, status, headers=(("X-Why", "because"),)))
    ack = agent.sent_request("ACK")
    # Section 17.1.1.3: same branch, To of the response.
    assert (ack.branch, ack.to_tag, ack.cseq.number) == (invite.branch, "theirs", 1)
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert (event.failure.kind, event.failure.status) == (FailureKind.REJECTED, status)
    assert event.failure.headers.get("X-Why") == "because"
    assert agent.at_rest()


def test_silence_is_no_response_after_32_seconds() -> None:
    agent = Agent()
    agent.call()
    agent.sent()
    agent.advance(31.9)
    assert agent.events() == []
    agent.advance(0.2)
    assert failure_of(agent) == (FailureKind.NO_RESPONSE, None)
    assert agent.at_rest()


def test_a_transport_error_fails_the_call_at_once() -> None:
    agent = Agent()
    agent.call()
    agent.sent()
    agent.endpoint.flow_failed(agent.flow_to(("192.0.2.2", 5060)), "connection refused", agent.now)
    agent.settle()
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.kind is FailureKind.TRANSPORT
    assert event.failure.reason == "connection refused"
    assert agent.at_rest()


def test_a_name_that_does_not_resolve_is_a_dns_failure() -> None:
    agent = Agent()
    agent.unreachable = (FailureKind.DNS, "nowhere.invalid: no such host")
    agent.call(request_uri=Uri.parse("sip:bob@nowhere.invalid"))
    assert failure_of(agent) == (FailureKind.DNS, None)
    assert agent.sent() == []
    assert agent.at_rest()


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("sip:bob@192.0.2.2;transport=ws", "transport ws not available"),
        ("sips:bob@192.0.2.2;transport=udp", "sips over udp"),
        ("tel:+15550100", "no way to a tel URI"),
    ],
)
def test_a_transport_we_do_not_have_is_named(uri: str, why: str) -> None:
    agent = Agent()
    agent.call(request_uri=Uri.parse(uri))
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert (event.failure.kind, event.failure.reason) == (FailureKind.TRANSPORT, why)


def test_text_that_would_inject_a_header_is_refused() -> None:
    agent = Agent()
    with pytest.raises(LocalSipError):
        agent.call(headers=(("X-A", "one\r\nX-B: two"),))
    with pytest.raises(LocalSipError):
        agent.call(headers=(("X A", "one"),))
    with pytest.raises(LocalSipError):
        agent.call(from_=NameAddr(Uri("sip", "h\r\nX: y")))
    assert agent.at_rest()


# ── logging in ──


def test_a_challenge_is_answered_with_the_next_cseq_and_a_new_branch() -> None:
    agent = Agent()
    agent.call(credentials=LOGIN)
    first = agent.sent_request("INVITE")
    assert "Proxy-Authorization" not in first.headers
    agent.hear(reply(first, 407, headers=(CHALLENGE,)))
    ack, second = agent.sent()
    assert isinstance(ack, Request)
    assert ack.method == "ACK"
    assert isinstance(second, Request)
    assert second.cseq.number == 2
    assert second.branch != first.branch
    assert (second.call_id, second.from_tag, second.to_tag) == (first.call_id, "ours", None)
    login = second.headers.get("Proxy-Authorization") or ""
    assert 'uri="sip:bob@192.0.2.2"' in login
    assert "nc=00000001" in login
    agent.hear(reply(second, 200, body=ANSWER))
    # Section 22.1: the ACK carries the credentials of its INVITE.
    assert agent.sent_request("ACK").headers.get("Proxy-Authorization") == login
    assert isinstance(agent.events()[0], Answered)


def test_wrong_credentials_are_not_sent_twice() -> None:
    agent = Agent()
    agent.call(credentials=LOGIN)
    agent.hear(reply(agent.sent_request("INVITE"), 407, headers=(CHALLENGE,)))
    _, second = agent.sent()
    assert isinstance(second, Request)
    again = (CHALLENGE[0], CHALLENGE[1].replace("n1", "n2"))
    agent.hear(reply(second, 407, headers=(again,)))
    assert [message.cseq.method for message in agent.sent()] == ["ACK"]
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert (event.failure.kind, event.failure.status) == (FailureKind.AUTH, 407)
    assert event.failure.auth is AuthProblem.REJECTED
    assert agent.at_rest()


def test_a_stale_nonce_is_tried_again_but_not_for_ever() -> None:
    agent = Agent()
    agent.call(credentials=LOGIN)
    for attempt in range(1, 6):
        request = agent.sent()[-1]
        assert isinstance(request, Request)
        assert request.cseq.number == attempt
        value = f'Digest realm="r", nonce="n{attempt}", qop="auth", stale=TRUE'
        agent.hear(reply(request, 401, headers=(("WWW-Authenticate", value),)))
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.auth is AuthProblem.TOO_MANY_ATTEMPTS


@pytest.mark.parametrize(
    ("credentials", "headers", "problem"),
    [
        (None, (CHALLENGE,), AuthProblem.NO_CREDENTIALS),
        (LOGIN, (), AuthProblem.NO_USABLE_CHALLENGE),
        (LOGIN, (("Proxy-Authenticate", "Basic realm=x"),), AuthProblem.NO_USABLE_CHALLENGE),
        (
            LOGIN,
            (("Proxy-Authenticate", 'Digest realm="r", nonce="n", algorithm=XYZ'),),
            AuthProblem.NO_USABLE_CHALLENGE,
        ),
    ],
)
def test_without_a_way_to_log_in_the_call_fails_by_name(
    credentials: Credentials | None, headers: tuple[tuple[str, str], ...], problem: AuthProblem
) -> None:
    agent = Agent()
    agent.call(credentials=credentials)
    agent.hear(reply(agent.sent_request("INVITE"), 407, headers=headers))
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.auth is problem


def test_a_challenged_bye_is_sent_again_with_credentials() -> None:
    agent = Agent()
    session = agent.call(credentials=LOGIN)
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200))
    agent.sent()
    session.bye(agent.now)
    agent.settle()
    bye = agent.sent_request("BYE")
    agent.hear(reply(bye, 401, headers=(("WWW-Authenticate", 'Digest realm="r", nonce="n"'),)))
    again = agent.sent_request("BYE")
    assert "Authorization" in again.headers
    assert again.cseq.number == bye.cseq.number + 1
    agent.hear(reply(again, 200))
    assert agent.at_rest()


# ── giving up ──


def test_cancel_before_the_invite_left_sends_nothing() -> None:
    agent = Agent()
    session = agent.endpoint.invite(an_invite(), agent.now)
    session.cancel(agent.now)
    agent.settle()
    assert agent.sent() == []
    assert failure_of(agent) == (FailureKind.CANCELLED, None)


def test_cancel_waits_for_the_first_provisional_response() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    session.cancel(agent.now)
    agent.settle()
    assert agent.sent() == []
    agent.hear(reply(invite, 100))
    cancel = agent.sent_request("CANCEL")
    # Section 9.1: same Request-URI, Call-ID, To, From, CSeq number and branch; one Via.
    assert cancel.target == invite.target
    assert cancel.headers.get_all("Via") == invite.headers.get_all("Via")
    assert cancel.headers.get("To") == invite.headers.get("To")
    assert cancel.cseq.number == invite.cseq.number
    agent.hear(reply(cancel, 200))
    agent.hear(reply(invite, 487))
    agent.sent_request("ACK")
    assert failure_of(agent) == (FailureKind.CANCELLED, 487)
    assert agent.at_rest()


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 180))
    session.cancel(agent.now)
    agent.settle()
    agent.sent_request("CANCEL")
    agent.events()
    agent.hear(reply(invite, 200))
    ack, bye = agent.sent()
    assert [ack.cseq.method, bye.cseq.method] == ["ACK", "BYE"]
    assert failure_of(agent) == (FailureKind.CANCELLED, 200)
    agent.hear(reply(invite, 200))
    assert agent.sent_request("ACK").branch == ack.branch
    assert isinstance(bye, Request)
    assert agent.endpoint.sessions  # the call is over only when its BYE is
    agent.hear(reply(bye, 200))
    assert agent.at_rest()


def test_a_cancel_that_nobody_answers_ends_after_64_t1() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 180))
    agent.events()
    session.cancel(agent.now)
    agent.advance(32.1)
    assert failure_of(agent) == (FailureKind.CANCELLED, None)
    assert agent.at_rest()


def test_a_cancelled_call_over_tcp_leaves_nothing_at_once() -> None:
    agent = Agent(transport="tcp")
    session = agent.call(transport="tcp")
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 180))
    session.cancel(agent.now)
    agent.settle()
    agent.hear(reply(agent.sent_request("CANCEL"), 200))
    agent.hear(reply(invite, 487))
    assert agent.endpoint.idle


def test_a_challenge_after_cancel_is_not_answered() -> None:
    agent = Agent()
    session = agent.call(credentials=LOGIN)
    invite = agent.sent_request("INVITE")
    session.cancel(agent.now)
    agent.hear(reply(invite, 407, headers=(CHALLENGE,)))
    agent.sent_request("ACK")
    assert failure_of(agent) == (FailureKind.CANCELLED, 407)


def test_cancel_and_bye_mean_the_other_when_it_is_too_late_or_too_early() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 180))
    session.bye(agent.now)
    agent.settle()
    agent.sent_request("CANCEL")

    other = Agent()
    session = other.call()
    other.hear(reply(other.sent_request("INVITE"), 200))
    other.sent()
    session.cancel(other.now)
    other.settle()
    other.sent_request("BYE")


# ── 2xx again, and from others ──


def test_a_repeated_200_gets_the_same_ack_again_and_no_second_event() -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200))
    ack = agent.sent_request("ACK")
    agent.events()
    agent.advance(10)
    agent.hear(reply(invite, 200))
    assert agent.sent_request("ACK").serialise() == ack.serialise()
    assert agent.events() == []


def test_a_forked_200_is_acknowledged_and_hung_up() -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, tag="first"))
    agent.sent_request("ACK")
    agent.hear(reply(invite, 200, tag="second"))
    ack, bye = agent.sent()
    assert (ack.to_tag, bye.to_tag) == ("second", "second")
    assert isinstance(bye, Request)
    assert bye.method == "BYE"
    assert [type(event) for event in agent.events()] == [Answered]
    agent.hear(reply(bye, 200))
    assert agent.endpoint.sessions


def test_a_200_without_contact_or_tag_is_still_acknowledged() -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, tag=None, contact=None))
    assert agent.sent_request("ACK").target == "sip:bob@192.0.2.2"


def test_the_ack_goes_by_the_route_set_and_not_by_the_contact() -> None:
    """The case of a proxy that records itself over TCP while the Contact says TLS."""
    agent = Agent()
    agent.call(request_uri=Uri.parse("sip:bob@192.0.2.2;transport=tcp"), transport="tcp")
    invite = agent.sent_request("INVITE")
    routes = (
        ("Record-Route", "<sip:192.0.2.9:5070;transport=tcp;lr>"),
        ("Record-Route", "<sip:192.0.2.8;lr>"),
    )
    agent.endpoint.receive(
        agent.flow_to(("192.0.2.2", 5060), "tcp"),
        reply(
            invite, 200, headers=routes, contact="<sip:bob@10.0.0.1:5061;transport=tls>"
        ).serialise(),
        agent.now,
    )
    agent.settle()
    assert agent.out[0].flow.remote == ("192.0.2.8", 5060)
    ack = agent.sent_request("ACK")
    assert ack.target == "sip:bob@10.0.0.1:5061;transport=tls"
    assert ack.headers.get_all("Route") == [
        "<sip:192.0.2.8;lr>",
        "<sip:192.0.2.9:5070;transport=tcp;lr>",
    ]


def test_a_route_given_with_the_call_is_where_it_goes_first() -> None:
    agent = Agent()
    agent.call(headers=(("Route", "<sip:192.0.2.77:5080;lr>"),))
    assert agent.out[0].flow.remote == ("192.0.2.77", 5080)


# ── reliable provisional responses ──


def reliable(rseq: int) -> tuple[tuple[str, str], ...]:
    return (("Require", "100rel"), ("RSeq", str(rseq)))


def test_a_reliable_183_is_acknowledged_with_prack_once() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 183, headers=reliable(7), body=ANSWER))
    prack = agent.sent_request("PRACK")
    assert prack.headers.get("RAck") == "7 1 INVITE"
    assert prack.cseq.number == 2
    assert prack.to_tag == "theirs"
    agent.hear(reply(invite, 183, headers=reliable(7), body=ANSWER))
    assert agent.sent() == []
    agent.hear(reply(prack, 200))
    agent.hear(reply(invite, 180, headers=reliable(9)))
    assert agent.sent() == []
    agent.hear(reply(invite, 180, headers=reliable(8)))
    assert agent.sent_request("PRACK").cseq.number == 3
    assert [event.status for event in agent.events() if isinstance(event, Provisional)] == [
        183,
        180,
    ]
    agent.hear(reply(invite, 200))
    assert agent.sent_request("ACK").cseq.number == 1
    session.bye(agent.now)
    agent.settle()
    assert agent.sent_request("BYE").cseq.number == 4


# ── the callee acts ──


def test_early_media_of_each_fork_is_told_apart() -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 183, tag="a", body=b"early a"))
    agent.hear(reply(invite, 180, tag="b"))
    agent.hear(reply(invite, 183, tag="b", body=b"early b"))
    heard = [event for event in agent.events() if isinstance(event, Provisional)]
    assert [(event.dialog, event.body, event.reliable) for event in heard] == [
        ("a", b"early a", False),
        ("b", b"", False),
        ("b", b"early b", False),
    ]
    agent.hear(reply(invite, 200, tag="b", body=b"final b"))
    (answered,) = agent.events()
    assert isinstance(answered, Answered)
    assert (answered.dialog, answered.body) == ("b", b"final b")


def test_a_reliable_183_says_that_its_sdp_counts() -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    reliable = (("Require", "100rel"), ("RSeq", "7"))
    agent.hear(reply(invite, 183, headers=reliable, body=ANSWER))
    agent.sent_request("PRACK")
    (event,) = agent.events()
    assert isinstance(event, Provisional)
    assert event.reliable
    assert event.body == ANSWER


def test_a_200_without_sdp_has_that_of_the_183_of_the_same_dialog() -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 183, tag="a", body=b"early a"))
    agent.hear(reply(invite, 183, tag="b", body=b"early b"))
    agent.events()
    agent.hear(reply(invite, 200, tag="a"))
    (answered,) = agent.events()
    assert isinstance(answered, Answered)
    assert answered.body == b"early a"


def test_a_cancel_says_why_and_what_else_it_is_told_to() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    session.cancel(agent.now, (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),))
    agent.settle()
    assert agent.sent() == []
    agent.hear(reply(invite, 180))
    cancel = agent.sent_request("CANCEL")
    assert parse_reasons(cancel.headers)[0].cause == 200
    with pytest.raises(LocalSipError):
        session.cancel(agent.now, (("Reason", "x\r\nInjected: y"),))


def test_a_bye_is_answered_and_ends_the_call_and_its_repetition_is_answered_too() -> None:
    agent = Agent()
    invite = answered(agent)
    bye = in_dialog("BYE", invite)
    agent.hear(bye)
    agent.sent_response(200)
    (event,) = agent.events()
    assert isinstance(event, ByeReceived)
    agent.hear(bye)
    agent.sent_response(200)
    assert agent.events() == []
    assert agent.at_rest()


def test_a_call_can_be_hung_up_from_its_snapshot_by_another_process() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, headers=(("Record-Route", "<sip:192.0.2.8;lr>"),)))
    agent.sent()
    snapshot = session.snapshot()
    assert snapshot is not None
    stored = snapshot.to_json()

    later = Agent()
    later.endpoint.end_orphan(DialogSnapshot.from_json(stored), later.now)
    later.settle()
    assert later.out[0].flow.remote == ("192.0.2.8", 5060)
    bye = later.sent_request("BYE")
    assert (bye.call_id, bye.from_tag, bye.to_tag) == (invite.call_id, "ours", "theirs")
    # Whatever was sent since the dialog was stored had lower numbers.
    assert bye.cseq.number > 1_000
    later.hear(reply(bye, 481))
    assert later.events() == [DialogEnded()]
    assert later.at_rest()


def test_there_is_a_snapshot_only_while_the_call_is_up() -> None:
    agent = Agent()
    session = agent.call()
    assert session.snapshot() is None
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200))
    assert session.snapshot() is not None
    agent.hear(in_dialog("BYE", invite))
    assert session.snapshot() is None


def test_commands_that_come_too_late_do_nothing() -> None:
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 486))
    agent.sent()
    session.cancel(agent.now)
    session.bye(agent.now)
    session.offer(agent.now, OFFER)
    session.respond_offer(agent.now, 1, 200)
    agent.settle()
    assert agent.sent() == []


def test_the_cap_on_calls_is_a_named_failure() -> None:
    agent = Agent(config=EndpointConfig(max_sessions=1))
    agent.call()
    agent.call(call_id="call-2")
    assert failure_of(agent) == (FailureKind.TRANSPORT, None)


def test_a_fork_that_was_sent_pracks_is_hung_up_with_a_higher_number() -> None:
    """Else its 200 that comes second is answered with a BYE that is out of order, and stays."""
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    numbers = []
    for tag in ("first", "second"):
        agent.hear(reply(invite, 183, tag=tag, headers=RELIABLE))
        prack = agent.sent_request("PRACK")
        numbers.append(prack.cseq.number)
        agent.hear(reply(prack, 200))
    agent.hear(reply(invite, 200, tag="first", body=ANSWER))
    agent.sent_request("ACK")
    agent.hear(reply(invite, 200, tag="second", body=ANSWER))
    _, bye = agent.sent()
    assert isinstance(bye, Request)
    assert (bye.method, bye.to_tag) == ("BYE", "second")
    assert bye.cseq.number > max(numbers)


def test_a_prack_that_is_on_its_way_at_the_answer_takes_its_number() -> None:
    """A 183 and its 200 can be read in one go, before the way of the PRACK is found."""
    agent = Agent()
    session = agent.call()
    invite = agent.sent_request("INVITE")
    elsewhere = "<sip:bob@192.0.2.77:5060>"
    for answer in (
        reply(invite, 183, headers=RELIABLE, contact=elsewhere),
        reply(invite, 200, body=ANSWER, contact=elsewhere),
    ):
        agent.endpoint.receive(agent.flow_to(THEM), answer.serialise(), agent.now)
    agent.settle()
    numbers = {m.method: m.cseq.number for m in agent.sent() if isinstance(m, Request)}
    assert numbers["ACK"] == invite.cseq.number
    session.bye(agent.now)
    agent.settle()
    assert agent.sent_request("BYE").cseq.number > numbers["PRACK"] > invite.cseq.number


def test_a_callee_that_hangs_up_before_it_answers_rings_on_for_nobody() -> None:
    """Section 15 forbids it; the INVITE is still open then, and had no end."""
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 180))
    agent.events()
    agent.hear(in_dialog("BYE", invite))
    ok, cancel = agent.sent()
    assert isinstance(ok, Response)
    assert isinstance(cancel, Request)
    assert (ok.status, cancel.method, cancel.branch) == (200, "CANCEL", invite.branch)
    assert [type(event) for event in agent.events()] == [ByeReceived]
    assert agent.at_rest()
