"""YAML with line numbers: what stands where in a configuration file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from switchroom.base.records import record

_MERGE, _MERGE_TAG = "<<", "tag:yaml.org,2002:merge"


class ConfigError(Exception):
    """A setting that can't be used; the message names it and says what would do."""


@record
class Written:
    """What somebody wrote for a setting."""

    value: Any
    source: str
    """Where, as in ``livekit.yaml, line 3``."""


@record
class Document:
    """A configuration file, or the text of one."""

    name: str
    """What messages call it."""
    root: yaml.Node | None

    def entries(self, section: yaml.Node | None = None) -> Iterator[tuple[str, yaml.Node, str]]:
        """Key, value and place of each setting of a section (or of the whole), as written.

        Raises :class:`ConfigError` for a section that is none, and for a key that is there twice.
        """
        node = section or self.root
        if not isinstance(node, yaml.MappingNode):
            return
        seen: dict[str, str] = {}
        for key_node, _ in node.value:
            key, where = self._key(key_node), self.where(key_node)
            if key in seen and key != _MERGE:
                raise ConfigError(f"{key} in {where} is there already ({seen[key]})")
            seen[key] = where
        for key, (value_node, where) in self._merged(node).items():
            yield key, value_node, where

    def _merged(self, node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, str]]:
        """With what ``<<: *anchor`` brings in; the section's own settings win."""
        with _loader() as loader:
            try:
                loader.flatten_mapping(node)
            except (yaml.YAMLError, RecursionError) as error:
                raise self._invalid(node, error) from None
        return {self._key(key): (value, self.where(key)) for key, value in node.value}

    def _key(self, node: yaml.Node) -> str:
        return _MERGE if node.tag == _MERGE_TAG else str(self.value(node))

    def _invalid(self, node: yaml.Node, error: Exception) -> ConfigError:
        problem = getattr(error, "problem", None) or "it cannot be read"
        return ConfigError(f"{self.where(node)} is not valid YAML: {problem}")

    def where(self, node: yaml.Node) -> str:
        """The place of a node."""
        return f"{self.name}, line {node.start_mark.line + 1}"

    def value(self, node: yaml.Node) -> Any:
        """What a node holds, in Python's types."""
        with _loader() as loader:
            try:
                return loader.construct_document(node)
            except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
                raise self._invalid(node, error) from None


def is_section(node: yaml.Node) -> bool:
    """Whether a node holds settings of its own."""
    return isinstance(node, yaml.MappingNode)


def is_nothing(node: yaml.Node) -> bool:
    """Whether a key stands there without a value, which leaves its default."""
    return node.tag == "tag:yaml.org,2002:null"


def read_file(path: Path) -> Document:
    """Raises :class:`ConfigError` when it can't be read, or is not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"can't read the configuration file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    return read_text(text, str(path))


def read_text(text: str, name: str) -> Document:
    """Raises :class:`ConfigError` when it is not YAML with settings."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise ConfigError(f"{name}{where} is not valid YAML: {problem}") from None
    except RecursionError:
        raise ConfigError(f"{name} is nested too deeply") from None
    if root is not None and is_nothing(root):
        root = None
    if root is not None and not is_section(root):
        raise ConfigError(f"{name} must hold settings such as `port: 7880`")
    return Document(name, root)


@contextmanager
def _loader() -> Iterator[yaml.SafeLoader]:
    """Only its constructor is used: on nodes that are read already."""
    loader = yaml.SafeLoader("")
    try:
        yield loader
    finally:
        loader.dispose()
