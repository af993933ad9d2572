"""SIP headers that users set, and headers that become participant attributes.

Names and rules are LiveKit's: ``sip.h.<name>`` for headers taken over, a fixed list for providers,
and the trunk's own maps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum

from switchroom.base.records import record
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import Fields
from switchroom.telephony.errors import InvalidRequestError

_NAME = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,255}")
_LONGEST_VALUE = 1024
#: Headers that make the message what it is; a second one would contradict ours. Short forms too.
_OURS = frozenset(
    (
        "accept", "accept-encoding", "accept-language", "allow", "allow-events", "call-id",
        "contact", "content-encoding", "content-length", "content-type", "cseq", "event",
        "expires", "from", "max-forwards", "record-route", "refer-to", "reply-to",
        "k", "l", "m", "o", "r", "t", "u", "v",
    )
)  # fmt: skip
#: What a login says: with it, anybody in the room could look for the trunk's password.
CREDENTIALS = frozenset(("authorization", "proxy-authorization"))
#: Headers that tell the number of a phone whose number is hidden.
NUMBER_HEADERS = frozenset(
    (
        "from", "contact", "p-asserted-identity", "p-preferred-identity", "remote-party-id",
        "identity", "diversion", "history-info", "referred-by", "to", "via", "call-id",
    )
)  # fmt: skip
#: What carriers tell about the call, and the attributes that LiveKit puts it into. Each is an "X-".
_PROVIDER_ATTRIBUTES: Mapping[str, str] = {
    "x-twilio-accountsid": "sip.twilio.accountSid",
    "x-twilio-callsid": "sip.twilio.callSid",
    "x-call_leg_id": "sip.telnyx.callLegID",
    "x-call_session_id": "sip.telnyx.callSessionID",
    "x-amzn-connectcontactid": "sip.amazon.contactId",
    "x-amzn-connectinitialcontactid": "sip.amazon.initialContactId",
    "x-amzn-sourceaccount": "sip.amazon.sourceAccount",
    "x-amzn-sourcearn": "sip.amazon.sourceArn",
    "x-amzn-targetarn": "sip.amazon.targetArn",
    "x-lk-test-id": "lktest.id",
}


class HeaderOptions(IntEnum):
    """Which headers of the far end become ``sip.h.*`` attributes."""

    NONE = 0
    X_HEADERS = 1
    ALL = 2


@record
class AttributeRules:
    """How the far end's headers become attributes: `mapped` is header name -> attribute."""

    include: HeaderOptions = HeaderOptions.NONE
    mapped: tuple[tuple[str, str], ...] = ()


NO_RULES = AttributeRules()


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises InvalidRequestError for a header that must not be set or cannot be written."""
    for name, value in headers.items():
        _check_name(name)
        if name.lower() in _OURS:
            raise InvalidRequestError(f"invalid header name: {name} is set by the server")
        _check_value(name, value)


def check_header_names(names: Iterable[str]) -> None:
    """Raises InvalidRequestError where a header map of a trunk names what is no header."""
    for name in names:
        _check_name(name)


def _check_name(name: str) -> None:
    if not name:
        raise InvalidRequestError("invalid header name: name must not be empty")
    if not _NAME.fullmatch(name):
        shown = name[:40].encode("unicode_escape").decode("ascii")
        raise InvalidRequestError(f"invalid header name: {shown!r} is no SIP header name")


def _check_value(name: str, value: str) -> None:
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        # JSON can say half of a surrogate pair; a message with it could never be sent.
        raise InvalidRequestError(f"invalid header value for {name}: no Unicode text") from None
    if size > _LONGEST_VALUE:
        raise InvalidRequestError(
            f"invalid header value for {name}: longer than {_LONGEST_VALUE} bytes"
        )
    for char in value:
        code = ord(char)
        # A line break would start a header of the user's own making.
        if char != "\t" and (code < 0x20 or code == 0x7F or 0x80 <= code < 0xA0):
            raise InvalidRequestError(f"invalid header value for {name}: unprintable character")


def merge(trunk: Mapping[str, str], request: Mapping[str, str]) -> Fields:
    """The trunk's headers overlaid with the request's, in the order of their names."""
    if not trunk and not request:
        return ()
    merged = {name.lower(): (name, value) for name, value in trunk.items()}
    merged.update({name.lower(): (name, value) for name, value in request.items()})
    return tuple(merged[key] for key in sorted(merged))


def provider_attributes(headers: Headers) -> dict[str, str]:
    """What any response tells: the providers' own identifiers of the call."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name[:1] in "Xx":
            attribute = _PROVIDER_ATTRIBUTES.get(name.lower())
            if attribute is not None:
                found.setdefault(attribute, value)
    return found


def answer_attributes(headers: Headers, rules: AttributeRules) -> dict[str, str]:
    """What the 200 tells: ``sip.h.*``, the providers' identifiers, then the trunk's map.

    Of a repeated header the last value wins in ``sip.h.*`` and the first in a map, as in LiveKit.
    """
    found: dict[str, str] = {}
    if rules.include is not HeaderOptions.NONE:
        for name, value in headers:
            lowered = name.lower()
            if lowered in CREDENTIALS:
                continue
            if rules.include is HeaderOptions.ALL or lowered.startswith("x-"):
                found[f"sip.h.{lowered}"] = value
    found.update(provider_attributes(headers))
    for name, attribute in rules.mapped:
        given = headers.get(name)
        if given is not None:
            found[attribute] = given
    return found


def headers_from(attributes: Mapping[str, str], rules: Mapping[str, str]) -> Fields:
    """The headers of a BYE that a trunk's ``attributes_to_headers`` asks for.

    Attributes can be set by anyone in the room, so a value that no header can hold is left out.
    """
    chosen: list[tuple[str, str]] = []
    for attribute, name in rules.items():
        value = attributes.get(attribute)
        if not value or name.lower() in _OURS:
            continue
        try:
            _check_value(name, value)
        except InvalidRequestError:
            continue
        chosen.append((name, value))
    return tuple(sorted(chosen))
