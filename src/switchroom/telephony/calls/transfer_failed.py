"""A transfer that did not come about, as the refusal of the requests that wanted it."""

from __future__ import annotations

from collections.abc import Mapping

from switchroom.base.errors import NO_META, ErrorCode, ServiceError
from switchroom.telephony.calls.sip_status import enum_name, error_code, short_name
from switchroom.telephony.calls.transfer_outcome import TransferReason, TransferRecord

_CODES: Mapping[TransferReason, tuple[ErrorCode, str]] = {
    TransferReason.CALL_ENDED: (ErrorCode.CANCELED, "the call ended before it was transferred"),
    TransferReason.RINGING_TIMEOUT: (ErrorCode.CANCELED, "refer canceled"),
    TransferReason.CANCELED: (ErrorCode.CANCELED, "refer canceled"),
    TransferReason.SUBSCRIPTION_TERMINATED: (
        ErrorCode.FAILED_PRECONDITION,
        "the far end ended its news of the transfer without a result",
    ),
}
_NO_ANSWER = (ErrorCode.FAILED_PRECONDITION, "the far end did not answer the REFER")


class TransferFailedError(ServiceError):
    """The phone is where it was.

    ``status`` is the SIP status that decided, 0 if none did; ``status_text`` its text. ``meta``
    holds ``sip_status_code`` and ``sip_status`` where a status decided.
    """

    def __init__(self, transfer: TransferRecord) -> None:
        decided = transfer.reason is TransferReason.REJECTED and transfer.sip_status
        self.transfer_id = transfer.transfer_id
        self.reason = transfer.reason
        self.status = transfer.sip_status if decided and transfer.sip_status else 0
        self.status_text = transfer.sip_reason if decided else ""
        if self.status:
            text = self.status_text or short_name(self.status)
            super().__init__(
                error_code(self.status),
                f"sip status {self.status}: {text}",
                {
                    "sip_status_code": str(self.status),
                    "sip_status": self.status_text or enum_name(self.status),
                },
            )
        else:
            code, text = _CODES.get(transfer.reason, _NO_ANSWER)
            super().__init__(code, text, NO_META)
