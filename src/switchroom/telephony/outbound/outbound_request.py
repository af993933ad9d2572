"""What CreateSIPParticipant asks for, as a record, and LiveKit's rules for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from switchroom.base.records import record
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.outbound.countries import is_country
from switchroom.telephony.routing.headers import HeaderOptions, check_headers
from switchroom.telephony.routing.media_config import DEFAULT_MEDIA, MediaConfig
from switchroom.telephony.routing.numbers import is_user_part
from switchroom.telephony.routing.trunks import (
    Transport,
    check_maps,
    no_pairs,
    read_address,
    read_from_host,
)

_LONGEST_DISPLAY_NAME = 128
_LONGEST_USER = 256
_NOT_QUOTABLE = "DisplayName must be a valid quoted string"
_NO_COUNTRY = "country must be a valid ISO 3166-1 alpha-2 code (2-letter like 'US', 'IN', 'UK')"


@record
class InlineTrunk:
    """A trunk that comes with the call: LiveKit's ``SIPOutboundConfig``."""

    hostname: str
    destination_country: str = ""
    transport: Transport = Transport.AUTO
    auth_username: str = ""
    auth_password: str = field(default="", repr=False)
    headers_to_attributes: Mapping[str, str] = field(default_factory=no_pairs)
    attributes_to_headers: Mapping[str, str] = field(default_factory=no_pairs)
    from_host: str = ""


@record
class SipAddress:
    """LiveKit's ``SIPUri``, or the same as text in ``raw``."""

    raw: str = ""
    user: str = ""
    host: str = ""
    ip: str = ""
    port: int = 0
    transport: Transport = Transport.AUTO


@record
class NamedAddress:
    """An address with the name shown beside it."""

    display_name: str
    address: SipAddress


@record
class Destination:
    """Where in the world the callee is; a hint for servers with more than one region."""

    city: str = ""
    country: str = ""
    region: str = ""


@record
class CreateSipParticipant:
    """LiveKit's ``CreateSIPParticipantRequest``. Times are seconds, 0 where not given."""

    room_name: str
    call_to: str
    trunk_id: str = ""
    trunk: InlineTrunk | None = None
    number: str = ""
    request_uri: SipAddress | None = None
    from_header: NamedAddress | None = None
    has_to_header: bool = False
    to_user_override: str = ""
    identity: str = ""
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=no_pairs)
    dtmf: str = ""
    play_dialtone: bool = False
    hide_phone_number: bool = False
    headers: Mapping[str, str] = field(default_factory=no_pairs)
    include_headers: HeaderOptions = HeaderOptions.NONE
    ringing_timeout: float = 0.0
    max_call_duration: float = 0.0
    krisp_enabled: bool = False
    media: MediaConfig = DEFAULT_MEDIA
    wait_until_answered: bool = False
    display_name: str | None = None
    destination: Destination | None = None

    @property
    def participant_identity(self) -> str:
        """The identity in the room: as given, else after the number."""
        return self.identity or f"sip_{self.call_to}"


@record
class SipParticipantInfo:
    """The answer: LiveKit's message of that name."""

    participant_id: str
    participant_identity: str
    room_name: str
    call_id: str


def check(request: CreateSipParticipant) -> None:
    """Raises InvalidRequestError with LiveKit's text for the first thing that is wrong."""
    if not (request.trunk_id or request.trunk or request.number):
        raise InvalidRequestError("missing sip trunk id and sip number")
    if request.trunk is not None:
        _check_inline(request.trunk)
    _check_callee(request)
    if not request.room_name:
        raise InvalidRequestError("missing room name")
    if request.display_name is not None:
        unquoted(request.display_name)
    if request.destination is not None:
        _check_destination(request.destination)
    check_headers(request.headers)
    request.media.check()


def _check_inline(trunk: InlineTrunk) -> None:
    if not trunk.hostname:
        raise InvalidRequestError("no outbound hostname specified")
    read_address(trunk.hostname, trunk.transport, "trunk hostname")
    read_from_host(trunk.from_host)
    check_maps(trunk.headers_to_attributes, trunk.attributes_to_headers)


def _check_callee(request: CreateSipParticipant) -> None:
    if not request.call_to:
        raise InvalidRequestError("missing sip callee number")
    if "@" in request.call_to:
        raise InvalidRequestError(
            "SipCallTo should be a phone number or SIP user, not a full SIP URI"
        )
    if len(request.call_to) > _LONGEST_USER:
        raise InvalidRequestError(f"SipCallTo too long (max {_LONGEST_USER} characters)")
    if request.has_to_header:
        raise InvalidRequestError("sip_to_header and sip_call_to cannot be used together")
    if request.to_user_override and not is_user_part(request.to_user_override):
        raise InvalidRequestError("to_user_override should be a SIP user, not a full SIP URI")


def _check_destination(destination: Destination) -> None:
    if destination.city and not (destination.country or destination.region):
        raise InvalidRequestError("if city is specified, country or region must also be specified")
    if destination.country and not is_country(destination.country):
        raise InvalidRequestError(_NO_COUNTRY)


#: What may stand between the quotes of a Go string literal: its escapes, or any other character.
_LITERAL = re.compile(
    r"\\(?:(?P<short>[abfnrtv\\\"])|x(?P<byte>[0-9A-Fa-f]{2})|(?P<octal>[0-3][0-7]{2})"
    r"|u(?P<four>[0-9A-Fa-f]{4})|U(?P<eight>[0-9A-Fa-f]{8}))"
    r"|(?P<plain>[^\"\\\n])"
)
_SHORT = {"\\": "\\", '"': '"'}


def unquoted(display_name: str) -> str:
    r"""The name itself: LiveKit wants it as it would stand in quotes, ``\"`` for a quote.

    Raises InvalidRequestError if it is too long, cannot stand in quotes, or holds a control
    character, which no SIP header may hold (RFC 3261 section 25.1).
    """
    if len(display_name.encode("utf-8", "surrogatepass")) > _LONGEST_DISPLAY_NAME:
        raise InvalidRequestError(f"DisplayName too long (max {_LONGEST_DISPLAY_NAME} characters)")
    parts: list[str] = []
    place = 0
    while place < len(display_name):
        found = _LITERAL.match(display_name, place)
        if found is None:
            raise InvalidRequestError(_NOT_QUOTABLE)
        parts.append(_character(found))
        place = found.end()
    name = "".join(parts)
    if not name.isprintable():
        raise InvalidRequestError(f"{_NOT_QUOTABLE}: it holds a control character")
    return name


def _character(found: re.Match[str]) -> str:
    kind, text = found.lastgroup, found[found.lastgroup or 0]
    if kind == "plain":
        return text
    if kind == "short":
        return _SHORT.get(text, "\n")  # all other short escapes are control characters
    code = int(text, 8 if kind == "octal" else 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise InvalidRequestError(_NOT_QUOTABLE)
    return chr(code)
