"""The same tests on SQLite and on PostgreSQL: whoever takes `url` or `database` runs on both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from switchroom.storage.connection import Database
from unit.storage.postgresql import Databases, postgresql


@pytest.fixture(scope="session")
def postgresql_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with postgresql(tmp_path_factory.mktemp("postgresql")) as databases:
        yield databases


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nothing was written to."""
    if request.param == "postgresql":
        databases: Databases = request.getfixturevalue("postgresql_databases")
        return databases.upgraded()
    return f"sqlite:///{tmp_path}/data/switchroom.db"


@pytest.fixture(autouse=True)
def log() -> Iterator[list[EventDict]]:
    """What is logged; printed, each failure's stack would take seconds to be made beautiful."""
    with capture_logs() as told:
        yield told


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    await database.open()
    yield database
    await database.close()
