"""What can be wrong with a SIP message, and what RFC 3261 wants done about it."""

from __future__ import annotations


class SipError(ValueError):
    """Anything this room refuses. The message is a short English clause fit for a log line."""


class LocalSipError(SipError):
    """We were asked to send something the grammar forbids: our caller's mistake, never a peer's."""


class RemoteSipError(SipError):
    """A peer sent something the grammar does not allow.

    ``status`` is the answer RFC 3261 section 21 reserves for it if the culprit was a request;
    responses with the same fault are dropped (section 8.1.3.5 and RFC 4475 section 3.1.2.19).
    """

    status = 400

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MalformedMessageError(RemoteSipError):
    """The bytes are no SIP message at all, or one whose framing can't be trusted."""


class MalformedValueError(RemoteSipError):
    """One header field or URI does not follow its grammar."""


class UnsupportedSchemeError(RemoteSipError):
    """The Request-URI is of a scheme this endpoint can't serve (RFC 3261 section 21.4.14)."""

    status = 416


class UnsupportedVersionError(RemoteSipError):
    """The start line names a SIP version other than 2.0 (RFC 3261 section 21.5.6)."""

    status = 505


class MessageTooLargeError(RemoteSipError):
    """More bytes, header fields or list entries than the limits allow (section 21.5.7)."""

    status = 513
