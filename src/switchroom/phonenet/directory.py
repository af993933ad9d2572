"""Which phone a number rings."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

from switchroom.base.records import record
from switchroom.phonenet.script import Script


class DirectoryError(ValueError):
    """A file of numbers that cannot be used; the message is for its author."""


@record
class Phone:
    """A phone and its number. A `locked` one's carrier takes nobody's password (407, always)."""

    number: str
    name: str
    script: Script
    locked: bool = False

    @property
    def does(self) -> str:
        """What it does: the first line of its script's docstring."""
        if self.locked:
            return "Rejects every login (407)."
        return (self.script.__doc__ or "").strip().partition("\n")[0]

    def as_json(self) -> dict[str, str]:
        return {"number": self.number, "name": self.name, "does": self.does}


class Directory:
    """Phones by number. ``+1 (202) 555-0100``, ``+12025550100`` and ``12025550100`` are one."""

    def __init__(self, phones: Iterable[Phone]) -> None:
        self._phones = {_plain(phone.number): phone for phone in phones}

    def __iter__(self) -> Iterator[Phone]:
        return iter(self._phones.values())

    def find(self, number: str) -> Phone | None:
        """The phone of a number as it was dialled."""
        return self._phones.get(_plain(number))

    def named(self, name: str) -> Phone | None:
        """The phone of a name or number as people write it; of no name, the first one."""
        if not name:
            return next(iter(self), None)
        wanted = _plain(name)
        by_name = (phone for phone in self if _plain(phone.name) == wanted)
        return next(by_name, None) or self.find(name)

    def with_phones(self, phones: Iterable[Phone]) -> Directory:
        """This directory and more phones, which take over numbers that are given twice."""
        return Directory([*self._phones.values(), *phones])


def _plain(number: str) -> str:
    return "".join(c for c in number if c not in "+-.()_ ").lower()


def read_numbers(path: str | Path) -> tuple[Phone, ...]:
    """The phones of a Python file: its ``NUMBERS``, a dict from number to script.

    Raises DirectoryError.
    """
    module = _run(Path(path))
    numbers = getattr(module, "NUMBERS", None)
    if not isinstance(numbers, Mapping) or not numbers:
        raise DirectoryError(f'{path}: NUMBERS = {{"+12025550150": my_phone}} is needed')
    phones = []
    for number, script in numbers.items():
        if not isinstance(number, str) or not _plain(number) or not callable(script):
            raise DirectoryError(f"{path}: {number!r} must be a number with a phone function")
        name = getattr(script, "__name__", "phone").replace("_", " ")
        phones.append(Phone(number, name.capitalize(), script))
    return tuple(phones)


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"phones_of_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DirectoryError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DirectoryError(f"{path}: {type(error).__name__}: {error}") from error
    return module
