"""A request and a trunk become an INVITE, attributes and deadlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from scenarios.carrier import ScriptedCarrier
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.sdp.crypto import SrtpPolicy
from switchroom.sip.digest import Credentials
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.outbound.dial import Dial, DialSettings, prepare, trunk_of
from switchroom.telephony.outbound.outbound_request import (
    CreateSipParticipant,
    InlineTrunk,
    NamedAddress,
    SipAddress,
)
from switchroom.telephony.routing.headers import HeaderOptions
from switchroom.telephony.routing.media_config import Encryption, ListedCodec, MediaConfig
from switchroom.telephony.routing.trunks import OutboundTrunk, Transport

_TRUNK = OutboundTrunk(
    trunk_id="ST_1", address="sip.example.com:5070", numbers=("+15105550100", "+15105550101")
)
_REQUEST = CreateSipParticipant(room_name="room", call_to="+15105550123", trunk_id="ST_1")


def _last(numbers: Sequence[str]) -> str:
    return numbers[-1]


def _dial(
    request: CreateSipParticipant = _REQUEST,
    trunk: OutboundTrunk = _TRUNK,
    *,
    local_ip: str = "192.0.2.1",
    answer_by: float | None = None,
) -> Dial:
    carrier = ScriptedCarrier(lambda _what: None)
    carrier.advertised = local_ip
    return prepare(
        request,
        trunk,
        call_id="SCL_abc",
        answer_by=answer_by,
        durable=False,
        settings=DialSettings(first_silence=30.0, silence=15.0),
        choose=_last,
        sip=carrier,
    )


def test_the_invite_goes_to_the_number_at_the_trunk_from_a_number_of_ours() -> None:
    invite = _dial().invite
    assert str(invite.request_uri) == "sip:+15105550123@sip.example.com:5070"
    assert str(invite.to) == "<sip:+15105550123@sip.example.com:5070>"
    assert str(invite.from_) == "+15105550101 <sip:+15105550101@192.0.2.1>"
    assert invite.local_tag == "SCL_abc"
    assert (invite.transport, invite.credentials) == (None, None)


def test_a_trunk_whose_address_no_request_can_go_to_is_named_as_the_reason() -> None:
    with pytest.raises(CallFailedError) as failure:
        _dial(trunk=replace(_TRUNK, address="_sip._udp.example.com"))
    assert failure.value.code is ErrorCode.INVALID_ARGUMENT
    assert failure.value.message == "invalid address: bad host"


def test_the_call_id_is_the_same_for_all_attempts_and_does_not_show_ours() -> None:
    assert _dial().invite.call_id == _dial().invite.call_id
    assert "abc" not in _dial().invite.call_id


def test_the_transport_is_asked_for_where_the_trunk_names_one() -> None:
    invite = _dial(trunk=replace(_TRUNK, transport=Transport.TCP)).invite
    assert str(invite.request_uri).endswith(";transport=tcp")
    assert invite.transport == "tcp"


def test_credentials_count_only_together() -> None:
    trunk = replace(_TRUNK, auth_username="user", auth_password="secret")
    assert _dial(trunk=trunk).invite.credentials == Credentials("user", "secret")
    assert _dial(trunk=replace(trunk, auth_password="")).invite.credentials is None


@pytest.mark.parametrize(
    ("display_name", "shown"),
    [
        (None, "+15105550101 <sip:+15105550101@192.0.2.1>"),
        ("", "<sip:+15105550101@192.0.2.1>"),
        ("Acme, Inc.", '"Acme, Inc." <sip:+15105550101@192.0.2.1>'),
        (r"The \"Best\"", r'"The \"Best\"" <sip:+15105550101@192.0.2.1>'),
    ],
)
def test_the_display_name_is_the_number_nothing_or_a_text(
    display_name: str | None, shown: str
) -> None:
    assert str(_dial(replace(_REQUEST, display_name=display_name)).invite.from_) == shown


def test_the_number_of_the_request_goes_before_the_trunks() -> None:
    dial = _dial(replace(_REQUEST, number="+15105550199"))
    assert dial.from_number == "+15105550199"
    assert dial.plan.guest.attributes["sip.trunkPhoneNumber"] == "+15105550199"


def test_a_trunk_without_numbers_needs_one_in_the_request() -> None:
    trunk = trunk_of(InlineTrunk("sip.example.com"))
    with pytest.raises(ServiceError) as refusal:
        _dial(replace(_REQUEST, trunk_id=""), trunk)
    assert refusal.value.code is ErrorCode.FAILED_PRECONDITION
    assert refusal.value.message == "no numbers on outbound trunk"
    assert _dial(replace(_REQUEST, number="1"), trunk).from_number == "1"


def test_twilio_gets_its_plus() -> None:
    trunk = replace(_TRUNK, address="acme.pstn.twilio.com", numbers=("15105550100",))
    assert _dial(trunk=trunk).from_number == "+15105550100"


def test_from_host_and_overrides_of_the_addresses_are_used() -> None:
    request = replace(
        _REQUEST,
        to_user_override="desk",
        request_uri=SipAddress(raw="sip:gateway@198.51.100.9;x=y?h=1"),
    )
    invite = _dial(request, replace(_TRUNK, from_host="pbx.example.org")).invite
    assert str(invite.request_uri) == "sip:gateway@198.51.100.9;x=y"
    assert str(invite.to) == "<sip:desk@sip.example.com:5070>"
    assert invite.from_.uri.host == "pbx.example.org"


def test_addresses_given_in_parts_are_completed() -> None:
    request = replace(
        _REQUEST,
        request_uri=SipAddress(host="edge.example.com", port=5080, transport=Transport.TCP),
        from_header=NamedAddress("Front Desk", SipAddress(user="desk")),
    )
    invite = _dial(request).invite
    assert str(invite.request_uri) == "sip:+15105550123@edge.example.com:5080;transport=tcp"
    assert str(invite.from_) == "Front Desk <sip:desk@192.0.2.1>"


@pytest.mark.parametrize("raw", ["no uri", "sip:", "sip:a@b c"])
def test_a_request_uri_that_is_none_is_refused(raw: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        _dial(replace(_REQUEST, request_uri=SipAddress(raw=raw)))
    assert (refusal.value.code, refusal.value.message) == (
        ErrorCode.INVALID_ARGUMENT,
        "invalid request URI",
    )


def test_an_ipv6_address_of_ours_is_put_in_brackets() -> None:
    assert str(_dial(local_ip="2001:db8::1").invite.from_.uri) == "sip:+15105550101@[2001:db8::1]"


def test_the_requests_headers_lie_over_the_trunks() -> None:
    dial = _dial(
        replace(_REQUEST, headers={"X-A": "call"}),
        replace(_TRUNK, headers={"x-a": "t", "X-B": "t"}),
    )
    assert dial.invite.headers == (("X-A", "call"), ("X-B", "t"))


def test_the_participant_joins_with_what_is_known() -> None:
    request = replace(_REQUEST, attributes={"mine": "1", "sip.callID": "forged"})
    assert _dial(request).plan.guest.attributes == {
        "mine": "1",
        "sip.callID": "SCL_abc",
        "sip.trunkID": "ST_1",
        "sip.callStatus": "dialing",
        "sip.phoneNumber": "+15105550123",
        "sip.hostname": "sip.example.com:5070",
        "sip.trunkPhoneNumber": "+15105550101",
    }


def test_hidden_numbers_are_in_no_attribute() -> None:
    attributes = _dial(replace(_REQUEST, hide_phone_number=True)).plan.guest.attributes
    assert set(attributes) == {"sip.callID", "sip.trunkID", "sip.callStatus"}


@pytest.mark.parametrize(
    ("given", "ringing", "longest"),
    [(0.0, 180.0, 86400.0), (-1.0, 180.0, 86400.0), (7.5, 7.5, 7.5), (90000.0, 90000.0, 86400.0)],
)
def test_times_have_livekits_defaults_and_bounds(
    given: float, ringing: float, longest: float
) -> None:
    plan = _dial(replace(_REQUEST, ringing_timeout=given, max_call_duration=given)).plan
    assert (plan.ringing_timeout, plan.call.max_duration) == (ringing, longest)


def test_silence_is_borne_as_long_as_the_call_the_trunk_or_the_server_says() -> None:
    assert (_dial().plan.call.first_silence, _dial().plan.call.silence) == (30.0, 15.0)
    trunk = replace(_TRUNK, media=MediaConfig(timeout=60.0))
    assert (_dial(trunk=trunk).plan.call.first_silence, _dial(trunk=trunk).plan.call.silence) == (
        60.0,
        60.0,
    )
    call = replace(_REQUEST, media=MediaConfig(timeout=5.0))
    assert _dial(call, trunk).plan.call.silence == 5.0


def test_the_requests_choice_of_headers_goes_before_the_trunks() -> None:
    trunk = replace(_TRUNK, include_headers=HeaderOptions.ALL, headers_to_attributes={"X-A": "a"})
    rules = _dial(trunk=trunk).plan.call.attribute_rules
    assert (rules.include, rules.mapped) == (HeaderOptions.ALL, (("X-A", "a"),))
    request = replace(_REQUEST, include_headers=HeaderOptions.X_HEADERS)
    assert _dial(request, trunk).plan.call.attribute_rules.include is HeaderOptions.X_HEADERS


def test_codecs_that_the_server_lacks_are_named_before_anybody_is_called() -> None:
    request = replace(_REQUEST, media=MediaConfig(True, (ListedCodec("G729"),)))
    with pytest.raises(ServiceError, match="none of the listed codecs is supported; there are"):
        _dial(request)


def test_the_calls_wish_for_encryption_and_for_quiet_reaches_the_call() -> None:
    request = replace(
        _REQUEST, media=MediaConfig(encryption=Encryption.REQUIRE), krisp_enabled=True
    )
    plan = _dial(request).plan
    assert (plan.srtp, plan.call.denoise) == (SrtpPolicy.REQUIRED, True)
    assert _dial(trunk=replace(_TRUNK, transport=Transport.TLS)).invite.transport == "tls"


def test_an_inline_trunk_is_a_trunk_without_a_name() -> None:
    trunk = trunk_of(InlineTrunk("sip:sip.example.com;transport=tcp", auth_username="u"))
    assert (trunk.trunk_id, trunk.address) == ("", "sip.example.com")
    assert (trunk.transport, trunk.auth_username) == (Transport.TCP, "u")
