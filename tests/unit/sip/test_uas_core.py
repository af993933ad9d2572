"""Requests from strangers, and the way of a request to its call."""

from __future__ import annotations

import pytest

from switchroom.sip.callee_session import CalleeSession
from switchroom.sip.endpoint import EndpointConfig
from switchroom.sip.flows import Flow
from switchroom.sip.invite_session import IncomingInvite
from switchroom.sip.message import Request, Response, parse_message
from switchroom.sip.sanity import Refusal
from switchroom.sip.uas_core import SILENCE
from unit.sip.wire import ANSWER, THEM, Agent, a_call_to_us, crlf

OPTIONS = """
OPTIONS sip:alice@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 10.1.1.1:5999;branch=z9hG4bKping;rport
Max-Forwards: 70
From: <sip:probe@example.com>;tag=p
To: <sip:alice@192.0.2.1>
Call-ID: ping-1
CSeq: 1 OPTIONS
User-Agent: a probe with a rather long name so that there is room for an answer
X-Padding: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
"""

TINY = """
{method} {uri} SIP/2.0
v:SIP/2.0/UDP a;branch=z9hG4bK1
f:sip:b;tag=1
t:{to}
i:1
CSeq:1 {method}
"""


def test_options_get_200_with_what_we_can_at_the_address_they_came_from() -> None:
    agent = Agent()
    agent.hear(OPTIONS, ("192.0.2.66", 40000))
    assert agent.out[0].flow.remote == ("192.0.2.66", 40000)
    response = agent.sent_response(200)
    assert {"Allow", "Accept", "Supported"} <= {name for name, _ in response.headers}
    assert response.to_tag
    # RFC 3581 section 4.
    assert ("received", "192.0.2.66") in response.via.params
    assert ("rport", "40000") in response.via.params
    assert agent.endpoint.idle


def test_without_rport_the_answer_goes_to_the_port_of_the_via() -> None:
    agent = Agent()
    agent.hear(OPTIONS.replace(";rport", ""), ("192.0.2.66", 40000))
    assert agent.out[0].flow.remote == ("192.0.2.66", 5999)
    params = agent.sent_response(200).via.params
    assert ("received", "192.0.2.66") in params
    assert "rport" not in dict(params)


def test_the_same_request_gets_the_same_tag_though_nothing_is_remembered() -> None:
    agent = Agent()
    agent.hear(OPTIONS)
    agent.hear(OPTIONS)
    first, second = agent.sent()
    assert first.to_tag == second.to_tag
    assert agent.endpoint.idle


@pytest.mark.parametrize(
    "text",
    [
        OPTIONS,
        OPTIONS.partition("User-Agent")[0],
        OPTIONS.partition("User-Agent")[0].replace("alice@", "").replace("Max-Forwards: 70\n", ""),
        TINY.format(method="INVITE", uri="a", to="a:b"),
        TINY.format(method="FOO", uri="sip:a", to="sip:b"),
        TINY.format(method="BYE", uri="sip:a", to="sip:b;tag=2"),
        "INVITE sip:a SIP/2.0\nv:SIP/2.0/UDP a;branch=z9hG4bK1;rport\n",
    ],
)
def test_a_stranger_never_gets_more_bytes_than_it_sent(text: str) -> None:
    agent = Agent()
    data = crlf(text)
    agent.hear(data)
    assert sum(len(action.data) for action in agent.out) <= len(data)
    agent.advance(100)
    assert len(agent.out) <= 1
    assert agent.endpoint.idle


def test_an_invite_that_nobody_takes_gets_404_once_and_makes_no_state() -> None:
    agent = Agent()
    agent.hear(a_call_to_us())
    response = agent.sent_response(404)
    assert response.reason == "No Inbound Trunk"
    agent.advance(40)
    assert agent.sent() == []
    assert agent.endpoint.idle


def test_whoever_admits_calls_may_turn_them_away_before_any_state_is_made() -> None:
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: Refusal(403, "Not Here"))
    agent.hear(a_call_to_us())
    assert agent.sent_response(403).reason == "Not Here"
    assert agent.endpoint.idle


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE", "SUBSCRIBE", "PUBLISH"])
def test_methods_we_do_not_serve_get_405_with_allow(method: str) -> None:
    agent = Agent()
    agent.hear(a_call_to_us(method=method, headers=(("User-Agent", "x" * 80),)))
    allowed = agent.sent_response(405).headers.tokens("Allow")
    assert "invite" in allowed
    assert method.lower() not in allowed


def test_a_stranger_sends_nobody_anywhere() -> None:
    agent = Agent()
    agent.hear(a_call_to_us(method="REFER", headers=(("Refer-To", "<sip:premium@x>"),)))
    agent.sent_response(403)
    unwilling = Agent(config=EndpointConfig(refer=False))
    unwilling.hear(a_call_to_us(method="REFER", headers=(("Refer-To", "<sip:premium@x>"),)))
    assert "refer" not in unwilling.sent_response(405).headers.tokens("Allow")


