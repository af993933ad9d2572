"""Header fields: their names, the ordered container, and the values that SIP itself acts upon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NoReturn

from switchroom.base.records import record
from switchroom.sip.errors import LocalSipError, MalformedMessageError, MalformedValueError
from switchroom.sip.grammar import (
    CONTROL,
    TOKEN,
    Params,
    find_param,
    format_params,
    is_token,
    parse_number,
    parse_params,
    split_host_port,
    split_list,
)

_COMPACT: Final = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "e": "Content-Encoding",
    "f": "From", "i": "Call-ID", "k": "Supported", "l": "Content-Length", "m": "Contact",
    "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via",
    "x": "Session-Expires", "y": "Identity",
}  # fmt: skip
"""Compact forms (RFC 3261 section 7.3.3 and the IANA registry)."""

SHORT_NAMES: Final = {name: short for short, name in _COMPACT.items()}

_KNOWN: Final = (
    "Accept", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Authorization",
    "Call-Info", "Content-Disposition", "Content-Language", "CSeq", "Date", "Diversion",
    "Error-Info", "Expires", "History-Info", "In-Reply-To", "Max-Forwards", "MIME-Version",
    "Min-Expires", "Min-SE", "Organization", "P-Asserted-Identity", "P-Preferred-Identity",
    "Priority", "Privacy", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Require", "RAck",
    "Reason", "Record-Route", "Remote-Party-ID", "Reply-To", "Require", "Retry-After", "Route",
    "RSeq", "Server", "SIP-ETag", "SIP-If-Match", "Timestamp", "Unsupported", "User-Agent",
    "User-to-User", "Warning", "WWW-Authenticate", *_COMPACT.values(),
)  # fmt: skip

SINGLE_VALUED: Final = ("call-id", "cseq", "from", "to", "max-forwards", "content-type")
"""Fields a message may hold once only (section 7.3.1; RFC 4475 multi01), framing's apart."""

_MEMO_LIMIT: Final = 4_096


class _Names(dict[str, tuple[str, str]]):
    """Spelling as received → (name to show, key to look up). Bounded; full, it only costs time.

    Raises MalformedMessageError for what can't be a name.
    """

    def __missing__(self, spelling: str) -> tuple[str, str]:
        name = spelling.rstrip(" \t")
        if not is_token(name):
            raise MalformedMessageError("bad header name")
        key = name.lower()
        entry = self.get(key) or (name, key)
        if len(self) < _MEMO_LIMIT and len(spelling) <= 64:
            self[spelling] = entry
        return entry


class _Keys(dict[str, str]):
    """Name → the key under which all its spellings meet; in lower case if it is none we know."""

    def __missing__(self, name: str) -> str:
        return name.lower()


_names: Final = _Names()
_keys: Final = _Keys()
for _name in _KNOWN:
    _names[_name] = _names[_name.lower()] = (_name, _name.lower())
for _short, _name in _COMPACT.items():
    _names[_short] = _names[_short.upper()] = (_name, _name.lower())
for _name, (_, _key) in _names.items():
    _keys[_name] = _key


def header_key(name: str) -> str:
    """The key under which all spellings of a header name meet: ``v``, ``VIA`` → ``via``."""
    return _keys[name]


