"""Call records as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from switchroom.base.redact import redact_number, redact_text
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.termination import Termination
from switchroom.telephony.calls.transfer_outcome import TransferRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS = 1_000_000_000


def call_to_json(call: CallRecord, now: int) -> dict[str, Any]:
    """Everything that may be told of a call. `now` (Unix ns) is how long a running one has lasted.

    Times are RFC 3339 in UTC, null where it never came to that. Of hidden numbers the last digits
    are left, as in the log. What the server keeps for itself (the dialog, idempotency keys) is not
    told.
    """
    hides = call.hides_numbers
    return {
        "call_id": call.call_id,
        "sip_call_id": call.sip_call_id,
        "direction": call.direction.value,
        "running": call.termination is None,
        "from_number": redact_number(call.from_number) if hides else call.from_number,
        "to_number": redact_number(call.to_number) if hides else call.to_number,
        "hides_numbers": hides,
        "trunk_id": call.trunk_id,
        "trunk_address": call.trunk_address,
        "rule_id": call.rule_id,
        "remote_address": call.remote_address,
        "room_name": call.room_name,
        "room_sid": call.room_sid,
        "participant_identity": call.participant_identity,
        "participant_sid": call.participant_sid,
        "created_at": moment(call.created_at),
        "answered_at": moment(call.answered_at),
        "ended_at": moment(call.ended_at),
        "seconds": _seconds(call, now),
        "path": [{"status": step.status.value, "at": moment(step.at)} for step in call.path],
        "codec": call.codec,
        "encryption": call.encryption,
        "media": None if call.media is None else asdict(call.media),
        "transfers": [_transfer(transfer, hides=hides) for transfer in call.transfers],
        "termination": _termination(call.termination, hides=hides),
    }


def moment(unix_ns: int) -> str | None:
    """``2026-11-22T03:49:47.123456Z``; None for 0, which stands for never."""
    if not unix_ns:
        return None
    exact = _EPOCH + timedelta(microseconds=unix_ns // 1000)
    return exact.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _seconds(call: CallRecord, now: int) -> float | None:
    """From the answer to the end; of a running call, until now."""
    if not call.answered_at:
        return None
    return round(max(0, (call.ended_at or now) - call.answered_at) / _NS, 1)


def _transfer(transfer: TransferRecord, *, hides: bool) -> dict[str, Any]:
    return {
        "transfer_id": transfer.transfer_id,
        # Whoever hides numbers hides all of them, as webhooks do.
        "transfer_to": "" if hides else transfer.transfer_to,
        "initiated_at": moment(transfer.initiated_at),
        "completed_at": moment(transfer.completed_at),
        "status": transfer.status.name.lower(),
        "reason": transfer.reason.name.lower(),
        "sip_status": transfer.sip_status,
        "sip_reason": _told(transfer.sip_reason, hides=hides),
    }


def _termination(ending: Termination | None, *, hides: bool) -> Mapping[str, Any] | None:
    if ending is None:
        return None
    return {
        "sentence": _told(ending.sentence, hides=hides),
        "cause": ending.word,
        "result": ending.result.value,
        "ended_by": ending.who.value,
        "was_active": ending.was_active,
        "sip_status": ending.status,
        "sip_reason": _told(ending.reason, hides=hides),
        "q850_cause": ending.q850,
        "detail": _told(ending.detail, hides=hides),
        "disconnect_reason": ending.record_reason.name,
    }


def _told(text: str, *, hides: bool) -> str:
    """What the far end says may name a number."""
    return redact_text(text) if hides else text
