"""The books of one call: its record, kept up to date on disk, and those who want to hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from switchroom.base.log import get_logger
from switchroom.media import LegStats
from switchroom.sdp.offer_answer import NegotiatedMedia
from switchroom.sip.dialog import DialogSnapshot
from switchroom.telephony.calls.call_events import CallStatus, Guest
from switchroom.telephony.calls.call_ports import CallPorts
from switchroom.telephony.calls.call_record import CallNotes, CallRecord, MediaFigures
from switchroom.telephony.calls.termination import Termination
from switchroom.telephony.calls.transfer import TransferPlan, TransferResult
from switchroom.telephony.calls.transfer_desk import finished
from switchroom.telephony.calls.transfer_outcome import TransferRecord
from switchroom.telephony.events import (
    CallChanged,
    CallEnded,
    CallEvent,
    CallHeld,
    CallStarted,
    CallTransferChanged,
)

_log = get_logger("telephony")

#: Transfers of one call that are kept: the last ones.
_MOST_TRANSFERS = 16

DialogOf = Callable[[], DialogSnapshot | None]
"""Says how the call's dialog stands; None when it is over."""


class CallBooks:
    """Notes what becomes of the call, at the time at which it is told."""

    def __init__(self, ports: CallPorts, opened: CallRecord) -> None:
        """`opened` is what is known before the first step."""
        self.notes = CallNotes(opened)
        self._ports = ports
        self._now = ports.clock.unix_ns
        self._dialog_of: DialogOf | None = None
        self._unwritten = False

    @property
    def record(self) -> CallRecord:
        """What is known of the call so far, without its dialog."""
        return self.notes.record()

    def seated(self, guest: Guest, room_sid: str, participant_sid: str) -> None:
        """The phone is in its room, with the status that it joined with."""
        notes = self.notes
        notes.room_name, notes.room_sid = guest.room_name, room_sid
        notes.participant_identity, notes.participant_sid = guest.identity, participant_sid
        notes.reach(CallStatus(guest.attributes["sip.callStatus"]), self._now())
        self._publish(CallStarted)

    def changed(self, status: CallStatus) -> None:
        """The room has been told of another status."""
        self.notes.reach(status, self._now())
        self._publish(CallChanged)

    def answered(self, dialog_of: DialogOf | None) -> None:
        """The call is up; `dialog_of` says what ends it after a crash, whenever it is written.

        Told again when another dialog takes its place: the call is as old as it was.
        """
        self.notes.answered_at = self.notes.answered_at or self._now()
        self._dialog_of = dialog_of

    def sounds(self, media: NegotiatedMedia) -> None:
        """This was agreed on."""
        if media.codecs:
            codec = media.codecs[0]
            self.notes.codec = f"{codec.name}/{codec.clock_rate}"
        self.notes.encryption = media.crypto.suite if media.crypto is not None else ""

    def held(self, *, held: bool) -> None:
        """The phone holds the call, or does no longer."""
        self._publish(lambda record: CallHeld(record, held))

    def transfer_begins(self, plan: TransferPlan) -> None:
        """The phone has been asked to be elsewhere."""
        transfer = TransferRecord(plan.transfer_id, plan.transfer_to, self._now())
        del self.notes.transfers[: 1 - _MOST_TRANSFERS]
        self.notes.transfers.append(transfer)
        self.save()
        self._publish(lambda record: CallTransferChanged(record, transfer))

    def transfer_ends(self, result: TransferResult) -> TransferRecord:
        """The result of the last transfer."""
        transfer = finished(self.notes.transfers.pop(), result, self._now())
        self.notes.transfers.append(transfer)
        self.save()
        self._publish(lambda record: CallTransferChanged(record, transfer))
        return transfer

    def ended(self, ending: Termination, dialog_of: DialogOf | None) -> None:
        """The call is over; `closed` follows. Until our BYE is answered its dialog is kept."""
        notes = self.notes
        notes.ended_at = self._now()
        notes.termination = ending
        self._dialog_of = dialog_of

    def closed(self, figures: LegStats | None) -> None:
        """Nothing more will be known: `figures` are those of its sound, if there was any."""
        notes = self.notes
        if figures is not None:
            notes.media = _media_figures(figures)
        self.save()
        if notes.termination is not None:
            _log.info("call ended", **_account(notes, notes.termination))
        self._publish(CallEnded)

    def forget_dialog(self) -> None:
        """The far end knows that the call is over: nothing is left to end after a crash."""
        if self._dialog_of is not None:
            self._dialog_of = None
            self.save()

    def save(self) -> None:
        """Write the record soon: as it will be then, so that one wish holds for more."""
        if not self._unwritten:
            self._unwritten = True
            self._ports.calls.save_later(self.notes.call_id, self._to_keep)

    def save_now(self) -> asyncio.Future[None]:
        """Begin to write at once. Done when a crash of ours cannot lose it, or a StorageError."""
        return self._ports.calls.save_now(self._to_keep())

    def save_durably(self) -> Awaitable[None]:
        """Begin to write at once; awaited, return when it is on disk. Then raises StorageError."""
        return self._ports.calls.save_durably(self._to_keep())

    def _to_keep(self) -> CallRecord:
        self._unwritten = False
        return self.notes.record(None if self._dialog_of is None else self._dialog_of())

    def _publish(self, event_of: Callable[[CallRecord], CallEvent]) -> None:
        """Tell the listeners; a record is made only if there are any."""
        if self._ports.listeners:
            event = event_of(self.record)
            for listener in self._ports.listeners:
                listener(event)


def _media_figures(stats: LegStats) -> MediaFigures:
    heard_of = stats.round_trip is not None or stats.jitter_out_ms is not None
    return MediaFigures(
        packets_in=stats.packets_in,
        lost_in=stats.lost_in,
        jitter_in_ms=round(stats.jitter_ms, 2),
        concealed_ms=stats.concealed_ms,
        packets_out=stats.packets_out,
        lost_out=stats.lost_out if heard_of else None,
        jitter_out_ms=_rounded(stats.jitter_out_ms),
        round_trip_ms=_rounded(stats.round_trip, 1000.0),
    )


def _rounded(value: float | None, scale: float = 1.0) -> float | None:
    return None if value is None else round(value * scale, 2)


def _account(notes: CallNotes, ending: Termination) -> dict[str, object]:
    """The one line about a call that everybody reads."""
    told: dict[str, object] = {
        "call": notes.call_id,
        "room_name": notes.room_name,
        "direction": str(notes.direction),
        "trunk": notes.trunk,
        "ending": ending.word,
        "ended_by": str(ending.who),
        "why": ending.sentence,
    }
    if ending.status is not None:
        told["sip_status"] = ending.status
    if ending.q850 is not None:
        told["q850"] = ending.q850
    if notes.answered_at:
        told["seconds"] = round((notes.ended_at - notes.answered_at) / 1e9, 1)
        told["codec"] = notes.codec
    if notes.media is not None:
        told["lost_in"] = notes.media.lost_in
        told["jitter_in_ms"] = notes.media.jitter_in_ms
        told["round_trip_ms"] = notes.media.round_trip_ms
    return told
