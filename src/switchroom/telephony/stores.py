"""What telephony asks of storage; implemented in `switchroom.storage`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.routing.trunks import OutboundTrunk


class TrunkStore(Protocol):
    """Outbound trunks. A method that returns has its change on disk."""

    async def load(self) -> Sequence[OutboundTrunk]:
        """Every trunk."""
        ...

    async def save(self, trunk: OutboundTrunk) -> None:
        """Insert the trunk, or replace the one with its id."""
        ...

    async def delete(self, trunk_id: str) -> None:
        """Forget a trunk; an unknown one is no fault."""
        ...


class CallStore(Protocol):
    """Call records. A later save of a call replaces the earlier one whole."""

    def save(self, record: CallRecord) -> None:
        """Write soon. Never blocks or raises; a failing disk is the store's to report."""
        ...

    async def save_durably(self, record: CallRecord) -> None:
        """Return when the record is on disk. Raises StorageError."""
        ...

    async def unfinished(self) -> Sequence[CallRecord]:
        """Records without a termination, and those whose dialog may still be up."""
        ...

    async def keyed_since(self, created_at: int) -> Sequence[CallRecord]:
        """Records with an idempotency key, created at or after that time (Unix ns)."""
        ...
