from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from switchroom.telephony.inbound.pin import PinEntry, Verdict


def typed(keys: str, tries: int = 3) -> tuple[PinEntry, list[Verdict]]:
    entry, verdicts = PinEntry(tries), []
    for key in keys:
        entry, verdict = entry.key(key)
        verdicts.append(verdict)
    return entry, verdicts


def test_keys_are_gathered_until_the_hash_submits_them() -> None:
    entry, verdicts = typed("12*A#")
    assert entry.typed == "12*A"
    assert verdicts == [Verdict.TYPING] * 4 + [Verdict.SUBMITTED]


def test_the_hash_alone_submits_nothing() -> None:
    assert typed("#")[0].typed == ""


def test_more_keys_than_any_pin_has_are_a_wrong_try() -> None:
    entry, verdicts = typed("1" * 17)
    assert verdicts[-1] is Verdict.WRONG
    assert entry == PinEntry(2)


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_the_last_wrong_try_is_the_end(tries: int) -> None:
    entry = PinEntry(tries)
    verdicts = []
    for _ in range(tries):
        entry, verdict = entry.wrong()
        verdicts.append(verdict)
    assert verdicts == [Verdict.WRONG] * (tries - 1) + [Verdict.EXHAUSTED]


@given(st.text("0123456789*#ABCD", max_size=60))
def test_no_row_of_keys_holds_more_than_a_pin_may_have(keys: str) -> None:
    entry = PinEntry()
    for key in keys:
        entry, verdict = entry.key(key)
        assert len(entry.typed) <= 16
        if verdict in (Verdict.SUBMITTED, Verdict.EXHAUSTED):
            break
