"""What can go wrong in the gateway, each with a sentence for whoever wrote the script or agent."""

from __future__ import annotations

_MOST_SHOWN = 40
"""Characters of a request that an answer repeats: nobody is answered with more than they sent."""


class OfflineError(Exception):
    """Something that the user of the gateway can mend; ``str()`` says what."""


class ScriptError(OfflineError):
    """A script that can't be used. ``line`` counts from 1; 0 means the file as a whole."""

    def __init__(self, message: str, line: int = 0, file: str = "") -> None:
        self.line = line
        self.file = file
        where = f"{file or 'script'}, line {line}" if line else file or "script"
        super().__init__(f"{where}: {message}")


class CannotAnswer(OfflineError):
    """The script has no way on from here, such as a name that the instructions did not give."""


class BadRequest(OfflineError):
    """What the client sent is not what the endpoint takes."""


class GatewayFailed(OfflineError):
    """The gateway can't start."""


def shown(value: object) -> str:
    """The beginning of what a client sent, for a sentence about it; never longer than that."""
    try:
        text = repr(value[:_MOST_SHOWN] if isinstance(value, str) else value)
    except (ValueError, RecursionError):  # thousands of digits, or of lists in lists
        return f"a {type(value).__name__}"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
