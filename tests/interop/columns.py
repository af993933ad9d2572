"""Rows of the table of clients: what one row says is tried with all clients at the same time.

Most of such a test is waiting for sound. Each client has a server of its own, so that they have
nothing in common but the machine.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from interop.clients import Kind
from interop.server import server_here

Row = Callable[..., Awaitable[None]]


def beside_each_other(kinds: Sequence[Kind], at_once: int = 3) -> Callable[[Row], Row]:
    """Make one test of a function that takes a `kind`, and a `server` or a `tmp_path` of its own.

    Every client is tried to the end, so many at a time; those that failed are named in the group
    that is raised.
    """

    def decorate(row: Row) -> Row:
        @functools.wraps(row)
        async def together(tmp_path: Path, **given: Any) -> None:
            here = [kind for kind in kinds if kind.is_here]
            gate = asyncio.Semaphore(at_once)

            async def column(kind: Kind) -> None:
                async with gate:
                    await _column(row, kind, tmp_path / kind.label, given)

            ended = await asyncio.gather(*map(column, here), return_exceptions=True)
            failures = []
            for kind, failure in zip(here, ended, strict=True):
                if isinstance(failure, BaseException):
                    failure.add_note(f"This was {kind.label}.")
                    failures.append(failure)
            if failures:
                raise BaseExceptionGroup("not with every client", failures)

        together.__signature__ = _asked_of_pytest(row)  # type: ignore[attr-defined]
        return together

    return decorate


def _asked_of_pytest(row: Row) -> inspect.Signature:
    asked = inspect.signature(row)
    others = [it for name, it in asked.parameters.items() if name not in _GIVEN]
    folder = inspect.Parameter("tmp_path", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return asked.replace(parameters=[folder, *others])


_GIVEN = {"kind", "server", "tmp_path"}


async def _column(row: Row, kind: Kind, folder: Path, given: dict[str, Any]) -> None:
    await asyncio.to_thread(folder.mkdir)
    if "tmp_path" in inspect.signature(row).parameters:
        await row(tmp_path=folder, kind=kind, **given)
    else:
        async with server_here(folder) as server:
            await row(server=server, kind=kind, **given)
