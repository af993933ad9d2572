"""Taking calls."""

from __future__ import annotations

from switchroom.sip.callee_session import CalleeSession
from switchroom.sip.invite_session import (
    Acknowledged,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    IncomingInvite,
)
from switchroom.sip.message import Request, Response
from unit.sip.wire import ANSWER, OFFER, Agent, a_call_to_us, reply


def ringing(agent: Agent, invite: Request) -> CalleeSession:
    """The session of a call that came in."""
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(invite)
    (session, event), *_ = agent.heard
    assert isinstance(session, CalleeSession)
    assert isinstance(event, IncomingInvite)
    agent.heard.clear()
    return session


def ack_for(response: Response, *, branch: str = "z9hG4bKack", body: bytes = b"") -> Request:
    """The caller's ACK to our 200."""
    headers = response.headers
    fields = [
        ("Via", f"SIP/2.0/UDP 192.0.2.2:5060;rport;branch={branch}"),
        ("Max-Forwards", "70"),
        ("From", headers.get("From") or ""),
        ("To", headers.get("To") or ""),
        ("Call-ID", response.call_id),
        ("CSeq", f"{response.cseq.number} ACK"),
    ]
    return Request("ACK", "sip:alice@192.0.2.1:5060", fields, body)


def cancel_for(invite: Request) -> Request:
    fields = [
        (name, value.replace("INVITE", "CANCEL") if name == "CSeq" else value)
        for name, value in invite.headers
        if name in ("Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq")
    ]
    return Request("CANCEL", invite.target, fields)


def later(
    method: str, response: Response, cseq: int, headers: tuple[tuple[str, str], ...] = ()
) -> Request:
    """A request of the caller inside the dialog that ``response`` of ours made."""
    to_tag = response.to_tag or ""
    return a_call_to_us(
        method=method,
        cseq=cseq,
        branch=f"z9hG4bK{method}{cseq}",
        to_tag=to_tag,
        body=b"",
        headers=headers,
    )


def test_a_call_is_rung_answered_acknowledged_and_hung_up_by_the_caller() -> None:
    agent = Agent()
    invite = a_call_to_us(headers=(("Record-Route", "<sip:192.0.2.9;lr>"),))
    session = ringing(agent, invite)
    session.ring(agent.now)
    agent.settle()
    ringing_response = agent.sent_response(180)
    assert ringing_response.to_tag
    assert ringing_response.headers.get("Record-Route") == "<sip:192.0.2.9;lr>"
    session.answer(agent.now, ANSWER, (("X-A", "b"),))
    agent.settle()
    ok = agent.sent_response(200)
    assert ok.to_tag == ringing_response.to_tag
    assert ok.headers.get("Contact") == "<sip:alice@192.0.2.1:5060>"
    assert ok.headers.get("X-A") == "b"
    assert ok.body == ANSWER
    assert "bye" in ok.headers.tokens("Allow")
    agent.hear(ack_for(ok, body=b"late answer"))
    assert agent.events() == [Acknowledged(0, b"late answer")]
    agent.hear(later("BYE", ok, 2))
    agent.sent_response(200)
    assert isinstance(agent.events()[0], ByeReceived)
    assert agent.at_rest()


def test_the_caller_hears_100_if_nobody_rings_within_200_ms() -> None:
    agent = Agent()
    ringing(agent, a_call_to_us())
    agent.advance(0.19)
    assert agent.sent() == []
    agent.advance(0.02)
    trying = agent.sent_response(100)
    assert trying.to_tag is None


def test_the_200_is_repeated_for_32_seconds_and_then_bye_is_sent() -> None:
    """Section 13.3.1.4: at T1, doubling up to T2, whatever the transport."""
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    session.answer(agent.now, ANSWER)
    start, times = agent.now, []
    agent.settle()
    while not agent.heard:
        if agent.sent():
            times.append(round(agent.now - start, 3))
        deadline = agent.endpoint.deadline()
        assert deadline is not None
        agent.advance(deadline - agent.now)
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    (event,) = agent.events()
    assert isinstance(event, DialogEnded)
    assert event.failure is not None
    assert event.failure.kind is FailureKind.TIMED_OUT
    assert agent.sent_request("BYE").cseq.number == 1
    assert agent.at_rest()


def test_a_lost_ack_is_made_good_by_the_next() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    session.answer(agent.now, ANSWER)
    agent.advance(2)
    copies = agent.sent()
    assert len(copies) == 3
    assert isinstance(copies[0], Response)
    agent.hear(ack_for(copies[0]))
    agent.hear(ack_for(copies[0], branch="z9hG4bKagain"))
    assert agent.events() == [Acknowledged(0, b"")]
    agent.advance(40)
    assert agent.sent() == []


