"""Pages that claim what tests prove: a row names a test, a tick a phone it runs with."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/interop.md").read_text(encoding="utf-8")
SNIPPETS = (ROOT / "tests/interop/snippets/README.md").read_text(encoding="utf-8")
PHONES = ("baresip", "linphonec", "pjsip", "asterisk")


def rows_of(test: str) -> set[str]:
    """The phones that a test of `test_peer_calls.py` runs with."""
    module = importlib.import_module("interop.test_peer_calls")
    marks = getattr(module, test).pytestmark
    (kinds,) = (mark.args[1] for mark in marks if mark.args and mark.args[0] == "kind")
    return {kind.id for kind in kinds}


def run_with_phones(module: ModuleType) -> set[str]:
    """All that run with phones of a row."""
    return {
        name
        for name, test in vars(module).items()
        if name.startswith("test_")
        and any(mark.args and mark.args[0] == "kind" for mark in getattr(test, "pytestmark", ()))
    }


def test_each_tick_is_a_phone_that_the_test_runs_with() -> None:
    table = re.findall(r"^\|[^|]+\| `(test_\w+)` \|((?:[^|\n]*\|){4})$", PAGE, re.MULTILINE)
    module = importlib.import_module("interop.test_peer_calls")
    assert {name for name, _ in table} == run_with_phones(module)
    for name, cells in table:
        ticks = [cell.strip() for cell in cells.split("|")[:-1]]
        claimed = {phone for phone, tick in zip(PHONES, ticks, strict=True) if tick == "✓"}
        assert claimed == rows_of(name), name


@pytest.mark.parametrize("page", [PAGE, SNIPPETS], ids=["phones", "snippets"])
def test_each_test_that_is_named_by_its_file_exists(page: str) -> None:
    named = re.findall(r"`(test_\w+)\.py::(test_\w+)`", page)
    assert len(named) >= 5
    for file, test in named:
        assert hasattr(importlib.import_module(f"interop.{file}"), test), test
