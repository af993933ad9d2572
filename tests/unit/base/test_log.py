from __future__ import annotations

import io
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from switchroom.base import log


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_names_its_room_level_and_time(stream: io.StringIO) -> None:
    log.configure("info", json=True, stream=stream)
    log.get_logger("sip").info("request", method="INVITE")
    (line,) = lines(stream)
    assert (line["room"], line["level"], line["event"], line["method"]) == (
        "sip",
        "info",
        "request",
        "INVITE",
    )
    assert line["time"].endswith("Z")


def test_a_logger_made_before_configuration_follows_it(stream: io.StringIO) -> None:
    early = log.get_logger("early")
    log.configure("warn", json=True, stream=stream)
    early.info("dropped")
    early.warning("kept")
    assert [line["event"] for line in lines(stream)] == ["kept"]


def test_secrets_are_hidden_at_every_level(stream: io.StringIO) -> None:
    log.configure("debug", json=True, stream=stream)
    log.get_logger("auth").debug("seen", password="hunter2", token="eyJ")
    assert "hunter2" not in stream.getvalue()
    assert "eyJ" not in stream.getvalue()


def test_numbers_are_redacted_from_info_upwards(stream: io.StringIO) -> None:
    log.configure("debug", json=True, stream=stream)
    logger = log.get_logger("call")
    logger.info("dialling +15105550123", call_to="15105550123", uri="sip:15105550123@c")
    assert "5550123" not in stream.getvalue()
    logger.debug("dialling", call_to="+15105550123")
    assert "+15105550123" in stream.getvalue()


def test_warnings_of_libraries_join_our_stream_and_their_chatter_does_not(
    stream: io.StringIO,
) -> None:
    log.configure("info", json=True, stream=stream)
    logging.getLogger("uvicorn.access").info("GET /")
    logging.getLogger("alembic.runtime").warning("slow %s", "migration")
    assert [(line["room"], line["event"]) for line in lines(stream)] == [
        ("alembic.runtime", "slow migration")
    ]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_trace_shows_no_secret_and_no_number(stream: io.StringIO, as_json: bool) -> None:
    log.configure("info", json=as_json, stream=stream)
    password = "hunter2"
    try:
        int("sip:+15105550123@carrier")
    except ValueError:
        log.get_logger("x").exception("failed")
    assert "ValueError" in stream.getvalue()
    assert "5550123" not in stream.getvalue()
    assert password not in stream.getvalue()


def test_an_exception_is_one_json_line(stream: io.StringIO) -> None:
    log.configure("info", json=True, stream=stream)
    try:
        int("gone")
    except ValueError:
        log.get_logger("x").exception("failed")
    (line,) = lines(stream)
    assert "ValueError: invalid literal" in line["exception"]


def test_a_line_for_people_names_time_level_room_and_facts(stream: io.StringIO) -> None:
    log.configure("info", stream=stream)
    log.get_logger("sip").warning("no answer", status=408, reason="Request Timeout", to="")
    time, _, rest = stream.getvalue().partition(" ")
    assert time.endswith("Z")
    assert rest == "warning sip: no answer status=408 reason='Request Timeout' to=''\n"


def test_nothing_from_outside_can_forge_a_line(stream: io.StringIO) -> None:
    log.configure("info", stream=stream)
    log.get_logger("sip").info("refused\nforged", header="a\nforged: line\x1b[31m")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_a_trace_stands_beneath_its_line(stream: io.StringIO) -> None:
    log.configure("info", stream=stream)
    try:
        int("gone")
    except ValueError:
        log.get_logger("x").exception("failed")
    first, second, *_, last = stream.getvalue().splitlines()
    assert first.endswith("x: failed")
    assert second == "Traceback (most recent call last):"
    assert last.startswith("ValueError: invalid literal")


def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        log.configure("info", stream=full)
        log.get_logger("calls").warning("nobody will read this")
        log.get_logger("calls").critical("nor this")
        log.get_logger("calls").info("nor this")
        # What was not written is still in the buffer, and closing says so.
        with suppress(OSError):
            full.close()
    log.get_logger("calls").error("nor this: the stream is closed")