def test_an_ack_of_another_number_or_tag_does_not_count() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    session.answer(agent.now, ANSWER)
    agent.settle()
    ok = agent.sent_response(200)
    for old, new in (("1 ACK", "2 ACK"), ("tag=theirs", "tag=others")):
        wrong = [(name, value.replace(old, new)) for name, value in ack_for(ok).headers]
        agent.hear(Request("ACK", "sip:alice@192.0.2.1", wrong))
    assert agent.events() == []
    agent.advance(0.6)
    agent.sent_response(200)


def test_an_ack_with_the_branch_of_the_invite_counts_as_well() -> None:
    agent = Agent()
    invite = a_call_to_us()
    session = ringing(agent, invite)
    session.answer(agent.now, ANSWER)
    agent.settle()
    agent.hear(ack_for(agent.sent_response(200), branch=invite.branch))
    assert agent.events() == [Acknowledged(0, b"")]


def test_a_cancel_gets_200_and_the_invite_487() -> None:
    agent = Agent()
    invite = a_call_to_us()
    session = ringing(agent, invite)
    session.ring(agent.now)
    agent.settle()
    agent.sent()
    agent.hear(cancel_for(invite))
    to_cancel, to_invite = agent.sent()
    assert isinstance(to_cancel, Response)
    assert isinstance(to_invite, Response)
    assert (to_cancel.status, to_cancel.cseq.method) == (200, "CANCEL")
    assert (to_invite.status, to_invite.cseq.method) == (487, "INVITE")
    assert to_cancel.to_tag == to_invite.to_tag
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.kind is FailureKind.CANCELLED
    session.answer(agent.now, ANSWER)
    agent.settle()
    assert agent.sent() == []
    assert agent.at_rest()


def test_a_cancel_after_the_200_is_answered_and_the_call_lives() -> None:
    agent = Agent()
    invite = a_call_to_us()
    session = ringing(agent, invite)
    session.answer(agent.now, ANSWER)
    agent.settle()
    ok = agent.sent_response(200)
    agent.hear(cancel_for(invite))
    answer = agent.sent_response(200)
    assert answer.cseq.method == "CANCEL"
    assert agent.events() == []
    agent.hear(ack_for(ok))
    assert session.snapshot() is not None


def test_a_rejection_is_repeated_until_its_ack() -> None:
    agent = Agent()
    invite = a_call_to_us()
    session = ringing(agent, invite)
    session.reject(agent.now, 486, "Busy Today", (("Retry-After", "60"),))
    agent.advance(1)
    copies = agent.sent()
    assert len(copies) == 2
    assert isinstance(copies[0], Response)
    assert (copies[0].status, copies[0].reason) == (486, "Busy Today")
    assert copies[0].headers.get("Retry-After") == "60"
    agent.hear(ack_for(copies[0], branch=invite.branch))
    agent.advance(40)
    assert agent.sent() == []
    assert agent.events() == []
    assert agent.at_rest()


def test_a_reason_adds_no_header() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    session.reject(agent.now, 486, "Busy\r\nX-Injected: yes")
    agent.settle()
    response = agent.sent_response(486)
    assert response.reason == "Busy  X-Injected: yes"
    assert "X-Injected" not in response.headers


def test_a_bye_before_the_answer_ends_the_invite_with_487() -> None:
    agent = Agent()
    invite = a_call_to_us()
    session = ringing(agent, invite)
    session.ring(agent.now)
    agent.settle()
    agent.hear(later("BYE", agent.sent_response(180), 2))
    assert [message.status for message in agent.sent() if isinstance(message, Response)] == [
        200,
        487,
    ]
    assert isinstance(agent.events()[0], Failed)
    assert agent.at_rest()


def test_our_bye_waits_for_the_ack() -> None:
    """Section 15: the callee must not hang up before the ACK or its time-out."""
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    session.answer(agent.now, ANSWER)
    session.bye(agent.now)
    agent.settle()
    ok = agent.sent_response(200)
    agent.hear(ack_for(ok))
    bye = agent.sent_request("BYE")
    assert (bye.from_tag, bye.to_tag) == (ok.to_tag, "theirs")
    agent.hear(reply(bye, 200))
    assert agent.events() == [Acknowledged(0, b""), DialogEnded()]
    assert agent.at_rest()


def test_bye_and_cancel_of_a_call_not_answered_reject_it() -> None:
    for command in ("bye", "cancel"):
        agent = Agent()
        session = ringing(agent, a_call_to_us())
        getattr(session, command)(agent.now)
        agent.settle()
        agent.sent_response(480)


