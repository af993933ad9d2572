"""Tests that want most of the machine take turns, whatever lane of `tools/test-lanes` they are in.

A browser, an agent in JavaScript, a flood of calls: any two of them at once starve one another on a
machine of two cores.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_TURN = Path(tempfile.gettempdir()) / f"switchroom-tests-{os.getuid()}.turn"

takes_turns = pytest.mark.takes_turns


@contextmanager
def one_turn() -> Iterator[None]:
    """Waits until no other test of this machine has one."""
    with _TURN.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
