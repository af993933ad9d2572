"""`livekit.SIP`: LiveKit's server API for trunks and phone calls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import empty_pb2
from google.protobuf.message import Message
from livekit.protocol import models, sip as wire

from switchroom.api.convert_sip import (
    failure_to_wire,
    info_to_wire,
    request_from_wire,
    trunk_from_wire,
    trunk_to_legacy_wire,
    trunk_to_wire,
    update_from_wire,
)
from switchroom.api.twirp import CallContext, Method
from switchroom.auth.grants import require_room_admin, require_sip_admin, require_sip_call
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.outbound.request_memory import RequestKey
from switchroom.telephony.telephony import Telephony


class SipService:
    """Handlers of the service; each checks the grant before anything else."""

    name = "livekit.SIP"

    def __init__(self, telephony: Telephony) -> None:
        self._trunks = telephony.trunks
        self._outbound = telephony.outbound
        self.methods: Mapping[str, Method[Any, Any]] = {
            "CreateSIPParticipant": Method(
                wire.CreateSIPParticipantRequest,
                self._create_participant,
                cancelled_with_client=True,
            ),
            "CreateSIPOutboundTrunk": Method(
                wire.CreateSIPOutboundTrunkRequest, self._create_trunk
            ),
            "GetSIPOutboundTrunk": Method(wire.GetSIPOutboundTrunkRequest, self._get_trunk),
            "ListSIPOutboundTrunk": Method(wire.ListSIPOutboundTrunkRequest, self._list_trunks),
            "UpdateSIPOutboundTrunk": Method(
                wire.UpdateSIPOutboundTrunkRequest, self._update_trunk
            ),
            "DeleteSIPTrunk": Method(wire.DeleteSIPTrunkRequest, self._delete_trunk),
            "ListSIPTrunk": Method(wire.ListSIPTrunkRequest, self._list_legacy_trunks),
            "ListSIPInboundTrunk": Method(
                wire.ListSIPInboundTrunkRequest, self._list_inbound_trunks
            ),
            "ListSIPDispatchRule": Method(wire.ListSIPDispatchRuleRequest, self._list_rules),
            "TransferSIPParticipant": Method(
                wire.TransferSIPParticipantRequest, self._transfer_participant
            ),
            **_INBOUND_METHODS,
        }

    # ── calls ────────────────────────────────────────────────────────────────

    async def _create_participant(
        self, request: wire.CreateSIPParticipantRequest, context: CallContext
    ) -> wire.SIPParticipantInfo:
        require_sip_call(context.claims)
        try:
            info = await self._outbound.create_participant(
                request_from_wire(request), context.deadline, _request_key(request, context)
            )
        except CallFailedError as failure:
            raise failure_to_wire(failure) from failure
        return info_to_wire(info)

    async def _transfer_participant(
        self, request: wire.TransferSIPParticipantRequest, context: CallContext
    ) -> wire.TransferSIPParticipantResponse:
        # LiveKit looks at these two before the grants, which name the room.
        if not request.room_name:
            raise InvalidRequestError("Missing room name")
        if not request.participant_identity:
            raise InvalidRequestError("Missing participant identity")
        require_sip_call(context.claims)
        require_room_admin(context.claims, request.room_name)
        raise _not_served("TransferSIPParticipant", "calls cannot be transferred")

    # ── outbound trunks ──────────────────────────────────────────────────────

    async def _create_trunk(
        self, request: wire.CreateSIPOutboundTrunkRequest, context: CallContext
    ) -> wire.SIPOutboundTrunkInfo:
        require_sip_admin(context.claims)
        if not request.HasField("trunk"):
            raise InvalidRequestError("missing trunk")
        return trunk_to_wire(await self._trunks.create(trunk_from_wire(request.trunk)))

    async def _get_trunk(
        self, request: wire.GetSIPOutboundTrunkRequest, context: CallContext
    ) -> wire.GetSIPOutboundTrunkResponse:
        require_sip_admin(context.claims)
        if not request.sip_trunk_id:
            raise InvalidRequestError("trunk ID is required")
        trunk = self._trunks.get(request.sip_trunk_id)
        return wire.GetSIPOutboundTrunkResponse(trunk=trunk_to_wire(trunk))

    async def _list_trunks(
        self, request: wire.ListSIPOutboundTrunkRequest, context: CallContext
    ) -> wire.ListSIPOutboundTrunkResponse:
        require_sip_admin(context.claims)
        after_id, limit = _page(request.page)
        found = self._trunks.list(
            ids=request.trunk_ids, numbers=request.numbers, after_id=after_id, limit=limit
        )
        return wire.ListSIPOutboundTrunkResponse(items=[trunk_to_wire(trunk) for trunk in found])

    async def _update_trunk(
        self, request: wire.UpdateSIPOutboundTrunkRequest, context: CallContext
    ) -> wire.SIPOutboundTrunkInfo:
        require_sip_admin(context.claims)
        if not request.sip_trunk_id:
            raise InvalidRequestError("trunk id must be set")
        action = request.WhichOneof("action")
        if action == "replace":
            new = trunk_from_wire(request.replace)
            return trunk_to_wire(await self._trunks.replace(request.sip_trunk_id, new))
        if action == "update":
            update = update_from_wire(request.update)
            return trunk_to_wire(await self._trunks.update(request.sip_trunk_id, update))
        raise InvalidRequestError("missing or unsupported update action")

    async def _delete_trunk(
        self, request: wire.DeleteSIPTrunkRequest, context: CallContext
    ) -> wire.SIPTrunkInfo:
        require_sip_admin(context.claims)
        await self._trunks.delete(request.sip_trunk_id)
        return wire.SIPTrunkInfo(sip_trunk_id=request.sip_trunk_id)

    async def _list_legacy_trunks(
        self, request: wire.ListSIPTrunkRequest, context: CallContext
    ) -> wire.ListSIPTrunkResponse:
        require_sip_admin(context.claims)
        after_id, limit = _page(request.page)
        found = self._trunks.list(after_id=after_id, limit=limit)
        return wire.ListSIPTrunkResponse(items=[trunk_to_legacy_wire(trunk) for trunk in found])

    # ── what there is none of ────────────────────────────────────────────────

    async def _list_inbound_trunks(
        self, request: wire.ListSIPInboundTrunkRequest, context: CallContext
    ) -> wire.ListSIPInboundTrunkResponse:
        """None can be made, so none is the truth, and tools that list everything go on."""
        require_sip_admin(context.claims)
        return wire.ListSIPInboundTrunkResponse()

    async def _list_rules(
        self, request: wire.ListSIPDispatchRuleRequest, context: CallContext
    ) -> wire.ListSIPDispatchRuleResponse:
        """None can be made, so none is the truth, and tools that list everything go on."""
        require_sip_admin(context.claims)
        return wire.ListSIPDispatchRuleResponse()


def _page(page: models.Pagination) -> tuple[str, int]:
    return page.after_id, page.limit


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


def _not_served(method: str, what: str) -> ServiceError:
    return ServiceError(ErrorCode.UNIMPLEMENTED, f"{method}: {what} by this version of switchroom")


def _inbound(method: str, request_type: type[Message]) -> Method[Any, Any]:
    """A method for calls to us: known, guarded, and refused with a sentence."""

    async def refuse(_request: Message, context: CallContext) -> empty_pb2.Empty:
        require_sip_admin(context.claims)
        raise _not_served(method, "inbound calls are not served")

    handler: Callable[[Any, CallContext], Any] = refuse
    return Method(request_type, handler)


_INBOUND_REQUESTS: tuple[type[Message], ...] = (
    wire.CreateSIPInboundTrunkRequest,
    wire.GetSIPInboundTrunkRequest,
    wire.UpdateSIPInboundTrunkRequest,
    wire.CreateSIPDispatchRuleRequest,
    wire.UpdateSIPDispatchRuleRequest,
    wire.DeleteSIPDispatchRuleRequest,
)
_INBOUND_METHODS: Mapping[str, Method[Any, Any]] = {
    name: _inbound(name, request_type)
    for request_type in _INBOUND_REQUESTS
    if (name := request_type.DESCRIPTOR.name.removesuffix("Request"))
}
