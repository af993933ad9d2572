"""YAML read with its line numbers, every scalar as the text that was written.

So ``yes`` and ``no`` are words here, and each complaint can say where its cause stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import yaml

from switchroom.offline.errors import ScriptError

LARGEST = 1024 * 1024
"""Characters of a script."""

_BRACE_HINT = 'put quotes around texts with { or [ in them, such as "{name}, hello"'


class Node:
    """A value of the file and its line."""

    def __init__(self, node: yaml.Node, file: str) -> None:
        self._node = node
        self._file = file

    @property
    def line(self) -> int:
        """Where it begins; the first line is 1."""
        mark = self._node.start_mark
        return mark.line + 1 if mark else 0

    def error(self, message: str) -> ScriptError:
        """A complaint about this value."""
        return ScriptError(message, self.line, self._file)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self._node, yaml.SequenceNode)

    def text(self, what: str) -> str:
        """The value as text. Raises ScriptError."""
        if isinstance(self._node, yaml.ScalarNode):
            return str(self._node.value).strip()
        raise self.error(f"{what} must be a text here; {_BRACE_HINT}")

    def texts(self, what: str) -> list[str]:
        """A list of texts; a single one is a list of one. Raises ScriptError."""
        nodes = list(self.items(what)) if self.is_list else [self]
        return [node.text(what) for node in nodes]

    def number(self, what: str, lowest: float, highest: float) -> float:
        """A number within bounds. Raises ScriptError."""
        try:
            value = float(self.text(what))
        except ValueError:
            value = float("nan")
        if not lowest <= value <= highest:
            raise self.error(f"{what} must be a number from {lowest:g} to {highest:g}")
        return value

    def items(self, what: str) -> Iterator[Node]:
        """The values of a list. Raises ScriptError."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.error(f"{what} must be a list: lines that begin with -")
        for item in self._node.value:
            yield Node(item, self._file)

    def fields(self, what: str, known: Collection[str] | None = None) -> dict[str, Node]:
        """The values of a mapping by their names, ``known`` ones only. Raises ScriptError."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self.error(f"{what} must be a mapping: lines of the form name: value")
        found: dict[str, Node] = {}
        for key_node, value in self._node.value:
            key = Node(key_node, self._file)
            name = key.text("a name")
            if name in found:
                raise key.error(f"{name!r} stands here a second time")
            if known is not None and name not in known:
                raise key.error(f"{what} has no {name!r}; there are: {', '.join(sorted(known))}")
            found[name] = Node(value, self._file)
        return found


def read_yaml(text: str, file: str) -> Node:
    """The document's root. Raises ScriptError."""
    if len(text) > LARGEST:
        raise ScriptError(f"{len(text)} characters; {LARGEST} are the most", file=file)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ScriptError("YAML aliases (*name) are not used in scripts", file=file)
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise ScriptError(f"no valid YAML: {error.problem}; {_BRACE_HINT}", line, file) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ScriptError(f"no valid YAML: {error}", file=file) from error
    if root is None:
        raise ScriptError("the file is empty", file=file)
    return Node(root, file)
