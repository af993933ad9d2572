"""The papers list what there is: every ending, every field, every method."""

from __future__ import annotations

from pathlib import Path

import pytest

from switchroom.telephony.calls.sip_status import STATUSES
from switchroom.telephony.calls.termination import ENDINGS, Cause

_DOCS = Path(__file__).parents[3] / "docs"
_TELEPHONY = (_DOCS / "telephony.md").read_text()
_COMPATIBILITY = (_DOCS / "livekit-compatibility.md").read_text()


def _row(cause: Cause) -> list[str]:
    rows = [line for line in _TELEPHONY.splitlines() if line.startswith(f"| `{cause.value}")]
    found = [row for row in rows if row.split("`")[1].removesuffix("-<n>") == cause.value]
    assert len(found) == 1, cause
    return [cell.strip() for cell in found[0].strip("|").split("|")]


@pytest.mark.parametrize("cause", Cause)
def test_each_ending_is_in_the_table_as_it_is_in_the_code(cause: Cause) -> None:
    _, _, result, reason, code = _row(cause)
    ending = ENDINGS[cause]
    assert result == ending.result.value
    if reason != "–" and not reason.startswith("the room"):
        assert reason.split()[0].strip(",*") == ending.room.name
    if code != "–":
        said = "by status" if ending.error is None else ending.error.value
        assert code.partition(",")[0] == said


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_is_in_the_row_of_its_code(status: int) -> None:
    code = STATUSES[status][1].value
    row = next(line for line in _COMPATIBILITY.splitlines() if line.startswith(f"| `{code}` |"))
    assert f" {status} " in row
