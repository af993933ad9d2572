"""What the rooms ask of storage: the rooms created by API are there again after a restart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from switchroom.base.records import record


@record
class StoredRoom:
    """A room created by API. Timeouts in seconds; `configuration` is opaque text (proto-JSON)."""

    name: str
    sid: str
    metadata: str
    empty_timeout: int
    departure_timeout: int
    max_participants: int
    created_at_ns: int
    configuration: str = ""


class RoomStore(Protocol):
    """Implemented in `storage`."""

    async def load(self) -> Sequence[StoredRoom]:
        """Every room that was saved and not deleted."""
        ...

    async def save(self, room: StoredRoom) -> None:
        """Insert, or replace the room of that name."""
        ...

    async def delete(self, name: str) -> None:
        """Forget the room of that name, if there is one."""
        ...


class NoRoomStore:
    """Keeps nothing: for servers whose rooms need not survive a restart."""

    async def load(self) -> Sequence[StoredRoom]:
        return ()

    async def save(self, room: StoredRoom) -> None:
        return

    async def delete(self, name: str) -> None:
        return
