"""`livekit.SIP`'s dispatch rules to telephony's records and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from livekit.protocol import room, sip as wire

from switchroom.api.convert_sip_fields import (
    legacy_encryption_to_wire,
    list_update_from_wire,
    media_of,
    media_to_wire,
    media_update_from_wire,
    text_update_from_wire,
    timestamp,
)
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.dispatch_rules import (
    CalleeRoom,
    DirectRoom,
    DispatchRule,
    DispatchRuleUpdate,
    IndividualRoom,
    RoomChoice,
)


def new_rule_from_wire(request: wire.CreateSIPDispatchRuleRequest) -> DispatchRule:
    """The rule in either form, or in both: the deprecated fields fill in what the new form lacks.

    Tools for the new form add an empty ``dispatch_rule`` to files that were written for the old
    one. Raises InvalidRequestError.
    """
    info = wire.SIPDispatchRuleInfo()
    if request.HasField("dispatch_rule"):
        info.CopyFrom(request.dispatch_rule)
        if info.HasField("rule"):
            return rule_from_wire(info)
    for old, value in request.ListFields():
        if old.name != "dispatch_rule" and not _is_set(info, old.name):
            _set(info, old.name, value)
    return rule_from_wire(info)


def _is_set(info: wire.SIPDispatchRuleInfo, name: str) -> bool:
    return any(field.name == name for field, _ in info.ListFields())


def _set(info: wire.SIPDispatchRuleInfo, name: str, value: Any) -> None:
    """The deprecated fields have the new form's names and types."""
    info.MergeFrom(wire.SIPDispatchRuleInfo(**{name: value}))


def rule_from_wire(info: wire.SIPDispatchRuleInfo) -> DispatchRule:
    """Raises InvalidRequestError for what no rule can be."""
    return DispatchRule(
        rule_id=info.sip_dispatch_rule_id,
        room=_room_from_wire(info.rule) if info.HasField("rule") else None,
        trunk_ids=tuple(info.trunk_ids),
        hide_phone_number=info.hide_phone_number,
        inbound_numbers=tuple(info.inbound_numbers),
        numbers=tuple(info.numbers),
        name=info.name,
        metadata=info.metadata,
        attributes=dict(info.attributes),
        room_preset=info.room_preset,
        room_config=_config_from_wire(info.room_config) if info.HasField("room_config") else None,
        krisp_enabled=info.krisp_enabled,
        media=media_of(info),
    )


def rule_to_wire(rule: DispatchRule) -> wire.SIPDispatchRuleInfo:
    info = wire.SIPDispatchRuleInfo(
        sip_dispatch_rule_id=rule.rule_id,
        rule=_room_to_wire(rule.room),
        trunk_ids=rule.trunk_ids,
        hide_phone_number=rule.hide_phone_number,
        inbound_numbers=rule.inbound_numbers,
        numbers=rule.numbers,
        name=rule.name,
        metadata=rule.metadata,
        attributes=dict(rule.attributes),
        room_preset=rule.room_preset,
        krisp_enabled=rule.krisp_enabled,
        media_encryption=legacy_encryption_to_wire(rule.media),
        media=media_to_wire(rule.media),
        created_at=timestamp(rule.created_at),
        updated_at=timestamp(rule.updated_at),
    )
    if rule.room_config is not None:
        json_format.ParseDict(dict(rule.room_config), info.room_config, ignore_unknown_fields=True)
        info.room_config.SetInParent()
    return info


def rule_update_from_wire(update: wire.SIPDispatchRuleUpdate) -> DispatchRuleUpdate:
    """Raises InvalidRequestError for what no rule can be."""
    return DispatchRuleUpdate(
        trunk_ids=list_update_from_wire(update, "trunk_ids"),
        room=_room_from_wire(update.rule) if update.HasField("rule") else None,
        name=text_update_from_wire(update, "name"),
        metadata=text_update_from_wire(update, "metadata"),
        attributes=dict(update.attributes),
        media=media_update_from_wire(update),
    )


def _config_from_wire(config: room.RoomConfiguration) -> Mapping[str, Any]:
    return json_format.MessageToDict(config)


def _room_from_wire(rule: wire.SIPDispatchRule) -> RoomChoice:
    match rule.WhichOneof("rule"):
        case "dispatch_rule_direct":
            direct = rule.dispatch_rule_direct
            return DirectRoom(direct.room_name, direct.pin)
        case "dispatch_rule_individual":
            own = rule.dispatch_rule_individual
            return IndividualRoom(own.room_prefix, own.pin, own.no_randomness)
        case "dispatch_rule_callee":
            callee = rule.dispatch_rule_callee
            return CalleeRoom(callee.room_prefix, callee.pin, callee.randomize)
        case _:
            raise InvalidRequestError("unsupported SIP Dispatch Rule")


def _room_to_wire(choice: RoomChoice | None) -> wire.SIPDispatchRule | None:
    match choice:
        case DirectRoom(name, pin):
            direct = wire.SIPDispatchRuleDirect(room_name=name, pin=pin)
            return wire.SIPDispatchRule(dispatch_rule_direct=direct)
        case IndividualRoom(prefix, pin, no_randomness):
            own = wire.SIPDispatchRuleIndividual(
                room_prefix=prefix, pin=pin, no_randomness=no_randomness
            )
            return wire.SIPDispatchRule(dispatch_rule_individual=own)
        case CalleeRoom(prefix, pin, randomize):
            callee = wire.SIPDispatchRuleCallee(room_prefix=prefix, pin=pin, randomize=randomize)
            return wire.SIPDispatchRule(dispatch_rule_callee=callee)
        case None:
            return None
