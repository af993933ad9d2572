"""IPv6 in SIP: the cases of RFC 5118, written after its sections."""

from __future__ import annotations

import pytest

from switchroom.sip.message import Request, parse_message
from switchroom.sip.uri import Uri
from unit.sip.wire import Agent, crlf

OPTIONS = """
OPTIONS {uri} SIP/2.0
Via: SIP/2.0/UDP {via};branch=z9hG4bKas3-111
Max-Forwards: 70
From: <sip:user@example.com>;tag=81x2
To: <sip:user@[2001:db8::10]>
Call-ID: SSG9559905523997077@[2001:db8::9]
CSeq: 8612 OPTIONS
Contact: "Caller" <sip:caller@[2001:db8::1]>
X-Padding: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
"""


def status_of(uri: str, via: str = "[2001:db8::9:1]") -> int:
    agent = Agent(("2001:db8::10", 5060))
    agent.hear(crlf(OPTIONS.format(uri=uri, via=via)), ("2001:db8::9:1", 5060))
    (response,) = agent.sent()
    return response.status  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("uri", "host", "port"),
    [
        ("sip:[2001:db8::10]", "[2001:db8::10]", None),  # 4.1
        ("sip:[2001:db8::10:5070]", "[2001:db8::10:5070]", None),  # 4.3: part of the address
        ("sip:[2001:db8::10]:5070", "[2001:db8::10]", 5070),  # 4.4
        ("sip:user@[::ffff:192.0.2.10]", "[::ffff:192.0.2.10]", None),  # 4.9: mapped IPv4
        ("sip:user@[2001:db8:::192.0.2.1]", "[2001:db8:::192.0.2.1]", None),  # 4.10: lenient
    ],
)
def test_addresses_in_brackets_are_read(uri: str, host: str, port: int | None) -> None:
    parsed = Uri.parse(uri)
    assert (parsed.host, parsed.port) == (host, port)
    assert status_of(uri) == 200


@pytest.mark.parametrize("uri", ["sip:2001:db8::10", "sip:user@2001:db8::10"])
def test_addresses_without_brackets_get_400(uri: str) -> None:
    """Section 4.2."""
    assert status_of(uri) == 400


@pytest.mark.parametrize("received", ["2001:db8::9:255", "[2001:db8::9:255]"])
def test_received_is_taken_with_and_without_brackets(received: str) -> None:
    """Section 4.5."""
    via = f"[2001:db8::9:1];received={received}"
    assert status_of("sip:[2001:db8::10]", via) == 200


def test_the_source_is_compared_with_the_address_inside_the_brackets() -> None:
    agent = Agent(("2001:db8::10", 5060))
    data = crlf(OPTIONS.format(uri="sip:[2001:db8::10]", via="[2001:db8::9:1]"))
    agent.hear(data, ("2001:db8::9:1", 5060))
    assert "received" not in dict(agent.sent_response(200).via.params)
    agent.hear(data, ("2001:db8::9:2", 5060))
    assert ("received", "2001:db8::9:2") in agent.sent_response(200).via.params


def test_both_kinds_of_address_may_stand_in_one_header() -> None:
    """Section 4.6."""
    text = OPTIONS.format(uri="sip:[2001:db8::10]", via="[2001:db8::9:1]").replace(
        "Max-Forwards",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2, SIP/2.0/TCP [::1]:1\nMax-Forwards",
    )
    request = parse_message(crlf(text))
    assert isinstance(request, Request)
    assert len(request.headers.values("Via")) == 3


def test_our_own_headers_put_it_in_brackets() -> None:
    agent = Agent(("2001:db8::10", 5060))
    agent.call(request_uri=Uri.parse("sip:bob@[2001:db8::2]"))
    assert agent.out[0].flow.remote == ("2001:db8::2", 5060)
    invite = agent.sent_request("INVITE")
    assert invite.via.host == "[2001:db8::10]"
    assert invite.headers.get("Contact") == "<sip:alice@[2001:db8::10]:5060>"