def test_a_method_nobody_ever_heard_of_gets_501() -> None:
    agent = Agent()
    agent.hear(a_call_to_us(method="FROBNICATE"))
    assert "Allow" in agent.sent_response(501).headers


@pytest.mark.parametrize("to_tag", ["", "unknown"])
@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "PRACK", "CANCEL", "NOTIFY"])
def test_requests_that_belong_to_no_call_get_481(method: str, to_tag: str) -> None:
    agent = Agent()
    agent.hear(a_call_to_us(method=method, to_tag=to_tag))
    agent.sent_response(481)
    assert agent.endpoint.idle


def test_an_ack_is_never_answered() -> None:
    agent = Agent()
    agent.hear(a_call_to_us(method="ACK", to_tag="unknown"))
    agent.hear(a_call_to_us(method="ACK"))
    agent.hear("ACK broken SIP/2.0\nVia: x")
    assert agent.sent() == []
    assert agent.endpoint.dropped["stray ACK"] == 2


def test_unknown_extensions_get_420_and_are_named() -> None:
    agent = Agent()
    agent.hear(a_call_to_us(headers=(("Require", "nosuch"), ("Require", "100rel, other"))))
    assert agent.sent_response(420).headers.get("Unsupported") == "nosuch, other"


def test_a_body_that_is_no_sdp_gets_415() -> None:
    agent = Agent()
    invite = a_call_to_us(body=b"")
    fields = [*invite.headers, ("Content-Type", "text/plain")]
    agent.hear(Request("INVITE", invite.target, fields, b"hello"))
    assert agent.sent_response(415).headers.get("Accept") == "application/sdp"


def test_a_merged_request_gets_482() -> None:
    """Section 8.2.2.2: the same INVITE by two paths."""
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(a_call_to_us())
    agent.hear(a_call_to_us(branch="z9hG4bKother"))
    agent.sent_response(482)
    assert len(agent.events()) == 1


def test_a_repeated_invite_is_one_call_and_gets_the_last_response_again() -> None:
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(a_call_to_us())
    agent.hear(a_call_to_us())
    assert len(agent.events()) == 1
    assert agent.sent() == []
    agent.advance(0.3)
    agent.sent_response(100)
    agent.hear(a_call_to_us())
    agent.sent_response(100)


def test_a_peer_of_rfc_2543_is_matched_without_branch() -> None:
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    for branch in ("1234", "z9hG4bK"):
        agent.hear(a_call_to_us(branch=branch, call_id=f"old-{branch}"))
        agent.hear(a_call_to_us(branch=branch, call_id=f"old-{branch}"))
    assert len(agent.events()) == 2
    agent.hear(a_call_to_us(branch="1234", call_id="old-1234", method="CANCEL", body=b""))
    statuses = [message.status for message in agent.sent() if isinstance(message, Response)]
    assert statuses == [200, 487]


def test_two_hosts_may_use_the_same_branch() -> None:
    """Section 17.2.3: sent-by is part of the key."""
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    one = a_call_to_us()
    agent.hear(one)
    fields = [
        (name, value.replace("192.0.2.2:5060", "192.0.2.3") if name == "Via" else value)
        for name, value in a_call_to_us(call_id="other").headers
    ]
    agent.hear(Request("INVITE", one.target, fields, one.body))
    assert len(agent.events()) == 2


def test_too_many_calls_get_503_with_retry_after() -> None:
    for config in (EndpointConfig(max_sessions=1), EndpointConfig(max_transactions=1)):
        agent = Agent(config=config)
        agent.endpoint.admit_with(lambda _request, _flow: None)
        agent.hear(a_call_to_us())
        agent.hear(a_call_to_us(branch="z9hG4bKin2", call_id="in-2"))
        assert agent.sent_response(503).headers.get("Retry-After") == "5"


def test_an_overloaded_endpoint_turns_new_calls_away_and_asks_nobody_else() -> None:
    agent = Agent()
    asked: list[Request] = []
    agent.endpoint.admit_with(lambda request, _flow: asked.append(request))
    agent.hear(a_call_to_us())
    agent.endpoint.ask_overload(lambda: 7)
    agent.hear(a_call_to_us(branch="z9hG4bKin2", call_id="in-2"))
    assert agent.sent_response(503).headers.get("Retry-After") == "7"
    assert len(asked) == 1
    # The call that is there goes on.
    (session, _), *_ = agent.heard
    assert isinstance(session, CalleeSession)
    session.answer(agent.now, ANSWER)
    agent.settle()
    ok = agent.sent_response(200)
    agent.hear(a_call_to_us(method="BYE", cseq=2, to_tag=ok.to_tag or "", branch="z9hG4bKbye"))
    agent.sent_response(200)


def test_silence_is_an_answer_too() -> None:
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: SILENCE)
    agent.hear(a_call_to_us())
    agent.advance(1)
    assert agent.sent() == []
    assert agent.endpoint.idle


