"""Structured logs on standard error. Secrets never appear; phone numbers only below info level."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from .redact import may_tell, redact_number, redact_text

Logger = FilteringBoundLogger

_SECRET_KEYS = frozenset(
    {"secret", "password", "auth_password", "token", "access_token", "credentials"}
)
_NUMBER_KEYS = frozenset({"number", "call_to", "caller", "callee", "phone_number", "trunk_number"})

# Third-party loggers that chat at info level about things the rooms log themselves.
_QUIET_LIBRARIES = ("uvicorn", "alembic", "sqlalchemy", "asyncio", "websockets")


def get_logger(room: str) -> Logger:
    """The logger of a room; its lines carry ``room``. Cheap, and fine at import time."""
    logger: Logger = structlog.get_logger(room=room)
    return logger


def configure(level: str = "info", *, json: bool = False, stream: TextIO | None = None) -> None:
    """Send the lines of every room, and warnings of libraries, to ``stream`` (standard error).

    ``level`` is ``debug``, ``info``, ``warn`` or ``error`` (LiveKit's words; ``warning`` works
    too). ``json`` writes one object a line, else lines for people.
    """
    out = stream or sys.stderr
    renderer: Any = structlog.processors.JSONRenderer(sort_keys=False) if json else plain_line
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            # A trace is text before facts are hidden, and never shows the values of variables.
            structlog.processors.format_exc_info,
            hide_private_facts,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_level_number(level)),
        logger_factory=lambda *_room: _Lines(out),
        # A stream of its own is for a test or a tool, which may configure again.
        cache_logger_on_first_use=stream is None,
    )
    _listen_to_libraries()


def hide_private_facts(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The processor that keeps secrets out always, and phone numbers at info level and above."""
    for key in _SECRET_KEYS & event.keys():
        event[key] = "***"
    if method == "debug":
        return event
    texts: dict[str, str] = {}
    for key, value in event.items():
        if isinstance(value, str):
            if key in _NUMBER_KEYS:
                event[key] = redact_number(value)
            else:
                texts[key] = value
    # Looked through as one, for there is seldom anything to hide.
    if may_tell("\n".join(texts.values())):
        event.update((key, redact_text(text)) for key, text in texts.items())
    return event


def plain_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """``<time> <level> <room>: <event> key=value …``, and a trace beneath it if there is one.

    Whatever came from outside stays on its line: what is not printable is written as Python would.
    """
    trace = event.pop("exception", "")
    time, level, room = event.pop("time"), event.pop("level"), event.pop("room", "-")
    said = event.pop("event", "")
    line = f"{time} {level:<7} {room}: {said if said.isprintable() else repr(said)}"
    for key, value in event.items():
        plain = isinstance(value, str) and value and " " not in value and value.isprintable()
        line += f" {key}={value if plain else repr(value)}"
    return f"{line}\n{trace}" if trace else line


def _level_number(level: str) -> int:
    names: Mapping[str, int] = {
        "debug": logging.DEBUG,
        "info": logging.INFO,
        "warn": logging.WARNING,
        "warning": logging.WARNING,
        "error": logging.ERROR,
    }
    return names[level]


class _Lines(structlog.WriteLogger):
    """Writes lines. A full disk, or a reader that has gone, costs lines and never a call."""

    def msg(self, message: str) -> None:
        # ValueError: the stream is closed.
        with suppress(OSError, ValueError):
            super().msg(message)

    debug = info = warning = error = critical = msg


class _ToStructlog(logging.Handler):
    """Carries what libraries log through the standard module into our one stream."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = get_logger(record.name)
        logger.log(record.levelno, record.getMessage(), exc_info=record.exc_info or None)


def _listen_to_libraries() -> None:
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(logging.WARNING)
    for name in _QUIET_LIBRARIES:
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
        library.setLevel(logging.WARNING)
