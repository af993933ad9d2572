"""How one setting's value is read, whether it comes from YAML or, as text, from the environment.

Each reader takes what was written and gives the value, or raises ``ValueError`` whose message
finishes the sentence "<setting> must be ...".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import yaml

from switchroom.base.records import record

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|m|s)")
_UNIT_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_LOG_LEVELS = ("debug", "info", "warn", "error")
_TLS_VERSIONS = ("tls1.0", "tls1.1", "tls1.2", "tls1.3")
_INBOUND_ANSWERS = ("when_heard", "now", "ring_tone", "hold_music")
_DESTINATION = re.compile(r"\+?[0-9*#]{1,32}|(?:sips?|tel):[!-~]+", re.ASCII)
# What LiveKit refuses in a host name of its SIP node; `${IP}` is its template for the address.
_HOST_NAME = re.compile(r"[^\s$%{}\[\]:/|\\]*")
# Where SQLAlchemy looks for one: before the host, or among the driver's own options.
_PASSWORD = re.compile(r"(://[^:/]*:)[^@]*(?=@)|(password=)[^&]*")


@record
class PortRange:
    """UDP ports, both ends included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@record
class Certificate:
    """A certificate chain and its private key, both PEM files."""

    cert_file: str
    key_file: str


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def secret(value: Any) -> str:
    """Text that no message may show."""
    return text(value)


def without_password(url: str) -> str:
    """The URL of a database as it may be shown."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", url)


def flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("true or false")


def count(value: Any) -> int:
    number = _whole_number(value)
    if number is None or number < 0:
        raise ValueError("a whole number, 0 or more")
    return number


def payload(value: Any) -> int:
    """Bytes of a datagram: at least what every path carries (RFC 1122 section 3.3.3)."""
    number = _whole_number(value)
    if number is None or not 576 <= number <= 65535:
        raise ValueError("a number of bytes between 576 and 65535")
    return number


def port(value: Any) -> int:
    """A port; 0 lets the system choose one (tests do)."""
    number = _whole_number(value)
    if number is None or not 0 <= number <= 65535:
        raise ValueError("a port between 0 and 65535")
    return number


def single_port(value: Any) -> int:
    """One port. LiveKit also takes a range for `rtc.udp_port`; its first port serves here."""
    first = value.get("start") if isinstance(value, Mapping) else value
    if isinstance(first, str) and "-" in first:
        first = first.partition("-")[0]
    return port(first)


def destination(value: Any) -> str:
    """A phone number, a SIP address or a SIP status; empty text is none."""
    written = str(value).strip() if isinstance(value, str | int) else None
    if written == "" or (written is not None and _DESTINATION.fullmatch(written)):
        return written
    raise ValueError("a number, a sip: or tel: address, or a SIP status such as 480")


def share(value: Any) -> float:
    """A share of the whole, above 0 and not above 1."""
    number = _number(value)
    if number is None or not 0 < number <= 1:
        raise ValueError("a share above 0 and not above 1, such as 0.9")
    return number


def sip_failure(value: Any) -> int:
    """A final SIP status that refuses a call."""
    number = _whole_number(value)
    if number is None or not 400 <= number <= 699:
        raise ValueError("a SIP status between 400 and 699")
    return number


def port_range(value: Any) -> PortRange:
    """``10000-20000``, or LiveKit's mapping form ``{start: 10000, end: 20000}``."""
    if isinstance(value, Mapping):
        ends = (value.get("start"), value.get("end"))
    else:
        first, dash, last = str(value).partition("-")
        ends = (first, last) if dash else (None, None)
    first_port, last_port = (_whole_number(end) for end in ends)
    # A leg needs an even port and the odd one above it (RFC 3550 section 11).
    if first_port is None or last_port is None or not 1024 <= first_port < last_port <= 65535:
        raise ValueError("a range of ports such as 10000-20000, between 1024 and 65535")
    return PortRange(first_port, last_port)


def seconds(value: Any) -> float:
    """A number of seconds, or a Go duration such as ``1m30s`` or ``500ms``; ``d`` is a day."""
    number = _number(value)
    if number is None and isinstance(value, str):
        parts = _DURATION_PART.findall(value)
        if parts and "".join(amount + unit for amount, unit in parts) == value.strip():
            number = sum(float(amount) * _UNIT_SECONDS[unit] for amount, unit in parts)
    if number is None or not 0 <= number < float("inf"):
        raise ValueError("a duration: seconds, or text such as 30s or 1m30s")
    return number


def log_level(value: Any) -> str:
    word = {"warning": "warn"}.get(str(value).lower(), str(value).lower())
    if word not in _LOG_LEVELS:
        raise ValueError("one of " + ", ".join(_LOG_LEVELS))
    return word


