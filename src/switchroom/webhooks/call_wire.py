"""What telephony tells, as webhooks: events of our own in the form of LiveKit's.

LiveKit's servers have none for calls. Each is a WebhookEvent with room and participant, and beside
them ``sipCall`` (LiveKit's SIPCallInfo), ``sipTransfer`` (its SIPTransferInfo) where one is meant,
and ``sipDetails`` with what those have no field for. LiveKit's receivers pass over what they do not
know.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, cast

from google.protobuf import json_format
from livekit.protocol import models, sip, webhook

from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.call_record import CallDirection, CallRecord
from switchroom.telephony.calls.sip_status import short_name
from switchroom.telephony.calls.termination import Result, Termination
from switchroom.telephony.calls.transfer_outcome import TransferRecord, TransferStatus
from switchroom.telephony.events import (
    CallChanged,
    CallEnded,
    CallEvent,
    CallHeld,
    CallStarted,
    CallTransferChanged,
)

_NS = 1_000_000_000
_CHANGES = {CallStatus.RINGING: "sip_call_ringing", CallStatus.ACTIVE: "sip_call_answered"}
_DIRECTIONS = {
    CallDirection.INBOUND: sip.SCD_INBOUND,
    CallDirection.OUTBOUND: sip.SCD_OUTBOUND,
}


def call_event_name(event: CallEvent) -> str:
    """The name of an event; empty for what is told to nobody outside."""
    match event:
        case CallStarted():
            return "sip_call_started"
        case CallChanged(record):
            return _CHANGES.get(record.path[-1].status, "")
        case CallHeld(held=held):
            return "sip_call_held" if held else "sip_call_resumed"
        case CallTransferChanged(transfer=transfer):
            ongoing = transfer.status is TransferStatus.ONGOING
            return "sip_call_transfer_started" if ongoing else "sip_call_transfer_ended"
        case CallEnded():
            return "sip_call_ended"


def call_event_body(event: CallEvent, sequence: int, id_: str) -> str:
    """The event as proto-JSON. `sequence` is its time in Unix nanoseconds."""
    record = event.record
    message = webhook.WebhookEvent(event=call_event_name(event), id=id_, created_at=sequence // _NS)
    message.room.CopyFrom(models.Room(sid=record.room_sid, name=record.room_name))
    if record.participant_identity:
        message.participant.CopyFrom(
            models.ParticipantInfo(
                sid=record.participant_sid,
                identity=record.participant_identity,
                kind=models.ParticipantInfo.SIP,
            )
        )
    body: dict[str, Any] = json_format.MessageToDict(message)
    body["sipCall"] = json_format.MessageToDict(_call_to_wire(record))
    body["sipDetails"] = _details(record)
    if isinstance(event, CallTransferChanged):
        transfer = _transfer_to_wire(record, event.transfer)
        body["sipTransfer"] = json_format.MessageToDict(transfer)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _call_to_wire(record: CallRecord) -> sip.SIPCallInfo:
    info = sip.SIPCallInfo(
        call_id=record.call_id,
        trunk_id=record.trunk_id,
        dispatch_rule_id=record.rule_id,
        room_name=record.room_name,
        room_id=record.room_sid,
        participant_identity=record.participant_identity,
        call_direction=_DIRECTIONS[record.direction],
        call_status=_status_to_wire(record),
        created_at_ns=record.created_at,
        started_at_ns=record.answered_at,
        ended_at_ns=record.ended_at,
        audio_codec=record.codec,
        media_encryption=record.encryption,
        sip_call_id=record.sip_call_id,
    )
    if not record.hides_numbers:
        info.from_uri.user, info.to_uri.user = record.from_number, record.to_number
    ending = record.termination
    if ending is not None:
        # The numbers are LiveKit's, as in `rooms.reasons`.
        info.disconnect_reason = int(ending.record_reason)  # type: ignore[assignment]
        if ending.result is not Result.SUCCESS:
            info.error = ending.message
        if ending.status is not None:
            info.call_status_code.CopyFrom(_sip_status(ending.status, ending.reason))
    return info


def _status_to_wire(record: CallRecord) -> sip.SIPCallStatus:
    if record.termination is not None:
        failed = record.termination.result is not Result.SUCCESS
        return sip.SCS_ERROR if failed else sip.SCS_DISCONNECTED
    if record.answered_at:
        return sip.SCS_ACTIVE
    return sip.SCS_PARTICIPANT_JOINED if record.participant_sid else sip.SCS_CALL_INCOMING


def _sip_status(status: int, reason: str) -> sip.SIPStatus:
    # A status that LiveKit has no name for goes as its number.
    code = cast("sip.SIPStatusCode", status)
    return sip.SIPStatus(code=code, status=reason or short_name(status))


def _details(record: CallRecord) -> dict[str, Any]:
    """What LiveKit's message has no field for. Times are Unix nanoseconds, as text."""
    details: dict[str, Any] = {
        "direction": record.direction.value,
        "path": [{"status": c.status.value, "atNs": str(c.at)} for c in record.path],
    }
    if record.termination is not None:
        details["ending"] = _ending(record.termination)
    if record.media is not None:
        details["media"] = {
            _camel(name): value for name, value in asdict(record.media).items() if value is not None
        }
    return details


def _ending(ending: Termination) -> dict[str, Any]:
    told: dict[str, Any] = {
        "word": ending.word,
        "result": ending.result.value,
        "endedBy": ending.who.value,
        "sentence": ending.sentence,
        "wasActive": ending.was_active,
    }
    if ending.status is not None:
        told["sipStatus"] = ending.status
        told["sipReason"] = ending.reason
    if ending.q850 is not None:
        told["q850Cause"] = ending.q850
    return told


def _transfer_to_wire(record: CallRecord, transfer: TransferRecord) -> sip.SIPTransferInfo:
    info = sip.SIPTransferInfo(
        transfer_id=transfer.transfer_id,
        call_id=record.call_id,
        transfer_to="" if record.hides_numbers else transfer.transfer_to,
        transfer_initiated_at_ns=transfer.initiated_at,
        transfer_completed_at_ns=transfer.completed_at,
        transfer_status=sip.SIPTransferStatus.Name(transfer.status.value),
        reason=sip.SIPTransferReason.Name(transfer.reason.value),
    )
    if transfer.sip_status is not None:
        info.transfer_status_code.CopyFrom(_sip_status(transfer.sip_status, transfer.sip_reason))
    return info


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