class Headers:
    """Header fields in the order of the message, looked up without regard to case or compact form.

    Never changed after it was built. Known names are shown in their RFC spelling, unknown ones as
    they came.
    """

    __slots__ = ("_index", "fields")

    def __init__(
        self, fields: Sequence[tuple[str, str]] = (), index: dict[str, list[str]] | None = None
    ) -> None:
        self.fields = fields
        self._index = index

    @classmethod
    def parse_lines(cls, lines: list[str]) -> Headers:
        """Unfolded ``Name: value`` lines (raises MalformedMessageError)."""
        fields: list[tuple[str, str]] = []
        index: dict[str, list[str]] = {}
        for line in lines:
            spelling, colon, value = line.partition(":")
            if not colon:
                raise MalformedMessageError("header line without a colon")
            name, key = _names[spelling]
            value = value.strip(" \t")
            fields.append((name, value))
            if key in index:
                index[key].append(value)
            else:
                index[key] = [value]
        return cls(fields, index)

    def get(self, name: str) -> str | None:
        """The first value of the field, as written; ``None`` if absent."""
        key = _keys[name]
        if self._index is not None:
            values = self._index.get(key)
            return values[0] if values else None
        # A message of ours is asked for two or three fields near its top: not worth an index.
        for spelling, value in self.fields:
            if spelling == name or _keys[spelling] == key:
                return value
        return None

    def get_all(self, name: str) -> list[str]:
        """The value of each field of that name, as written."""
        key = _keys[name]
        if self._index is not None:
            return self._index.get(key) or []
        return [value for spelling, value in self.fields if _keys[spelling] == key]

    @property
    def repeated(self) -> bool:
        """Whether any field name occurs more than once."""
        names = self._index or {_keys[name] for name, _ in self.fields}
        return len(names) != len(self.fields)

    def values(self, name: str) -> list[str]:
        """The entries of a list header over all its fields (raises MalformedValueError)."""
        written = self.get_all(name)
        if not written:
            return []
        return [entry for value in written for entry in split_list(value)]

    def tokens(self, name: str) -> frozenset[str]:
        """The entries of a list of option tags or methods, as a set, in lower case."""
        return frozenset(entry.lower() for entry in self.values(name))

    def __contains__(self, name: str) -> bool:
        return bool(self.get_all(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and list(self.fields) == list(other.fields)

    __hash__ = None  # type: ignore[assignment]  # compared by content, never a key

    def __repr__(self) -> str:
        return f"Headers({list(self.fields)!r})"


def missing(name: str) -> NoReturn:
    """For a field that a message must have, and has not or has empty: ``get(x) or missing(x)``.

    Raises MalformedValueError.
    """
    raise MalformedValueError(f"missing {name}")


@record
class Via:
    """One hop of the response path (RFC 3261 section 20.42)."""

    transport: str
    """Upper case: UDP, TCP, TLS, …"""
    host: str
    port: int | None
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Via:
        """Raises MalformedValueError."""
        sent, semicolon, params = text.partition(";")
        protocol, _, by = sent.strip().partition(" ")
        pieces = protocol.split("/")
        if len(pieces) != 3 or "" in pieces:
            # LWS is allowed around both slashes (RFC 4475 wsinv).
            flat = sent.split("/")
            if len(flat) != 3:
                raise MalformedValueError("bad Via")
            words = flat[2].split(None, 1)
            if len(words) != 2:
                raise MalformedValueError("bad Via")
            pieces, by = [flat[0].strip(), flat[1].strip(), words[0]], words[1]
        if pieces[0].upper() != "SIP" or pieces[1] != "2.0" or not is_token(pieces[2]):
            raise MalformedValueError("bad Via")
        host, port = split_host_port(by.strip())
        return cls(pieces[2].upper(), host, port, parse_params(params) if semicolon else ())

    @property
    def branch(self) -> str | None:
        """The transaction's name (section 8.1.1.7)."""
        return find_param(self.params, "branch")

    @property
    def wants_rport(self) -> bool:
        """Whether the client asked for RFC 3581 treatment."""
        return "rport" in dict(self.params)

    @property
    def sent_by(self) -> tuple[str, int]:
        """Host in lower case, and the port with its default filled in."""
        return self.host.lower(), self.port or (5061 if self.transport == "TLS" else 5060)

    def __str__(self) -> str:
        port = f":{self.port}" if self.port is not None else ""
        return f"SIP/2.0/{self.transport} {self.host}{port}{format_params(self.params)}"


def branch_of(via: str) -> str:
    """The branch of a Via value without parsing the rest; empty if there is none.

    Raises MalformedValueError for what can't be a Via, where it has to look closer.
    """
    start = via.find(";branch=")
    if start < 0 or '"' in via:
        return Via.parse(split_list(via)[0]).branch or "" if via else ""
    branch = via[start + 8 :].partition(";")[0]
    if "," in via:
        # Several hops in one field: the branch must be that of the first.
        first = split_list(via)[0]
        return Via.parse(first).branch or ""
    return branch.strip(" \t")


@record
class CSeq:
    """Command sequence (section 20.16): a number below 2**31 and the method."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Raises MalformedValueError."""
        words = text.split()
        if len(words) != 2 or not TOKEN.fullmatch(words[1]):
            raise MalformedValueError("bad CSeq")
        return cls(parse_number(words[0], 2**31 - 1, "CSeq"), words[1])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@record
class RAck:
    """What a PRACK acknowledges (RFC 3262 section 7.2)."""

    rseq: int
    cseq: int
    method: str

    @classmethod
    def parse(cls, text: str) -> RAck:
        """Raises MalformedValueError."""
        words = text.split()
        if len(words) != 3:
            raise MalformedValueError("bad RAck")
        rseq = parse_number(words[0], 2**32 - 1, "RAck")
        return cls(rseq, parse_number(words[1], 2**31 - 1, "RAck"), words[2])

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


def tag_of(value: str) -> str | None:
    """The tag of a From or To value without parsing the address (for values already checked)."""
    _, angle, rest = value.rpartition(">")
    if not angle:
        rest = value.partition(";")[2]
    if '"' not in rest:
        if rest.startswith(";tag="):
            return rest[5:].partition(";")[0].strip(" \t") or None
        _, found, tail = rest.partition("tag=")
        if not found:
            return find_param(parse_params(rest), "tag") if "=" in rest else None
        before = rest[: -len(tail) - 4] if tail else rest[:-4]
        if before.rstrip(" \t").endswith(";") or not before:
            return tail.partition(";")[0].strip(" \t") or None
    return find_param(parse_params(rest), "tag")


def check_fields(fields: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Header fields that somebody asks us to send, if they can be sent safely.

    Raises LocalSipError for a name that is no token and for a value with a line break or another
    control character (header injection). Tabs are allowed. Half of a surrogate pair, which JSON can
    bring, fits no message; what stands for a byte of the wire goes out as it came.
    """
    checked = tuple(fields)
    for name, value in checked:
        if not is_token(name):
            raise LocalSipError("header name is no token")
        if CONTROL.search(value):
            raise LocalSipError(f"header {name} holds a control character")
        try:
            value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise LocalSipError(f"header {name} holds what is no text") from None
    return checked
