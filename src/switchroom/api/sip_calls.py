"""`livekit.SIP`'s methods for phones in rooms: placing calls and transferring them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from livekit.protocol import sip as wire

from switchroom.api.convert_sip_calls import (
    info_to_wire,
    request_from_wire,
    transfer_from_wire,
    transfer_to_wire,
)
from switchroom.api.convert_sip_failures import failure_to_wire, transfer_failure_to_wire
from switchroom.api.twirp import CallContext, Method, always
from switchroom.auth.grants import require_room_admin, require_room_reached, require_sip_call
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.transfer_failed import TransferFailedError
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.outbound.request_memory import RequestKey
from switchroom.telephony.routing.transfer_request import call_wanted, check as check_transfer
from switchroom.telephony.telephony import Telephony


class SipCallMethods:
    """Each checks the grant ``sip.call`` before anything else."""

    def __init__(self, telephony: Telephony) -> None:
        self._telephony = telephony
        self.methods: Mapping[str, Method[Any, Any]] = {
            "CreateSIPParticipant": Method(
                wire.CreateSIPParticipantRequest,
                self._create,
                # A dial that is not waited for goes on without its client anyway.
                cancelled_with_client=lambda request: request.wait_until_answered,
            ),
            "TransferSIPParticipant": Method(
                wire.TransferSIPParticipantRequest, self._transfer, cancelled_with_client=always
            ),
        }

    async def _create(
        self, request: wire.CreateSIPParticipantRequest, context: CallContext
    ) -> wire.SIPParticipantInfo:
        require_sip_call(context.claims)
        try:
            info = await self._telephony.outbound.create_participant(
                request_from_wire(request), context.deadline, _request_key(request, context)
            )
        except CallFailedError as failure:
            raise failure_to_wire(failure) from failure
        return info_to_wire(info)

    async def _transfer(
        self, request: wire.TransferSIPParticipantRequest, context: CallContext
    ) -> wire.TransferSIPParticipantResponse:
        # LiveKit looks at these two before the grants, which name the room.
        if not request.room_name:
            raise InvalidRequestError("Missing room name")
        if not request.participant_identity:
            raise InvalidRequestError("Missing participant identity")
        require_sip_call(context.claims)
        require_room_admin(context.claims, request.room_name)
        asked = transfer_from_wire(request)
        check_transfer(asked)
        # A call that is taken over leaves its room, which may be one where the token rules nothing.
        other = self._telephony.room_of(call_wanted(asked.transfer_to))
        if other is not None:
            require_room_reached(context.claims, other)
        try:
            return transfer_to_wire(await self._telephony.transfer(asked, context.deadline))
        except TransferFailedError as failure:
            raise transfer_failure_to_wire(failure) from failure


def _request_key(request: Message, context: CallContext) -> RequestKey | None:
    """The caller's Idempotency-Key, else its SDK's request id; two API keys never meet.

    Only the former is kept over a crash: SDKs send a request id with every call, and a disk write
    before each INVITE would be the price.
    """
    key = context.idempotency_key
    if not key:
        return None
    owner = context.claims.api_key if context.claims is not None else ""
    return RequestKey(
        hashlib.sha256(f"{owner}:{key}".encode()).hexdigest(),
        hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest(),
        durable=key != context.request_id,
    )
