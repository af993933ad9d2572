"""Dispatch rules: which room a caller is led to, as records with their rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from switchroom.base.records import record, replace
from switchroom.rooms.limits import check_attributes, check_metadata, check_room_name
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.inbound_trunks import check_numbers
from switchroom.telephony.routing.media_config import DEFAULT_MEDIA, MediaConfig
from switchroom.telephony.routing.number_patterns import share_a_number
from switchroom.telephony.routing.trunks import no_pairs
from switchroom.telephony.routing.updates import (
    NO_MEDIA_UPDATE,
    ListUpdate,
    MediaUpdate,
    either,
    list_with,
)

#: What the keys of a phone give, up to what is taken before "#".
LONGEST_PIN = 16
_PIN = re.compile(r"[0-9*A-Da-d]{0,16}", re.ASCII)


@record
class DirectRoom:
    """Every caller into one room."""

    room_name: str
    pin: str = field(default="", repr=False)


@record
class IndividualRoom:
    """A room per call, or with ``no_randomness`` one per caller: ``<prefix>_<caller>_<random>``."""

    room_prefix: str = ""
    pin: str = field(default="", repr=False)
    no_randomness: bool = False


@record
class CalleeRoom:
    """A room per called number, or with ``randomize`` one per call: ``<prefix>_<called>``."""

    room_prefix: str = ""
    pin: str = field(default="", repr=False)
    randomize: bool = False


RoomChoice = DirectRoom | IndividualRoom | CalleeRoom


@record
class DispatchRule:
    """LiveKit's ``SIPDispatchRuleInfo``.

    ``room`` is its ``rule``; None only before it is checked. ``inbound_numbers`` are those that
    call, ``numbers`` those that are called; both may hold patterns (`number_patterns`). No
    ``trunk_ids`` is any trunk, and none. ``room_config`` is a RoomConfiguration as proto-JSON, kept
    as it came. Times are Unix nanoseconds, 0 where unknown.
    """

    rule_id: str = ""
    room: RoomChoice | None = None
    trunk_ids: tuple[str, ...] = ()
    hide_phone_number: bool = False
    inbound_numbers: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=no_pairs)
    room_preset: str = ""
    room_config: Mapping[str, Any] | None = None
    krisp_enabled: bool = False
    media: MediaConfig = DEFAULT_MEDIA
    created_at: int = 0
    updated_at: int = 0

    @property
    def pin(self) -> str:
        """What the caller must type, empty for nothing."""
        return self.room.pin if self.room is not None else ""


@record
class DispatchRuleUpdate:
    """A partial update: None leaves a field; an attribute with an empty value is taken away."""

    trunk_ids: ListUpdate | None = None
    room: RoomChoice | None = None
    name: str | None = None
    metadata: str | None = None
    attributes: Mapping[str, str] = field(default_factory=no_pairs)
    media: MediaUpdate = NO_MEDIA_UPDATE

    def applied_to(self, rule: DispatchRule) -> DispatchRule:
        """The rule with the given fields changed, and checked. Raises InvalidRequestError."""
        merged = {**rule.attributes, **self.attributes}
        gone = {name for name, value in self.attributes.items() if not value}
        changed = replace(
            rule,
            trunk_ids=list_with(self.trunk_ids, rule.trunk_ids),
            room=rule.room if self.room is None else self.room,
            name=either(self.name, rule.name),
            metadata=either(self.metadata, rule.metadata),
            attributes={name: value for name, value in merged.items() if name not in gone},
            media=self.media.applied_to(rule.media),
        )
        return checked(changed)


def replacement(current: DispatchRule, new: DispatchRule) -> DispatchRule:
    """`new` in the place of `current`: the same id, checked. Raises InvalidRequestError."""
    if new.rule_id not in ("", current.rule_id):
        raise InvalidRequestError("rule id in the info must be empty or match the id in the update")
    return checked(replace(new, rule_id=current.rule_id, created_at=current.created_at))


def checked(rule: DispatchRule) -> DispatchRule:
    """The rule itself. Raises InvalidRequestError with LiveKit's texts where it has one."""
    if rule.room is None:
        raise InvalidRequestError("missing rule")
    if isinstance(rule.room, DirectRoom) and not rule.room.room_name:
        raise InvalidRequestError("missing room name")
    if not _PIN.fullmatch(rule.pin):
        raise InvalidRequestError(
            f"pin must be what a phone can type: up to {LONGEST_PIN} of 0-9, * and A-D"
        )
    check_numbers(rule.inbound_numbers, "inbound_numbers")
    check_numbers(rule.numbers, "numbers")
    rule.media.check()
    _check_sizes(rule)
    return rule


def _check_sizes(rule: DispatchRule) -> None:
    """What no room takes would turn away every caller. Raises ServiceError: LimitExceeded."""
    if isinstance(rule.room, DirectRoom):
        check_room_name(rule.room.room_name)
    check_metadata(rule.metadata)
    check_attributes(rule.attributes)


def check_conflicts(rule: DispatchRule, others: Iterable[DispatchRule]) -> None:
    """Raises InvalidRequestError if a call could belong to `rule` and to one of `others` alike."""
    for other in others:
        if other.rule_id != rule.rule_id and _same_calls(rule, other):
            raise InvalidRequestError(
                "Dispatch rule for the same trunk, inbound number, number, and PIN combination "
                f'already exists in dispatch rule "{other.rule_id}" '
                f'"{other.name or "<blank name>"}"'
            )


def _same_calls(rule: DispatchRule, other: DispatchRule) -> bool:
    if rule.pin != other.pin or not _same_trunk(rule.trunk_ids, other.trunk_ids):
        return False
    return share_a_number(rule.numbers, other.numbers) and share_a_number(
        rule.inbound_numbers, other.inbound_numbers
    )


def _same_trunk(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return not set(some).isdisjoint(others) if some and others else not some and not others


def listed(
    rules: Iterable[DispatchRule],
    *,
    ids: frozenset[str] = frozenset(),
    trunk_ids: frozenset[str] = frozenset(),
    after_id: str = "",
    limit: int = 0,
) -> list[DispatchRule]:
    """Those that match, by id. Empty filters match all, and `limit` 0 is none.

    A rule for any trunk matches every trunk.
    """
    found = [
        rule
        for rule in sorted(rules, key=lambda rule: rule.rule_id)
        if rule.rule_id > after_id
        and (not ids or rule.rule_id in ids)
        and (not trunk_ids or not rule.trunk_ids or not trunk_ids.isdisjoint(rule.trunk_ids))
    ]
    return found[:limit] if limit > 0 else found
