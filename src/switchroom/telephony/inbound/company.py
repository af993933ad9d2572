"""Whether somebody in the room can be heard, so that a caller may be let in. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from switchroom.rooms.info import ParticipantKind
from switchroom.rooms.local import Companion


def can_be_heard(company: Iterable[Companion]) -> bool:
    """Whether one of them publishes audio, or is a phone that is there already."""
    return any(_is_there(other) for other in company)


def _is_there(other: Companion) -> bool:
    if other.kind is not ParticipantKind.SIP:
        return other.publishes
    # Two callers who both wait for the other to be heard would ring for ever; a phone that is
    # still being dialled says nothing but its tone, if it has one.
    calls_in = bool(other.attributes.get("sip.ruleID"))
    return calls_in or other.sounds
