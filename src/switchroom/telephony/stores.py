"""What telephony asks of storage; implemented in `switchroom.storage`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from switchroom.base.records import record
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.routing.dispatch_rules import DispatchRule
from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.record_registry import RecordStore
from switchroom.telephony.routing.trunks import OutboundTrunk


@record
class RoutingStores:
    """Everything that says where calls may go."""

    outbound_trunks: RecordStore[OutboundTrunk]
    inbound_trunks: RecordStore[InboundTrunk]
    dispatch_rules: RecordStore[DispatchRule]


class CallStore(Protocol):
    """Call records. A later save of a call replaces the earlier one whole."""

    def save(self, record: CallRecord) -> None:
        """Write soon. Never blocks or raises; a failing disk is the store's to report."""
        ...

    def save_later(self, call_id: str, record_of: Callable[[], CallRecord]) -> None:
        """The same for a record that is asked for when it is to be written: it may change again."""
        ...

    def save_now(self, record: CallRecord) -> asyncio.Future[None]:
        """Begin to write at once. Done when a crash of ours cannot lose it, or a StorageError.

        It is on disk a moment later, which only a power cut can tell apart.
        """
        ...

    def save_durably(self, record: CallRecord) -> Awaitable[None]:
        """Begin to write at once; awaited, return when it is on disk. Then raises StorageError."""
        ...

    async def unfinished(self) -> Sequence[CallRecord]:
        """Records without a termination, and those whose dialog may still be up."""
        ...

    async def keyed_since(self, created_at: int) -> Sequence[CallRecord]:
        """Records with an idempotency key, created at or after that time (Unix ns)."""
        ...
