"""SQLite's write-ahead log: what is committed is in it, and what is synced outlives a power cut.

SQLite syncs its log before it says that a transaction is over, and a sync takes several times as
long as all the rest. A commit without it outlives the end of this process, however sudden: the
kernel has it. So whoever fears for no more than that is told of the commit, and the sync follows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection


class WriteAheadLog:
    """That of one connection. Without such a log (PostgreSQL, memory) every commit is as always."""

    def __init__(self, connection: Connection) -> None:
        """To be made when something has been committed: SQLite makes the file as late as it can."""
        self._driver: Any = connection.connection.driver_connection
        self._file = _open(connection)

    def close(self) -> None:
        """To be called before the connection is closed."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    @contextmanager
    def unsynced(self) -> Iterator[None]:
        """Transactions in here are committed without a sync; `sync` is to follow."""
        if self._file is None:
            yield
            return
        self._driver.execute("PRAGMA synchronous=NORMAL")
        try:
            yield
        finally:
            self._driver.execute("PRAGMA synchronous=FULL")

    def sync(self) -> None:
        """Return when all that is committed outlives a power cut. Raises OSError."""
        if self._file is not None:
            os.fdatasync(self._file)


def _open(connection: Connection) -> int | None:
    """A second descriptor of the log. SQLite has no locks on it that closing it would give up."""
    if connection.dialect.name != "sqlite":
        return None
    database = connection.connection.driver_connection
    path = database.execute("PRAGMA database_list").fetchone()[2]  # type: ignore[union-attr]
    try:
        return os.open(f"{path}-wal", os.O_RDWR | os.O_CLOEXEC) if path else None
    except OSError:
        # A file system that has no place for one: SQLite has its other journal there.
        return None
