"""What commands print can be read, copied and piped."""

from __future__ import annotations

import pytest

from switchroom.cli.output import print_table

_ROWS = [
    (f"ST_{'abcdefghij' * 2}"[:15], "", "A rather long name of a trunk, " * 4, "+15105550100, +1"),
    (f"ST_{'klmnopqrst' * 2}"[:15], "", "short", "any"),
]
_COLUMNS = ("SipTrunkID", "Metadata", "Name", "Numbers")


def _printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int | None
) -> str:
    if width is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", str(width))
    print_table(_COLUMNS, _ROWS, empty="nothing")
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_identifiers_and_numbers_stay_whole_however_narrow_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    shown = _printed(capsys, monkeypatch, width)
    assert "…" not in shown
    for word in (_ROWS[0][0], _ROWS[1][0], "+15105550100,"):
        assert word in shown


def test_a_column_without_an_entry_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Metadata" not in _printed(capsys, monkeypatch, 80)


def test_what_goes_into_a_pipe_is_a_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line for line in _printed(capsys, monkeypatch, None).splitlines() if "ST_" in line]
    assert [_ROWS[0][2].strip() in lines[0], "short" in lines[1]] == [True, True]
