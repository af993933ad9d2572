"""Building responses (RFC 3261 section 8.2.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from switchroom.sip.errors import MalformedValueError
from switchroom.sip.grammar import split_list
from switchroom.sip.headers import tag_of
from switchroom.sip.message import Request, Response

REASONS: Final = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued",
    183: "Session Progress", 200: "OK", 202: "Accepted",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required",
    408: "Request Timeout", 410: "Gone", 413: "Request Entity Too Large",
    414: "Request-URI Too Long", 415: "Unsupported Media Type", 416: "Unsupported URI Scheme",
    420: "Bad Extension", 421: "Extension Required", 422: "Session Interval Too Small",
    423: "Interval Too Brief", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops",
    484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending", 493: "Undecipherable",
    500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Server Time-out", 505: "Version Not Supported",
    513: "Message Too Large", 600: "Busy Everywhere", 603: "Decline",
    604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}  # fmt: skip
"""Reason phrases of RFC 3261 section 21 and the extensions we speak."""

METHODS: Final = (
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "NOTIFY", "REFER",
)  # fmt: skip
"""The methods that can be served; an endpoint may leave out REFER."""

ACCEPT: Final = ("Accept", "application/sdp")

OPTIONS: Final = ("100rel", "timer", "norefersub", "replaces")
"""The extensions that can be served; an endpoint may leave out ``replaces``."""


def allow(methods: Iterable[str]) -> tuple[str, str]:
    """The Allow field: the methods that are really served, so that it and behaviour agree."""
    return "Allow", ", ".join(method for method in METHODS if method in methods)


def supported(options: Iterable[str], *, without: str = "") -> tuple[str, str]:
    """The Supported field."""
    names = (option for option in OPTIONS if option in options and option != without)
    return "Supported", ", ".join(names)


def reason_phrase(status: int) -> str:
    """The usual phrase; that of the class (x00) for a status we don't know (section 8.1.3.2)."""
    return REASONS.get(status) or REASONS.get(status // 100 * 100) or "Unknown"


def _tagged(to: str) -> bool:
    try:
        return tag_of(to) is not None
    except MalformedValueError:
        return True  # broken as it is, it is echoed and no more


def _further_hops(vias: str) -> str:
    """What a Via field names behind its first hop, which the top Via replaces."""
    if "," not in vias:
        return ""
    try:
        return ", ".join(split_list(vias)[1:])
    except MalformedValueError:
        return vias.partition(",")[2].strip()  # broken as it is, it is echoed and no more


def make_response(
    request: Request,
    status: int,
    reason: str = "",
    *,
    top_via: str,
    to_tag: str | None,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    keep_route: bool = False,
) -> Response:
    """A response to ``request``.

    Via, From, Call-ID and CSeq are copied as they were written (8.2.6.2); ``top_via`` replaces the
    topmost Via; ``to_tag`` is added unless To has one. ``keep_route`` copies Record-Route, as
    every response that makes a dialog must (12.1.1).
    """
    source = request.headers
    vias = source.get_all("Via")
    rest_of_first = _further_hops(vias[0])
    to = source.get("To")
    if to and to_tag is not None and not _tagged(to):
        to = f"{to};tag={to_tag}"
    fields = [
        ("Via", f"{top_via}, {rest_of_first}" if rest_of_first else top_via),
        *(("Via", via) for via in vias[1:]),
    ]
    if keep_route:
        fields += [("Record-Route", route) for route in source.get_all("Record-Route")]
    echoed = (
        ("From", source.get("From")),
        ("To", to),
        ("Call-ID", source.get("Call-ID")),
        ("CSeq", source.get("CSeq")),
    )
    # A broken request may lack some of them (RFC 4475 insuf).
    fields += [(name, value) for name, value in echoed if value]
    fields += headers
    return Response(status, one_line(reason) or reason_phrase(status), fields, body)


def one_line(text: str) -> str:
    """``text`` without line breaks and other control characters: a reason phrase adds no header."""
    return "".join(mark if mark.isprintable() else " " for mark in text)
