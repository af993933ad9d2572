"""What logs may show of a phone number or a secret."""

from __future__ import annotations

import re

_KEPT_DIGITS = 3
_SHORTEST_NUMBER = 7

# E.164 with its plus sign, also in the names of rooms and participants that are made of it
# (sip_+1..., calls_+1..._x7); or a user part of a sip: or tel: URI that is mostly digits.
_NUMBER_IN_TEXT = re.compile(
    r"(?<![^\W_]|[.:])\+\d{6,15}(?![^\W_])|(?<=sip_)\d{6,20}(?![^\W_])"
    r"|(?<=sip:)\+?\d{3,20}(?=[@;>])|(?<=tel:)\+?\d{3,20}"
)
_AUTHORIZATION = re.compile(r"(?im)^((?:proxy-)?authorization\s*:\s*\w+\s).*$")


def redact_number(number: str) -> str:
    """``+15105550123`` becomes ``+********123``; short numbers are hidden whole.

    Keeps what tells two calls of one person apart and nothing that reaches the person.
    """
    sign, digits = ("+", number[1:]) if number.startswith("+") else ("", number)
    kept = digits[-_KEPT_DIGITS:] if len(digits) >= _SHORTEST_NUMBER else ""
    return sign + "*" * (len(digits) - len(kept)) + kept


def redact_text(text: str) -> str:
    """``text`` with every phone number in it redacted, and the value of SIP credentials removed."""
    if not may_tell(text):
        return text
    text = _AUTHORIZATION.sub(r"\1***", text)
    return _NUMBER_IN_TEXT.sub(lambda found: redact_number(found.group()), text)


def may_tell(text: str) -> bool:
    """Whether `redact_text` has to look at it; most of what is logged holds nothing to hide.

    Said of a text, it is said of all its parts.
    """
    return "+" in text or "sip" in text or "tel:" in text or "uthorization" in text
