"""WebRTC descriptions as lines.

Offers of browsers and answers of the media engine are long and full of lines that only they
understand. They are therefore not modelled: they are cut into sections, and single lines are
changed, so that everything else stays as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from switchroom.base.records import record
from switchroom.sdp.codecs import bounded_number
from switchroom.sdp.description import Direction
from switchroom.sdp.errors import SdpError

MAX_CHARACTERS = 2_000_000
MAX_SECTIONS = 512

#: The media engine cuts longer mids and changes other characters (str0m), so they are refused.
_MID = re.compile(r"[A-Za-z0-9_]{1,16}")

_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")


@record
class Section:
    """The lines of one ``m=`` section, that line first, without line ends."""

    lines: tuple[str, ...]

    @property
    def fields(self) -> list[str]:
        """The ``m=`` line: kind, port, protocol, formats."""
        return self.lines[0][2:].split()

    @property
    def kind(self) -> str:
        return self.fields[0]

    @property
    def rejected(self) -> bool:
        """Whether its port is 0."""
        return self.fields[1] == "0"

    @property
    def formats(self) -> list[str]:
        return self.fields[3:]

    @property
    def mid(self) -> str:
        """Its identification (RFC 5888). Raises SdpError if there is none that we can keep."""
        mid = self.value("mid")
        if mid is None or not _MID.fullmatch(mid):
            raise SdpError(f"a section's mid is {str(mid)[:40]!r}; up to 16 letters or digits")
        return mid

    @property
    def direction(self) -> Direction:
        return next((d for d in _DIRECTIONS if f"a={d}" in self.lines), "sendrecv")

    def value(self, name: str) -> str | None:
        """The value of its first ``a=name:…`` line."""
        return next(iter(self.values(name)), None)

    def values(self, name: str) -> Iterator[str]:
        """The values of all its ``a=name:…`` lines."""
        prefix = f"a={name}:"
        return (line[len(prefix) :].strip() for line in self.lines if line.startswith(prefix))


@record
class WebRtcText:
    """A description as session lines and sections."""

    session: tuple[str, ...]
    sections: tuple[Section, ...]

    @classmethod
    def parse(cls, text: str) -> WebRtcText:
        """Cut a text. Raises SdpError; linear in its length."""
        if len(text) > MAX_CHARACTERS:
            raise SdpError("a description of unreasonable size")
        lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
        lines = [line for line in lines if line]
        if not lines or lines[0] != "v=0":
            raise SdpError("does not begin with v=0")
        starts = [i for i, line in enumerate(lines) if line.startswith("m=")]
        if len(starts) > MAX_SECTIONS:
            raise SdpError(f"more than {MAX_SECTIONS} sections")
        ends = [*starts[1:], len(lines)]
        sections = tuple(
            _section(lines[start:end]) for start, end in zip(starts, ends, strict=bool(starts))
        )
        return cls(tuple(lines[: starts[0]] if starts else lines), sections)

    def __str__(self) -> str:
        lines = [*self.session, *(line for section in self.sections for line in section.lines)]
        return "".join(f"{line}\r\n" for line in lines)

    def session_value(self, name: str) -> str | None:
        """The value of the first ``a=name:…`` line before all sections."""
        return Section(self.session).value(name)

    def distinct_mids(self) -> tuple[str, ...]:
        """All mids in order. Raises SdpError for a missing, unusable or repeated one."""
        mids = tuple(section.mid for section in self.sections)
        if len(set(mids)) != len(mids):
            raise SdpError("two sections share a mid")
        return mids

    def bundled(self) -> WebRtcText:
        """With every live section in the one BUNDLE group (RFC 9143), as our clients do it."""
        group = " ".join(section.mid for section in self.sections if not section.rejected)
        kept = tuple(line for line in self.session if not line.startswith("a=group:BUNDLE"))
        return WebRtcText((*kept, f"a=group:BUNDLE {group}".rstrip()), self.sections)


def without_attributes(lines: Iterable[str], *names: str) -> tuple[str, ...]:
    """The lines without ``a=name`` and ``a=name:…`` of the given names."""
    return tuple(
        line
        for line in lines
        if not (line.startswith("a=") and line[2:].partition(":")[0] in names)
    )


def _section(lines: list[str]) -> Section:
    fields = lines[0][2:].split()
    if len(fields) < 4:
        raise SdpError(f"{lines[0][:80]} is not 'm=<kind> <port> <protocol> <formats>'")
    bounded_number(fields[1].partition("/")[0], 65_535, "port")
    return Section(tuple(lines))
