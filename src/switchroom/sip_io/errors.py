"""What can go wrong between us and the network before any call is concerned."""

from __future__ import annotations


class SipStartError(Exception):
    """The SIP sockets could not be opened. The message is one line, fit for the console."""


class ResolveError(Exception):
    """A host name has no address. The message says which and why."""
