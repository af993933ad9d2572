"""Who looks after rooms while they live: the one who finds agents for them.

Listeners (`rooms.events`) get records, to be read whenever they like; those cost something. An
attendant is handed the room itself, and reads of it what it needs, at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from switchroom.rooms.dispatches import Dispatch

if TYPE_CHECKING:
    from switchroom.rooms.participant import Participant
    from switchroom.rooms.room import Room


class Attendant(Protocol):
    """Told after the listeners of the same. Must neither wait nor fail."""

    def room_started(self, room: Room, *, restored: bool) -> None:
        """A room came to be; `restored` if it was created before a restart of the server."""
        ...

    def dispatch_requested(self, room: Room, dispatch: Dispatch) -> None:
        """A room wants an agent."""
        ...

    def participant_joined(self, room: Room, participant: Participant) -> None:
        """A participant became ACTIVE."""
        ...

    def track_published(self, room: Room, participant: Participant) -> None:
        """One more track of a participant can be heard."""
        ...

    def participant_left(self, room: Room, participant: Participant) -> None:
        """A participant is out, whether it had been ACTIVE or not; its `reason` says why."""
        ...

    def room_finished(self, room: Room) -> None:
        """A room is closed; everybody has left."""
        ...


class NoAttendant:
    """For rooms that nobody finds agents for."""

    def room_started(self, room: Room, *, restored: bool) -> None:
        return

    def dispatch_requested(self, room: Room, dispatch: Dispatch) -> None:
        return

    def participant_joined(self, room: Room, participant: Participant) -> None:
        return

    def track_published(self, room: Room, participant: Participant) -> None:
        return

    def participant_left(self, room: Room, participant: Participant) -> None:
        return

    def room_finished(self, room: Room) -> None:
        return
