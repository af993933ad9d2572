"""Reading and writing messages."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from switchroom.sip.errors import MalformedValueError
from switchroom.sip.grammar import Limits
from switchroom.sip.message import (
    Message,
    Request,
    Response,
    UnparsableError,
    parse_message,
    salvage,
)
from unit.sip.wire import crlf

INVITE = """
INVITE sip:bob@biloxi.com SIP/2.0
Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds
Max-Forwards: 70
To: Bob <sip:bob@biloxi.com>
From: Alice <sip:alice@atlanta.com>;tag=1928301774
Call-ID: a84b4c76e66710@pc33.atlanta.com
CSeq: 314159 INVITE
Contact: <sip:alice@pc33.atlanta.com>
Content-Type: application/SDP; charset=utf-8
Content-Length: 3

v=0
"""


def fault_of(data: bytes, **limits: int) -> tuple[int, str]:
    with pytest.raises(UnparsableError) as caught:
        parse_message(data, Limits(**limits))
    return caught.value.fault.status, caught.value.fault.reason


def test_a_request_is_read() -> None:
    request = parse_message(crlf(INVITE) + b"\r\nand more")
    assert isinstance(request, Request)
    assert (request.method, request.target, request.uri.user) == (
        "INVITE",
        "sip:bob@biloxi.com",
        "bob",
    )
    assert request.call_id == "a84b4c76e66710@pc33.atlanta.com"
    assert (request.cseq.number, request.cseq.method) == (314159, "INVITE")
    assert (request.from_tag, request.to_tag) == ("1928301774", None)
    assert request.from_.display == "Alice"
    assert request.content_type == "application/sdp"
    assert request.body == b"v=0"
    assert str(request.contact) == "<sip:alice@pc33.atlanta.com>"
    assert request.record_route == ()
    assert repr(request) == "<Request INVITE sip:bob@biloxi.com>"


def test_a_response_is_read() -> None:
    response = parse_message(b"SIP/2.0 183 Session Progress\r\nRSeq: 12\r\n\r\nbody")
    assert isinstance(response, Response)
    assert (response.status, response.reason, response.body) == (183, "Session Progress", b"body")
    assert response.is_provisional
    assert not response.is_success
    assert response.rseq == 12
    assert repr(response) == "<Response 183 Session Progress>"
    for value in ("x", "-1", "99999999999"):
        assert parse_message(crlf(f"SIP/2.0 183 X\nRSeq: {value}")).rseq is None  # type: ignore[union-attr]


def test_line_breaks_before_a_message_are_skipped() -> None:
    assert isinstance(parse_message(b"\r\n\r\n" + crlf(INVITE)), Request)


def test_a_missing_blank_line_after_the_last_field_is_forgiven() -> None:
    request = parse_message(b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n")
    assert request.headers.get("Content-Length") == "0"


def test_folded_lines_are_one_line() -> None:
    request = parse_message(b"OPTIONS sip:a SIP/2.0\r\nSubject: a\r\n b\r\n\t c\r\n\r\n")
    assert request.headers.get("Subject") == "a b c"


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"INVITE sip:a SIP/2.0", 400, "message ends inside its headers"),
        (b"INVITE sip:a SIP/2.0\r\nTo: x", 400, "message ends inside its headers"),
        (b"INVITE  sip:a SIP/2.0\r\n\r\n", 400, "bad request line"),
        (b"INVITE sip:a SIP/2.0 \r\n\r\n", 400, "bad request line"),
        (b"INVITE sip:a\r\n\r\n", 400, "bad request line"),
        (b"IN<VITE sip:a SIP/2.0\r\n\r\n", 400, "bad request line"),
        (b"INVITE sip:a HTTP/1.1\r\n\r\n", 400, "bad request line"),
        (b"INVITE sip:a SIP/3.0\r\n\r\n", 505, "version not supported"),
        (b"SIP/7.0 200 OK\r\n\r\n", 505, "version not supported"),
        (b"SIP/2.0 099 OK\r\n\r\n", 400, "bad status code"),
        (b"SIP/2.0 700 OK\r\n\r\n", 400, "bad status code"),
        (b"SIP/2.0 2000 OK\r\n\r\n", 400, "bad status code"),
        (b"SIP/2.0 2x0 OK\r\n\r\n", 400, "bad status code"),
        (b"INVITE sip:a SIP/2.0\r\nTo: a\nb\r\n\r\n", 400, "stray line break"),
        (b"INVITE sip:a SIP/2.0\r\nTo: a\rb\r\n\r\n", 400, "stray line break"),
        (b"INVITE sip:a SIP/2.0\r\nTo\r\n\r\n", 400, "header line without a colon"),
        (b"INVITE sip:a SIP/2.0\r\nT o: x\r\n\r\n", 400, "bad header name"),
        (b"INVITE sip:a SIP/2.0\r\nl: -1\r\n\r\n", 400, "bad Content-Length"),
        (b"INVITE sip:a SIP/2.0\r\nl: 99999999999\r\n\r\n", 400, "bad Content-Length"),
        (b"INVITE sip:a SIP/2.0\r\nl: 5\r\n\r\nabc", 400, "Content-Length larger than message"),
        (b"INVITE sip:a SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\nabc", 400, "conflicting Content-Length"),
    ],
)
def test_what_can_not_be_read_is_refused_by_name(data: bytes, status: int, reason: str) -> None:
    assert fault_of(data) == (status, reason)


def test_the_limits_hold() -> None:
    data = b"INVITE sip:a SIP/2.0\r\nA: 1\r\nB: 2\r\n\r\n"
    assert fault_of(data, header_fields=1) == (513, "too many header fields")
    assert fault_of(data, message_bytes=20) == (513, "message too large")
    long = b"INVITE sip:a SIP/2.0\r\nA: " + b"x" * 100 + b"\r\n\r\n"
    assert fault_of(long, header_chars=90) == (513, "header field too long")


def test_twice_the_same_content_length_is_forgiven() -> None:
    assert parse_message(b"INVITE sip:a SIP/2.0\r\nl: 1\r\nl: 1\r\n\r\nabc").body == b"a"


def test_missing_and_broken_values_raise_when_they_are_asked_for() -> None:
    request = parse_message(b"INVITE x SIP/2.0\r\nFrom: <\r\n\r\n")
    assert isinstance(request, Request)
    for ask in ("uri", "via", "branch", "cseq", "from_", "to", "to_tag", "rack"):
        with pytest.raises(MalformedValueError):
            getattr(request, ask)
    assert request.contact is None
    assert (request.call_id, request.content_type) == ("", "")


def test_what_is_left_of_a_broken_request_can_be_answered() -> None:
    left = salvage(b"INVITE sip:a SIP/2.0 \r\nVia: v\r\nBad line\r\nEvil: a\nb\r\nTo : t\r\n")
    assert left is not None
    assert left.method == "INVITE"
    assert list(left.headers) == [("Via", "v"), ("To", "t")]
    assert salvage(b"\x00\x01") is None


def test_a_request_of_ours_has_what_each_must_have_and_reads_like_one_received() -> None:
    ours = Request.compose(
        "BYE",
        "sip:bob@192.0.2.2",
        via="SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1",
        routes=("<sip:p1;lr>", "<sip:p2;lr>"),
        from_="<sip:alice@a>;tag=1",
        to="<sip:bob@b>;tag=2",
        call_id="call-1",
        number=7,
        fields=(("Reason", "Q.850;cause=16"),),
    )
    names = ["Via", "Max-Forwards", "Route", "Route", "From", "To", "Call-ID", "CSeq", "Reason"]
    assert [name for name, _ in ours.headers] == names
    heard = parse_message(ours.serialise())
    assert (heard.cseq, heard.call_id, heard.branch) == (ours.cseq, "call-1", "z9hG4bK1")
    assert (heard.from_tag, heard.to_tag) == (ours.from_tag, ours.to_tag) == ("1", "2")
    assert ours.headers.get_all("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]


def test_a_message_is_written_with_its_true_length() -> None:
    response = Response(200, "OK", [("Via", "x"), ("Content-Length", "99")], b"body")
    assert response.serialise() == b"SIP/2.0 200 OK\r\nVia: x\r\nContent-Length: 4\r\n\r\nbody"
    assert response.serialise(compact=True) == b"SIP/2.0 200 OK\r\nv:x\r\nl:4\r\n\r\nbody"


NAMES = st.sampled_from(["Via", "From", "To", "Call-ID", "X-Thing", "Contact", "Route", "Subject"])
VALUES = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=60
).map(str.strip)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=12)
MESSAGES = st.one_of(
    st.builds(
        Request,
        st.sampled_from(["INVITE", "BYE", "X.odd-~"]),
        st.sampled_from(["sip:a@b", "tel:+1", "x"]),
        FIELDS,
        st.binary(max_size=80),
    ),
    st.builds(Response, st.integers(100, 699), VALUES, FIELDS, st.binary(max_size=80)),
)


def as_data(message: Message) -> tuple[object, ...]:
    start = (
        (message.method, message.target)
        if isinstance(message, Request)
        else (message.status, message.reason)
    )
    fields = [
        (name, value.strip(" \t")) for name, value in message.headers if name != "Content-Length"
    ]
    return (start, fields, message.body)


@given(MESSAGES)
def test_what_is_written_is_read_back_the_same(message: Message) -> None:
    once = parse_message(message.serialise())
    assert as_data(once) == as_data(message)
    assert once.serialise() == message.serialise()


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=300), MESSAGES.map(lambda m: m.serialise())), st.data())
def test_nothing_but_unparsable_comes_of_any_bytes(data: bytes, draw: st.DataObject) -> None:
    spoilt = bytearray(data)
    for _ in range(draw.draw(st.integers(0, 4))):
        if spoilt:
            position = draw.draw(st.integers(0, len(spoilt) - 1))
            spoilt[position] = draw.draw(st.integers(0, 255))
    with suppress(UnparsableError):
        parse_message(bytes(spoilt))
