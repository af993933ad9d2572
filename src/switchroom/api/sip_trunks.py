"""`livekit.SIP`'s methods for trunks, those that calls go out through and those they come in by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livekit.protocol import sip as wire

from switchroom.api.convert_sip_trunks import (
    inbound_trunk_from_wire,
    inbound_trunk_to_wire,
    inbound_update_from_wire,
    to_legacy_wire,
    trunk_from_wire,
    trunk_to_wire,
    update_from_wire,
)
from switchroom.api.twirp import CallContext, Method
from switchroom.auth.grants import require_sip_admin
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.trunks import OutboundTrunk
from switchroom.telephony.telephony import Telephony


class SipTrunkMethods:
    """Each checks the grant ``sip.admin`` before anything else."""

    def __init__(self, telephony: Telephony) -> None:
        self._outbound = telephony.trunks
        self._inbound = telephony.inbound_trunks
        self.methods: Mapping[str, Method[Any, Any]] = {
            "CreateSIPOutboundTrunk": Method(
                wire.CreateSIPOutboundTrunkRequest, self._create_outbound
            ),
            "GetSIPOutboundTrunk": Method(wire.GetSIPOutboundTrunkRequest, self._get_outbound),
            "ListSIPOutboundTrunk": Method(wire.ListSIPOutboundTrunkRequest, self._list_outbound),
            "UpdateSIPOutboundTrunk": Method(
                wire.UpdateSIPOutboundTrunkRequest, self._update_outbound
            ),
            "CreateSIPInboundTrunk": Method(
                wire.CreateSIPInboundTrunkRequest, self._create_inbound
            ),
            "GetSIPInboundTrunk": Method(wire.GetSIPInboundTrunkRequest, self._get_inbound),
            "ListSIPInboundTrunk": Method(wire.ListSIPInboundTrunkRequest, self._list_inbound),
            "UpdateSIPInboundTrunk": Method(
                wire.UpdateSIPInboundTrunkRequest, self._update_inbound
            ),
            "DeleteSIPTrunk": Method(wire.DeleteSIPTrunkRequest, self._delete),
            "ListSIPTrunk": Method(wire.ListSIPTrunkRequest, self._list_legacy),
        }

    # ── outbound ─────────────────────────────────────────────────────────────

    async def _create_outbound(
        self, request: wire.CreateSIPOutboundTrunkRequest, context: CallContext
    ) -> wire.SIPOutboundTrunkInfo:
        require_sip_admin(context.claims)
        if not request.HasField("trunk"):
            raise InvalidRequestError("missing trunk")
        return trunk_to_wire(await self._outbound.create(trunk_from_wire(request.trunk)))

    async def _get_outbound(
        self, request: wire.GetSIPOutboundTrunkRequest, context: CallContext
    ) -> wire.GetSIPOutboundTrunkResponse:
        require_sip_admin(context.claims)
        _require_id(request.sip_trunk_id)
        trunk = self._outbound.get(request.sip_trunk_id)
        return wire.GetSIPOutboundTrunkResponse(trunk=trunk_to_wire(trunk))

    async def _list_outbound(
        self, request: wire.ListSIPOutboundTrunkRequest, context: CallContext
    ) -> wire.ListSIPOutboundTrunkResponse:
        require_sip_admin(context.claims)
        found = self._outbound.list(
            ids=request.trunk_ids,
            numbers=request.numbers,
            after_id=request.page.after_id,
            limit=request.page.limit,
        )
        return wire.ListSIPOutboundTrunkResponse(items=[trunk_to_wire(trunk) for trunk in found])

    async def _update_outbound(
        self, request: wire.UpdateSIPOutboundTrunkRequest, context: CallContext
    ) -> wire.SIPOutboundTrunkInfo:
        require_sip_admin(context.claims)
        trunk_id = _required_for_update(request.sip_trunk_id)
        match request.WhichOneof("action"):
            case "replace":
                new = trunk_from_wire(request.replace)
                return trunk_to_wire(await self._outbound.replace(trunk_id, new))
            case "update":
                update = update_from_wire(request.update)
                return trunk_to_wire(await self._outbound.update(trunk_id, update))
            case _:
                raise InvalidRequestError("missing or unsupported update action")

    # ── inbound ──────────────────────────────────────────────────────────────

    async def _create_inbound(
        self, request: wire.CreateSIPInboundTrunkRequest, context: CallContext
    ) -> wire.SIPInboundTrunkInfo:
        require_sip_admin(context.claims)
        if not request.HasField("trunk"):
            raise InvalidRequestError("missing trunk")
        trunk = inbound_trunk_from_wire(request.trunk)
        return inbound_trunk_to_wire(await self._inbound.create(trunk))

    async def _get_inbound(
        self, request: wire.GetSIPInboundTrunkRequest, context: CallContext
    ) -> wire.GetSIPInboundTrunkResponse:
        require_sip_admin(context.claims)
        _require_id(request.sip_trunk_id)
        trunk = self._inbound.get(request.sip_trunk_id)
        return wire.GetSIPInboundTrunkResponse(trunk=inbound_trunk_to_wire(trunk))

    async def _list_inbound(
        self, request: wire.ListSIPInboundTrunkRequest, context: CallContext
    ) -> wire.ListSIPInboundTrunkResponse:
        require_sip_admin(context.claims)
        found = self._inbound.list(
            ids=request.trunk_ids,
            numbers=request.numbers,
            after_id=request.page.after_id,
            limit=request.page.limit,
        )
        return wire.ListSIPInboundTrunkResponse(
            items=[inbound_trunk_to_wire(trunk) for trunk in found]
        )

    async def _update_inbound(
        self, request: wire.UpdateSIPInboundTrunkRequest, context: CallContext
    ) -> wire.SIPInboundTrunkInfo:
        require_sip_admin(context.claims)
        trunk_id = _required_for_update(request.sip_trunk_id)
        match request.WhichOneof("action"):
            case "replace":
                new = inbound_trunk_from_wire(request.replace)
                return inbound_trunk_to_wire(await self._inbound.replace(trunk_id, new))
            case "update":
                update = inbound_update_from_wire(request.update)
                return inbound_trunk_to_wire(await self._inbound.update(trunk_id, update))
            case _:
                raise InvalidRequestError("missing or unsupported update action")

    # ── both ─────────────────────────────────────────────────────────────────

    async def _delete(
        self, request: wire.DeleteSIPTrunkRequest, context: CallContext
    ) -> wire.SIPTrunkInfo:
        """Identifiers of both kinds are of one form, so one of the two has it, or none."""
        require_sip_admin(context.claims)
        await self._outbound.delete(request.sip_trunk_id)
        await self._inbound.delete(request.sip_trunk_id)
        return wire.SIPTrunkInfo(sip_trunk_id=request.sip_trunk_id)

    async def _list_legacy(
        self, request: wire.ListSIPTrunkRequest, context: CallContext
    ) -> wire.ListSIPTrunkResponse:
        require_sip_admin(context.claims)
        after_id, limit = request.page.after_id, request.page.limit
        outbound = self._outbound.list(after_id=after_id, limit=limit)
        inbound = self._inbound.list(after_id=after_id, limit=limit)
        both: list[OutboundTrunk | InboundTrunk] = [*outbound, *inbound]
        found = sorted(both, key=lambda trunk: trunk.trunk_id)
        kept = found[:limit] if limit > 0 else found
        return wire.ListSIPTrunkResponse(items=[to_legacy_wire(trunk) for trunk in kept])


def _require_id(trunk_id: str) -> None:
    if not trunk_id:
        raise InvalidRequestError("trunk ID is required")


def _required_for_update(trunk_id: str) -> str:
    if not trunk_id:
        raise InvalidRequestError("trunk id must be set")
    return trunk_id
