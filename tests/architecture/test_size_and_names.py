"""The size budget, and names that say something."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

from architecture.project import ROOT, files_ending, rooms, shown, tree_of

LONGEST_FILE = 700
LONGEST_FUNCTION = 60
USUAL_FUNCTION = 30

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "stuff", "tools"}

SOURCES = files_ending(".py", ".rs", ".pyi")
PYTHON = files_ending(".py")


def test_no_file_outgrows_the_budget() -> None:
    sizes = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in sizes.items() if lines > LONGEST_FILE} == {}


def test_no_function_outgrows_the_budget() -> None:
    sizes = dict(size for path in PYTHON for size in functions(path))
    assert {name: lines for name, lines in sizes.items() if lines > LONGEST_FUNCTION} == {}


def test_nine_functions_in_ten_fit_on_a_page() -> None:
    sizes = [lines for path in files_ending(".py", under="src/") for _, lines in functions(path)]
    assert statistics.quantiles(sizes, n=10)[8] <= USUAL_FUNCTION


def test_no_module_has_an_empty_name() -> None:
    empty = [
        shown(path)
        for path in SOURCES
        if EMPTY_NAMES.intersection([*path.relative_to(ROOT).parent.parts[1:], path.stem])
    ]
    assert empty == [], "a thing without a room has a missing concept"


def test_unit_tests_mirror_the_rooms() -> None:
    folders = {
        path.relative_to(ROOT / "tests" / "unit").parts[0]
        for path in files_ending(".py", under="tests/unit/")
    }
    assert {name for name in folders if not name.endswith(".py")} <= {*rooms()}


def test_every_room_and_every_module_says_what_it_is_for() -> None:
    silent = [
        shown(path)
        for path in files_ending(".py", under="src/")
        if not ast.get_docstring(tree_of(path))
    ]
    assert silent == []


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function with its lines, the docstring not counted."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node, clean=False) is not None and first.end_lineno is not None:
                lines -= first.end_lineno - first.lineno + 1
            yield f"{shown(path)}:{node.lineno} {node.name}", lines


def test_values_are_records_which_cost_less_than_frozen_dataclasses() -> None:
    frozen = [
        shown(path)
        for path in files_ending(".py", under="src/")
        if re.search(r"frozen=True|dataclasses import .*\breplace\b", path.read_text("utf-8"))
    ]
    assert frozen == ["src/switchroom/base/records.py"]
