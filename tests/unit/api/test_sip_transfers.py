"""TransferSIPParticipant: the order of its checks, and what its answers and refusals carry."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import status_pb2  # type: ignore[import-untyped]  # generated, without stubs
from livekit.protocol import sip as wire

from scenarios.house import House
from switchroom.api.sip_service import SipService
from switchroom.auth.grants import SipGrants, VideoGrants
from switchroom.telephony.calls.transfer_failed import TransferFailedError
from switchroom.telephony.calls.transfer_outcome import (
    TransferReason,
    TransferRecord,
    TransferStatus,
)
from switchroom.telephony.routing.transfer_request import TransferRequest

from .conftest import Client
from .sip_api import ADMIN, CALL, SipApi

_METHOD = "TransferSIPParticipant"
_ROOM_ADMIN = VideoGrants(room_admin=True, room="r")
_DONE = TransferRecord(
    "STR_1", "tel:+1", 5, 6, TransferStatus.SUCCESSFUL, TransferReason.COMPLETED, 200, "OK"
)


class _Transfers:
    """Stands for what becomes of transfers, which telephony's own tests are about."""

    def __init__(self) -> None:
        self.asked: list[TransferRequest] = []
        self.failure: TransferRecord | None = None

    async def transfer(self, request: TransferRequest, _deadline: float | None) -> TransferRecord:
        self.asked.append(request)
        if self.failure is not None:
            raise TransferFailedError(self.failure)
        return _DONE


@pytest.fixture
def transfers() -> _Transfers:
    return _Transfers()


@pytest.fixture
async def sip(
    serve: Callable[..., Client], transfers: _Transfers, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SipApi]:
    house = House()
    await house.start()
    monkeypatch.setattr(house.telephony, "transfer", transfers.transfer)
    yield SipApi(serve(SipService(house.telephony)), house)
    await house.stop()


async def _post(
    sip: SipApi, grants: SipGrants | None = CALL, video: VideoGrants | None = _ROOM_ADMIN, **f: Any
) -> tuple[int, Any]:
    fields = {"room_name": "r", "participant_identity": "p", "transfer_to": "tel:+1"} | f
    request = wire.TransferSIPParticipantRequest(**fields)
    reply = await sip.post(_METHOD, request, grants, video=video)
    return reply.status, reply.body


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"room_name": "", "participant_identity": ""}, "invalid_argument", "Missing room name"),
        ({"participant_identity": ""}, "invalid_argument", "Missing participant identity"),
        ({"transfer_to": ""}, "unauthenticated", "permissions denied"),
    ],
)
async def test_room_and_identity_are_looked_at_before_the_grants_and_the_rest_after(
    sip: SipApi, transfers: _Transfers, fields: dict[str, str], code: str, text: str
) -> None:
    for grants, video in (
        (None, None),
        (ADMIN, _ROOM_ADMIN),
        (CALL, None),
        (CALL, VideoGrants(room_admin=True, room="other")),
    ):
        _, body = await _post(sip, grants, video, **fields)
        error = json.loads(body)
        assert (error["code"], error["msg"]) == (code, text)
    assert transfers.asked == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"transfer_to": ""}, "missing transfer to"),
        (
            {"transfer_to": "+1"},
            "transfer_to must be a valid SIP(s) or TEL URI (sip:, sips: or tel:)",
        ),
        ({"headers": {"Refer-To": "x"}}, "invalid header name: Refer-To is set by the server"),
    ],
)
async def test_what_is_no_transfer_is_refused(
    sip: SipApi, transfers: _Transfers, fields: dict[str, Any], text: str
) -> None:
    status, body = await _post(sip, **fields)
    assert (status, json.loads(body)["msg"]) == (400, text)
    assert transfers.asked == []


async def test_a_transfer_is_asked_for_whole_and_answered_without_a_sip_status(
    sip: SipApi, transfers: _Transfers
) -> None:
    """SDKs of before August 2026 cannot read an answer with `sip_status` in it."""
    status, body = await _post(
        sip,
        play_dialtone=True,
        headers={"X-A": "b"},
        ringing_timeout=Duration(seconds=12, nanos=500_000_000),
    )
    assert status == 200
    assert transfers.asked == [TransferRequest("r", "p", "tel:+1", True, {"X-A": "b"}, 12.5)]
    answer = wire.TransferSIPParticipantResponse.FromString(body)
    assert (answer.transfer_id, answer.HasField("sip_status")) == ("STR_1", False)
    assert answer.status == wire.SIPTransferStatus.STS_TRANSFER_SUCCESSFUL
    assert answer.reason == wire.SIPTransferReason.STR_COMPLETED
    # What older SDKs read the answer as.
    assert wire.SIPParticipantInfo.FromString(body).participant_id == "STR_1"


def _detail(error: dict[str, Any]) -> wire.SIPTransferError:
    status = status_pb2.Status.FromString(base64.b64decode(error["meta"]["error_details"]))
    detail = wire.SIPTransferError()
    assert status.details[0].Unpack(detail)
    return detail


async def test_a_refused_transfer_says_who_refused_it(sip: SipApi, transfers: _Transfers) -> None:
    transfers.failure = TransferRecord(
        "STR_2", "tel:+1", 5, 6, TransferStatus.FAILED, TransferReason.REJECTED, 603, "Decline"
    )
    status, body = await _post(sip)
    error = json.loads(body)
    assert (status, error["code"]) == (403, "permission_denied")
    assert error["msg"] == "sip status 603: Decline"
    del error["meta"]["error_details"]
    assert error["meta"] == {
        "sip_status_code": "603",
        "sip_status": "Decline",
        "sip_transfer_id": "STR_2",
        "sip_transfer_reason": "STR_REJECTED",
    }
    detail = _detail(json.loads(body))
    assert (detail.transfer_id, detail.reason) == (
        "STR_2",
        wire.SIPTransferReason.STR_REJECTED,
    )
    assert detail.sip_status == wire.SIPStatus(
        code=wire.SIPStatusCode.SIP_STATUS_GLOBAL_DECLINE, status="Decline"
    )


async def test_a_transfer_that_nobody_answered_says_so_without_a_status(
    sip: SipApi, transfers: _Transfers
) -> None:
    transfers.failure = TransferRecord(
        "STR_3", "tel:+1", 5, 6, TransferStatus.FAILED, TransferReason.RINGING_TIMEOUT
    )
    _, body = await _post(sip)
    error = json.loads(body)
    assert (error["code"], error["msg"]) == ("canceled", "refer canceled")
    assert error["meta"]["sip_transfer_reason"] == "STR_RINGING_TIMEOUT"
    assert "sip_status_code" not in error["meta"]
    assert not _detail(error).HasField("sip_status")


@pytest.mark.parametrize("target", ["call:SCL_1", "<call:SCL_1>"])
async def test_the_call_of_a_room_that_the_token_does_not_name_is_not_taken_over(
    sip: SipApi, transfers: _Transfers, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """It would leave that room, where the token has nothing to say."""
    rooms = {"SCL_1": "theirs"}
    monkeypatch.setattr(sip.house.telephony, "room_of", rooms.get)
    for video in (_ROOM_ADMIN, replace(_ROOM_ADMIN, destination_room="other")):
        _, body = await _post(sip, CALL, video, transfer_to=target)
        assert json.loads(body)["code"] == "unauthenticated"
    assert transfers.asked == []
    both = replace(_ROOM_ADMIN, destination_room="theirs")
    assert (await _post(sip, CALL, both, transfer_to=target))[0] == 200
    rooms["SCL_1"] = "r"
    assert (await _post(sip, transfer_to=target))[0] == 200
