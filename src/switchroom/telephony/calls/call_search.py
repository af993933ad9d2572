"""Which calls somebody asks for, and in which order they are told: the newest first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from switchroom.base.records import record
from switchroom.telephony.calls.call_record import CallDirection, CallRecord
from switchroom.telephony.calls.termination import ENDINGS, Result
from switchroom.telephony.routing.numbers import bare, normalise

#: How calls end with which nothing went wrong.
GOOD_ENDINGS = frozenset(
    cause.value for cause, ending in ENDINGS.items() if ending.result is Result.SUCCESS
)


@record
class Place:
    """A place in the list of all calls, by when they began (Unix ns) and their ids."""

    created_at: int
    call_id: str = ""

    def is_before(self, other: Place) -> bool:
        """Whether what stands here is older."""
        return (self.created_at, self.call_id) < (other.created_at, other.call_id)


def place_of(call: CallRecord) -> Place:
    """Where a call stands."""
    return Place(call.created_at, call.call_id)


@record
class CallSearch:
    """What is asked for; what is empty or None does not count.

    ``number`` is the caller's or the one that was called. ``trunk`` is an id, or the address of a
    trunk that came with its call. ``cause`` is the word of an ending, of those that carry a status
    also without it. ``failed`` calls are over and did not end well. ``since`` and ``until`` are
    Unix nanoseconds, the first of them within.
    """

    room: str = ""
    number: str = ""
    direction: CallDirection | None = None
    trunk: str = ""
    cause: str = ""
    running: bool | None = None
    failed: bool | None = None
    since: int = 0
    until: int = 0

    def takes(self, call: CallRecord) -> bool:
        """Whether this call is meant."""
        return (
            self.since <= call.created_at
            and (not self.until or call.created_at < self.until)
            and (not self.room or call.room_name == self.room)
            and (self.direction is None or call.direction is self.direction)
            and (not self.trunk or self.trunk in (call.trunk_id, call.trunk_address))
            and (not self.number or self._has_number(call))
            and self._ended_so(call)
        )

    def _has_number(self, call: CallRecord) -> bool:
        """A number that is hidden is not found either: else it could be guessed."""
        if call.hides_numbers:
            return False
        written = spellings(self.number)
        return call.from_number in written or call.to_number in written

    def _ended_so(self, call: CallRecord) -> bool:
        ending = call.termination
        if ending is None:
            return self.running is not False and self.failed is None and not self.cause
        word = ending.word
        return (
            self.running is not True
            and (self.failed is None or self.failed is (word not in GOOD_ENDINGS))
            and (not self.cause or word == self.cause or word.startswith(f"{self.cause}-"))
        )


def spellings(number: str) -> frozenset[str]:
    """The ways in which a number may stand in a record: as given, and with and without its plus."""
    plain = normalise(bare(number))
    return frozenset((number, plain, plain.removeprefix("+")))


@record
class Found:
    """Calls, the newest first, and where to go on; `rest` is None if there are no more."""

    calls: Sequence[CallRecord]
    rest: Place | None = None


def page_of(running: Iterable[CallRecord], kept: Found, limit: int) -> Found:
    """Up to `limit` calls of those that run and those that are kept, which are not the same.

    What runs and is older than what was looked through of the kept ones comes on a later page.
    """
    calls = list(kept.calls)
    rest = kept.rest
    calls += (c for c in running if rest is None or not place_of(c).is_before(rest))
    calls.sort(key=lambda call: (call.created_at, call.call_id), reverse=True)
    if len(calls) > limit:
        return Found(calls[:limit], place_of(calls[limit - 1]))
    return Found(calls, rest)
