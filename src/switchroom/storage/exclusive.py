"""One server per database: a second one would end the first one's calls as orphans."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from switchroom.storage.errors import StorageError

_IN_USE = "another switchroom is using this database"
_REMEDY = "stop it, or set storage.url"
#: Any fixed number does.
_ADVISORY_KEY = 0x53574954
#: Seconds until PostgreSQL asks a silent client whether it lives, and between three questions.
_KEEPALIVE = 10


class Claim:
    """The right to use a database; `release` gives it back."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """A crash releases as well: the lock belongs to the descriptor."""
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
        raise StorageError(f"{_IN_USE}: {path}; {_REMEDY}") from None
    return Claim(lock)


def claim_session(connection: Any, _record: Any) -> None:
    """Claim PostgreSQL's database for a connection of its driver that has just been made.

    The claim ends with the session, so a connection that takes the place of a lost one claims
    anew. That a lost one is lost the server must learn soon, or it would keep its successor out.
    Raises StorageError if another server uses the database.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET tcp_keepalives_idle = {_KEEPALIVE}; SET tcp_keepalives_interval = {_KEEPALIVE};"
            "SET tcp_keepalives_count = 3"
        )
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (_ADVISORY_KEY,))
        (taken,) = cursor.fetchone()
    connection.commit()
    if not taken:
        connection.close()
        raise StorageError(f"{_IN_USE}; {_REMEDY}")
