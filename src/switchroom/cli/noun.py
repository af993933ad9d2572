"""Nouns of the command line. Importing all takes half a second, so each is when it is used."""

from __future__ import annotations

from collections.abc import MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


def noun(module: str, *, purpose: str, epilog: str) -> typer.Typer:
    """The commands of the ``app`` in a module beside this one, which nobody imports before.

    ``purpose`` and ``epilog`` are what its help begins and ends with.
    """

    class Noun(TyperGroup):
        _found: MutableMapping[str, Any] | None = None

        @property
        def commands(self) -> MutableMapping[str, Any]:
            if self._found is None:
                found = import_module(f".{module}", __package__)
                self._found = typer.main.get_group(found.app).commands
            return self._found

        @commands.setter
        def commands(self, _none: MutableMapping[str, Any]) -> None:
            """A group sets those that it is made with."""

    return typer.Typer(cls=Noun, help=purpose, epilog=epilog, no_args_is_help=True)
