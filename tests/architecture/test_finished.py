"""Nothing unfinished, and nothing of the machine it was written on, is in the project."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import switchroom
from architecture.project import files_ending, shown, toml

FORBIDDEN = {
    "unfinished": re.compile(
        r"\b(TODO|FIXME|XXX|HACK)\b|not implemented yet|\bfor now\b|\bplaceholder\b"
        r"|todo!\(|unimplemented!\("
    ),
    "of one machine": re.compile(r"(?<![\w.$}/-])/(?:work|root|home/\w+|tmp)/\w"),
    "of the plans": re.compile(r"\b[Ii]ssue #?\d|\bshared/(spec|data)|(?<!\w)spec/[a-z-]+\.md"),
}
SLEEP = re.compile(r"\b(time|asyncio|anyio)\.sleep\((?!0\))")

TEXT = [
    path
    for path in files_ending(".py", ".pyi", ".rs", ".toml", ".md", ".yaml", ".yml", ".sh")
    if path != Path(__file__)
]


def lines_matching(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_nothing_is_left_that_is(kind: str) -> None:
    assert lines_matching(FORBIDDEN[kind], TEXT) == []


def test_no_test_sleeps_but_on_a_virtual_clock() -> None:
    """The scenarios run on one; others that sleep bring a VirtualLoop of their own.

    Waiting for a program that tells nothing is a loop that ruff asks the reason of (ASYNC110).
    """
    sleeping = [
        f"{shown(path)}:{number}"
        for path in files_ending(".py", under="tests/")
        if path in TEXT and not shown(path).startswith("tests/scenarios/")
        for number in sleeps(path.read_text(encoding="utf-8"))
    ]
    assert sleeping == []


def sleeps(source: str) -> list[int]:
    """The numbers of the lines that sleep without leave."""
    if "VirtualLoop" in source:
        return []
    lines = ["", *source.splitlines()]
    return [
        number
        for number, line in enumerate(lines)
        if SLEEP.search(line) and "ASYNC110" not in lines[number - 1]
    ]


def test_the_version_is_the_same_everywhere() -> None:
    assert (
        toml("pyproject.toml")["project"]["version"]
        == toml("Cargo.toml")["workspace"]["package"]["version"]
        == switchroom.__version__
    )
