"""Session descriptions (RFC 8866) to and from text.

Reading is forgiving, since a call is worth more than a rule: bare LF, blanks at the end of lines,
unknown lines and lines out of order are taken. What decides who sends what where is not guessed
at: a bad ``m=`` or ``c=`` line is an error. Writing is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from switchroom.base.ip_addresses import is_ip
from switchroom.base.records import record
from switchroom.sdp.codecs import Codec, bounded_number, listed_codecs
from switchroom.sdp.errors import SdpError

MAX_BYTES = 65_536
MAX_SECTIONS = 16
MAX_FORMATS = 64

_LETTERS = "oscm"
"""The lines that tell us something, attributes apart."""

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]


@record
class Origin:
    """The ``o=`` line. Identifier and version stay text: many devices exceed any integer type."""

    username: str = "-"
    session_id: str = "0"
    version: str = "0"
    address: str = "0.0.0.0"


@record
class Attribute:
    """``a=name`` (value None) or ``a=name:value``."""

    name: str
    value: str | None = None


@record
class MediaSection:
    """One ``m=`` line and what belongs to it. `address` is its own ``c=``, None if it has none."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    address: str | None = None
    attributes: tuple[Attribute, ...] = ()
    written_from: tuple[Codec, ...] = field(default=(), repr=False, compare=False)
    """The codecs of a section that is ours, which need not be read out of it again."""

    def values(self, name: str) -> tuple[str, ...]:
        """The values of all its attributes of that name, in order."""
        found: list[str] = []
        for attribute in self.attributes:
            if attribute.name == name and attribute.value is not None:
                found.append(attribute.value)  # noqa: PERF401 - asked five times for each call
        return tuple(found)

    def value(self, name: str) -> str | None:
        """The value of its first attribute of that name."""
        for attribute in self.attributes:
            if attribute.name == name and attribute.value is not None:
                return attribute.value
        return None

    def has(self, name: str) -> bool:
        """Whether it has an attribute of that name."""
        for attribute in self.attributes:  # noqa: SIM110 - any() is a call for each
            if attribute.name == name:
                return True
        return False

    @property
    def direction(self) -> Direction | None:
        """Its own direction attribute; None means what the session says."""
        return _direction(self.attributes)

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """Its codecs, the most wanted first. Unreadable ones are left out."""
        if self.written_from:
            return self.written_from
        return listed_codecs(self.formats, self.values("rtpmap"), self.values("fmtp"))


@record
class SessionDescription:
    """A whole description; `address` is the session's ``c=``, which sections may override."""

    origin: Origin = Origin()
    name: str = "-"
    address: str | None = None
    attributes: tuple[Attribute, ...] = ()
    sections: tuple[MediaSection, ...] = ()

    @classmethod
    def parse(cls, body: bytes | str) -> SessionDescription:
        """Read a body. Raises SdpError, and nothing else, in time linear in its length."""
        return _Reader().read(body)

    def serialise(self) -> bytes:
        """The exact text, lines ended by CRLF (RFC 8866 section 5)."""
        origin = self.origin
        lines = [
            "v=0",
            f"o={origin.username} {origin.session_id} {origin.version} {_net(origin.address)}",
            f"s={self.name}",
        ]
        if self.address is not None:
            lines.append(f"c={_net(self.address)}")
        lines.append("t=0 0")
        if self.attributes:
            lines += _written(self.attributes)
        for section in self.sections:
            formats = " ".join(section.formats)
            lines.append(f"m={section.kind} {section.port} {section.protocol} {formats}")
            if section.address is not None:
                lines.append(f"c={_net(section.address)}")
            lines += _written(section.attributes)
        lines.append("")
        return "\r\n".join(lines).encode()

    def address_of(self, section: MediaSection) -> str | None:
        """Where the section's media goes: its own ``c=``, else the session's."""
        return section.address if section.address is not None else self.address

    def direction_of(self, section: MediaSection) -> Direction:
        """The section's direction, else the session's, else sendrecv (RFC 8866 section 6.7)."""
        return _direction(section.attributes) or _direction(self.attributes) or "sendrecv"


def _written(attributes: Iterable[Attribute]) -> list[str]:
    return [f"a={a.name}" if a.value is None else f"a={a.name}:{a.value}" for a in attributes]


