"""Figures of calls, from what telephony tells: livekit-sip's names, and a few of our own.

What only the end of a call can tell (packets, loss, jitter) is counted when it ends. `to` is the
host of the trunk, bounded in number.
"""

from __future__ import annotations

from switchroom.base.metrics import Figures
from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.call_record import CallDirection, CallRecord, MediaFigures
from switchroom.telephony.calls.transfer_outcome import TransferRecord, TransferStatus
from switchroom.telephony.events import (
    CallChanged,
    CallEnded,
    CallEvent,
    CallHeld,
    CallStarted,
    CallTransferChanged,
)

# livekit-sip's buckets: short operations 0.1 to 180 s, calls 1 s to 24 h.
_SHORT = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 90, 120, 180)
_LONG = (1, 5, 10, 30, 60, 180, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)
_LOSS = (0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_JITTER = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
_ROUND_TRIP = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1)

_DIRECTIONS = {CallDirection.INBOUND: "in", CallDirection.OUTBOUND: "out"}


class CallFigures:
    """Hears every CallEvent."""

    def __init__(self, figures: Figures) -> None:
        where = ("dir", "to")
        count, spread = figures.counter, figures.histogram
        self._requests = count("livekit_sip_invite_requests", "Calls begun.", ("dir",))
        self._accepted = count("livekit_sip_invite_accepted", "Calls answered.", where)
        self._errors = count(
            "livekit_sip_invite_error", "Calls never answered, and why.", (*where, "reason")
        )
        self._active = figures.gauge("livekit_sip_calls_active", "Calls not over.", where)
        self._ended = count(
            "livekit_sip_calls_terminated", "Calls over, and how.", (*where, "result", "reason")
        )
        self._packets = count(
            "livekit_sip_packets_rtp",
            "RTP packets of calls that are over.",
            (*where, "op", "payload"),
        )
        self._transfers = count("livekit_sip_transfers_total", "Transfers asked for.", ("dir",))
        self._moving = figures.gauge("livekit_sip_transfers_active", "Under way.", ("dir",))
        self._holds = count("switchroom_sip_holds_total", "Calls held and resumed.", ("what",))
        self._transferred = count("livekit_sip_transfers_succeeded_total", "As asked.", ("dir",))
        self._not_transferred = count(
            "livekit_sip_transfers_failed_total", "Transfers that failed.", ("dir", "reason")
        )
        self._session = spread(
            "livekit_sip_dur_session_sec", "From INVITE to the end.", ("dir",), _LONG
        )
        self._call = spread("livekit_sip_dur_call_sec", "From answer to end.", ("dir",), _LONG)
        self._ring = spread(
            "livekit_sip_post_dial_delay_seconds", "From INVITE to ringing.", ("dir",), _SHORT
        )
        self._answer = spread(
            "livekit_sip_answer_delay_seconds", "From INVITE to answer.", ("dir",), _SHORT
        )
        self._loss = spread(
            "livekit_sip_rtp_loss_ratio", "Packets lost, a call.", ("dir", "op"), _LOSS
        )
        self._jitter = spread(
            "livekit_sip_rtp_jitter_seconds", "Jitter, a call.", ("dir", "op"), _JITTER
        )
        self._trip = spread(
            "livekit_sip_rtp_round_trip_seconds", "Round trip, a call.", ("dir",), _ROUND_TRIP
        )
        self._running: dict[str, tuple[str, str]] = {}
        self._answered: set[str] = set()

    def hear(self, event: CallEvent) -> None:
        """Count what happened."""
        match event:
            case CallStarted(record):
                self._begin(record)
            case CallChanged(record):
                self._begin(record)
                if record.answered_at:
                    self._accept(record)
            case CallTransferChanged(record, transfer):
                self._moved(_DIRECTIONS[record.direction], transfer)
            case CallHeld():
                self._holds.add("held" if event.held else "resumed")
            case CallEnded(record):
                self._begin(record)
                self._end(record)

    def _begin(self, record: CallRecord) -> None:
        """A call that was refused at once is first heard of when it is over."""
        if record.call_id in self._running:
            return
        where = (_DIRECTIONS[record.direction], _host(record.trunk_address))
        self._running[record.call_id] = where
        self._requests.add(where[0])
        self._active.add(*where)

    def _accept(self, record: CallRecord) -> None:
        if record.call_id in self._answered:
            return
        self._answered.add(record.call_id)
        where = self._running[record.call_id]
        self._accepted.add(*where)
        self._answer.labels(where[0]).observe(_seconds(record.created_at, record.answered_at))

    def _end(self, record: CallRecord) -> None:
        if record.answered_at:
            self._accept(record)
        self._answered.discard(record.call_id)
        where = self._running.pop(record.call_id)
        direction = where[0]
        self._active.add(*where, amount=-1)
        ending = record.termination
        if ending is not None:
            self._ended.add(*where, ending.result.value, ending.word)
            if not record.answered_at:
                self._errors.add(*where, ending.word)
        self._session.labels(direction).observe(_seconds(record.created_at, record.ended_at))
        if record.answered_at:
            self._call.labels(direction).observe(_seconds(record.answered_at, record.ended_at))
        for change in record.path:
            if change.status is CallStatus.RINGING:
                self._ring.labels(direction).observe(_seconds(record.created_at, change.at))
                break
        self._sound(where, record.codec, record.media)

    def _sound(self, where: tuple[str, str], codec: str, media: MediaFigures | None) -> None:
        if media is None:
            return
        direction = where[0]
        self._packets.add(*where, "recv", codec, amount=media.packets_in)
        self._packets.add(*where, "send", codec, amount=media.packets_out)
        if media.packets_in:
            lost = media.lost_in / (media.packets_in + media.lost_in)
            self._loss.labels(direction, "recv").observe(lost)
            self._jitter.labels(direction, "recv").observe(media.jitter_in_ms / 1000)
        if media.packets_out and media.lost_out is not None:
            self._loss.labels(direction, "send").observe(media.lost_out / media.packets_out)
        if media.jitter_out_ms is not None:
            self._jitter.labels(direction, "send").observe(media.jitter_out_ms / 1000)
        if media.round_trip_ms is not None:
            self._trip.labels(direction).observe(media.round_trip_ms / 1000)

    def _moved(self, direction: str, transfer: TransferRecord) -> None:
        if transfer.status is TransferStatus.ONGOING:
            self._transfers.add(direction)
            self._moving.add(direction)
            return
        self._moving.add(direction, amount=-1)
        if transfer.status is TransferStatus.SUCCESSFUL:
            self._transferred.add(direction)
        else:
            self._not_transferred.add(direction, transfer.reason.name.lower())


def _seconds(start_ns: int, end_ns: int) -> float:
    return max(0.0, (end_ns - start_ns) / 1e9)


def _host(address: str) -> str:
    """The host of a trunk's address, without port and parameters."""
    bare = address.partition(";")[0]
    host, colon, port = bare.rpartition(":")
    return host if colon and port.isdigit() else bare
