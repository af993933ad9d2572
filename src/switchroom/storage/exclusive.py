"""One server per database: a second one would end the first one's calls as orphans."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from switchroom.storage.errors import StorageError

_IN_USE = "another switchroom is using this database"
#: Any fixed number does; PostgreSQL keeps it for the session.
_ADVISORY_KEY = 0x53574954


class Claim:
    """The right to use a database; `release` gives it back."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def confirm(self, connection: Connection) -> None:
        """Claim a server database on its connection. Raises StorageError if it is in use."""
        if connection.dialect.name != "postgresql":
            return
        taken = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_KEY})
        connection.commit()
        if not taken:
            raise StorageError(_IN_USE)

    def release(self) -> None:
        """A crash releases as well: the lock belongs to the descriptor, or to the connection."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def claim(url: URL) -> Claim:
    """Claim a database in a file, and make its folder; nothing to do for others.

    The file is for its owner alone: it holds the trunks' passwords. Raises StorageError if another
    process uses it, OSError where it cannot be made.
    """
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return Claim(None)
    path = Path(url.database or "")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StorageError(f"{_IN_USE}: {path}") from None
    return Claim(lock)
