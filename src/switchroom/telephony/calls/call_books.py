"""The books of one call: its record, kept up to date on disk, and those who want to hear of it."""

from __future__ import annotations

from switchroom.base.log import get_logger
from switchroom.sip.dialog import DialogSnapshot
from switchroom.telephony.calls.call_events import CallStatus, Guest
from switchroom.telephony.calls.call_ports import CallPorts
from switchroom.telephony.calls.call_record import CallNotes, CallRecord
from switchroom.telephony.calls.termination import Termination
from switchroom.telephony.events import CallChanged, CallEnded, CallEvent, CallStarted

_log = get_logger("telephony")


class CallBooks:
    """Notes what becomes of the call, at the time at which it is told."""

    def __init__(self, ports: CallPorts, opened: CallRecord) -> None:
        """`opened` is what is known before the first step."""
        self.notes = CallNotes(opened)
        self._ports = ports

    @property
    def record(self) -> CallRecord:
        """What is known of the call so far."""
        return self.notes.record()

    def seated(self, guest: Guest, room_sid: str, participant_sid: str) -> None:
        """The phone is in its room, with the status that it joined with."""
        notes = self.notes
        notes.room_name, notes.room_sid = guest.room_name, room_sid
        notes.participant_identity, notes.participant_sid = guest.identity, participant_sid
        notes.reach(CallStatus(guest.attributes["sip.callStatus"]), self._now())
        self._tell(CallStarted)

    def changed(self, status: CallStatus) -> None:
        """The room has been told of another status."""
        self.notes.reach(status, self._now())
        self._tell(CallChanged)

    def answered(self, dialog: DialogSnapshot | None) -> None:
        """The call is up; `dialog` is what ends it after a crash."""
        self.notes.answered_at = self._now()
        self.notes.dialog = dialog

    def ended(self, ending: Termination, dialog: DialogSnapshot | None) -> None:
        """The call is over. Until our BYE is answered the far end may believe in it."""
        notes = self.notes
        notes.ended_at = self._now()
        notes.termination = ending
        notes.dialog = dialog
        self.save()
        _log.info(
            "call ended",
            call=notes.call_id,
            room=notes.room_name,
            ending=ending.word,
            sip_status=ending.status,
        )
        self._tell(CallEnded)

    def forget_dialog(self) -> None:
        """The far end knows that the call is over: nothing is left to end after a crash."""
        if self.notes.dialog is not None:
            self.notes.dialog = None
            self.save()

    def save(self) -> None:
        """Write the record soon."""
        self._ports.calls.save(self.record)

    async def save_durably(self) -> None:
        """Return when the record is on disk. Raises StorageError."""
        await self._ports.calls.save_durably(self.record)

    def _now(self) -> int:
        return self._ports.clock.unix_ns()

    def _tell(self, kind: type[CallEvent]) -> None:
        """Tell the listeners; a record is made only if there are any."""
        if self._ports.listeners:
            event = kind(self.record)
            for listener in self._ports.listeners:
                listener(event)