def _direction(attributes: tuple[Attribute, ...]) -> Direction | None:
    for attribute in attributes:
        found = _DIRECTIONS.get(attribute.name)
        if found is not None:
            return found
    return None


_DIRECTIONS: dict[str, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "sendonly",
    "recvonly": "recvonly",
    "inactive": "inactive",
}


def _net(address: str) -> str:
    return f"IN {'IP6' if ':' in address else 'IP4'} {address}"


@dataclass(slots=True)
class _OpenSection:
    """A section whose lines are still being read."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    address: str | None = None
    attributes: list[Attribute] = field(default_factory=list)

    def close(self) -> MediaSection:
        return MediaSection(
            self.kind, self.port, self.protocol, self.formats, self.address, tuple(self.attributes)
        )


class _Reader:
    """Collects the lines of one body."""

    def __init__(self) -> None:
        self.origin = Origin()
        self.name = "-"
        self.address: str | None = None
        self.attributes: list[Attribute] = []
        self.sections: list[_OpenSection] = []
        self._attributes = self.attributes
        """Those that are being read: of the session, then of the last section."""

    def read(self, body: bytes | str) -> SessionDescription:
        if len(body) > MAX_BYTES:
            raise SdpError(f"longer than {MAX_BYTES} bytes")
        # UTF-8 is the rule, but a session name in Latin-1 must not end a call.
        raw = body if isinstance(body, bytes) else body.encode("utf-8", "replace")
        text = raw.decode("utf-8", "replace")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = [line for written in text.split("\n") if (line := written.rstrip())]
        if not lines or lines[0].replace(" ", "") != "v=0":
            raise SdpError("does not begin with v=0")
        for line in lines:
            if line.startswith("a=") and line != "a=":
                self._attributes.append(_attribute_line(line[2:]))
            elif line[0] in _LETTERS and line[1:2] == "=":
                self._line(line[0], line[2:].strip())
        sections = tuple([section.close() for section in self.sections])
        attributes = tuple(self.attributes)
        return SessionDescription(self.origin, self.name, self.address, attributes, sections)

    def _line(self, letter: str, value: str) -> None:
        match letter:
            case "m":
                if len(self.sections) == MAX_SECTIONS:
                    raise SdpError(f"more than {MAX_SECTIONS} m= lines")
                self.sections.append(_media_line(value))
                self._attributes = self.sections[-1].attributes
            case "c":
                self._connection(_connection_line(value))
            case "o" if not self.sections:
                self.origin = _origin_line(value)
            case "s" if not self.sections:
                self.name = value or "-"

    def _connection(self, address: str) -> None:
        """The first of several counts: more are for layered multicast (RFC 8866 section 5.7)."""
        if not self.sections:
            self.address = self.address or address
        elif self.sections[-1].address is None:
            self.sections[-1].address = address


def _media_line(value: str) -> _OpenSection:
    fields = value.split(maxsplit=MAX_FORMATS + 3)
    if len(fields) < 3:
        raise SdpError(f"m={value[:80]} is not '<kind> <port> <protocol> <formats>'")
    if len(fields) > MAX_FORMATS + 3:
        raise SdpError(f"more than {MAX_FORMATS} formats in an m= line")
    port, _, _count = fields[1].partition("/")
    return _OpenSection(
        fields[0].lower(), bounded_number(port, 65_535, "port"), fields[2], tuple(fields[3:])
    )


def _connection_line(value: str) -> str:
    """The address, without the multicast TTL. A host name is kept; its reader must judge it."""
    fields = value.split()
    if len(fields) != 3 or fields[0].upper() != "IN" or fields[1].upper() not in ("IP4", "IP6"):
        raise SdpError(f"c={value[:80]} is not 'IN IP4|IP6 <address>'")
    address = fields[2].partition("/")[0].strip("[]")
    if not address or len(address) > 255:
        raise SdpError("c= without a usable address")
    if ":" in address and not is_ip(address):
        raise SdpError(f"c={value[:80]} is not an IP address")
    return address


def _origin_line(value: str) -> Origin:
    """A damaged ``o=`` line costs us the knowledge of changes, so it is not worth a call."""
    fields = value.split()
    if len(fields) != 6:
        return Origin()
    return Origin(fields[0], fields[1], fields[2], fields[5])


def _attribute_line(value: str) -> Attribute:
    name, colon, rest = value.partition(":")
    return Attribute(name.strip().lower(), rest.strip() if colon else None)
