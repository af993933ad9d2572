"""Records found by the numbers that they list, however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Generic, TypeVar

from switchroom.telephony.routing.number_patterns import read_entry
from switchroom.telephony.routing.numbers import normalise

Record = TypeVar("Record")


class NumberIndex(Generic[Record]):
    """Records by their plain numbers; those with patterns, or for any number, stand apart."""

    def __init__(self) -> None:
        self._by_number: dict[str, dict[str, Record]] = {}
        self._others: dict[str, Record] = {}

    def put(self, record_id: str, numbers: Iterable[str], record: Record) -> None:
        """Add a record with the numbers that it lists."""
        texts = _plain(numbers)
        if not texts:
            self._others[record_id] = record
        for text in texts:
            self._by_number.setdefault(text, {})[record_id] = record

    def drop(self, record_id: str, numbers: Iterable[str]) -> None:
        """Take out a record that was put in with these numbers."""
        self._others.pop(record_id, None)
        for text in _plain(numbers):
            same = self._by_number[text]
            del same[record_id]
            if not same:
                del self._by_number[text]

    def find(self, numbers: Iterable[str]) -> Mapping[str, Record]:
        """All records that may mean one of these numbers, by their identifiers; perhaps more."""
        found = dict(self._others)
        for number in numbers:
            found.update(self._by_number.get(normalise(number), {}))
        return found

    def specimen(self) -> Record | None:
        """Any record, None if there is none."""
        for records in chain((self._others,), self._by_number.values()):
            for record in records.values():
                return record
        return None


def _plain(numbers: Iterable[str]) -> set[str]:
    """The numbers, normalised; none where one of them is a pattern."""
    entries = {read_entry(number) for number in numbers}
    if any(entry.is_pattern for entry in entries):
        return set()
    return {entry.text for entry in entries}
