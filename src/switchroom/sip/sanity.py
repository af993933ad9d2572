"""Is this message fit to act upon? Each refusal is the one RFC 3261 and RFC 4475 name.

The parser cuts a message into pieces; this module reads those pieces that everything depends on.
A request that it lets through can be asked for via, cseq, from_, to, call_id and uri without fear,
a response for cseq, call_id and to_tag: its From is but an echo of ours.
"""

from __future__ import annotations

from typing import Final

from switchroom.base.records import record
from switchroom.sip.errors import (
    MalformedValueError,
    MessageTooLargeError,
    RemoteSipError,
    UnsupportedSchemeError,
)
from switchroom.sip.grammar import DEFAULT_LIMITS, Limits, parse_number
from switchroom.sip.headers import SINGLE_VALUED, Via
from switchroom.sip.message import Message, Request, Response
from switchroom.sip.responses import reason_phrase
from switchroom.sip.uri import NameAddr

_SERVED_SCHEMES: Final = frozenset({"sip", "sips", "tel"})


@record
class Refusal:
    """A final answer to a request that goes no further."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def phrase(self) -> str:
        """The reason, or the usual phrase for the status."""
        return self.reason or reason_phrase(self.status)


def check_request(request: Request, limits: Limits = DEFAULT_LIMITS) -> Refusal | None:
    """What is wrong with a request, or ``None``."""
    try:
        _check_fields(request, limits)
        _check_addresses(request)
        _check_request_line(request)
        _check_max_forwards(request)
    except RemoteSipError as fault:
        return Refusal(fault.status, phrase_for(fault))
    return None


def check_response(response: Response, limits: Limits = DEFAULT_LIMITS) -> str | None:
    """Why a response has to be dropped, or ``None``."""
    try:
        vias = _check_fields(response, limits)
        if len(vias) > 1 or ("," in vias[0] and len(response.headers.values("Via")) > 1):
            # Section 8.1.3.3: more than one Via means that it was meant for a proxy.
            return "more than one Via"
    except RemoteSipError as fault:
        return fault.reason
    return None


def _check_fields(message: Message, limits: Limits) -> list[str]:
    """Look at what every message has. Returns its Via fields."""
    headers = message.headers
    if headers.repeated:
        for key in SINGLE_VALUED:
            # RFC 4475 multi01.
            if len(headers.get_all(key)) > 1:
                raise MalformedValueError(f"more than one {key}")
    vias = headers.get_all("Via")
    if not vias:
        raise MalformedValueError("missing Via")
    if len(vias) > limits.list_entries:
        raise MessageTooLargeError("too many Via")
    if not message.call_id:
        raise MalformedValueError("missing Call-ID")
    message.cseq  # noqa: B018  # the typed values are made, and thereby checked, here
    message.to_tag  # noqa: B018
    return vias


def _check_addresses(request: Request) -> None:
    request.via  # noqa: B018
    request.from_tag  # noqa: B018
    request.from_  # noqa: B018
    request.to  # noqa: B018
    contact = request.contact if "Contact" in request.headers else None
    # Section 8.1.1.8: the Contact of an INVITE is a SIP URI, or nobody could send requests to it.
    if request.method == "INVITE" and contact and contact.uri.scheme not in ("sip", "sips"):
        raise MalformedValueError("bad Contact")


def _check_request_line(request: Request) -> None:
    if request.cseq.method != request.method:
        # RFC 4475 mismatch01, mismatch02.
        raise MalformedValueError("CSeq method does not match")
    uri = request.uri
    if uri.scheme not in _SERVED_SCHEMES:
        raise UnsupportedSchemeError("unsupported URI scheme")
    if uri.headers:
        # Section 19.1.1: headers have no place in a Request-URI (RFC 4475 escruri).
        raise MalformedValueError("headers in Request-URI")
    if "," in (request.headers.get("Via") or ""):
        for via in request.headers.values("Via"):
            Via.parse(via)
    for route in request.record_route:
        NameAddr.parse(route)


def _check_max_forwards(request: Request) -> None:
    value = request.headers.get("Max-Forwards")
    # Absent is RFC 2543 (RFC 4475 inv2543); 0 concerns proxies only (zeromf).
    if value is not None:
        parse_number(value, 255, "Max-Forwards")


def phrase_for(fault: RemoteSipError) -> str:
    """The reason phrase of the answer: the usual one, and for 400 what is wrong."""
    usual = reason_phrase(fault.status)
    return f"{usual} ({fault.reason})" if fault.status == 400 else usual
