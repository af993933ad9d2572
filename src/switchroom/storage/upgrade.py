"""Bring a database to the schema of this version, or back."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from switchroom.storage.errors import StorageError

_MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic hands a migration its connection through a module: one database of a process at a time.
_migrating = threading.Lock()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Apply every migration up to `revision`. Raises StorageError for a newer database."""
    try:
        with _migrating:
            command.upgrade(_config(connection), revision)
    except CommandError:
        raise StorageError("the database was made by a newer version of switchroom") from None
    connection.commit()


def downgrade(connection: Connection, revision: str) -> None:
    """Take migrations back down to `revision`; ``base`` leaves an empty database."""
    with _migrating:
        command.downgrade(_config(connection), revision)
    connection.commit()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
