"""SIP and tel URIs, and the name-addr form that headers wrap them in.

RFC 3261 sections 19.1 and 20.10, RFC 3966.
"""

from __future__ import annotations

import re
from typing import Final

from switchroom.base.records import record, replace
from switchroom.sip.errors import LocalSipError, MalformedValueError
from switchroom.sip.grammar import (
    Params,
    end_of_quoted,
    find_param,
    format_params,
    is_host,
    is_token,
    parse_params,
    quote,
    split_host_port,
    unquote,
)

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*")
# "user" of section 25.1, and "#" which dialled service codes carry unescaped.
_USER: Final = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#:]|%[0-9A-Fa-f]{2}|[^\x00-\x7f])*")
_USER_SAFE: Final = re.compile(r"[^A-Za-z0-9\-_.!~*'()&=+$,;?/]")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_BLANK_OR_ANGLE: Final = re.compile(r"[\s<>\"]")


@record
class Uri:
    """One URI, kept as written (escapes included) so that printing gives back what was read.

    ``sip`` and ``sips`` fill user, password, host, port, params, headers; ``tel`` fills user (the
    number) and params; any other scheme keeps everything after the colon in ``opaque``.
    """

    scheme: str
    host: str = ""
    user: str | None = None
    password: str | None = None
    port: int | None = None
    params: Params = ()
    headers: str = ""
    opaque: str = ""

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Raises MalformedValueError. Any scheme is fine here: 416 is the endpoint's verdict."""
        scheme, colon, rest = text.partition(":")
        if not colon or not _SCHEME.fullmatch(scheme) or _BLANK_OR_ANGLE.search(rest):
            raise MalformedValueError("bad URI")
        scheme = scheme.lower()
        if scheme in ("sip", "sips"):
            return _parse_sip(scheme, rest)
        if scheme == "tel":
            number, semicolon, params = rest.partition(";")
            if not number:
                raise MalformedValueError("bad URI")
            return cls("tel", user=number, params=parse_params(params) if semicolon else ())
        return cls(scheme, opaque=rest)

    @classmethod
    def sip(
        cls, user: str | None, host: str, port: int | None = None, *, transport: str | None = None
    ) -> Uri:
        """A SIP URI from plain parts; ``user`` is escaped as needed (raises LocalSipError)."""
        if not is_host(host):
            raise LocalSipError("host name not fit for a SIP URI")
        params: Params = (("transport", transport),) if transport else ()
        return cls("sip", host, escape_user(user) if user else None, None, port, params)

    @property
    def number(self) -> str:
        """The user part, escapes undone, without RFC 3966 parameters inside it; may be empty."""
        return unescape((self.user or "").partition(";")[0])

    @property
    def transport(self) -> str | None:
        """The ``transport`` parameter in lower case."""
        value = find_param(self.params, "transport") if self.params else None
        return value.lower() if value else None

    @property
    def loose_routing(self) -> bool:
        """Whether the element behind this URI is a loose router: ``lr``, also spelt ``lr=on``."""
        return "lr" in dict(self.params)

    def param(self, name: str) -> str | None:
        """The value of a URI parameter, as written."""
        return find_param(self.params, name) if self.params else None

    def without_headers(self) -> Uri:
        """This URI as it may stand in a Request-URI (section 19.1.1: no headers, no method)."""
        if not self.headers and "method" not in dict(self.params):
            return self
        params = tuple(param for param in self.params if param[0] != "method")
        return replace(self, headers="", params=params)

    def __str__(self) -> str:
        if self.scheme == "tel":
            return f"tel:{self.user}{format_params(self.params)}"
        if self.opaque:
            return f"{self.scheme}:{self.opaque}"
        user = "" if self.user is None else f"{self.user}@"
        if user and self.password is not None:
            user = f"{self.user}:{self.password}@"
        port = "" if self.port is None else f":{self.port}"
        params = format_params(self.params) if self.params else ""
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{params}{headers}"


def _parse_sip(scheme: str, rest: str) -> Uri:
    user = password = None
    # Neither host nor parameters may hold an "@", so the first one ends the userinfo, which may
    # itself hold ";" and "?" (RFC 4475 semiuri).
    userinfo, at, after = rest.partition("@")
    if at:
        if not userinfo or not _USER.fullmatch(userinfo) or "@" in after:
            raise MalformedValueError("bad user part in URI")
        user, colon, secret = userinfo.partition(":")
        password = secret if colon else None
        rest = after
    rest, _, headers = rest.partition("?")
    hostport, semicolon, params = rest.partition(";")
    host, port = split_host_port(hostport)
    parsed = parse_params(params) if semicolon else ()
    return Uri(scheme, host, user, password, port, parsed, headers)


def escape_user(text: str) -> str:
    """``text`` with everything a user part may not hold written as %XX."""
    return _USER_SAFE.sub(lambda m: "".join(f"%{b:02X}" for b in _octets(m.group())), text)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def unescape(text: str) -> str:
    """``text`` with its %XX undone; bytes that are not UTF-8 become U+FFFD."""
    if "%" not in text:
        return text
    parts = _octets(text).split(b"%")
    out = bytearray(parts[0])
    for part in parts[1:]:
        if _ESCAPE.match("%" + part[:2].decode("latin-1")):
            out.append(int(part[:2], 16))
            out += part[2:]
        else:
            out += b"%" + part
    return out.decode("utf-8", "replace")


@record
class NameAddr:
    """``"Display" <uri>;params`` as in From, To, Contact, Route (RFC 3261 section 20.10)."""

    uri: Uri
    display: str = ""
    """Display name with quotes and escapes undone."""
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Raises MalformedValueError."""
        text = text.strip()
        display = ""
        if text.startswith('"'):
            end = end_of_quoted(text, 1)
            display = unquote(text[:end])
            text = text[end:].lstrip()
            if not text.startswith("<"):
                raise MalformedValueError("display name without <URI>")
        before, angle, rest = text.partition("<")
        if not angle:
            return cls._parse_addr_spec(text)
        uri, angle, after = rest.partition(">")
        if not angle or '"' in before:
            raise MalformedValueError("unbalanced <>")
        after = after.strip()
        if after and not after.startswith(";"):
            raise MalformedValueError("garbage after <URI>")
        # Unquoted names that are no tokens ("Bell, Alexander") are taken: RFC 4475 baddn.
        return cls(Uri.parse(uri), display or before.strip(), parse_params(after) if after else ())

    @classmethod
    def _parse_addr_spec(cls, text: str) -> NameAddr:
        # Section 20: without <> the parameters belong to the header, and the URI may hold neither
        # a comma nor a question mark nor a semicolon (RFC 4475 regbadct).
        uri, semicolon, params = text.partition(";")
        parsed = Uri.parse(uri.rstrip())
        if parsed.headers or "," in uri:
            raise MalformedValueError("URI needs <>")
        return cls(parsed, "", parse_params(params) if semicolon else ())

    @property
    def tag(self) -> str | None:
        """The ``tag`` parameter."""
        return find_param(self.params, "tag")

    def with_tag(self, tag: str | None) -> NameAddr:
        """The same address with another tag, or with none."""
        rest = tuple(param for param in self.params if param[0] != "tag")
        return replace(self, params=rest if tag is None else (*rest, ("tag", tag)))

    def __str__(self) -> str:
        if not self.display:
            name = ""
        elif all(map(is_token, self.display.split(" "))):
            name = f"{self.display} "
        else:
            name = f"{quote(self.display)} "
        params = format_params(self.params) if self.params else ""
        return f"{name}<{self.uri}>{params}"
