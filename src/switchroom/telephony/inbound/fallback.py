"""Where a caller is sent when nobody comes, as the setting says it. Pure."""

from __future__ import annotations

import re

from switchroom.base.records import record
from switchroom.sip.errors import SipError
from switchroom.sip.uri import Uri

_NUMBER = re.compile(r"\+?[0-9*#]{1,32}", re.ASCII)
_STATUS = re.compile(r"[4-6]\d\d", re.ASCII)


@record
class Forward:
    """Phone this number over an outbound trunk, and let the two talk."""

    number: str


@record
class Redirect:
    """Tell the caller's side to try this address (302)."""

    uri: str


@record
class Refuse:
    """Refuse with this status."""

    status: int


Fallback = Forward | Redirect | Refuse


def read_fallback(text: str) -> Fallback | None:
    """``+12025550121``, ``sip:desk@example.com`` or ``480``; None for an empty text.

    Raises ValueError whose message finishes the sentence "sip.inbound.fallback must be ...".
    """
    text = text.strip()
    if not text:
        return None
    if _STATUS.fullmatch(text):
        return Refuse(int(text))
    if _NUMBER.fullmatch(text):
        return Forward(text)
    try:
        uri = Uri.parse(text)
    except SipError:
        uri = None
    if uri is None or uri.scheme not in ("sip", "sips", "tel"):
        raise ValueError("a number, a sip: or tel: address, or a SIP status such as 480")
    return Redirect(str(uri))
