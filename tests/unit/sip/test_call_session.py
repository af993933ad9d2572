"""Requests inside a dialog, in both directions."""

from __future__ import annotations

import pytest

from switchroom.sip.call_session import CallSession
from switchroom.sip.callee_session import CalleeSession
from switchroom.sip.caller_session import CallerSession
from switchroom.sip.invite_session import (
    Acknowledged,
    ByeReceived,
    DialogEnded,
    InfoReceived,
    OfferAnswered,
    OfferReceived,
)
from switchroom.sip.message import Request, Response
from unit.sip.wire import ANSWER, OFFER, Agent, a_call_to_us, in_dialog, reply


def up(agent: Agent) -> tuple[CallerSession, Request]:
    """A call that is answered."""
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, body=ANSWER))
    agent.sent_request("ACK")
    agent.events()
    return session, invite


def test_a_reinvite_is_offered_to_the_owner_answered_repeated_and_acknowledged() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(in_dialog("INVITE", invite, body=OFFER))
    (event,) = agent.events()
    assert isinstance(event, OfferReceived)
    assert event.body == OFFER
    session.respond_offer(agent.now, event.offer_id, 200, "OK", ANSWER)
    agent.advance(0.6)
    first, second = agent.sent()
    assert first.serialise() == second.serialise()
    assert isinstance(first, Response)
    assert first.body == ANSWER
    assert first.headers.get("Contact") == "<sip:alice@192.0.2.1:5060>"
    agent.hear(in_dialog("ACK", invite, branch="z9hG4bKack"))
    assert agent.events() == [Acknowledged(event.offer_id, b"")]
    agent.advance(40)
    assert agent.sent() == []


def test_a_reinvite_without_sdp_asks_for_our_offer_and_its_ack_brings_the_answer() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(in_dialog("INVITE", invite))
    (event,) = agent.events()
    assert isinstance(event, OfferReceived)
    assert event.body == b""
    session.respond_offer(agent.now, event.offer_id, 200, "OK", OFFER)
    agent.settle()
    agent.sent_response(200)
    agent.hear(in_dialog("ACK", invite, branch="z9hG4bKack", body=ANSWER))
    assert agent.events() == [Acknowledged(event.offer_id, ANSWER)]


def test_a_refused_reinvite_leaves_the_call_as_it_was() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(in_dialog("INVITE", invite, body=OFFER))
    (event,) = agent.events()
    assert isinstance(event, OfferReceived)
    session.respond_offer(agent.now, event.offer_id, 488, "Not Acceptable Here")
    session.respond_offer(agent.now, event.offer_id, 200, "OK")
    agent.settle()
    agent.sent_response(488)
    assert session.snapshot() is not None


def test_a_reinvite_never_acknowledged_ends_the_call_with_bye() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(in_dialog("INVITE", invite, body=OFFER))
    session.respond_offer(agent.now, 1, 200, "OK", ANSWER)
    agent.events()
    agent.advance(32)
    (event,) = agent.events()
    assert isinstance(event, DialogEnded)
    assert event.failure is not None
    assert agent.sent()[-1].cseq.method == "BYE"
    assert agent.at_rest()


def test_a_second_offer_before_the_first_is_answered_gets_500_with_retry_after() -> None:
    agent = Agent()
    _, invite = up(agent)
    agent.hear(in_dialog("INVITE", invite, body=OFFER))
    agent.hear(in_dialog("UPDATE", invite, cseq=2, body=OFFER))
    response = agent.sent_response(500)
    assert 0 <= int(response.headers.get("Retry-After") or "-1") <= 10


def test_an_offer_that_meets_ours_gets_491() -> None:
    agent = Agent()
    session, invite = up(agent)
    session.offer(agent.now, OFFER)
    agent.settle()
    ours = agent.sent_request("INVITE")
    for number, method in enumerate(("INVITE", "UPDATE"), 1):
        agent.hear(in_dialog(method, invite, cseq=number, body=OFFER))
        agent.sent_response(491)
    session.offer(agent.now, OFFER)
    agent.settle()
    (event,) = agent.events()
    assert isinstance(event, OfferAnswered)
    assert event.status == 491
    agent.hear(reply(ours, 200, body=ANSWER))
    agent.sent_request("ACK")


