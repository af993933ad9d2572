"""Transfers inside a call, both ways."""

from __future__ import annotations

import pytest

from switchroom.sip.caller_session import CallerSession
from switchroom.sip.errors import LocalSipError
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import (
    ByeReceived,
    FailureKind,
    ReferAnswered,
    ReferNotified,
    ReferReceived,
)
from switchroom.sip.message import Request, Response
from unit.sip.wire import ANSWER, Agent, in_dialog, reply

TERMINATED = ("Subscription-State", "terminated;reason=noresource")


def up(agent: Agent) -> tuple[CallerSession, Request]:
    """A call that is answered."""
    session = agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 200, body=ANSWER))
    agent.sent_request("ACK")
    agent.events()
    return session, invite


def notify(
    invite: Request,
    body: str,
    *,
    cseq: int = 1,
    event: str = "refer",
    state: str = "active;expires=60",
    content_type: str = "message/sipfrag;version=2.0",
) -> Request:
    headers = [("Event", event), ("Subscription-State", state)]
    bare = in_dialog("NOTIFY", invite, cseq=cseq, headers=headers)
    fields = [*bare.headers, *([("Content-Type", content_type)] if body else [])]
    return Request("NOTIFY", bare.target, fields, body.encode())


# ── ours ──


def test_a_transfer_is_asked_for_and_its_news_are_told() -> None:
    agent = Agent()
    session, invite = up(agent)
    assert session.refer(agent.now, "sip:carol@192.0.2.3;transport=tcp", (("X-A", "b"),)) == 1
    agent.settle()
    refer = agent.sent_request("REFER")
    assert refer.headers.get("Refer-To") == "<sip:carol@192.0.2.3;transport=tcp>"
    assert refer.headers.get("Referred-By") == "Alice <sip:alice@192.0.2.1>"
    assert refer.headers.get("Contact") == "<sip:alice@192.0.2.1:5060>"
    assert refer.headers.get("X-A") == "b"
    assert (refer.from_tag, refer.to_tag, refer.cseq.number) == ("ours", "theirs", 2)
    agent.hear(reply(refer, 202))
    (answered,) = agent.events()
    assert isinstance(answered, ReferAnswered)
    assert (answered.refer_id, answered.status, answered.no_news) == (1, 202, False)
    agent.hear(notify(invite, "SIP/2.0 180 Ringing\r\n"))
    agent.sent_response(200)
    agent.hear(notify(invite, "SIP/2.0 200 OK", cseq=2, event="refer;id=2", state=TERMINATED[1]))
    agent.sent_response(200)
    heard = [event for event in agent.events() if isinstance(event, ReferNotified)]
    assert [(e.refer_id, e.status, e.reason, e.over) for e in heard] == [
        (1, 180, "Ringing", False),
        (1, 200, "OK", True),
    ]
    agent.hear(notify(invite, "SIP/2.0 200 OK", cseq=3))
    agent.sent_response(481)
    agent.hear(in_dialog("BYE", invite, cseq=4))
    assert isinstance(agent.events()[0], ByeReceived)
    assert agent.at_rest()


def test_a_notify_may_overtake_the_202_and_use_compact_names() -> None:
    agent = Agent()
    session, invite = up(agent)
    session.refer(agent.now, "<tel:+15550100>")
    agent.settle()
    refer = agent.sent_request("REFER")
    assert refer.headers.get("Refer-To") == "<tel:+15550100>"
    request = notify(invite, "SIP/2.0 100 Trying", event="refer;id=2")
    data = request.serialise(compact=True)
    assert b"\r\no:refer;id=2" in data
    agent.hear(data)
    agent.sent_response(200)
    agent.hear(reply(refer, 202))
    assert [type(event) for event in agent.events()] == [ReferNotified, ReferAnswered]


@pytest.mark.parametrize("status", [405, 488, 501, 603])
def test_a_declined_transfer_leaves_the_call_as_it_was(status: int) -> None:
    agent = Agent()
    session, invite = up(agent)
    session.refer(agent.now, "sip:carol@192.0.2.3")
    agent.settle()
    agent.hear(reply(agent.sent_request("REFER"), status))
    (event,) = agent.events()
    assert isinstance(event, ReferAnswered)
    assert (event.status, event.failure) == (status, None)
    agent.hear(notify(invite, "SIP/2.0 100 Trying"))
    agent.sent_response(481)
    assert session.snapshot() is not None


