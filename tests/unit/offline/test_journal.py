"""What the gateway tells about itself."""

from __future__ import annotations

import asyncio
import json

import pytest

from switchroom.offline.journal import Event, Journal, Replied, Spoken, Understood, to_line

HEARD = Understood(text="yes", seconds=1.0, took=0.1, at=5.0)


async def test_past_and_coming_events_can_be_expected() -> None:
    journal = Journal()
    journal.record(HEARD)
    assert await journal.expect(lambda event: isinstance(event, Understood)) is HEARD
    waiting = asyncio.ensure_future(journal.expect(lambda event: isinstance(event, Replied)))
    await asyncio.sleep(0)
    journal.record(Spoken(text="x", seconds=1, took=0))
    reply = Replied(text="hi", tool="t")
    journal.record(reply)
    assert await waiting is reply
    assert journal.events == (HEARD, journal.events[1], reply)


async def test_what_never_happens_is_told_with_what_did() -> None:
    journal = Journal()
    with pytest.raises(TimeoutError, match="the gateway saw:\nnothing"):
        await journal.expect(lambda _: True, seconds=0)
    journal.record(HEARD)
    with pytest.raises(TimeoutError, match='"text": "yes"'):
        await journal.expect(lambda event: isinstance(event, Spoken), seconds=0)
    assert journal._waiting == []


def test_a_watcher_hears_everything_and_may_fail() -> None:
    journal, seen = Journal(), list[Event]()
    journal.on_event = seen.append
    journal.record(HEARD)
    assert seen == [HEARD]

    def fail(event: Event) -> None:
        raise RuntimeError

    journal.on_event = fail
    journal.record(HEARD)
    assert len(journal.events) == 2


def test_an_event_is_a_line_of_json() -> None:
    line = json.loads(to_line(HEARD))
    assert line["event"] == "understood"
    assert (line["text"], line["at"]) == ("yes", 5.0)