def test_an_update_is_offered_and_answered_without_ack() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(in_dialog("UPDATE", invite, body=OFFER))
    (event,) = agent.events()
    assert isinstance(event, OfferReceived)
    session.respond_offer(agent.now, event.offer_id, 200, "OK", ANSWER)
    agent.settle()
    assert agent.sent_response(200).body == ANSWER
    agent.advance(40)
    assert agent.sent() == []


def test_an_update_without_a_body_refreshes_the_target() -> None:
    agent = Agent()
    session, invite = up(agent)
    update = in_dialog("UPDATE", invite)
    fields = [
        (name, "<sip:bob@192.0.2.3:5099>" if name == "Contact" else value)
        for name, value in update.headers
    ]
    agent.hear(Request("UPDATE", update.target, fields))
    agent.sent_response(200)
    assert agent.events() == []
    session.bye(agent.now)
    agent.settle()
    assert agent.out[0].flow.remote == ("192.0.2.3", 5099)


def test_an_update_that_is_answered_late_gets_100_after_three_and_a_half_seconds() -> None:
    """RFC 4320 section 4.1: not before the client's timer E has reached T2."""
    agent = Agent()
    session, invite = up(agent)
    agent.hear(in_dialog("UPDATE", invite, body=OFFER))
    agent.advance(3.49)
    assert agent.sent() == []
    agent.advance(0.02)
    agent.sent_response(100)
    session.respond_offer(agent.now, 1, 200, "OK", ANSWER)
    agent.settle()
    agent.sent_response(200)


def test_cancel_of_a_reinvite_ends_it_with_487() -> None:
    agent = Agent()
    session, invite = up(agent)
    offer = in_dialog("INVITE", invite, body=OFFER)
    agent.hear(offer)
    fields = [
        (name, "1 CANCEL" if name == "CSeq" else value)
        for name, value in offer.headers
        if name not in ("Contact", "Content-Type")
    ]
    agent.hear(Request("CANCEL", offer.target, fields))
    statuses = [
        (message.status, message.cseq.method)
        for message in agent.sent()
        if isinstance(message, Response)
    ]
    assert statuses == [(200, "CANCEL"), (487, "INVITE")]
    session.respond_offer(agent.now, 1, 200, "OK", ANSWER)
    agent.settle()
    assert agent.sent() == []
    assert session.snapshot() is not None


def test_a_bye_while_a_reinvite_is_open_answers_both() -> None:
    agent = Agent()
    _, invite = up(agent)
    agent.hear(in_dialog("INVITE", invite, body=OFFER))
    agent.hear(in_dialog("BYE", invite, cseq=2))
    statuses = [message.status for message in agent.sent() if isinstance(message, Response)]
    assert statuses == [200, 487]
    assert isinstance(agent.events()[-1], ByeReceived)
    assert agent.at_rest()


def test_our_offer_is_sent_acknowledged_and_reported_once() -> None:
    agent = Agent()
    session, _ = up(agent)
    session.offer(agent.now, OFFER)
    agent.settle()
    ours = agent.sent_request("INVITE")
    assert ours.cseq.number == 2
    assert ours.to_tag == "theirs"
    assert ours.headers.get("Contact")
    for _ in range(2):
        agent.hear(reply(ours, 200, body=ANSWER))
        assert agent.sent_request("ACK").cseq.number == 2
    (event,) = agent.events()
    assert isinstance(event, OfferAnswered)
    assert (event.status, event.body) == (200, ANSWER)


def again_after(agent: Agent, refused: Request, response: Response) -> tuple[float, Request]:
    """How long an offer of ours waits that was refused so, and how it goes out again."""
    agent.hear(response)
    agent.sent_request("ACK")
    assert agent.events() == []
    start = agent.now
    while not (sent := agent.sent()):
        agent.advance(0.01)
        assert agent.now < start + 20
    (again,) = sent
    assert isinstance(again, Request)
    assert again.cseq.number == refused.cseq.number + 1
    assert again.branch != refused.branch
    assert again.body == refused.body
    return agent.now - start, again


