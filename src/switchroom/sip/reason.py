"""The Reason header field (RFC 3326): why a BYE or a CANCEL was sent, as its sender says."""

from __future__ import annotations

from switchroom.base.records import record
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.grammar import find_param, parse_params, quote, unquote
from switchroom.sip.headers import Headers


@record
class Reason:
    """One reason, such as ``Q.850;cause=16;text="Normal call clearing"``."""

    protocol: str
    """As written: ``SIP``, ``Q.850``, …"""
    cause: int | None
    """A status of that protocol; ``None`` if there is none that can be read."""
    text: str = ""

    def __str__(self) -> str:
        cause = "" if self.cause is None else f";cause={self.cause}"
        text = f";text={quote(self.text)}" if self.text else ""
        return f"{self.protocol}{cause}{text}"


def parse_reasons(headers: Headers) -> tuple[Reason, ...]:
    """The reasons of a message in their order; what can't be read is left out, nothing raises."""
    try:
        values = headers.values("Reason")
    except MalformedValueError:
        return ()
    return tuple(reason for value in values if (reason := _parse(value)) is not None)


def _parse(value: str) -> Reason | None:
    protocol, semicolon, rest = value.partition(";")
    try:
        params = parse_params(rest) if semicolon else ()
    except MalformedValueError:
        return None
    cause = (find_param(params, "cause") or "").strip('"')
    readable = cause.isascii() and cause.isdigit() and len(cause) <= 4
    text = unquote(find_param(params, "text") or "")
    return Reason(protocol.strip(), int(cause) if readable else None, text)