def test_a_transfer_that_nobody_answers_fails_by_name_after_32_seconds() -> None:
    agent = Agent()
    session, _ = up(agent)
    session.refer(agent.now, "sip:carol@192.0.2.3")
    agent.advance(31.9)
    assert agent.events() == []
    agent.advance(0.2)
    (event,) = agent.events()
    assert isinstance(event, ReferAnswered)
    assert event.status == 408
    assert event.failure is not None
    assert event.failure.kind is FailureKind.NO_RESPONSE


def test_no_news_is_what_refer_sub_false_says() -> None:
    agent = Agent()
    session, _ = up(agent)
    session.refer(agent.now, "sip:carol@192.0.2.3")
    agent.settle()
    agent.hear(reply(agent.sent_request("REFER"), 200, headers=(("Refer-Sub", "false"),)))
    (event,) = agent.events()
    assert isinstance(event, ReferAnswered)
    assert event.no_news


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ((), "SIP/2.0 100 Trying", 400),
        ((("Event", "presence"),), "SIP/2.0 100 Trying", 489),
        ((("Event", "refer"),), "hello", 400),
        ((("Event", "refer"),), "SIP/2.0 99 Low", 400),
        ((("Event", "refer"),), "SIP/2.0 1000 High", 400),
        ((("Event", "refer"), ("Content-Type", "text/plain")), "SIP/2.0 200 OK", 400),
        ((("Event", "refer;id=77"),), "SIP/2.0 200 OK", 481),
    ],
)
def test_a_malformed_notify_gets_its_answer_and_changes_nothing(
    headers: tuple[tuple[str, str], ...], body: str, status: int
) -> None:
    agent = Agent()
    session, invite = up(agent)
    session.refer(agent.now, "sip:carol@192.0.2.3")
    agent.settle()
    agent.sent()
    bare = in_dialog("NOTIFY", invite, headers=headers)
    agent.hear(Request("NOTIFY", bare.target, bare.headers, body.encode()))
    response = agent.sent_response(status)
    assert status != 489 or response.headers.get("Allow-Events") == "refer"
    assert agent.events() == []


def test_a_notify_that_nobody_asked_for_gets_481() -> None:
    agent = Agent()
    _, invite = up(agent)
    agent.hear(notify(invite, "SIP/2.0 200 OK"))
    agent.sent_response(481)


def test_a_terminated_notify_without_a_body_is_the_end_without_a_status() -> None:
    agent = Agent()
    session, invite = up(agent)
    session.refer(agent.now, "sip:carol@192.0.2.3")
    agent.settle()
    agent.sent()
    agent.hear(notify(invite, "", state=TERMINATED[1]))
    (event,) = agent.events()
    assert isinstance(event, ReferNotified)
    assert (event.status, event.over) == (None, True)


def test_news_without_a_name_go_to_the_transfer_that_is_not_settled() -> None:
    agent = Agent()
    session, invite = up(agent)
    session.refer(agent.now, "sip:carol@192.0.2.3")
    agent.settle()
    agent.hear(reply(agent.sent_request("REFER"), 202))
    agent.hear(notify(invite, "SIP/2.0 486 Busy Here"))
    assert session.refer(agent.now, "sip:dave@192.0.2.3") == 2
    agent.settle()
    agent.events()
    agent.hear(notify(invite, "SIP/2.0 100 Trying", cseq=2))
    agent.hear(notify(invite, "SIP/2.0 486 Busy Here", cseq=3, event="refer;id=2", state="x"))
    heard = [event for event in agent.events() if isinstance(event, ReferNotified)]
    assert [event.refer_id for event in heard] == [2, 1]


def test_a_transfer_can_not_inject_headers_and_needs_a_call() -> None:
    agent = Agent()
    session = agent.call()
    agent.sent()
    session.refer(agent.now, "sip:carol@192.0.2.3")
    agent.settle()
    assert agent.sent() == []
    assert agent.events() == []
    with pytest.raises(LocalSipError):
        session.refer(agent.now, "sip:a@b\r\nX: y")
    with pytest.raises(LocalSipError):
        session.refer(agent.now, "sip:a@b", (("X", "y\r\nZ: 1"),))


# ── theirs ──


def refer(
    invite: Request,
    *,
    cseq: int = 1,
    headers: tuple[tuple[str, str], ...] = (("Refer-To", "<sip:carol@192.0.2.3>"),),
) -> Request:
    return in_dialog("REFER", invite, cseq=cseq, headers=headers)


