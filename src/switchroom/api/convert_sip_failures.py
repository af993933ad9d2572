"""Calls and transfers that failed, as errors of `livekit.SIP` with LiveKit's metadata."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2  # type: ignore[import-untyped]  # generated, without stubs
from livekit.protocol import sip as wire

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.transfer_failed import TransferFailedError

#: Twirp's codes as gRPC numbers them, for the ``google.rpc.Status`` inside ``error_details``.
_GRPC_CODES: Mapping[ErrorCode, int] = {
    ErrorCode.CANCELED: 1,
    ErrorCode.UNKNOWN: 2,
    ErrorCode.INVALID_ARGUMENT: 3,
    ErrorCode.DEADLINE_EXCEEDED: 4,
    ErrorCode.NOT_FOUND: 5,
    ErrorCode.ALREADY_EXISTS: 6,
    ErrorCode.PERMISSION_DENIED: 7,
    ErrorCode.RESOURCE_EXHAUSTED: 8,
    ErrorCode.FAILED_PRECONDITION: 9,
    ErrorCode.ABORTED: 10,
    ErrorCode.OUT_OF_RANGE: 11,
    ErrorCode.UNIMPLEMENTED: 12,
    ErrorCode.INTERNAL: 13,
    ErrorCode.UNAVAILABLE: 14,
    ErrorCode.DATA_LOSS: 15,
    ErrorCode.UNAUTHENTICATED: 16,
}


def failure_to_wire(failure: CallFailedError) -> ServiceError:
    """The failure with the call's id, and with ``error_details`` where a SIP status decided."""
    ending = failure.termination
    meta = {"sip_call_id": failure.call_id} if failure.call_id else {}
    if not failure.meta:
        return ServiceError(failure.code, failure.message, meta)
    status = _sip_status(ending.status, ending.reason)
    return _detailed(failure, status, meta)


def transfer_failure_to_wire(failure: TransferFailedError) -> ServiceError:
    """The failure with LiveKit's ``sip_transfer_reason``, which makes SDKs raise SipCallError."""
    reason = wire.SIPTransferReason.Name(failure.reason.value)
    detail = wire.SIPTransferError(transfer_id=failure.transfer_id, reason=reason)
    if failure.status:
        detail.sip_status.CopyFrom(_sip_status(failure.status, failure.status_text))
    meta = {"sip_transfer_id": failure.transfer_id, "sip_transfer_reason": reason}
    return _detailed(failure, detail, meta)


def _detailed(failure: ServiceError, detail: Message, meta: Mapping[str, str]) -> ServiceError:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(
        code=_GRPC_CODES[failure.code], message=failure.message, details=[packed]
    )
    encoded = base64.b64encode(status.SerializeToString()).decode("ascii")
    known = {**failure.meta, **meta, "error_details": encoded}
    return ServiceError(failure.code, failure.message, known)


def _sip_status(code: int | None, reason: str) -> wire.SIPStatus:
    status = wire.SIPStatus(status=reason)
    if code in wire.SIPStatusCode.values():
        status.code = wire.SIPStatusCode.Name(code)  # type: ignore[assignment]
    return status
