"""A request and a trunk become a dial: addresses, headers, attributes, deadlines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from switchroom.base.records import record, replace
from switchroom.sip.digest import Credentials
from switchroom.sip.errors import SipError
from switchroom.sip.grammar import split_host_port
from switchroom.sip.invite_session import Fields, OutgoingInvite
from switchroom.sip.uri import NameAddr, Uri
from switchroom.telephony.calls.call import CallPlan
from switchroom.telephony.calls.call_events import Guest
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.errors import InvalidRequestError, NotPossibleError
from switchroom.telephony.outbound.dialling import DialPlan
from switchroom.telephony.outbound.outbound_request import (
    CreateSipParticipant,
    InlineTrunk,
    NamedAddress,
    SipAddress,
    unquoted,
)
from switchroom.telephony.routing.headers import AttributeRules, HeaderOptions, merge
from switchroom.telephony.routing.media_config import MediaConfig, offered_codecs, srtp_policy
from switchroom.telephony.routing.numbers import from_number
from switchroom.telephony.routing.trunks import (
    OutboundTrunk,
    read_address,
    read_from_host,
)
from switchroom.telephony.sip_endpoint import SipEndpoint

DEFAULT_RINGING_TIMEOUT = 180.0
LONGEST_CALL = 24 * 3600.0
DEFAULT_DEADLINE = 30.0
WAITING_DEADLINE = 80.0


@record
class DialSettings:
    """The server's own, for what neither trunk nor request says. Times are seconds.

    ``codecs`` switches codecs on and off for all calls. ``early_media`` lets rooms hear what the
    network says before the answer, ``allow_refer`` phones transfer calls, ``detect_tones`` phones
    without telephone events press keys by their tones.
    """

    first_silence: float = 30.0
    silence: float = 15.0
    codecs: Mapping[str, bool] = field(default_factory=dict)
    early_media: bool = False
    allow_refer: bool = False
    detect_tones: bool = False


@record
class Dial:
    """Everything that a call needs to know before its first step.

    ``invite`` has no body yet. ``local_ip`` is where the media is bound, ``advertised_ip`` where
    the carrier reaches it.
    """

    call_id: str
    request: CreateSipParticipant
    trunk: OutboundTrunk
    from_number: str
    local_ip: str
    advertised_ip: str
    invite: OutgoingInvite
    plan: DialPlan


def trunk_of(inline: InlineTrunk) -> OutboundTrunk:
    """A trunk that lasts for one call. Raises InvalidRequestError."""
    address, transport = read_address(inline.hostname, inline.transport, "trunk hostname")
    return OutboundTrunk(
        address=address,
        transport=transport,
        destination_country=inline.destination_country,
        auth_username=inline.auth_username,
        auth_password=inline.auth_password,
        headers_to_attributes=inline.headers_to_attributes,
        attributes_to_headers=inline.attributes_to_headers,
        from_host=read_from_host(inline.from_host),
    )


def prepare(
    request: CreateSipParticipant,
    trunk: OutboundTrunk,
    *,
    call_id: str,
    answer_by: float | None,
    durable: bool,
    settings: DialSettings,
    choose: Callable[[Sequence[str]], str],
    sip: SipEndpoint,
) -> Dial:
    """The dial of a checked request. `choose` picks one of the trunk's numbers.

    Raises InvalidRequestError or CallFailedError for what shows only with the trunk at hand.
    """
    host, port = _place_of(trunk)
    number = _own_number(request, trunk, host, choose)
    media = trunk.media.overlaid(request.media)
    local_ip = sip.local_address_towards(host)
    advertised_ip = sip.advertised_address_of(local_ip)
    from_host = trunk.from_host or _as_host(advertised_ip)
    try:
        callee = Uri.sip(request.call_to, host, port, transport=trunk.transport.parameter)
        invite = _invite(request, trunk, callee, _from(request, number, from_host), call_id)
    except SipError as error:
        raise _unfit(error) from error
    return Dial(
        call_id=call_id,
        request=request,
        trunk=trunk,
        from_number=number,
        local_ip=local_ip,
        advertised_ip=advertised_ip,
        invite=invite,
        plan=DialPlan(
            call=_plan(request, trunk, media, settings),
            guest=_guest(request, _attributes(request, trunk, call_id, number)),
            codecs=offered_codecs(media, settings.codecs),
            ringing_timeout=request.ringing_timeout
            if request.ringing_timeout > 0
            else DEFAULT_RINGING_TIMEOUT,
            digits=request.dtmf,
            play_dialtone=request.play_dialtone,
            durable_dial=durable,
            answer_by=answer_by,
            srtp=srtp_policy(media.encryption),
            early_media=settings.early_media,
        ),
    )


def _place_of(trunk: OutboundTrunk) -> tuple[str, int | None]:
    """Host and port; those of a trunk from an earlier version may be none."""
    try:
        return split_host_port(trunk.address)
    except SipError as error:
        raise _unfit(error) from error


def _unfit(error: SipError) -> CallFailedError:
    return CallFailedError(Termination(Cause.ADDRESS_ERROR, detail=str(error)))


def _own_number(
    request: CreateSipParticipant,
    trunk: OutboundTrunk,
    host: str,
    choose: Callable[[Sequence[str]], str],
) -> str:
    if not request.number and not trunk.numbers:
        raise NotPossibleError("no numbers on outbound trunk")
    return from_number(request.number or choose(trunk.numbers), host)


def _plan(
    request: CreateSipParticipant, trunk: OutboundTrunk, media: MediaConfig, settings: DialSettings
) -> CallPlan:
    longest = request.max_call_duration
    include = request.include_headers
    if include is HeaderOptions.NONE:
        include = trunk.include_headers
    return CallPlan(
        max_duration=longest if 0 < longest < LONGEST_CALL else LONGEST_CALL,
        first_silence=max(settings.first_silence, media.timeout or 0.0),
        silence=media.timeout or settings.silence,
        attribute_rules=AttributeRules(include, tuple(trunk.headers_to_attributes.items())),
        attributes_to_headers=trunk.attributes_to_headers,
        allow_refer=settings.allow_refer,
        denoise=request.krisp_enabled,
        detect_tones=settings.detect_tones,
    )


def _guest(request: CreateSipParticipant, attributes: Mapping[str, str]) -> Guest:
    return Guest(
        room_name=request.room_name,
        identity=request.participant_identity,
        name=request.name,
        metadata=request.metadata,
        attributes=attributes,
    )


def _attributes(
    request: CreateSipParticipant, trunk: OutboundTrunk, call_id: str, number: str
) -> dict[str, str]:
    attributes = dict(request.attributes)
    attributes["sip.callID"] = call_id
    attributes["sip.trunkID"] = trunk.trunk_id
    attributes["sip.callStatus"] = "dialing"
    if not request.hide_phone_number:
        attributes["sip.phoneNumber"] = request.call_to
        attributes["sip.hostname"] = trunk.address
        attributes["sip.trunkPhoneNumber"] = number
    return attributes


# ── addresses ────────────────────────────────────────────────────────────────


def _invite(
    request: CreateSipParticipant,
    trunk: OutboundTrunk,
    callee: Uri,
    from_: NameAddr,
    call_id: str,
) -> OutgoingInvite:
    to, transport = callee, trunk.transport.parameter
    if request.to_user_override:
        to = Uri.sip(request.to_user_override, callee.host, callee.port, transport=transport)
    both = trunk.auth_username and trunk.auth_password
    return OutgoingInvite(
        call_id=_sip_call_id(call_id),
        local_tag=call_id,
        request_uri=_request_uri(request.request_uri, callee),
        to=NameAddr(to),
        from_=from_,
        headers=_headers(request, trunk),
        credentials=Credentials(trunk.auth_username, trunk.auth_password) if both else None,
        transport=transport,
    )


def _headers(request: CreateSipParticipant, trunk: OutboundTrunk) -> Fields:
    return merge(trunk.headers, request.headers)


def _sip_call_id(call_id: str) -> str:
    """One Call-ID for all attempts of a call, not to be guessed from what the room shows."""
    return hashlib.sha256(f"switchroom {call_id}".encode()).hexdigest()[:32]


def _from(request: CreateSipParticipant, number: str, host: str) -> NameAddr:
    given = request.from_header
    if given is not None:
        return _named(given, Uri.sip(number, host))
    # LiveKit: absent shows the number, empty shows nothing, any other text shows itself.
    display = number if request.display_name is None else unquoted(request.display_name)
    return NameAddr(Uri.sip(number, host), display)


def _as_host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def _named(given: NamedAddress, fallback: Uri) -> NameAddr:
    uri = _uri(given.address, fallback)
    return NameAddr(uri, unquoted(given.display_name) if given.display_name else "")


def _request_uri(given: SipAddress | None, callee: Uri) -> Uri:
    if given is None:
        return callee
    try:
        return _uri(given, callee).without_headers()
    except SipError as error:
        raise InvalidRequestError("invalid request URI") from error


def _uri(given: SipAddress, fallback: Uri) -> Uri:
    """The address as given; parts that are missing come from `fallback`. Raises SipError."""
    if given.raw:
        return Uri.parse(given.raw)
    uri = Uri.sip(
        given.user or None,
        given.ip or given.host or fallback.host,
        given.port or None,
        transport=given.transport.parameter,
    )
    return uri if given.user else replace(uri, user=fallback.user)
