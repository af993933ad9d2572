"""Dispatch rules as rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from switchroom.storage.connection import Database
from switchroom.storage.media_config import media_from_json, media_to_json
from switchroom.storage.record_store import SqlRecordStore
from switchroom.storage.schema import dispatch_rules
from switchroom.telephony.routing.dispatch_rules import (
    CalleeRoom,
    DirectRoom,
    DispatchRule,
    IndividualRoom,
    RoomChoice,
)


class SqlDispatchRuleStore(SqlRecordStore[DispatchRule]):
    """The dispatch rules."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, dispatch_rules, _row, _rule)


def _row(rule: DispatchRule) -> dict[str, Any]:
    return {
        "rule_id": rule.rule_id,
        "room": _room_to_json(rule.room),
        "trunk_ids": list(rule.trunk_ids),
        "hide_phone_number": rule.hide_phone_number,
        "inbound_numbers": list(rule.inbound_numbers),
        "numbers": list(rule.numbers),
        "name": rule.name,
        "metadata": rule.metadata,
        "attributes": dict(rule.attributes),
        "room_preset": rule.room_preset,
        "room_config": None if rule.room_config is None else dict(rule.room_config),
        "krisp_enabled": rule.krisp_enabled,
        "media": media_to_json(rule.media),
        "created_at": rule.created_at,
        "updated_at": rule.updated_at,
    }


def _rule(row: Mapping[str, Any]) -> DispatchRule:
    return DispatchRule(
        **{
            **row,
            "room": _room_from_json(row["room"]),
            "trunk_ids": tuple(row["trunk_ids"]),
            "inbound_numbers": tuple(row["inbound_numbers"]),
            "numbers": tuple(row["numbers"]),
            "media": media_from_json(row["media"]),
        }
    )


def _room_to_json(room: RoomChoice | None) -> dict[str, Any]:
    match room:
        case DirectRoom(room_name=name, pin=pin):
            return {"kind": "direct", "room_name": name, "pin": pin}
        case IndividualRoom(room_prefix=prefix, pin=pin, no_randomness=plain):
            return {
                "kind": "individual",
                "room_prefix": prefix,
                "pin": pin,
                "no_randomness": plain,
            }
        case CalleeRoom(room_prefix=prefix, pin=pin, randomize=unique):
            return {"kind": "callee", "room_prefix": prefix, "pin": pin, "randomize": unique}
        case None:
            raise ValueError("only checked rules are kept")


_ROOMS: Mapping[str, type[RoomChoice]] = {
    "direct": DirectRoom,
    "individual": IndividualRoom,
    "callee": CalleeRoom,
}


def _room_from_json(stored: Mapping[str, Any]) -> RoomChoice:
    fields = dict(stored)
    return _ROOMS[fields.pop("kind")](**fields)
