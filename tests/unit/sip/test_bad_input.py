"""Spoilt messages against an endpoint that is in the middle of calls: it never raises.

The spoilt ones are real messages of a running call, so they get past the parser and meet live
transactions and dialogs.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from switchroom.sip.callee_session import CalleeSession
from switchroom.sip.endpoint import EndpointConfig
from switchroom.sip.message import Request
from switchroom.sip.targets import Hop
from switchroom.sip.uri import Uri
from unit.sip.wire import ANSWER, OFFER, Agent, a_call_to_us, in_dialog, reply

TORTURE = [
    path.read_bytes()
    for path in Path(__file__, "../../../conformance/sip/rfc4475").resolve().glob("*/*.dat")
]
SPICE = [
    b"\r\n", b"\r", b"\n", b"\x00", b"\xff", b",", b";", b'"', b"<", b">", b"=", b":", b"@", b"%",
    b" ", b"\r\n ", b"99999999999999999999", b"-1", b"sip:", b"tel:+1", b"sips:", b";tag=theirs",
    b";branch=", b"SIP/2.0", b"z9hG4bK", b"Contact: *", b"\r\nRequire: 100rel\r\nRSeq: 1",
    b"\r\nMin-SE: 9", b"\r\nReason: x;;", b";q=nan",
    b"\r\nRecord-Route: <x>", b"\r\nVia: SIP/2.0/UDP h", b"[::1]", b"\xf0\x9f\x93\x9e",
]  # fmt: skip


EVERYTHING = EndpointConfig(user_agent="test", replaces=True, session_expires=120, redirects=2)
TIMER = (("Session-Expires", "120;refresher=uac"), ("Supported", "timer"), ("Allow", "UPDATE"))
NEWS = (("Event", "refer;id=2"), ("Subscription-State", "active;expires=60"))


def busy_agent() -> tuple[Agent, list[bytes]]:
    """An endpoint with calls out and in and an offer open; and messages that belong to them."""
    agent = Agent(config=EVERYTHING)
    agent.zone["example.com"] = [Hop("udp", f"192.0.2.{n}", 5060, "example.com") for n in (2, 3)]
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.call(request_uri=Uri.parse("sip:bob@example.com"))
    invite = agent.sent_request("INVITE")
    ours = agent.call(call_id="call-2")
    answered = agent.sent_request("INVITE")
    agent.hear(reply(answered, 200, headers=TIMER, body=ANSWER))
    ours.refer(agent.now, "sip:carol@192.0.2.3")
    agent.settle()
    refer = agent.sent()[-1]
    assert isinstance(refer, Request)
    agent.hear(in_dialog("INVITE", answered, body=OFFER))
    agent.hear(a_call_to_us())
    session = next(one for one, _ in reversed(agent.heard) if isinstance(one, CalleeSession))
    session.ring(agent.now)
    agent.settle()
    assert ours.dialog is not None
    reliable = (("Require", "100rel"), ("RSeq", "1"))
    messages = [
        reply(invite, 100),
        reply(invite, 183, headers=reliable, body=ANSWER),
        reply(invite, 200, headers=(("Record-Route", "<sip:192.0.2.9;lr>"),), body=ANSWER),
        reply(invite, 407, headers=(("Proxy-Authenticate", 'Digest realm="r", nonce="n"'),)),
        reply(invite, 486),
        reply(answered, 200),
        reply(invite, 422, headers=(("Min-SE", "1800"),)),
        reply(invite, 302, headers=(("Contact", "<sip:bob@edge.example.com>;q=0.5"),)),
        reply(invite, 503, headers=(("Retry-After", "60"),)),
        reply(refer, 202),
        in_dialog("NOTIFY", answered, cseq=11, headers=NEWS, body=b"SIP/2.0 200 OK"),
        in_dialog("REFER", answered, cseq=12, headers=(("Refer-To", "<sip:x@y?a=b>"),)),
        in_dialog("UPDATE", answered, cseq=13, headers=TIMER),
        a_call_to_us(
            call_id="new", headers=(("Replaces", "call-2;to-tag=ours;from-tag=theirs"), *TIMER)
        ),
        a_call_to_us(),
        a_call_to_us(method="CANCEL", body=b""),
        a_call_to_us(method="BYE", cseq=2, to_tag=session.local_tag, body=b""),
        a_call_to_us(method="OPTIONS", call_id="other"),
    ]
    for number, method in enumerate(("ACK", "UPDATE", "INFO", "PRACK", "INVITE", "BYE"), 1):
        messages.append(in_dialog(method, answered, cseq=number, body=OFFER))
    return agent, [message.serialise() for message in messages]


def spoil(data: bytes, chance: random.Random) -> bytes:
    """A few random cuts, doublings and insertions."""
    for _ in range(chance.randint(0, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((0, 1, 3, 20)))
        piece = chance.choice((b"", chance.choice(SPICE), data[start:end] * 2))
        data = data[:start] + piece + data[end:]
    return data


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_no_spoilt_message_makes_it_raise_or_leaves_anything_behind(
    transport: str, seed: int
) -> None:
    chance = random.Random(seed)
    agent, messages = busy_agent()
    agent.transport = transport
    for _ in range(40):
        data = spoil(chance.choice(messages + TORTURE), chance)
        before = sum(len(action.data) for action in agent.out)
        agent.hear(data, ("192.0.2.2", chance.choice((5060, 40000))))
        assert sum(len(action.data) for action in agent.out) - before < 4_000
        if chance.random() < 0.1:
            agent.advance(chance.choice((0.1, 1.0, 40.0)))
    for session in list(agent.endpoint.sessions.values()):
        session.bye(agent.now)
    agent.advance(200)
    for session in list(agent.endpoint.sessions.values()):
        session.bye(agent.now)
        getattr(session, "cancel", lambda _now: None)(agent.now)
    agent.advance(200)
    # An INVITE whose peer said 1xx and then nothing more has ended with the CANCEL.
    assert agent.endpoint.idle


def test_the_unspoilt_ones_do_what_they_are_there_for() -> None:
    agent, messages = busy_agent()
    for data in messages:
        agent.hear(data)
    requests = [message for message in agent.sent() if isinstance(message, Request)]
    assert {request.method for request in requests} >= {"ACK", "PRACK"}
