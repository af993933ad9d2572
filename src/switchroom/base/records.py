"""Frozen records: the values that one part of the house hands to another.

They are dataclasses whose fields the type checker keeps from being set again. Nothing watches at
run time, because that has its price: a dataclass of the standard library that is ``frozen=True``
takes five times as long to make, and `dataclasses.replace` twenty, which was a tenth of what a call
cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar, cast, dataclass_transform, overload

if TYPE_CHECKING:
    # The type checker knows this one by name: it compares the changes with the record's fields.
    from dataclasses import replace

__all__ = ["record", "replace"]

_Record = TypeVar("_Record")


@overload
def record(cls: type[_Record], /) -> type[_Record]: ...


@overload
def record(*, kw_only: bool = ..., eq: bool = ...) -> Callable[[type[_Record]], type[_Record]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: Any = None, /, *, kw_only: bool = False, eq: bool = True) -> Any:
    """Make a class a frozen record: with slots, compared and hashed by its fields.

    `kw_only` and `eq` are those of `dataclasses.dataclass`; without `eq` each is equal to itself
    only. A record has no ``__post_init__``: `replace` would not call it.
    """

    def made(cls: type) -> type:
        finished: Any = dataclass(slots=True, kw_only=kw_only, eq=eq, unsafe_hash=eq)(cls)
        finished.__copy__ = _copier([field.name for field in fields(finished)])
        return cast("type", finished)

    return made if cls is None else made(cls)


def _copier(names: list[str]) -> Callable[[Any], Any]:
    """A method that copies a record field by field, without a loop and without `__init__`."""
    lines = [f"    copy.{name} = self.{name}" for name in names]
    source = ["def __copy__(self):", "    copy = new(self.__class__)", *lines, "    return copy"]
    scope: dict[str, Any] = {"new": object.__new__}
    exec("\n".join(source), scope)  # noqa: S102 - dataclasses make their methods like this, too
    return cast("Callable[[Any], Any]", scope["__copy__"])


if not TYPE_CHECKING:

    def replace(record: Any, /, **changes: Any) -> Any:
        """A copy of `record` in which these fields are others, as by `dataclasses.replace`.

        Raises:
            AttributeError: it has no field of that name.
        """
        copy = record.__copy__()
        for name, value in changes.items():
            setattr(copy, name, value)
        return copy
