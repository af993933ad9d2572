"""Options and small forms that the commands for trunks, rules and phones have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from .errors import Mistyped
from .options import AsJson, CreatedAsJson

__all__ = [
    "AsJson",
    "AuthPass",
    "AuthUser",
    "CreatedAsJson",
    "Files",
    "Name",
    "authentication",
    "pair",
    "separated",
]

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE", help="the request as JSON: a file, - or the text itself"),
]
Name = Annotated[str, typer.Option(help="a name for people")]
AuthUser = Annotated[str, typer.Option("--auth-user", "--auth-username", help="user name")]
AuthPass = Annotated[str, typer.Option("--auth-pass", "--auth-password", help="password")]


def separated(given: Iterable[str] | None) -> list[str]:
    """What was repeated or separated by commas: ``--numbers +1,+2 --numbers +3``."""
    parts = (part.strip() for text in given or () for part in text.split(","))
    return [part for part in parts if part]


def pair(written: str, option: str) -> tuple[str, str]:
    """``Name:Value`` of a header. Raises :class:`Mistyped`."""
    name, colon, value = written.partition(":")
    if not name.strip() or not colon:
        raise Mistyped(f"{option} {written!r} must be written Name:Value")
    return name.strip(), value.strip()


def authentication(username: str) -> str:
    """A table's cell; passwords are shown nowhere."""
    return f"{username} / ****" if username else ""
