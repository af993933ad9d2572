from __future__ import annotations

import io
import json
import threading

import pytest

from switchroom.phonenet import events
from switchroom.phonenet.hearing import Heard
from switchroom.phonenet.pretty import pretty, words
from switchroom.phonenet.writing import EventWriter

ONE_OF_EACH = (
    events.Ready(address="127.0.0.1:5070", numbers=[{"number": "1", "name": "A", "does": "x"}]),
    events.Called(call="c1", number="1", caller="2", caller_name="", sip_call_id="x"),
    events.Misunderstood(error="that is no JSON"),
    events.Dials(call="c1", number="1", caller="2", name="Maria", to="192.0.2.1:5060"),
    events.Ringing(call="c1", status=180),
    events.Answered(call="c1", codec="PCMU", media="192.0.2.1:4000"),
    events.Rejected(call="c1", status=486, reason="Busy Here"),
    events.Plays(call="c1", sound="melody"),
    events.Hears(call="c1", what="tone", level_dbov=-20.0, tone_hz=440.0),
    events.Listened(call="c1", heard=Heard(seconds=1.0, audible_seconds=0.5, gaps=2)),
    events.Said(call="c1", text="Hello?", seconds=0.4),
    events.Understood(call="c1", text="good bye", began=5.0, ended=6.0, replied_after=0.5),
    events.MessageKept(
        call="c1", path="message-1.wav", seconds=2.5, transcript="hello", because="hung up"
    ),
    events.Digit(call="c1", digit="#", duration_ms=100),
    events.Held(call="c1", direction="recvonly"),
    events.Noted(call="c1", note="grüezi"),
    events.Failed(call="c1", error="ValueError: x"),
    events.Ended(
        call="c1",
        by="caller",
        reason="hung up",
        number="1",
        ring_seconds=1.0,
        talk_seconds=2.0,
        heard=Heard(),
        digits="12",
    ),
    events.Stopped(calls=3),
)
EVERY_EVENT = pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.kind)


@EVERY_EVENT
def test_an_event_survives_its_line(event: events.Event) -> None:
    line = events.to_line(event)
    assert "\n" not in line
    assert events.from_line(line) == event
    assert json.loads(line)["event"] == event.kind


@EVERY_EVENT
def test_an_event_has_words_of_its_own(event: events.Event) -> None:
    assert words(event) != event.kind
    assert words(event) in pretty(event)


def test_a_refusal_without_a_reason_of_its_own_has_the_usual_words() -> None:
    assert words(events.Rejected(call="c1", status=404, reason="")) == "refuses: 404 Not Found"


def test_every_kind_of_event_is_shown_here() -> None:
    assert {event.kind for event in ONE_OF_EACH} == set(events.KINDS)


@pytest.mark.parametrize(
    "line", ["", "{}", "[]", "null", '{"event":"nothing"}', '{"event":"digit"}']
)
def test_what_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 – json and we say different things
        events.from_line(line)


def test_fields_of_a_later_version_are_ignored() -> None:
    assert events.from_line('{"event":"stopped","calls":1,"new":2}') == events.Stopped(calls=1)


def test_events_are_written_in_order_with_their_time() -> None:
    stream = io.StringIO()
    writer = EventWriter(events.to_line, stream)
    for event in ONE_OF_EACH:
        writer.report(event)
    writer.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [event.kind for event in ONE_OF_EACH]
    assert all(line["time"] > 0 for line in lines)


def test_a_reader_that_is_gone_stops_nobody() -> None:
    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    writer = EventWriter(events.to_line, Broken())
    for event in ONE_OF_EACH:
        writer.report(event)
    writer.close()


def test_a_reader_that_does_not_read_costs_events_and_no_time() -> None:
    blocked = threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            blocked.wait()
            return len(text)

    writer = EventWriter(events.to_line, Stuck())
    for _ in range(10_100):
        writer.report(ONE_OF_EACH[0])
    assert writer._waiting.qsize() <= 10_000
    blocked.set()
    writer.close()