def offered(agent: Agent, session: CallSession) -> Request:
    """The re-INVITE that this call sends."""
    session.offer(agent.now, OFFER)
    agent.settle()
    return agent.sent_request("INVITE")


def test_an_offer_that_met_the_peers_goes_out_again_by_itself() -> None:
    """Section 14.1: after 2.1 to 4 s for who owns the Call-ID."""
    waits = []
    for luck in range(0, 190, 24):
        agent = Agent()
        session, _ = up(agent)
        for _ in range(luck):
            agent.token()
        first = offered(agent, session)
        wait, again = again_after(agent, first, reply(first, 491))
        waits.append(wait)
        agent.hear(reply(again, 200, body=ANSWER))
        (event,) = agent.events()
        assert isinstance(event, OfferAnswered)
        assert event.status == 200
    assert min(waits) >= 2.1
    assert max(waits) <= 4.02
    assert len(set(waits)) > 4


def test_a_callee_tries_again_within_two_seconds() -> None:
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(a_call_to_us())
    ((session, _),) = agent.heard
    assert isinstance(session, CalleeSession)
    session.answer(agent.now, ANSWER)
    agent.settle()
    tag = agent.sent_response(200).to_tag or ""
    agent.hear(a_call_to_us(method="ACK", to_tag=tag, branch="z9hG4bKack", body=b""))
    agent.events()
    first = offered(agent, session)
    wait, _ = again_after(agent, first, reply(first, 491))
    assert wait <= 2.02


def test_a_500_with_retry_after_is_waited_for_and_a_long_one_is_not() -> None:
    agent = Agent()
    session, _ = up(agent)
    first = offered(agent, session)
    busy = reply(first, 500, headers=(("Retry-After", "3"),))
    wait, again = again_after(agent, first, busy)
    assert 3 <= wait <= 3.02
    agent.hear(reply(again, 500, headers=(("Retry-After", "60"),)))
    (event,) = agent.events()
    assert isinstance(event, OfferAnswered)
    assert event.status == 500


def test_an_offer_that_is_never_taken_is_given_up_after_four_times() -> None:
    agent = Agent()
    session, _ = up(agent)
    latest = offered(agent, session)
    for _ in range(3):
        _, latest = again_after(agent, latest, reply(latest, 491))
    agent.hear(reply(latest, 491))
    (event,) = agent.events()
    assert isinstance(event, OfferAnswered)
    assert event.status == 491
    assert session.snapshot() is not None


def test_an_offer_that_waits_gives_way_to_the_peers() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(reply(offered(agent, session), 491))
    agent.sent_request("ACK")
    session.offer(agent.now, OFFER)
    agent.settle()
    (busy,) = agent.events()
    assert isinstance(busy, OfferAnswered)
    agent.hear(in_dialog("INVITE", invite, body=b"theirs"))
    answered, theirs = agent.events()
    assert isinstance(answered, OfferAnswered)
    assert answered.status == 491
    assert isinstance(theirs, OfferReceived)
    session.respond_offer(agent.now, theirs.offer_id, 200, "OK", ANSWER)
    agent.advance(0.1)
    agent.sent_response(200)
    agent.hear(in_dialog("ACK", invite, branch="z9hG4bKack"))
    agent.advance(10)
    assert agent.sent() == []


@pytest.mark.parametrize("status", [408, 481])
def test_408_and_481_to_a_request_inside_end_the_dialog(status: int) -> None:
    agent = Agent()
    session, _ = up(agent)
    session.offer(agent.now, OFFER)
    agent.settle()
    agent.hear(reply(agent.sent_request("INVITE"), status))
    ack, bye = agent.sent()
    assert isinstance(bye, Request)
    assert (ack.cseq.method, bye.method) == ("ACK", "BYE")
    agent.hear(reply(bye, 481))
    assert isinstance(agent.events()[-1], DialogEnded)
    assert agent.at_rest()


