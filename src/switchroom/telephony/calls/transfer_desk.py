"""The transfer of one call that is under way, and the requests that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from switchroom.telephony.calls.transfer import (
    TransferAbandoned,
    TransferPlan,
    TransferResult,
    TransferWanted,
)
from switchroom.telephony.calls.transfer_failed import TransferFailedError
from switchroom.telephony.calls.transfer_outcome import TransferRecord, TransferStatus
from switchroom.telephony.errors import InvalidRequestError


class TransferDesk:
    """Belongs to one call. Equal requests share one transfer, and a transfer that has succeeded."""

    def __init__(self) -> None:
        self._target = ""
        self._outcome: asyncio.Future[TransferRecord] | None = None
        self._waiting = 0

    async def transfer(self, plan: TransferPlan, tell: Callable[[object], None]) -> TransferRecord:
        """What becomes of the transfer, for which `tell` tells the call what is to be done.

        Raises TransferFailedError, InvalidRequestError.
        """
        outcome = self._outcome
        if outcome is None:
            outcome = self._outcome = asyncio.get_running_loop().create_future()
            self._target = plan.transfer_to
            tell(TransferWanted(plan))
        elif self._target != plan.transfer_to:
            raise InvalidRequestError("call already being transferred elsewhere")
        self._waiting += 1
        try:
            record = await asyncio.shield(outcome)
        finally:
            self._waiting -= 1
            if not self._waiting and not outcome.done():
                tell(TransferAbandoned())
        if record.status is not TransferStatus.SUCCESSFUL:
            raise TransferFailedError(record)
        return record

    def settle(self, record: TransferRecord) -> None:
        """The transfer is over; a failed one may be tried again."""
        outcome = self._outcome
        if outcome is not None and not outcome.done():
            outcome.set_result(record)
        if record.status is not TransferStatus.SUCCESSFUL:
            self._outcome = None


def finished(record: TransferRecord, result: TransferResult, at: int) -> TransferRecord:
    """The record of a transfer that ended at that time (Unix ns)."""
    return TransferRecord(
        record.transfer_id,
        record.transfer_to,
        record.initiated_at,
        at,
        result.status,
        result.reason,
        result.sip_status,
        result.sip_reason,
    )
