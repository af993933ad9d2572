"""SIP requests and responses: reading them from bytes and writing them (RFC 3261 section 7).

Reading is in two steps. ``parse_message`` cuts the bytes into start line, header fields and body
and fails only where that can't be done. Typed values (``request.cseq``, ``message.from_``) are made
on first use and kept; they raise MalformedValueError, so untrusted messages go through
``sanity.check`` first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Final

from switchroom.sip.errors import (
    MalformedMessageError,
    MessageTooLargeError,
    RemoteSipError,
    UnsupportedVersionError,
)
from switchroom.sip.grammar import DEFAULT_LIMITS, Limits, is_token
from switchroom.sip.headers import (
    SHORT_NAMES,
    CSeq,
    Headers,
    RAck,
    Via,
    branch_of,
    missing,
    tag_of,
)
from switchroom.sip.uri import NameAddr, Uri

_LENGTH: Final = "Content-Length"
_FOLD: Final = re.compile(r"\r\n[ \t]+")
_VERSION: Final = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)


class _Message:
    """What requests and responses share."""

    headers: Headers
    body: bytes

    # What was not read yet. No tag and no Call-ID is the empty text, so that stands for it.
    _via: Via | None = None
    _branch = ""
    _cseq: CSeq | None = None
    _from: NameAddr | None = None
    _to: NameAddr | None = None
    _call_id = ""
    _from_tag: str | None = ""
    _to_tag: str | None = ""

    @property
    def via(self) -> Via:
        """The topmost Via."""
        if self._via is None:
            value = self.headers.get("Via") or missing("Via")
            if "," in value:
                value = self.headers.values("Via")[0]
            self._via = Via.parse(value)
        return self._via

    @property
    def branch(self) -> str:
        """The branch of the topmost Via, empty if it has none (cheaper than ``via``)."""
        if not self._branch:
            self._branch = branch_of(self.headers.get("Via") or missing("Via"))
        return self._branch

    @property
    def cseq(self) -> CSeq:
        """Sequence number and method."""
        if self._cseq is None:
            self._cseq = CSeq.parse(self.headers.get("CSeq") or missing("CSeq"))
        return self._cseq

    @property
    def from_(self) -> NameAddr:
        """The logical sender."""
        if self._from is None:
            self._from = NameAddr.parse(self.headers.get("From") or missing("From"))
        return self._from

    @property
    def to(self) -> NameAddr:
        """The logical recipient."""
        if self._to is None:
            self._to = NameAddr.parse(self.headers.get("To") or missing("To"))
        return self._to

    @property
    def call_id(self) -> str:
        """Compared octet by octet (section 20.8); empty if there is none."""
        if not self._call_id:
            self._call_id = self.headers.get("Call-ID") or ""
        return self._call_id

    @property
    def from_tag(self) -> str | None:
        """Tag of the sender; absent only with RFC 2543 peers."""
        if self._from_tag == "":
            self._from_tag = tag_of(self.headers.get("From") or missing("From"))
        return self._from_tag

    @property
    def to_tag(self) -> str | None:
        """Tag of the recipient; absent in a request outside of a dialog."""
        if self._to_tag == "":
            self._to_tag = tag_of(self.headers.get("To") or missing("To"))
        return self._to_tag

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, if any."""
        value = self.headers.get("Contact")
        if not value or "," in value:
            value = next(iter(self.headers.values("Contact")), None)
        return NameAddr.parse(value) if value is not None else None

    @property
    def record_route(self) -> tuple[str, ...]:
        """All Record-Route entries from top to bottom, as written."""
        return tuple(self.headers.values("Record-Route"))

    @property
    def content_type(self) -> str:
        """``type/subtype`` of the body in lower case, without parameters; empty if not told."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    def _start_line(self) -> str:
        raise NotImplementedError

    def serialise(self, *, compact: bool = False) -> bytes:
        """The message as bytes. Content-Length is always written, and always from the body.

        ``compact`` writes the one-letter header names of section 7.3.3.
        """
        lines = [self._start_line()]
        fields = self.headers.fields
        if compact:
            short = SHORT_NAMES.get
            lines += [f"{short(name, name)}:{value}" for name, value in fields if name != _LENGTH]
            lines.append(f"l:{len(self.body)}\r\n\r\n")
        else:
            lines += [f"{name}: {value}" for name, value in fields if name != _LENGTH]
            lines.append(f"{_LENGTH}: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


class Request(_Message):
    """A request. ``target`` is the Request-URI as written; ``uri`` is the same, parsed."""

    _uri: Uri | None = None

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers | Sequence[tuple[str, str]],
        body: bytes = b"",
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body

    @classmethod
    def compose(
        cls,
        method: str,
        target: str,
        *,
        via: str,
        routes: Iterable[str] = (),
        from_: str,
        to: str,
        call_id: str,
        number: int,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Request:
        """A request of ours: what each must have (section 8.1.1), then ``fields``.

        ``via`` ends with its branch (see `Flow.via`), ``number`` is that of CSeq.
        """
        headers = [
            ("Via", via),
            ("Max-Forwards", "70"),
            *zip(repeat("Route"), routes),
            ("From", from_),
            ("To", to),
            ("Call-ID", call_id),
            ("CSeq", f"{number} {method}"),
            *fields,
        ]
        request = cls(method, target, headers, body)
        request._call_id, request._cseq = call_id, CSeq(number, method)
        request._branch = via.rpartition(";branch=")[2]
        return request

    @property
    def uri(self) -> Uri:
        """The Request-URI (raises MalformedValueError)."""
        if self._uri is None:
            self._uri = Uri.parse(self.target)
        return self._uri

    @property
    def secure(self) -> bool:
        """Whether it is for a ``sips`` URI."""
        return self.target[:5].lower() == "sips:"

    @property
    def rack(self) -> RAck:
        """What this PRACK acknowledges (raises MalformedValueError)."""
        return RAck.parse(self.headers.get("RAck") or missing("RAck"))

    def _start_line(self) -> str:
        return f"{self.method} {self.target} SIP/2.0"

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


class Response(_Message):
    """A response: status 100–699 and the reason phrase as written."""

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Headers | Sequence[tuple[str, str]],
        body: bytes = b"",
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body
        self.is_provisional = status < 200
        """1xx."""
        self.is_success = 200 <= status < 300
        """2xx."""

    @property
    def rseq(self) -> int | None:
        """RSeq of a reliable provisional response (RFC 3262); ``None`` if absent or unreadable."""
        value = self.headers.get("RSeq")
        if value is None or not (value.isascii() and value.isdigit() and len(value) <= 10):
            return None
        return int(value)

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


Message = Request | Response


class UnparsableError(Exception):
    """``parse_message`` failed: ``fault`` says how, ``request`` is what is left of a request.

    The saved request has the start line and header fields that were readable, enough to answer the
    fault statelessly; it is ``None`` if the bytes were a response or nothing recognisable.
    """

    def __init__(self, fault: RemoteSipError, request: Request | None = None) -> None:
        super().__init__(fault.reason)
        self.fault = fault
        self.request = request


def parse_message(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Message:
    """One whole message: a datagram, or what the stream framer cut out.

    Bytes past Content-Length are ignored, without Content-Length the body reaches to the end
    (section 18.3). Raises UnparsableError.
    """
    # Section 7.5: line breaks before the start line are ignored.
    head, blank, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    text = head.decode("utf-8", "surrogateescape")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    # Some peers forget the blank line of a datagram that has no body (as does our copy of baddn).
    whole = bool(blank) or text.endswith("\r\n")
    start, _, rest = text.removesuffix("\r\n").partition("\r\n")
    try:
        if len(data) > limits.message_bytes:
            raise MessageTooLargeError("message too large")
        lines = rest.split("\r\n") if rest else []
        message = _parse_start_line(start)
        if not whole:
            raise MalformedMessageError("message ends inside its headers")
        message.headers = _parse_head(text, lines, limits)
        message.body = _body(message.headers, body)
    except RemoteSipError as fault:
        raise UnparsableError(fault, salvage(head)) from fault
    return message


def _parse_start_line(line: str) -> Message:
    if line.startswith("SIP/"):
        return _parse_status_line(line)
    words = line.split(" ")
    if len(words) != 3 or not is_token(words[0]) or not words[1] or "\t" in line:
        # Single spaces and nothing else: RFC 4475 lwsruri, lwsstart, trws, ltgtruri.
        raise MalformedMessageError("bad request line")
    method, target, version = words
    if version.upper() != "SIP/2.0":
        if _VERSION.fullmatch(version):
            raise UnsupportedVersionError("version not supported")
        raise MalformedMessageError("bad request line")
    return Request(method, target, _NO_HEADERS)


def _parse_status_line(line: str) -> Response:
    version, _, rest = line.partition(" ")
    code, _, reason = rest.partition(" ")
    if version.upper() != "SIP/2.0":
        raise UnsupportedVersionError("version not supported")
    # Three digits exactly; RFC 4475 bigcode has ten.
    if len(code) != 3 or not (code.isascii() and code.isdigit()) or not "1" <= code[0] <= "6":
        raise MalformedMessageError("bad status code")
    return Response(int(code), reason, _NO_HEADERS)


_NO_HEADERS: Final = Headers()


def _parse_head(text: str, lines: list[str], limits: Limits) -> Headers:
    breaks = text.count("\r\n")
    if text.count("\r") != breaks or text.count("\n") != breaks:
        raise MalformedMessageError("stray line break")
    if len(lines) > limits.header_fields:
        raise MessageTooLargeError("too many header fields")
    if len(text) > limits.header_chars and max(map(len, lines)) > limits.header_chars:
        raise MessageTooLargeError("header field too long")
    return Headers.parse_lines(lines)


def _body(headers: Headers, body: bytes) -> bytes:
    values = headers.get_all("Content-Length")
    if not values:
        return body
    if len(values) > 1 and len(set(values)) > 1:
        raise MalformedMessageError("conflicting Content-Length")
    value = values[0]
    # isdigit() also refuses the sign of RFC 4475 ncl.
    if not (value.isascii() and value.isdigit() and len(value) <= 10):
        raise MalformedMessageError("bad Content-Length")
    length = int(value)
    if length > len(body):
        raise MalformedMessageError("Content-Length larger than message")
    return body[:length] if length < len(body) else body


def salvage(head: bytes) -> Request | None:
    """What can be read of a broken request, to answer it; ``None`` if it is none."""
    start, _, rest = head.decode("utf-8", "surrogateescape").partition("\r\n")
    method, _, target = start.partition(" ")
    if not is_token(method):
        return None
    fields: list[tuple[str, str]] = []
    for line in rest.split("\r\n")[:64]:
        name, colon, value = line.partition(":")
        # What is echoed in an answer must be harmless: one line of bounded length.
        clean = len(line) <= 1_024 and "\r" not in line and "\n" not in line
        if colon and clean and is_token(name.strip(" \t")):
            fields.append((name.strip(" \t"), value.strip(" \t")))
    return Request(method, target.partition(" ")[0], fields)