def test_an_info_is_answered_and_handed_up() -> None:
    agent = Agent()
    _, invite = up(agent)
    headers = (("Content-Type", "application/dtmf-relay"),)
    request = in_dialog("INFO", invite, headers=headers)
    request.body = b"Signal=5\r\nDuration=160\r\n"
    agent.hear(request)
    agent.sent_response(200)
    (event,) = agent.events()
    assert isinstance(event, InfoReceived)
    assert (event.content_type, event.body[:8]) == ("application/dtmf-relay", b"Signal=5")


def test_options_inside_a_dialog_tell_what_we_can() -> None:
    agent = Agent()
    _, invite = up(agent)
    agent.hear(in_dialog("OPTIONS", invite))
    response = agent.sent_response(200)
    assert {"Allow", "Accept", "Supported"} <= {name for name, _ in response.headers}


def test_a_method_we_do_not_serve_gets_405_with_allow() -> None:
    agent = Agent()
    _, invite = up(agent)
    agent.hear(in_dialog("MESSAGE", invite))
    assert "Allow" in agent.sent_response(405).headers


def test_an_extension_we_do_not_know_gets_420_and_is_named() -> None:
    agent = Agent()
    _, invite = up(agent)
    agent.hear(in_dialog("INVITE", invite, headers=(("Require", "nosuch, 100rel"),)))
    assert agent.sent_response(420).headers.get("Unsupported") == "nosuch"


def test_a_lower_cseq_gets_500() -> None:
    agent = Agent()
    _, invite = up(agent)
    agent.hear(in_dialog("OPTIONS", invite, cseq=5))
    agent.sent_response(200)
    agent.hear(in_dialog("INFO", invite, cseq=4))
    agent.sent_response(500)
    agent.hear(in_dialog("INFO", invite, cseq=6))
    agent.sent_response(200)


@pytest.mark.parametrize("method", ["BYE", "INVITE", "OPTIONS"])
def test_a_wrong_tag_gets_481_and_the_call_lives(method: str) -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(in_dialog(method, invite, tag="wrong"))
    agent.sent_response(481)
    assert session.snapshot() is not None
    assert agent.events() == []
    assert agent.endpoint._uas.idle  # a guess costs us no memory


def test_a_body_of_another_type_in_a_reinvite_gets_415() -> None:
    agent = Agent()
    _, invite = up(agent)
    request = in_dialog("INVITE", invite, headers=(("Content-Type", "text/plain"),))
    request.body = b"hello"
    agent.hear(request)
    assert agent.sent_response(415).headers.get("Accept") == "application/sdp"


def test_a_prack_that_nobody_awaits_gets_481() -> None:
    agent = Agent()
    _, invite = up(agent)
    agent.hear(in_dialog("PRACK", invite, headers=(("RAck", "1 1 INVITE"),)))
    agent.sent_response(481)


def test_both_sides_hanging_up_at_once_end_in_peace() -> None:
    agent = Agent()
    session, invite = up(agent)
    session.bye(agent.now)
    agent.settle()
    ours = agent.sent_request("BYE")
    agent.hear(in_dialog("BYE", invite))
    agent.sent_response(200)
    agent.hear(reply(ours, 481))
    events = agent.events()
    assert len(events) == 1
    assert isinstance(events[0], ByeReceived)
    assert agent.at_rest()


def test_a_bye_that_nobody_answers_is_repeated_and_given_up_after_32_seconds() -> None:
    agent = Agent()
    session, _ = up(agent)
    session.bye(agent.now)
    agent.advance(31.9)
    assert agent.events() == []
    assert len(agent.sent()) == 11
    agent.advance(0.2)
    assert agent.events() == [DialogEnded()]
    assert agent.at_rest()


def test_an_early_dialog_takes_updates_but_no_offers() -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 180))
    agent.hear(in_dialog("UPDATE", invite))
    agent.sent_response(200)
    agent.hear(in_dialog("UPDATE", invite, cseq=2, body=OFFER))
    agent.sent_response(491)
    agent.hear(in_dialog("UPDATE", invite, cseq=3, tag="other"))
    agent.sent_response(481)
