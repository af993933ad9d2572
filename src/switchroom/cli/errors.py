"""How the command line refuses: one line that says what to do, and exit status 1."""

from __future__ import annotations


class CommandFailed(Exception):
    """The command can't go on; the message is shown to the user as it is."""
