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
from interop.measuring import measured
from interop.server import server_here

Row = Callable[..., Awaitable[None]]


def beside_each_other(
    kinds: Sequence[Kind], at_once: int = 3, *, measures: bool = False
) -> Callable[[Row], Row]:
    """Make one test of a function that takes a `kind`, and a `server` or a `tmp_path` of its own.

    Every client is tried to the end, so many at a time; those that failed are named in the group
    that is raised. A row that measures is `measured`, for each client by itself.
    """

    def decorate(row: Row) -> Row:
        @functools.wraps(row)
        async def together(tmp_path: Path, **given: Any) -> None:
            here = [kind for kind in kinds if kind.is_here]
            gate = asyncio.Semaphore(at_once)
            one_client = measured(_column) if measures else _column

            async def column(kind: Kind) -> None:
                async with gate:
                    await one_client(tmp_path / kind.label, row=row, kind=kind, given=given)

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


async def _column(tmp_path: Path, row: Row, kind: Kind, given: dict[str, Any]) -> None:
    await asyncio.to_thread(tmp_path.mkdir, parents=True, exist_ok=True)
    if "tmp_path" in inspect.signature(row).parameters:
        await row(tmp_path=tmp_path, kind=kind, **given)
    else:
        async with server_here(tmp_path) as server:
            await row(server=server, kind=kind, **given)
