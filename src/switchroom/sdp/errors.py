"""What can be wrong with a session description."""

from __future__ import annotations


class SdpError(Exception):
    """The text is no usable session description; the message says what is wrong with it."""


class NotAcceptable(SdpError):
    """A well-formed description that offers nothing we can take (SIP: 488 Not Acceptable Here)."""


class NoCommonCodec(NotAcceptable):
    """Both sides speak RTP audio, but share no codec."""


class EncryptionMismatch(NotAcceptable):
    """One side wants SRTP and the other does not have it, or not in a form both understand."""
