"""Character classes, limits and the text operations that the SIP grammar is made of.

Everything here runs in time linear in its input: no pattern nests a quantifier, and text is never
copied once per delimiter. RFC 3261 section 25.1 unless another source is named.
"""

from __future__ import annotations

import re
from typing import Final

from switchroom.base.records import record
from switchroom.sip.errors import LocalSipError, MalformedValueError

TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
"""``token``; use with ``fullmatch``."""

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9\-_.]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\]")
# RFC 3261 forbids the underscore in host names; it is in real ones all the same.

CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header field may hold; use with ``search``."""

_LIST_DELIMITER: Final = re.compile(r'[",<>]')
_PARAM_DELIMITER: Final = re.compile(r'[";]')
_PARAM_NAME: Final = re.compile(r'[^\s,<>"@]+')
_UNSAFE_DISPLAY: Final = re.compile(r'["\\]')

Params = tuple[tuple[str, str | None], ...]
"""Parameters in the order they came: lower-cased name, and the value as written or ``None``."""


@record
class Limits:
    """How much of a peer's message we are willing to look at."""

    message_bytes: int = 65_535
    header_fields: int = 160
    header_chars: int = 8_192
    list_entries: int = 70
    """Via, Route or Record-Route values: no path is longer than Max-Forwards starts at."""


DEFAULT_LIMITS: Final = Limits()


def is_token(text: str) -> bool:
    """Whether ``text`` is a ``token``."""
    return TOKEN.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Whether ``text`` can stand as a host: a name, an IPv4 address or a bracketed IPv6 one."""
    return _HOST.fullmatch(text) is not None


def require_clean(text: str, what: str) -> str:
    """``text`` itself if it has no line break or other control character.

    Raises LocalSipError: this guards what *we* send against header injection.
    """
    if CONTROL.search(text):
        raise LocalSipError(f"{what} holds a control character")
    return text


def parse_port(text: str) -> int:
    """A port number 1–65535 (raises MalformedValueError)."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise MalformedValueError("bad port")
    port = int(text)
    if not 0 < port < 65_536:
        raise MalformedValueError("bad port")
    return port


def parse_number(text: str, limit: int, what: str) -> int:
    """A decimal number of at most ``limit`` (raises MalformedValueError)."""
    # The length is looked at first: int() of a megabyte of digits takes seconds.
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise MalformedValueError(f"bad {what}")
    number = int(text)
    if number > limit:
        raise MalformedValueError(f"{what} out of range")
    return number


def split_host_port(text: str) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``[v6]`` or ``[v6]:port`` (raises MalformedValueError)."""
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        host += bracket
        if rest and not rest.startswith(":"):
            raise MalformedValueError("bad host")
        port = rest[1:] if rest else None
    else:
        host, colon, rest = text.partition(":")
        port = rest if colon else None
    if not _HOST.fullmatch(host):
        raise MalformedValueError("bad host")
    return host, parse_port(port.strip()) if port is not None else None


def split_list(value: str) -> list[str]:
    """The comma-separated entries of a header value; commas in quotes and ``<>`` do not count.

    Empty entries are dropped: real lists have them, and nothing hangs on them.
    """
    if "," not in value:
        return [value] if value else []
    if '"' not in value and "<" not in value:
        return [entry for entry in map(str.strip, value.split(",")) if entry]
    entries: list[str] = []
    start = position = 0
    in_angle = False
    while match := _LIST_DELIMITER.search(value, position):
        mark, position = match.group(), match.end()
        if mark == '"' and not in_angle:
            position = end_of_quoted(value, position)
        elif mark == "<":
            in_angle = True
        elif mark == ">":
            in_angle = False
        elif mark == "," and not in_angle:
            entries.append(value[start : match.start()].strip())
            start = position
    entries.append(value[start:].strip())
    return [entry for entry in entries if entry]


def end_of_quoted(text: str, start: int) -> int:
    """Index just after the quote that closes the string opened before ``start``.

    Raises MalformedValueError if there is none.
    """
    position = start
    while True:
        quote = text.find('"', position)
        if quote < 0:
            raise MalformedValueError("unbalanced quotes")
        backslash = text.find("\\", position, quote)
        if backslash < 0:
            return quote + 1
        position = backslash + 2


def parse_params(text: str) -> Params:
    """``;name=value;flag`` (with or without the first semicolon); raises MalformedValueError.

    Values stay as written, quotes included; whitespace around ``;`` and ``=`` is dropped.
    """
    pieces = _split_quoted_params(text) if '"' in text else text.split(";")
    if pieces and not pieces[0].strip():
        pieces = pieces[1:]
    params: list[tuple[str, str | None]] = []
    for piece in pieces:
        name, equals, value = piece.partition("=")
        name = name.strip(" \t")
        # Covers ";;" (RFC 4475 badinv01) and nameless "=value".
        if not _PARAM_NAME.fullmatch(name):
            raise MalformedValueError("bad parameter")
        params.append((name.lower(), value.strip(" \t") if equals else None))
    return tuple(params)


def _split_quoted_params(text: str) -> list[str]:
    pieces: list[str] = []
    start = position = 0
    while match := _PARAM_DELIMITER.search(text, position):
        position = match.end()
        if match.group() == '"':
            position = end_of_quoted(text, position)
        else:
            pieces.append(text[start : match.start()])
            start = position
    pieces.append(text[start:])
    return pieces


def format_params(params: Params) -> str:
    """``;name=value;flag``, the inverse of parse_params."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def find_param(params: Params, name: str) -> str | None:
    """The value of the first parameter called ``name``; ``None`` if absent or without a value."""
    for candidate, value in params:
        if candidate == name:
            return value
    return None


def quote(text: str) -> str:
    """``text`` as a quoted-string."""
    return '"' + _UNSAFE_DISPLAY.sub(r"\\\g<0>", require_clean(text, "quoted string")) + '"'


def unquote(text: str) -> str:
    """The content of a quoted-string; any other text is returned as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL)
