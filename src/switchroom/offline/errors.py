"""What can go wrong in the gateway, each with a sentence for whoever wrote the script or agent."""

from __future__ import annotations


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
