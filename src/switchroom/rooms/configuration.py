"""What a room is made with: LiveKit's RoomConfiguration as it comes in tokens and presets. Pure.

The parts that rooms act on become a RoomSpec. The whole is kept beside them as JSON, for those who
understand the rest (agents, recordings, tags).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from switchroom.base.records import replace
from switchroom.rooms.errors import Invalid
from switchroom.rooms.info import RoomSpec

_MAX_COUNT = 2**32


def spec_from_configuration(
    name: str, configuration: Mapping[str, Any] | None, preset: str = ""
) -> RoomSpec:
    """A room of that name as a proto-JSON RoomConfiguration says; what can't be meant is left."""
    given = _in_one_spelling(configuration or {})
    metadata = given.get("metadata", "")
    return RoomSpec(
        name=name,
        empty_timeout=_count(given.get("emptyTimeout")),
        departure_timeout=_count(given.get("departureTimeout")),
        max_participants=_count(given.get("maxParticipants")),
        metadata=metadata if isinstance(metadata, str) else "",
        configuration=json.dumps(given) if given else "",
        preset=preset,
    )


def with_preset(spec: RoomSpec, presets: Mapping[str, Mapping[str, Any]]) -> RoomSpec:
    """`spec`, and what it leaves open from the preset that it names. Raises Invalid."""
    if not spec.preset:
        return spec
    if spec.preset not in presets:
        raise Invalid(f"unknown room preset {spec.preset}")
    preset = spec_from_configuration(spec.name, presets[spec.preset])
    parts = {**_parsed(preset.configuration), **_parsed(spec.configuration)}
    return replace(
        spec,
        empty_timeout=spec.empty_timeout or preset.empty_timeout,
        departure_timeout=spec.departure_timeout or preset.departure_timeout,
        max_participants=spec.max_participants or preset.max_participants,
        metadata=spec.metadata or preset.metadata,
        configuration=json.dumps(parts) if parts else "",
    )


def _in_one_spelling(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Proto-JSON allows `emptyTimeout` and `empty_timeout`; null is as if it were not there."""
    return {
        _camel(str(key)): value for key, value in configuration.items() if value not in (None, "")
    }


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def _count(value: Any) -> int:
    """Proto-JSON writes numbers as numbers or as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 <= value < _MAX_COUNT else 0


def _parsed(configuration: str) -> dict[str, Any]:
    return dict(json.loads(configuration)) if configuration else {}
