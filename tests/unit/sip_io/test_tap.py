"""The messages kept of each call."""

from __future__ import annotations

from switchroom.sip.flows import Flow
from switchroom.sip_io.tap import CallTraces, TapRecord, without_credentials

FLOW = Flow("udp", ("a", 1), ("b", 2), ("a", 1))


def keep(traces: CallTraces, call_id: str, data: bytes = b"x", at: int = 0) -> None:
    traces.keep(at, "in", FLOW, call_id, data)


def test_messages_are_kept_by_call_in_order() -> None:
    traces = CallTraces()
    for number, call_id in enumerate(["one", "two", "one", ""]):
        keep(traces, call_id, at=number)
    first, second = traces.of("one")
    assert first == TapRecord(0, "in", "udp", ("a", 1), ("b", 2), "one", b"x")
    assert second.at_unix_ns == 2
    assert traces.of("") == ()
    assert traces.of("never") == ()


def test_what_is_kept_is_bounded_and_the_oldest_go_first() -> None:
    traces = CallTraces(calls=2, call_bytes=20)
    for call_id in ("one", "two", "three"):
        traces.follow(call_id)
        for number in range(5):
            keep(traces, call_id, b"abcdefgh", number)
    assert traces.of("one") == ()
    assert [entry.at_unix_ns for entry in traces.of("three")] == [3, 4]
    keep(traces, "three", b"x" * 100)
    assert [entry.data for entry in traces.of("three")] == [b"x" * 100]


def test_strangers_do_not_wash_away_the_traces_of_calls() -> None:
    traces = CallTraces(strangers=2)
    traces.follow("ours")
    keep(traces, "ours")
    for number in range(5):
        keep(traces, f"scan-{number}")
    assert traces.of("ours")
    assert traces.of("scan-2") == ()
    assert traces.of("scan-4")
    keep(traces, "x" * 600)
    assert traces.of("scan-3")


def test_what_came_before_a_call_was_let_in_belongs_to_it() -> None:
    traces = CallTraces()
    keep(traces, "in", at=1)
    traces.follow("in")
    traces.follow("in")
    keep(traces, "in", at=2)
    assert [entry.at_unix_ns for entry in traces.of("in")] == [1, 2]


def test_logins_are_taken_out() -> None:
    data = (
        b'INVITE sip:a SIP/2.0\r\nProxy-Authorization: Digest response="ab"\r\n'
        b'AUTHORIZATION : Digest response="cd"\r\nX: y\r\n\r\n'
    )
    clean = without_credentials(data)
    assert b"response" not in clean
    assert clean.endswith(b"(hidden)\r\nX: y\r\n\r\n")
    assert without_credentials(b"BYE sip:a SIP/2.0\r\n\r\n") == b"BYE sip:a SIP/2.0\r\n\r\n"
    traces = CallTraces()
    keep(traces, "one", data)
    assert b"response" not in traces.of("one")[0].data
