"""The messages kept of each call."""

from __future__ import annotations

from switchroom.sip_io.tap import CallTraces, TapRecord, without_credentials


def record(call_id: str, data: bytes = b"x", at: int = 0) -> TapRecord:
    return TapRecord(at, "in", "udp", ("a", 1), ("b", 2), call_id, data)


def test_messages_are_kept_by_call_in_order() -> None:
    traces = CallTraces()
    for number, call_id in enumerate(["one", "two", "one", ""]):
        traces(record(call_id, at=number))
    assert [entry.at_unix_ns for entry in traces.of("one")] == [0, 2]
    assert traces.of("") == ()
    assert traces.of("never") == ()


def test_what_is_kept_is_bounded_and_the_oldest_go_first() -> None:
    traces = CallTraces(calls=2, call_bytes=20)
    for call_id in ("one", "two", "three"):
        traces.follow(call_id)
        for number in range(5):
            traces(record(call_id, b"abcdefgh", number))
    assert traces.of("one") == ()
    assert [entry.at_unix_ns for entry in traces.of("three")] == [3, 4]
    traces(record("three", b"x" * 100))
    assert [entry.data for entry in traces.of("three")] == [b"x" * 100]


def test_strangers_do_not_wash_away_the_traces_of_calls() -> None:
    traces = CallTraces(strangers=2)
    traces.follow("ours")
    traces(record("ours"))
    for number in range(5):
        traces(record(f"scan-{number}"))
    assert traces.of("ours")
    assert traces.of("scan-2") == ()
    assert traces.of("scan-4")
    traces(record("x" * 600))
    assert traces.of("scan-3")


def test_what_came_before_a_call_was_let_in_belongs_to_it() -> None:
    traces = CallTraces()
    traces(record("in", at=1))
    traces.follow("in")
    traces.follow("in")
    traces(record("in", at=2))
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
    traces(record("one", data))
    assert b"response" not in traces.of("one")[0].data