def test_a_peer_that_transfers_us_is_told_how_it_goes() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(refer(invite))
    (event,) = agent.events()
    assert isinstance(event, ReferReceived)
    assert str(event.refer_to.uri) == "sip:carol@192.0.2.3"
    session.respond_refer(agent.now, event.refer_id, 200)
    agent.settle()
    accepted, first = agent.sent()
    assert isinstance(accepted, Response)
    assert accepted.status == 202
    assert "Contact" in accepted.headers
    assert isinstance(first, Request)
    assert news(first) == ("refer", "active;expires=180", b"SIP/2.0 100 Trying\r\n")
    # The next waits until this one was heard.
    session.notify_refer(agent.now, event.refer_id, 180)
    session.notify_refer(agent.now, event.refer_id, 200, "Fine")
    session.notify_refer(agent.now, event.refer_id, 486)
    agent.settle()
    assert agent.sent() == []
    agent.hear(reply(first, 200))
    second = agent.sent_request("NOTIFY")
    assert news(second)[2] == b"SIP/2.0 180 Ringing\r\n"
    agent.hear(reply(second, 200))
    third = agent.sent_request("NOTIFY")
    assert news(third)[1:] == ("terminated;reason=noresource", b"SIP/2.0 200 Fine\r\n")
    agent.hear(reply(third, 200))
    assert agent.sent() == []
    assert not session._refers._taken, "what is over is not kept as long as the call"


def news(request: Request) -> tuple[str | None, str | None, bytes]:
    headers: Headers = request.headers
    assert headers.get("Content-Type") == "message/sipfrag;version=2.0"
    assert "Contact" in headers
    return headers.get("Event"), headers.get("Subscription-State"), request.body


def test_an_owner_that_says_nothing_declines() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(refer(invite))
    agent.advance(4.9)
    assert [message.status for message in agent.sent() if isinstance(message, Response)] == [100]
    agent.advance(0.2)
    agent.sent_response(603)
    session.respond_refer(agent.now, 1, 202)
    session.notify_refer(agent.now, 1, 200)
    agent.settle()
    assert agent.sent() == []


def test_an_owner_may_decline_with_a_reason() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(refer(invite))
    session.respond_refer(agent.now, 1, 603, "Not You")
    session.notify_refer(agent.now, 1, 200)
    agent.settle()
    assert agent.sent_response(603).reason == "Not You"
    agent.advance(10)
    assert agent.sent() == []


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("Refer-To", "<sip:a@b"),),
        (("Refer-To", "sip:a@b"), ("Refer-To", "sip:c@d")),
    ],
)
def test_a_refer_without_one_readable_target_gets_400(
    headers: tuple[tuple[str, str], ...],
) -> None:
    agent = Agent()
    _, invite = up(agent)
    agent.hear(refer(invite, headers=headers))
    agent.sent_response(400)
    assert agent.events() == []


def test_who_wants_no_news_gets_none() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(refer(invite, headers=(("Refer-To", "<sip:c@d>"), ("Refer-Sub", "false"))))
    session.respond_refer(agent.now, 1, 202)
    session.notify_refer(agent.now, 1, 200)
    agent.settle()
    assert agent.sent_response(202).headers.get("Refer-Sub") == "false"
    assert not session._refers._taken


def test_the_second_transfer_of_a_call_is_named_in_its_news() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(refer(invite))
    session.respond_refer(agent.now, 1, 603)
    agent.hear(refer(invite, cseq=2))
    session.respond_refer(agent.now, 2, 202)
    agent.settle()
    _, _, first = agent.sent()
    assert isinstance(first, Request)
    assert news(first)[0] == "refer;id=2"


def test_a_peer_that_does_not_want_to_hear_is_told_no_more() -> None:
    agent = Agent()
    session, invite = up(agent)
    agent.hear(refer(invite))
    session.respond_refer(agent.now, 1, 202)
    session.notify_refer(agent.now, 1, 180)
    agent.settle()
    _, first = agent.sent()
    assert isinstance(first, Request)
    agent.hear(reply(first, 481))
    session.notify_refer(agent.now, 1, 200)
    agent.settle()
    assert agent.sent() == []
    assert session.snapshot() is not None


def test_a_peer_can_not_pile_up_transfers() -> None:
    agent = Agent()
    _, invite = up(agent)
    for cseq in range(1, 6):
        agent.hear(refer(invite, cseq=cseq))
    assert len(agent.events()) == 4
    agent.sent_response(603)


def test_a_refer_that_is_open_when_the_call_ends_gets_487() -> None:
    agent = Agent()
    _, invite = up(agent)
    agent.hear(refer(invite))
    agent.hear(in_dialog("BYE", invite, cseq=2))
    statuses = {m.status for m in agent.sent() if isinstance(m, Response)}
    assert statuses == {200, 487}
    assert agent.at_rest()


def test_before_the_answer_nobody_is_transferred() -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    agent.hear(reply(invite, 180))
    agent.events()
    agent.hear(refer(invite))
    agent.sent_response(481)
    assert agent.events() == []
