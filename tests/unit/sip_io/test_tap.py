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
    traces = CallTraces(calls=2, messages=3, message_bytes=4)
    for call_id in ("one", "two", "three"):
        for number in range(5):
            traces(record(call_id, b"abcdefgh", number))
    assert traces.of("one") == ()
    assert [entry.at_unix_ns for entry in traces.of("three")] == [2, 3, 4]
    assert traces.of("three")[0].data == b"abcd"
    traces(record("x" * 600))
    assert traces.of("two")


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
