"""Measurements of sound in time, which a busy machine spoils now and then.

Who loses a tenth of a second of sound may have been kept waiting by the machine. What is wrong with
the server is wrong every time.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

TRIES = 3

Test = Callable[..., Awaitable[None]]


def measured(test: Test) -> Test:
    """A test that measures, and passes if one of three measurements is good.

    Each try has a folder of its own. Only what is asserted is tried again.
    """

    @functools.wraps(test)
    async def tried(tmp_path: Path, **given: Any) -> None:
        for number in range(1, TRIES + 1):
            folder = tmp_path / f"try-{number}"
            await asyncio.to_thread(folder.mkdir, parents=True)
            try:
                return await test(tmp_path=folder, **given)
            except AssertionError:
                if number == TRIES:
                    raise
        return None

    return tried
