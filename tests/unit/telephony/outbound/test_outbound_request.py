"""The rules of CreateSIPParticipant, in LiveKit's words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.outbound.outbound_request import (
    CreateSipParticipant,
    Destination,
    InlineTrunk,
    check,
    unquoted,
)
from switchroom.telephony.routing.media_config import MediaConfig

_REQUEST = CreateSipParticipant(room_name="room", call_to="+15105550123", trunk_id="ST_1")
_COUNTRY = "country must be a valid ISO 3166-1 alpha-2 code (2-letter like 'US', 'IN', 'UK')"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"trunk_id": ""}, "missing sip trunk id and sip number"),
        ({"trunk": InlineTrunk("")}, "no outbound hostname specified"),
        (
            {"trunk": InlineTrunk("a;transport=tcp")},
            "trunk hostname should not contain transport parameter",
        ),
        (
            {"trunk": InlineTrunk("bob@a")},
            "trunk hostname should be a domain name or IP, not SIP URI",
        ),
        (
            {"trunk": InlineTrunk("a", from_host="b@c")},
            "from_host should be a hostname or IP, not SIP URI",
        ),
        ({"call_to": ""}, "missing sip callee number"),
        (
            {"call_to": "bob@example.com"},
            "SipCallTo should be a phone number or SIP user, not a full SIP URI",
        ),
        ({"call_to": "1" * 257}, "SipCallTo too long (max 256 characters)"),
        ({"room_name": ""}, "missing room name"),
        ({"has_to_header": True}, "sip_to_header and sip_call_to cannot be used together"),
        (
            {"to_user_override": "a@b"},
            "to_user_override should be a SIP user, not a full SIP URI",
        ),
        ({"display_name": "x" * 129}, "DisplayName too long (max 128 characters)"),
        ({"display_name": "ü" * 65}, "DisplayName too long (max 128 characters)"),
        ({"display_name": 'a "b"'}, "DisplayName must be a valid quoted string"),
        ({"display_name": "a\\q"}, "DisplayName must be a valid quoted string"),
        (
            {"destination": Destination(city="Berlin")},
            "if city is specified, country or region must also be specified",
        ),
        ({"destination": Destination(country="us")}, _COUNTRY),
        ({"destination": Destination(country="USA")}, _COUNTRY),
        ({"destination": Destination(country="XX")}, _COUNTRY),
        ({"media": MediaConfig(timeout=-1)}, "media_timeout must not be negative"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(changes: dict[str, object], text: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        check(replace(_REQUEST, **changes))  # type: ignore[arg-type]
    assert refusal.value.message == text


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"trunk_id": "", "trunk": InlineTrunk("sip:sip.example.com")},
        {"trunk_id": "", "number": "+15105550100"},
        {"display_name": ""},
        {"destination": Destination(city="Berlin", country="DE")},
        {"headers": {"X-A": "b"}},
    ],
)
def test_a_request_in_order_passes(changes: dict[str, object]) -> None:
    check(replace(_REQUEST, **changes))  # type: ignore[arg-type]


def test_forbidden_headers_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="invalid header name: "):
        check(replace(_REQUEST, headers={"Contact": "x"}))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("", ""),
        ("Dr. Who, Ph.D.", "Dr. Who, Ph.D."),
        (r"\"quoted\"", '"quoted"'),
        (r"back\\slash", "back\\slash"),
        (r"\u00fc\x41\103\U0001F600", "üAC😀"),
        ("it's", "it's"),
    ],
)
def test_a_display_name_is_read_as_a_string_literal(written: str, name: str) -> None:
    assert unquoted(written) == name


@pytest.mark.parametrize(
    "written", [r"a\nb", "a\tb", r"\x07", "a\nb", r"\ud800", r"\U00110000", "\\"]
)
def test_no_control_character_gets_into_a_display_name(written: str) -> None:
    with pytest.raises(InvalidRequestError, match="DisplayName must be a valid quoted string"):
        unquoted(written)


def test_the_identity_is_made_from_the_number_unless_given() -> None:
    assert _REQUEST.participant_identity == "sip_+15105550123"
    assert replace(_REQUEST, identity="alice").participant_identity == "alice"