def rejected(status: int, headers: tuple[tuple[str, str], ...] = ()) -> Agent:
    """An agent that has just turned a call away, the caller having understood."""
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(a_call_to_us())
    (session, _), *_ = agent.heard
    assert isinstance(session, CalleeSession)
    session.reject(agent.now, status, "So Sorry", headers)
    agent.settle()
    agent.hear(a_call_to_us(method="ACK", body=b""))
    agent.advance(6)
    agent.sent()
    agent.events()
    assert agent.endpoint.idle
    return agent


def again(cseq: int = 1) -> Request:
    return a_call_to_us(branch="z9hG4bKagain", cseq=cseq)


@pytest.mark.parametrize("status", [404, 480, 486, 500, 503, 603])
@pytest.mark.parametrize("cseq", [1, 2])
def test_a_call_that_was_turned_away_does_not_ring_a_second_time(status: int, cseq: int) -> None:
    agent = rejected(status, (("X-Why", "so"),))
    agent.hear(again(cseq))
    response = agent.sent_response(status)
    assert (response.reason, response.headers.get("X-Why")) == ("So Sorry", "so")
    assert agent.events() == []
    assert agent.endpoint.idle


@pytest.mark.parametrize("status", [302, 401, 407, 420, 422, 487, 488])
def test_a_call_that_can_be_mended_may_come_again(status: int) -> None:
    agent = rejected(status)
    agent.hear(again(2))
    assert len(agent.events()) == 1


def test_a_refusal_with_retry_after_is_an_invitation_and_no_refusal_outlives_a_minute() -> None:
    agent = rejected(503, (("Retry-After", "5"),))
    agent.hear(again())
    assert len(agent.events()) == 1
    agent = rejected(486)
    agent.advance(60)
    agent.hear(again())
    assert len(agent.events()) == 1


def test_the_source_of_a_call_is_told_with_it() -> None:
    agent = Agent()
    seen: list[tuple[str, Flow]] = []

    def admit(request: Request, flow: Flow) -> None:
        seen.append((request.method, flow))

    agent.endpoint.admit_with(admit)
    agent.hear(a_call_to_us(), ("192.0.2.66", 1234))
    (event,) = agent.events()
    assert isinstance(event, IncomingInvite)
    assert (event.remote, event.transport) == (("192.0.2.66", 1234), "udp")
    assert event.request.uri.user == "alice"
    assert seen[0][0] == "INVITE"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"\x00\x00\x00\x00",
        b"hello",
        b"\xff" * 1400,
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKnone\r\n\r\n",
        b"INVITE sip:a SIP/2.0",
        b"INVITE sip:a SIP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_noise_gets_silence(data: bytes) -> None:
    agent = Agent()
    agent.hear(data)
    assert agent.out == []
    assert agent.endpoint.idle


def test_a_request_that_can_not_be_parsed_gets_a_400_that_says_why() -> None:
    agent = Agent()
    data = crlf(OPTIONS).replace(b"CSeq: 1 OPTIONS", b"CSeq 1 OPTIONS")
    agent.hear(data)
    response = agent.sent_response(400)
    assert response.reason == "Bad Request (header line without a colon)"
    assert response.call_id == "ping-1"


def test_an_oversized_message_gets_513() -> None:
    agent = Agent()
    agent.hear(crlf(OPTIONS.replace("xxxx", "x" * 9000)))
    agent.sent_response(513)
    agent.hear(crlf(OPTIONS.strip("\n") + "\nX: y" * 200))
    agent.sent_response(513)


def test_the_wrong_call_id_in_an_error_is_not_invented() -> None:
    agent = Agent()
    agent.hear(OPTIONS.replace("Call-ID: ping-1\n", ""))
    sent = agent.out[0].data
    assert b"\nCall-ID:" not in sent
    assert parse_message(sent).headers.get("CSeq") == "1 OPTIONS"


def test_a_response_for_somebody_else_is_dropped() -> None:
    agent = Agent()
    agent.call()
    invite = agent.sent_request("INVITE")
    text = (
        f"SIP/2.0 200 OK\nVia: {invite.headers.get('Via')}\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\n"
        f"From: <sip:a@b>;tag=ours\nTo: <sip:b@c>;tag=x\nCall-ID: call-1\nCSeq: 1 INVITE\n"
    )
    agent.hear(text, THEM)
    assert agent.events() == []
    assert agent.sent() == []


def test_hops_behind_a_quoted_comma_are_told_back_as_they_came() -> None:
    agent = Agent()
    first, second = (
        'SIP/2.0/UDP 192.0.2.2:5060;x="a,b";branch=z9hG4bKone',
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKtwo",
    )
    request = a_call_to_us(method="OPTIONS", body=b"", headers=(("X-Padding", "x" * 200),))
    fields = [("Via", f"{first}, {second}"), *list(request.headers)[1:]]
    agent.hear(Request("OPTIONS", request.target, fields))
    assert agent.sent_response(200).headers.values("Via") == [first, second]