def tls_version(value: Any) -> str:
    word = str(value).lower()
    if word not in _TLS_VERSIONS:
        raise ValueError("one of " + ", ".join(_TLS_VERSIONS))
    return word


def digest_algorithms(value: Any) -> tuple[str, ...]:
    found = tuple(word.upper() for word in words(value))
    if not found or not set(found) <= {"MD5", "SHA-256"}:
        raise ValueError("MD5, SHA-256, or both")
    return found


def inbound_answer(value: Any) -> str:
    if value not in _INBOUND_ANSWERS:
        raise ValueError("one of " + ", ".join(_INBOUND_ANSWERS))
    return str(value)


def host_name(value: Any) -> str:
    if not isinstance(value, str) or not _HOST_NAME.fullmatch(value):
        raise ValueError("a host name without spaces, ports or any of $%{}[]/|")
    return value


def ip_address(value: Any) -> str:
    """An IP address in its usual spelling; empty text means "find out".

    Of LiveKit's `{ipv4: …, ipv6: …}` the first that is there.
    """
    if isinstance(value, Mapping):
        value = value.get("ipv4") or value.get("ipv6")
    if value in ("", None):
        return ""
    try:
        return str(ipaddress.ip_address(str(value).strip("[]")))
    except ValueError:
        raise ValueError("an IP address") from None


def ip_addresses(value: Any) -> tuple[str, ...]:
    """A list of IP addresses; as text, separated by commas. LiveKit's ``""`` means all of IPv4."""
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not listed:
        raise ValueError("a list of IP addresses")
    return tuple(ip_address(str(entry).strip()) or "0.0.0.0" for entry in listed)


def networks(value: Any) -> tuple[str, ...]:
    """A list of addresses and networks (``10.0.0.0/8``); as text, separated by commas."""
    try:
        return tuple(str(ipaddress.ip_network(word, strict=False)) for word in words(value))
    except ValueError:
        raise ValueError("a list of IP addresses and networks such as 10.0.0.0/8") from None


def certificates(value: Any) -> tuple[Certificate, ...]:
    """A list of ``{cert_file: …, key_file: …}``, or the same as YAML text."""
    listed = _from_text(value)
    expected = "a list of certificates, each with cert_file and key_file"
    if not isinstance(listed, list | tuple):
        raise ValueError(expected)
    found = []
    for entry in listed:
        if not isinstance(entry, Mapping):
            raise ValueError(expected)
        chain, key = entry.get("cert_file"), entry.get("key_file")
        if not (isinstance(chain, str) and chain and isinstance(key, str) and key):
            raise ValueError(expected)
        found.append(Certificate(chain, key))
    return tuple(found)


def switches(value: Any) -> Mapping[str, bool]:
    """Names that are on or off: ``{G722: true}``, or the same as YAML text."""
    named = _from_text(value)
    if not isinstance(named, Mapping) or not all(
        isinstance(name, str) and isinstance(on, bool) for name, on in named.items()
    ):
        raise ValueError("names with true or false, such as {G722: true}")
    return MappingProxyType(dict(named))


def key_pairs(value: Any) -> Mapping[str, str]:
    """API keys and their secrets: a mapping, or YAML text as in LiveKit's ``LIVEKIT_KEYS``."""
    pairs = _from_text(value)
    if not isinstance(pairs, Mapping) or not all(
        isinstance(part, str) and part for pair in pairs.items() for part in pair
    ):
        raise ValueError('API keys with their secrets, each written as "key: secret"')
    return MappingProxyType(dict(pairs))


def words(value: Any) -> tuple[str, ...]:
    """A list of names; as text, separated by commas."""
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(word, str) for word in listed):
        raise ValueError("a list of names")
    return tuple(word.strip() for word in listed if word.strip())


def urls(value: Any) -> tuple[str, ...]:
    """A list of http and https URLs; as text, separated by commas."""
    with suppress(ValueError):
        listed = words(value)
        if all(_is_web_url(url) for url in listed):
            return tuple(dict.fromkeys(listed))
    raise ValueError("a list of URLs that begin with http:// or https://")


def sections(value: Any) -> Mapping[str, Mapping[str, Any]]:
    """Named sections, kept whole: a mapping of mappings, or the same as YAML text."""
    named = _from_text(value)
    if not isinstance(named, Mapping) or not all(
        isinstance(name, str) and isinstance(section, Mapping) for name, section in named.items()
    ):
        raise ValueError("named sections with settings of their own")
    return MappingProxyType(dict(named))


def _from_text(value: Any) -> Any:
    """What YAML text holds; anything else as it is."""
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _is_web_url(text: str) -> bool:
    parts = urlsplit(text)
    # A name and a password would go where the signature goes.
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _whole_number(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
