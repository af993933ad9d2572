"""What a request to transfer a call says, and the rules it must keep."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from switchroom.base.records import record
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.headers import check_headers
from switchroom.telephony.routing.trunks import no_pairs

_LONGEST_TARGET = 1024
#: A URI, with no blank or control character that could end the header it is put into.
_TARGET = re.compile(r"(?:sips?|tel):[^\s<>\x00-\x1f\x7f]+", re.IGNORECASE)

#: SWITCHROOM: ``call:SCL_…`` names another call of this server, which is taken over (Replaces).
CALL_TARGET = "call:"


@record
class TransferRequest:
    """LiveKit's ``TransferSIPParticipantRequest``; ``ringing_timeout`` in seconds, 0 unset."""

    room_name: str
    participant_identity: str
    transfer_to: str
    play_dialtone: bool = False
    headers: Mapping[str, str] = field(default_factory=no_pairs)
    ringing_timeout: float = 0.0


def call_wanted(transfer_to: str) -> str:
    """The ``SCL_`` id of the call of ours that is to be taken over; empty for all other targets."""
    target = _bare(transfer_to)
    return target.removeprefix(CALL_TARGET) if target.startswith(CALL_TARGET) else ""


def _bare(target: str) -> str:
    """A target may come as it would stand in a header."""
    return target[1:-1] if target.startswith("<") and target.endswith(">") else target


def check(request: TransferRequest) -> None:
    """Raises InvalidRequestError with LiveKit's texts."""
    if not request.transfer_to:
        raise InvalidRequestError("missing transfer to")
    target = _bare(request.transfer_to)
    if target.startswith(CALL_TARGET):
        check_headers(request.headers)
        return
    if len(target) > _LONGEST_TARGET or not _TARGET.fullmatch(target):
        raise InvalidRequestError(
            "transfer_to must be a valid SIP(s) or TEL URI (sip:, sips: or tel:)"
        )
    check_headers(request.headers)
