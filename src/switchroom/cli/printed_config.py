"""The settings of a server as YAML that could be its configuration, and where each was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import yaml

from switchroom.base.config import Reading, settings_with_origin
from switchroom.base.config_values import PortRange


def printed(reading: Reading) -> str:
    """Every setting, a line each; `# where` behind those that have not their default."""
    lines: list[str] = []
    open_sections: list[str] = []
    for path, value, origin in settings_with_origin(reading):
        *sections, name = path.split(".")
        kept = 0
        while sections[: kept + 1] == open_sections[: kept + 1] and kept < len(sections):
            kept += 1
        lines.extend(f"{'  ' * depth}{sections[depth]}:" for depth in range(kept, len(sections)))
        open_sections = sections
        comment = f"  # {origin}" if origin else ""
        lines.append(f"{'  ' * len(sections)}{name}: {_inline(value)}{comment}")
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    text = yaml.safe_dump(_plain(value), default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _plain(value: Any) -> Any:
    if isinstance(value, PortRange):
        return str(value)
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value
