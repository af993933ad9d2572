"""The endpoint as a whole: streams, lost connections, deadlines."""

from __future__ import annotations

from switchroom.sip.invite_session import Answered, Failed, FailureKind
from switchroom.sip.message import Response
from switchroom.sip.uri import Uri
from unit.sip.wire import ANSWER, THEM, Agent, a_call_to_us, crlf, reply

OPTIONS = """
OPTIONS sip:alice@192.0.2.1 SIP/2.0
Via: SIP/2.0/TCP 192.0.2.2:5060;branch=z9hG4bKping
Max-Forwards: 70
From: <sip:probe@example.com>;tag=p
To: <sip:alice@192.0.2.1>
Call-ID: ping-1
CSeq: 1 OPTIONS
X-Padding: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
Content-Length: 0
"""


def test_messages_on_a_stream_are_cut_out_wherever_the_pieces_break() -> None:
    agent = Agent(transport="tcp")
    data = crlf(OPTIONS) * 3
    for position in range(0, len(data), 7):
        agent.hear(data[position : position + 7])
    assert len(agent.sent()) == 3


def test_a_ping_on_a_stream_gets_a_pong() -> None:
    agent = Agent(transport="tcp")
    agent.hear(b"\r\n\r\n")
    assert [action.data for action in agent.out] == [b"\r\n"]


def test_a_stream_without_content_length_is_answered_and_closed() -> None:
    agent = Agent(transport="tcp")
    agent.hear(crlf(OPTIONS.replace("Content-Length: 0\n", "")))
    assert agent.sent_response(400).reason == "Bad Request (missing Content-Length)"
    assert len(agent.closed) == 1
    agent.hear(crlf(OPTIONS))
    assert agent.sent() == []


def test_an_unfinished_message_can_be_seen_from_outside() -> None:
    agent = Agent(transport="tcp")
    flow = agent.flow_to(THEM)
    assert agent.endpoint.unfinished(flow) == 0
    agent.hear(b"OPTIONS sip:a")
    assert agent.endpoint.unfinished(flow) == len(b"OPTIONS sip:a")
    agent.endpoint.flow_failed(flow, "closed", agent.now)
    assert agent.endpoint.unfinished(flow) == 0


def test_over_tcp_nothing_is_sent_twice_but_the_200() -> None:
    agent = Agent(transport="tcp")
    agent.call(transport="tcp")
    agent.advance(31)
    invite = agent.sent_request("INVITE")
    assert invite.via.transport == "TCP"
    assert invite.headers.get("Contact") == "<sip:alice@192.0.2.1:5060;transport=tcp>"
    agent.hear(reply(invite, 200, body=ANSWER))
    ack = agent.sent_request("ACK")
    # The Contact names no transport: the one the INVITE took is meant.
    assert ack.via.transport == "TCP"
    assert isinstance(agent.events()[0], Answered)


def test_a_lost_connection_fails_the_call_that_waits_on_it() -> None:
    agent = Agent(transport="tcp")
    agent.call(transport="tcp")
    flow = agent.out[0].flow
    agent.endpoint.flow_failed(flow, "connection closed", agent.now)
    agent.settle()
    (event,) = agent.events()
    assert isinstance(event, Failed)
    assert event.failure.kind is FailureKind.TRANSPORT
    assert agent.at_rest()


def test_a_response_whose_connection_is_gone_goes_to_the_via_on_a_new_one() -> None:
    """Section 18.2.2."""
    agent = Agent(transport="tcp")
    agent.endpoint.admit_with(lambda _request, _flow: None)
    source = ("192.0.2.2", 49152)
    agent.hear(a_call_to_us(), source)
    agent.advance(0.3)
    agent.sent_response(100)
    agent.endpoint.flow_failed(agent.flow_to(source), "connection closed", agent.now)
    agent.settle()
    assert agent.out[0].flow.remote == ("192.0.2.2", 5060)
    agent.sent_response(100)
    agent.endpoint.flow_failed(agent.flow_to(("192.0.2.2", 5060)), "closed again", agent.now)
    agent.settle()
    assert agent.sent() == []
    (transaction,) = agent.endpoint._uas.transactions.values()
    assert transaction.error == "closed again"


def test_a_connection_that_can_not_be_made_anew_is_no_disaster() -> None:
    agent = Agent(transport="tcp")
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(a_call_to_us())
    agent.unreachable = (FailureKind.TRANSPORT, "connection refused")
    agent.endpoint.flow_failed(agent.flow_to(THEM), "connection closed", agent.now)
    agent.settle()
    agent.advance(1)
    assert [m.status for m in agent.sent() if isinstance(m, Response)] == [100]


def test_an_answer_is_known_by_its_branch_whatever_became_of_our_from() -> None:
    agent = Agent()
    agent.call()
    answer = reply(agent.sent_request("INVITE"), 200, body=ANSWER).serialise()
    agent.hear(answer.replace(b"\r\nFrom: ", b"\r\nFrom: <"))
    assert [type(event) for event in agent.events()] == [Answered]
    agent.sent_request("ACK")


def test_answers_to_questions_nobody_asked_are_ignored() -> None:
    agent = Agent()
    agent.endpoint.reached(99, agent.flow_to(THEM), agent.now)
    agent.endpoint.unreachable(99, FailureKind.DNS, "x", agent.now)
    agent.endpoint.flow_failed(agent.flow_to(THEM), "x", agent.now)
    agent.settle()
    assert agent.endpoint.idle


def test_maddr_is_where_a_request_goes() -> None:
    agent = Agent()
    agent.call(request_uri=Uri.parse("sip:bob@example.com:5070;maddr=192.0.2.44"))
    assert agent.out[0].flow.remote == ("192.0.2.44", 5070)
