"""A PIN as it is typed: keys in, a submission or another try out. Pure."""

from __future__ import annotations

from enum import Enum

from switchroom.base.records import record, replace
from switchroom.telephony.routing.dispatch_rules import LONGEST_PIN

SUBMIT = "#"


class Verdict(Enum):
    """What a key, or the lack of one, makes of an entry."""

    TYPING = "typing"
    SUBMITTED = "submitted"
    """``entry.typed`` is to be tried; it may be empty, which asks for a rule without a PIN."""
    WRONG = "wrong"
    """This try is over; another one may follow."""
    EXHAUSTED = "exhausted"
    """That was the last try."""


@record
class PinEntry:
    """What was typed in this try, and how many tries are left, this one included."""

    tries_left: int = 3
    typed: str = ""

    def key(self, digit: str) -> tuple[PinEntry, Verdict]:
        """A key was pressed."""
        if digit == SUBMIT:
            return self, Verdict.SUBMITTED
        if len(self.typed) >= LONGEST_PIN:
            return self.wrong()
        return replace(self, typed=self.typed + digit), Verdict.TYPING

    def wrong(self) -> tuple[PinEntry, Verdict]:
        """What was typed fits no rule, or nothing was typed in time."""
        left = self.tries_left - 1
        return PinEntry(left), Verdict.WRONG if left > 0 else Verdict.EXHAUSTED
