"""Taking over a call (RFC 3891): which dialog is meant, and how to send somebody to do it."""

from __future__ import annotations

import re
from typing import Final

from switchroom.base.records import record
from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.grammar import find_param, is_token, parse_params
from switchroom.sip.headers import tag_of
from switchroom.sip.uri import Uri

_UNSAFE_IN_HEADER: Final = re.compile(r"[^A-Za-z0-9\-_.!~*'()]")


@record
class Replaces:
    """A Replaces header field. The tags are named as its recipient sees them."""

    call_id: str
    to_tag: str
    """The recipient's own tag."""
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, value: str) -> Replaces:
        """Raises MalformedValueError; all three parts must be there (section 6.1)."""
        call_id, _, rest = value.partition(";")
        params = parse_params(rest) if rest else ()
        to_tag, from_tag = find_param(params, "to-tag"), find_param(params, "from-tag")
        if not call_id.strip() or not to_tag or not from_tag:
            raise MalformedValueError("bad Replaces")
        early = any(name == "early-only" for name, _ in params)
        return cls(call_id.strip(), to_tag, from_tag, early)

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


def refer_to_replacing(dialog: DialogSnapshot) -> str:
    """The Refer-To of an attended transfer: call the peer of ``dialog`` and take our place in it.

    Send it, on another call, to whom that peer is to talk with (RFC 5589 section 7). Raises
    MalformedValueError for a dialog that was not stored by us.
    """
    replaces = Replaces(
        dialog.call_id, to_tag=tag_of(dialog.remote) or "", from_tag=tag_of(dialog.local) or ""
    )
    if not is_token(replaces.to_tag) or not is_token(replaces.from_tag):
        raise MalformedValueError("dialog without tags")
    target = Uri.parse(dialog.remote_target).without_headers()
    escaped = _UNSAFE_IN_HEADER.sub(
        lambda mark: "".join(f"%{octet:02X}" for octet in mark.group().encode()), str(replaces)
    )
    return f"<{target}?Replaces={escaped}>"
