"""How the command line refuses: one line that says what to do, and an exit status."""

from __future__ import annotations


class CommandFailed(Exception):
    """The command can't go on; the message is shown to the user as it is."""

    status = 1


class Mistyped(CommandFailed):
    """What was typed, or a file that it names, makes no sense; nothing has been done yet."""

    status = 2
