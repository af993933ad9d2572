"""What webhooks ask of storage: what is not told yet is there again after a restart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from switchroom.base.records import record
from switchroom.webhooks.notice import Notice


@record
class Delivery:
    """A notice on its way to one URL."""

    url: str
    notice: Notice


@record
class Announcement:
    """Somebody, or a room, that receivers believe to be there: its end must be told too.

    `participant_sid` is empty for the room itself. `body` is what announced it, as proto-JSON.
    """

    room_sid: str
    participant_sid: str
    body: str


Kept = Delivery | Announcement


class DeliveryStore(Protocol):
    """Implemented in `storage`."""

    async def load(self) -> Sequence[Delivery]:
        """Everything that is not delivered yet, oldest first."""
        ...

    async def announced(self) -> Sequence[Announcement]:
        """Everybody and every room whose end was not told."""
        ...

    async def write(self, added: Sequence[Kept], removed: Sequence[Kept]) -> None:
        """Keep some, forget others, in one transaction."""
        ...
