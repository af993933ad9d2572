"""How the command line refuses: one line that says what to do, and exit status 1."""

from __future__ import annotations


class CommandFailed(Exception):  # noqa: N818 - what happened, in the user's words
    """The command can't go on; the message is shown to the user as it is."""
