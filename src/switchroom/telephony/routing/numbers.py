"""Phone numbers as people write them, and the few rules that LiveKit has for them."""

from __future__ import annotations

import re

#: Digits with the separators people put between them.
_DIGITS = re.compile(r"\+?[\- ()]*\d[\d\- ()]*", re.ASCII)
_SEPARATORS = str.maketrans("", "", " -()")
#: What a SIP user part may hold without being escaped (RFC 3261 section 25.1), and "#".
_USER_PART = re.compile(r"[A-Za-z0-9\-_.!~*'()&=+$,;?/#%]+")


def normalise(number: str) -> str:
    """``1 (510) 555-0123`` -> ``+15105550123``; what is not made of digits stays as it is."""
    if not _DIGITS.fullmatch(number):
        return number
    digits = bare(number)
    return digits if digits.startswith("+") else f"+{digits}"


def bare(number: str) -> str:
    """Without what people put between the digits."""
    return number.translate(_SEPARATORS)


def is_user_part(text: str) -> bool:
    """Whether `text` can stand before the ``@`` of a SIP address as it is."""
    return _USER_PART.fullmatch(text) is not None


def from_number(number: str, trunk_host: str) -> str:
    """The number to write into From for a trunk at `trunk_host`.

    Twilio wants E.164 with its plus sign and refuses the same number without it.
    """
    if trunk_host.lower().endswith("twilio.com") and not number.startswith("+"):
        return f"+{number}"
    return number
