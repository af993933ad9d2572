"""`livekit.SIP`'s methods for dispatch rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livekit.protocol import sip as wire

from switchroom.api.convert_sip_rules import (
    new_rule_from_wire,
    rule_from_wire,
    rule_to_wire,
    rule_update_from_wire,
)
from switchroom.api.twirp import CallContext, Method
from switchroom.auth.grants import require_sip_admin
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.telephony import Telephony


class SipDispatchRuleMethods:
    """Each checks the grant ``sip.admin`` before anything else."""

    def __init__(self, telephony: Telephony) -> None:
        self._rules = telephony.dispatch_rules
        self.methods: Mapping[str, Method[Any, Any]] = {
            "CreateSIPDispatchRule": Method(wire.CreateSIPDispatchRuleRequest, self._create),
            "UpdateSIPDispatchRule": Method(wire.UpdateSIPDispatchRuleRequest, self._update),
            "ListSIPDispatchRule": Method(wire.ListSIPDispatchRuleRequest, self._list),
            "DeleteSIPDispatchRule": Method(wire.DeleteSIPDispatchRuleRequest, self._delete),
        }

    async def _create(
        self, request: wire.CreateSIPDispatchRuleRequest, context: CallContext
    ) -> wire.SIPDispatchRuleInfo:
        require_sip_admin(context.claims)
        return rule_to_wire(await self._rules.create(new_rule_from_wire(request)))

    async def _update(
        self, request: wire.UpdateSIPDispatchRuleRequest, context: CallContext
    ) -> wire.SIPDispatchRuleInfo:
        require_sip_admin(context.claims)
        rule_id = request.sip_dispatch_rule_id
        if not rule_id:
            raise InvalidRequestError("rule id must be set")
        match request.WhichOneof("action"):
            case "replace":
                new = rule_from_wire(request.replace)
                return rule_to_wire(await self._rules.replace(rule_id, new))
            case "update":
                update = rule_update_from_wire(request.update)
                return rule_to_wire(await self._rules.update(rule_id, update))
            case _:
                raise InvalidRequestError("missing or unsupported update action")

    async def _list(
        self, request: wire.ListSIPDispatchRuleRequest, context: CallContext
    ) -> wire.ListSIPDispatchRuleResponse:
        require_sip_admin(context.claims)
        found = self._rules.list(
            ids=request.dispatch_rule_ids,
            trunk_ids=request.trunk_ids,
            after_id=request.page.after_id,
            limit=request.page.limit,
        )
        return wire.ListSIPDispatchRuleResponse(items=[rule_to_wire(rule) for rule in found])

    async def _delete(
        self, request: wire.DeleteSIPDispatchRuleRequest, context: CallContext
    ) -> wire.SIPDispatchRuleInfo:
        require_sip_admin(context.claims)
        return rule_to_wire(await self._rules.delete(request.sip_dispatch_rule_id))
