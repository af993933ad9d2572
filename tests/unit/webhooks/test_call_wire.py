"""What receivers read of calls: events of ours in the form of LiveKit's."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from livekit.protocol import sip, webhook

from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.call_record import (
    CallDirection,
    CallRecord,
    MediaFigures,
    StatusChange,
)
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.calls.transfer_outcome import (
    TransferReason,
    TransferRecord,
    TransferStatus,
)
from switchroom.telephony.events import (
    CallChanged,
    CallEnded,
    CallEvent,
    CallHeld,
    CallStarted,
    CallTransferChanged,
)
from switchroom.webhooks.wire import announcement_of, end_name_of, ended_by, name_of, notice_of

PAPER = Path(__file__).resolve().parents[3] / "docs/webhooks.md"
AT = 1_800_000_007_999_999_999
CALL = CallRecord(
    call_id="SCL_1",
    room_name="büro",
    participant_identity="sip_+1",
    from_number="+2",
    to_number="+1",
    trunk_id="ST_1",
    trunk_address="sip.example.com",
    created_at=AT,
    participant_sid="PA_1",
    room_sid="RM_1",
    sip_call_id="abc",
    path=(StatusChange(CallStatus.DIALING, AT),),
)
ONGOING = TransferRecord("STR_1", "tel:+3", AT)
FAILED = replace(
    ONGOING,
    completed_at=AT + 5,
    status=TransferStatus.FAILED,
    reason=TransferReason.REJECTED,
    sip_status=603,
    sip_reason="Decline",
)


def _at(status: CallStatus) -> CallRecord:
    return replace(CALL, path=(*CALL.path, StatusChange(status, AT + 1)))


def _told(event: CallEvent) -> dict[str, Any]:
    notice = notice_of(event, AT, "EV_1")
    assert (notice.sequence, notice.room_sid) == (AT, event.record.room_sid)
    body = dict(json.loads(notice.body))
    assert (body["event"], body["id"], body["createdAt"]) == (notice.name, "EV_1", "1800000007")
    message = json_format.Parse(notice.body, webhook.WebhookEvent(), ignore_unknown_fields=True)
    assert message.room.name == event.record.room_name
    assert json.loads(notice.body_after(3))["numDropped"] == 3
    json_format.ParseDict(body["sipCall"], sip.SIPCallInfo())
    return body


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (CallStarted(CALL), "sip_call_started"),
        (CallChanged(_at(CallStatus.RINGING)), "sip_call_ringing"),
        (CallChanged(_at(CallStatus.ACTIVE)), "sip_call_answered"),
        (CallChanged(_at(CallStatus.AUTOMATION)), ""),
        (CallChanged(_at(CallStatus.HANGUP)), ""),
        (CallHeld(CALL, held=True), "sip_call_held"),
        (CallHeld(CALL, held=False), "sip_call_resumed"),
        (CallTransferChanged(CALL, ONGOING), "sip_call_transfer_started"),
        (CallTransferChanged(CALL, FAILED), "sip_call_transfer_ended"),
        (CallEnded(CALL), "sip_call_ended"),
    ],
)
def test_each_event_of_a_call_has_its_name(event: CallEvent, name: str) -> None:
    assert name_of(event) == name
    assert end_name_of(event) == ""
    assert ended_by(event) is None
    if name:
        _told(event)
        assert announcement_of(event, notice_of(event, AT, "EV_1")) is None


def test_a_call_is_told_as_livekits_call_info_with_room_and_participant() -> None:
    body = _told(CallChanged(replace(_at(CallStatus.ACTIVE), answered_at=AT, codec="PCMU/8000")))
    assert body["room"] == {"sid": "RM_1", "name": "büro"}
    assert body["participant"] == {"sid": "PA_1", "identity": "sip_+1", "kind": "SIP"}
    call = body["sipCall"]
    assert (call["callId"], call["trunkId"], call["sipCallId"]) == ("SCL_1", "ST_1", "abc")
    assert (call["callDirection"], call["callStatus"]) == ("SCD_OUTBOUND", "SCS_ACTIVE")
    assert (call["fromUri"]["user"], call["toUri"]["user"]) == ("+2", "+1")
    assert call["audioCodec"] == "PCMU/8000"


def test_an_ending_is_told_with_all_that_explains_it() -> None:
    ending = Termination(Cause.BUSY, 486, "Busy Here", q850=17)
    body = _told(CallEnded(replace(CALL, ended_at=AT, termination=ending)))
    assert body["sipDetails"]["ending"] == {
        "word": "busy",
        "result": "client_error",
        "endedBy": "phone",
        "sentence": "The line is busy. (SIP 486 Busy Here)",
        "wasActive": False,
        "sipStatus": 486,
        "sipReason": "Busy Here",
        "q850Cause": 17,
    }
    call = body["sipCall"]
    assert (call["callStatus"], call["disconnectReason"]) == ("SCS_ERROR", "USER_REJECTED")
    assert call["callStatusCode"] == {"code": "SIP_STATUS_BUSY_HERE", "status": "Busy Here"}
    assert call["error"] == "sip status 486: Busy Here"


def test_a_status_that_livekit_has_no_name_for_is_told_as_its_number() -> None:
    ending = Termination(Cause.CLIENT_ERROR, 499, "Odd")
    call = _told(CallEnded(replace(CALL, termination=ending)))["sipCall"]
    assert call["callStatusCode"] == {"code": 499, "status": "Odd"}


def test_the_sound_of_a_call_is_told_in_figures() -> None:
    media = MediaFigures(500, 5, 1.25, 40, 510, None, None, 21.5)
    body = _told(CallEnded(replace(CALL, media=media, termination=Termination(Cause.BYE))))
    assert body["sipDetails"]["media"] == {
        "packetsIn": 500,
        "lostIn": 5,
        "jitterInMs": 1.25,
        "concealedMs": 40,
        "packetsOut": 510,
        "roundTripMs": 21.5,
    }


def test_a_transfer_is_told_as_livekits_transfer_info() -> None:
    transfer = _told(CallTransferChanged(CALL, FAILED))["sipTransfer"]
    json_format.ParseDict(transfer, sip.SIPTransferInfo())
    assert (transfer["transferId"], transfer["callId"]) == ("STR_1", "SCL_1")
    assert (transfer["transferStatus"], transfer["reason"]) == (
        "STS_TRANSFER_FAILED", "STR_REJECTED",
    )  # fmt: skip
    assert transfer["transferStatusCode"]["status"] == "Decline"


def test_hidden_numbers_are_told_to_nobody() -> None:
    hidden = replace(CALL, hides_numbers=True, direction=CallDirection.INBOUND, termination=None)
    for event in (CallStarted(hidden), CallTransferChanged(hidden, ONGOING)):
        body = _told(event)
        assert "fromUri" not in body["sipCall"]
        assert "toUri" not in body["sipCall"]
        assert "tel:+3" not in json.dumps(body)


def test_livekits_own_receiver_takes_it() -> None:
    api = pytest.importorskip("livekit.api", reason="pip install livekit-api")
    body = notice_of(CallEnded(CALL), AT, "EV_1").body
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    token = api.AccessToken("key", "secret" * 6).with_sha256(digest).to_jwt()
    receiver = api.WebhookReceiver(api.TokenVerifier("key", "secret" * 6))
    assert receiver.receive(body, token).event == "sip_call_ended"


def test_the_paper_shows_the_details_of_a_call_as_they_are() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAPER.read_text(encoding="utf-8"), re.DOTALL)
    dialled = 1_800_000_000_000_000_000
    record = replace(
        CALL,
        path=(
            StatusChange(CallStatus.DIALING, dialled),
            StatusChange(CallStatus.RINGING, dialled + 1_200_000_000),
        ),
        media=MediaFigures(1500, 3, 1.2, 60, 1510, 0, 0.9, 21.5),
        termination=Termination(Cause.BUSY, 486, "Busy Here", q850=17),
    )
    assert _told(CallEnded(record))["sipDetails"] == json.loads(shown)
