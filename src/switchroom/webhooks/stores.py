"""What webhooks ask of storage: what is not delivered yet is there again after a restart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from switchroom.webhooks.notice import Notice


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice on its way to one URL."""

    url: str
    notice: Notice


class DeliveryStore(Protocol):
    """Implemented in `storage`."""

    async def load(self) -> Sequence[Delivery]:
        """Everything that is not delivered yet, oldest first."""
        ...

    async def write(self, added: Sequence[Delivery], removed: Sequence[Delivery]) -> None:
        """Keep some, forget others, in one transaction."""
        ...
