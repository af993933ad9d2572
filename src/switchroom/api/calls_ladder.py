"""The SIP messages of a call as JSON, without what must not be told. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from switchroom.api.calls_json import moment
from switchroom.base.redact import redact_text
from switchroom.sip_io.tap import TapRecord
from switchroom.telephony.routing.headers import CREDENTIALS

_RESPONSE = re.compile(r"SIP/2\.0 +(\d{3}) *(.*)", re.IGNORECASE)
_KEYS = re.compile(r"(inline:)\S+|^(k=|a=key-mgmt:|a=ice-pwd:).*", re.IGNORECASE)
_HIDDEN = "(hidden)"
#: Other bodies may hold what somebody typed: a PIN, say.
_TOLD_BODIES = ("application/sdp", "message/sipfrag")


def ladder_to_json(
    messages: Sequence[TapRecord], *, hides_numbers: bool
) -> list[dict[str, Any]] | None:
    """Each message in the order in which it passed; None if the server has none any more.

    Logins and the keys of the sound are hidden, and bodies that are neither a session description
    nor part of a SIP message. Where numbers are hidden, ``text`` is null: they are all over it.
    """
    told = [_message(message, hides_numbers=hides_numbers) for message in messages]
    return told or None


def _message(message: TapRecord, *, hides_numbers: bool) -> dict[str, Any]:
    lines = message.data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    what = _in_a_word(lines[0])
    return {
        "at": moment(message.at_unix_ns),
        "direction": message.direction,
        "transport": message.transport,
        "local": _address(*message.local),
        "remote": _address(*message.remote),
        "what": redact_text(what) if hides_numbers else what,
        "cseq": _field(lines, "cseq"),
        "text": None if hides_numbers else "\n".join(_without_secrets(lines)),
    }


def _in_a_word(first_line: str) -> str:
    """``INVITE`` or ``486 Busy Here``."""
    response = _RESPONSE.fullmatch(first_line.strip())
    if response is not None:
        return f"{response[1]} {response[2]}".strip()
    return first_line.split(" ", 1)[0]


def _without_secrets(lines: Sequence[str]) -> list[str]:
    """A header that is continued (RFC 3261 section 7.3.1) is hidden to its end."""
    end = lines.index("") if "" in lines else len(lines)
    shown: list[str] = []
    hiding = False
    for line in (*lines[:end], *_body(lines[:end], lines[end:])):
        if line[:1] in {" ", "\t"} and hiding:
            continue
        name = line.partition(":")[0]
        hiding = name.strip().lower() in CREDENTIALS
        shown.append(f"{name}: {_HIDDEN}" if hiding else _KEYS.sub(_hide_key, line))
    return shown


def _hide_key(found: re.Match[str]) -> str:
    return f"{found[1] or found[2]}{_HIDDEN}"


def _body(head: Sequence[str], body: Sequence[str]) -> list[str]:
    size = len("\n".join(body[1:]))
    kind = (_field(head, "content-type") or _field(head, "c")).partition(";")[0].strip().lower()
    if not size or kind in _TOLD_BODIES:
        return list(body)
    return ["", f"({size} characters of {kind or 'an unknown kind'} are not shown)"]


def _field(head: Sequence[str], name: str) -> str:
    """The first header of that (lower-case) name."""
    for line in head:
        if not line:
            break
        found, colon, value = line.partition(":")
        if colon and found.strip().lower() == name:
            return value.strip()
    return ""


def _address(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
