"""Cutting a byte stream into SIP messages (RFC 3261 sections 7.5 and 18.3, RFC 5626 3.5.1)."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from switchroom.base.records import record
from switchroom.sip.errors import MalformedMessageError, MessageTooLargeError, RemoteSipError
from switchroom.sip.grammar import DEFAULT_LIMITS, Limits

_CONTENT_LENGTH: Final = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*:[ \t\r\n]*([^\r]*?)[ \t]*(?=\r\n)", re.IGNORECASE
)
_END_OF_HEAD: Final = b"\r\n\r\n"


class KeepAlive(Enum):
    """Line breaks between messages."""

    PING = "ping"
    """CRLF CRLF: the peer wants a CRLF back."""


@record
class BrokenStream:
    """The stream can't be cut any further: answer the fault if ``head`` allows, then close."""

    fault: RemoteSipError
    head: bytes
    """The start of the message that broke the stream."""


Frame = bytes | KeepAlive | BrokenStream


class _FramingError(Exception):
    def __init__(self, fault: RemoteSipError, head: bytes) -> None:
        super().__init__(fault.reason)
        self.fault = fault
        self.head = head


class StreamFramer:
    """Collects the bytes of one connection and gives back whole messages.

    How the bytes were split on arrival makes no difference, and every byte is looked at once only.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._scanned = 0
        self._message_end = 0
        """Where the current message ends; 0 while its head is incomplete."""
        self._broken = False

    @property
    def pending(self) -> int:
        """Bytes of an unfinished message: more than 0 for long means a stalled peer."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Whole messages and pings that ``data`` completes, in order; never raises.

        A BrokenStream is the last thing a framer gives: what follows is swallowed.
        """
        out: list[Frame] = []
        if self._broken:
            return out
        self._buffer += data
        try:
            while self._next_frame(out):
                pass
        except _FramingError as broken:
            self._broken = True
            self._buffer.clear()
            out.append(BrokenStream(broken.fault, broken.head))
        return out

    def _next_frame(self, out: list[Frame]) -> bool:
        self._skip_line_breaks(out)
        if not self._message_end and not self._find_end():
            return False
        if len(self._buffer) < self._message_end:
            return False
        out.append(bytes(self._buffer[: self._message_end]))
        del self._buffer[: self._message_end]
        self._message_end = self._scanned = 0
        return True

    def _skip_line_breaks(self, out: list[Frame]) -> None:
        buffer = self._buffer
        while not self._message_end and buffer[:2] == b"\r\n":
            if buffer[2:4] == b"\r\n":
                out.append(KeepAlive.PING)
                del buffer[:4]
            elif len(buffer) > 2 and buffer[2:] != b"\r":
                del buffer[:2]
            else:
                return

    def _find_end(self) -> bool:
        buffer = self._buffer
        end = buffer.find(_END_OF_HEAD, max(0, self._scanned - 3))
        if end < 0:
            self._scanned = len(buffer)
            if len(buffer) > self._limits.message_bytes:
                raise _FramingError(MessageTooLargeError("head too large"), bytes(buffer[:4096]))
            return False
        length = self._content_length(bytes(buffer[: end + 2]))
        self._message_end = end + 4 + length
        if self._message_end > self._limits.message_bytes:
            raise _FramingError(MessageTooLargeError("message too large"), bytes(buffer[: end + 4]))
        return True

    def _content_length(self, head: bytes) -> int:
        values = set(_CONTENT_LENGTH.findall(head))
        # Section 18.3 makes the field mandatory on streams: without it, nothing later is sure.
        if len(values) != 1:
            reason = "conflicting Content-Length" if values else "missing Content-Length"
            raise _FramingError(MalformedMessageError(reason), head + b"\r\n")
        (value,) = values
        if not value.isdigit() or len(value) > 10:
            raise _FramingError(MalformedMessageError("bad Content-Length"), head + b"\r\n")
        return int(value)
