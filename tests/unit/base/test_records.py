"""Records: what a dataclass promises, without its price."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, field
from pathlib import Path

import pytest

from switchroom.base.records import record, replace


@record
class Point:
    x: int
    y: int = 0
    names: tuple[str, ...] = field(default=(), compare=False)


@record
class Tall(Point):
    z: int = 7


@record(eq=False)
class Thing:
    name: str


@record(kw_only=True)
class Named:
    name: str


def test_records_with_equal_fields_are_equal_and_hash_alike() -> None:
    assert Point(1, 2) == Point(1, 2, ("here",)) != Point(1, 3)
    assert len({Point(1, 2), Point(1, 2), Point(2, 1)}) == 2
    assert asdict(Point(1)) == {"x": 1, "y": 0, "names": ()}


def test_without_eq_a_record_is_equal_to_itself_only() -> None:
    one = Thing("a")
    assert one == one  # noqa: PLR0124 - that is what is tested
    assert one != Thing("a")
    assert len({one, Thing("a")}) == 2


def test_replace_changes_a_copy_and_leaves_the_record_as_it_is() -> None:
    before = Tall(1, 2, ("here",))
    after = replace(before, y=5)
    assert after == Tall(1, 5)
    assert (type(after), after.names, after.z) == (Tall, ("here",), 7)
    assert before == Tall(1, 2)


def test_a_field_that_a_record_does_not_have_can_be_neither_given_nor_replaced() -> None:
    with pytest.raises(AttributeError):
        replace(Point(1), w=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Named("a")  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        Point(1).w = 5  # type: ignore[attr-defined]


def test_the_type_checker_keeps_a_record_from_being_changed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    lines = (
        "from switchroom.base.records import record, replace",
        "@record",
        "class Point:",
        "    x: int",
        "Point(1).x = 2",
        "replace(Point(1), y=3)",
        "replace(Point(1), x='3')",
    )
    program.write_text("\n".join(lines))
    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental", program],
        check=False,
        capture_output=True,
        text=True,
    )
    assert [line.split(":")[1] for line in told.stdout.splitlines()[:-1]] == ["5", "6", "7"]