def test_early_media_is_rung_with_a_body() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    session.ring(agent.now, 183, (), ANSWER)
    agent.settle()
    progress = agent.sent_response(183)
    assert progress.body == ANSWER
    assert progress.content_type == "application/sdp"
    assert "RSeq" not in progress.headers


def test_an_invite_without_a_contact_or_with_a_strange_one_is_refused() -> None:
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    invite = a_call_to_us()
    fields = [field for field in invite.headers if field[0] != "Contact"]
    agent.hear(Request("INVITE", invite.target, fields, OFFER))
    agent.sent_response(400)
    fields.append(("Contact", "<http://example.com>"))
    agent.hear(Request("INVITE", invite.target, fields, OFFER))
    agent.sent_response(400)


# ── reliable provisional responses ──


REQUIRED = (("Require", "100rel"),)


def prack(response: Response, cseq: int, rack: str) -> Request:
    return later("PRACK", response, cseq, (("RAck", rack),))


def test_a_caller_that_requires_100rel_gets_it_and_the_200_waits_for_the_prack() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us(headers=REQUIRED))
    session.ring(agent.now, 183, (), ANSWER)
    session.ring(agent.now, 180)
    session.answer(agent.now, ANSWER)
    agent.settle()
    first = agent.sent_response(183)
    assert first.rseq == 1
    assert "100rel" in first.headers.tokens("Require")
    agent.advance(0.6)
    assert agent.sent_response(183).serialise() == first.serialise()
    agent.hear(prack(first, 2, "2 1 INVITE"))
    agent.sent_response(481)
    agent.hear(prack(first, 3, "1 1 INVITE"))
    to_prack, second = agent.sent()
    assert isinstance(to_prack, Response)
    assert to_prack.status == 200
    assert isinstance(second, Response)
    assert (second.status, second.rseq) == (180, 2)
    agent.hear(prack(first, 4, "2 1 INVITE"))
    statuses = [message.status for message in agent.sent() if isinstance(message, Response)]
    assert statuses == [200, 200]


def test_a_reliable_response_that_is_never_acknowledged_ends_the_call() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us(headers=REQUIRED))
    session.ring(agent.now)
    agent.settle()
    start, times = agent.now, []
    while not agent.heard:
        for message in agent.sent():
            assert isinstance(message, Response)
            times.append(round(agent.now - start, 3))
        deadline = agent.endpoint.deadline()
        assert deadline is not None
        agent.advance(deadline - agent.now)
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert agent.sent()[-1].status == 504  # type: ignore[union-attr]
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.kind is FailureKind.TIMED_OUT
    assert agent.at_rest()


def test_who_hangs_up_while_the_200_waits_for_its_prack_hears_of_the_end() -> None:
    """Its owner has answered: without an event it would wait for one for ever."""
    agent = Agent()
    session = ringing(agent, a_call_to_us(headers=REQUIRED))
    session.ring(agent.now)
    session.answer(agent.now, ANSWER)
    session.bye(agent.now)
    agent.settle()
    assert agent.sent()[-1].status == 480  # type: ignore[union-attr]
    assert agent.events() == [DialogEnded()]
    session.bye(agent.now)
    assert agent.events() == []
    assert not agent.endpoint.sessions


def timed(seconds: int) -> tuple[tuple[str, str], ...]:
    return (("Supported", "timer"), ("Session-Expires", f"{seconds};refresher=uac"))


def test_a_session_that_is_not_answered_yet_has_no_timer() -> None:
    """An UPDATE while it rings would start one, which ends the call, or outlives it."""
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    session.ring(agent.now)
    agent.settle()
    rings = agent.sent_response(180)
    agent.hear(later("UPDATE", rings, 2, timed(90)))
    assert agent.sent_response(200).headers.get("Session-Expires") is None
    agent.advance(100)
    assert agent.events() == []
    agent.hear(later("BYE", rings, 3))
    (event,) = agent.events()
    assert isinstance(event, Failed)


def test_a_session_that_is_being_hung_up_gets_no_timer() -> None:
    agent = Agent()
    session = ringing(agent, a_call_to_us())
    session.answer(agent.now, ANSWER)
    agent.settle()
    ok = agent.sent_response(200)
    agent.hear(ack_for(ok))
    session.bye(agent.now)
    agent.settle()
    agent.hear(later("UPDATE", ok, 2, timed(1800)))
    agent.advance(40)
    assert isinstance(agent.events()[-1], DialogEnded)
    assert agent.at_rest()
