"""A call that did not come about, as the refusal of the request that wanted it."""

from __future__ import annotations

from switchroom.base.errors import ServiceError
from switchroom.telephony.calls.termination import Termination


class CallFailedError(ServiceError):
    """The call ended before it was active.

    ``termination`` is the ending, ``call_id`` whose it is if a call was begun. ``meta`` holds
    ``sip_status_code`` and ``sip_status`` where the far end gave a SIP status.
    """

    def __init__(self, termination: Termination, call_id: str = "") -> None:
        super().__init__(termination.error, termination.message, termination.meta)
        self.termination = termination
        self.call_id = call_id
