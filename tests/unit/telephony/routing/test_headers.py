"""Headers that users set, and headers that become attributes."""

from __future__ import annotations

import pytest

from switchroom.sip.headers import Headers
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.headers import (
    AttributeRules,
    HeaderOptions,
    answer_attributes,
    check_header_names,
    check_headers,
    headers_from,
    merge,
    provider_attributes,
)


@pytest.mark.parametrize(
    "name",
    ["X-Account", "P-Asserted-Identity", "Route", "User-to-User", "To", "Via", "x.!%*_+`'~"],
)
def test_a_header_of_the_users_own_is_taken(name: str) -> None:
    check_headers({name: "value"})


@pytest.mark.parametrize("name", ["From", "CALL-ID", "l", "Content-Length", "Contact", "cseq"])
def test_a_header_that_makes_the_message_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid header name: "):
        check_headers({name: "value"})


@pytest.mark.parametrize("name", ["", "X Space", "X:Colon", "X\r\nInjected", "a" * 256, "Ü"])
def test_what_is_no_header_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid header name: "):
        check_headers({name: "value"})
    with pytest.raises(InvalidRequestError, match="invalid header name: "):
        check_header_names([name])


@pytest.mark.parametrize("value", ["", "plain", "tab\there", "Grüße 你好", "x" * 1024])
def test_a_printable_value_is_taken(value: str) -> None:
    check_headers({"X-Note": value})


@pytest.mark.parametrize(
    "value", ["a\r\nEvil: yes", "a\nb", "\x00", "\x7f", "\x85", "x" * 1025, "\ud800"]
)
def test_a_value_that_could_end_the_header_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid header value for X-Note: "):
        check_headers({"X-Note": value})


def test_the_requests_headers_lie_over_the_trunks_whatever_their_case() -> None:
    merged = merge({"X-B": "trunk", "X-A": "trunk"}, {"x-b": "call", "X-C": "call"})
    assert merged == (("X-A", "trunk"), ("x-b", "call"), ("X-C", "call"))


def test_providers_identifiers_are_known_on_every_response() -> None:
    headers = Headers((("X-Twilio-CallSid", "CA1"), ("x-call_leg_id", "leg"), ("X-Other", "no")))
    assert provider_attributes(headers) == {
        "sip.twilio.callSid": "CA1",
        "sip.telnyx.callLegID": "leg",
    }


_ANSWER = Headers((("X-One", "1"), ("Server", "pbx"), ("X-One", "2"), ("X-Two", "b")))


@pytest.mark.parametrize(
    ("include", "names"),
    [
        (HeaderOptions.NONE, set()),
        (HeaderOptions.X_HEADERS, {"sip.h.x-one", "sip.h.x-two"}),
        (HeaderOptions.ALL, {"sip.h.x-one", "sip.h.x-two", "sip.h.server"}),
    ],
)
def test_the_answers_headers_become_attributes_as_asked(
    include: HeaderOptions, names: set[str]
) -> None:
    assert set(answer_attributes(_ANSWER, AttributeRules(include))) == names


def test_of_a_repeated_header_the_last_is_included_and_the_first_is_mapped() -> None:
    rules = AttributeRules(HeaderOptions.X_HEADERS, (("x-one", "mine"), ("X-None", "absent")))
    found = answer_attributes(_ANSWER, rules)
    assert (found["sip.h.x-one"], found["mine"]) == ("2", "1")
    assert "absent" not in found


def test_attributes_become_headers_of_the_farewell_where_a_header_can_hold_them() -> None:
    attributes = {"a": "good", "b": "bad\r\nEvil: 1", "c": "", "d": "mine"}
    rules = {"a": "X-A", "b": "X-B", "c": "X-C", "d": "Call-ID", "e": "X-E"}
    assert headers_from(attributes, rules) == (("X-A", "good"),)


def test_nobody_in_the_room_is_shown_what_a_caller_logged_in_with() -> None:
    """A digest is all that it takes to look for the password at leisure."""
    fields = (("Authorization", "Digest x"), ("Proxy-Authorization", "Digest y"), ("X-A", "b"))
    told = answer_attributes(Headers(fields), AttributeRules(HeaderOptions.ALL))
    assert told == {"sip.h.x-a": "b"}
