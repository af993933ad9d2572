"""Who is told of a commit, who of the disk, and what the disk's failure is to each."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from switchroom.storage.connection import Database
from switchroom.storage.errors import StorageError
from switchroom.storage.schema import rooms

_FULL = 2


def _row(name: str) -> dict[str, object]:
    return {
        "name": name,
        "sid": "RM_1",
        "metadata": "",
        "empty_timeout": 1,
        "departure_timeout": 2,
        "max_participants": 3,
        "created_at_ns": 4,
        "configuration": "",
    }


def _names_for_others(path: Path) -> set[str]:
    with sqlite3.connect(path) as other:
        return {name for (name,) in other.execute("SELECT name FROM rooms")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "switchroom.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{path}")
    await database.open()
    yield database
    await database.close()


async def test_whoever_waits_for_the_commit_is_told_before_the_disk_is_waited_for(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda _file: disk.wait(30.0))
    try:
        await asyncio.wait_for(database.put(rooms, "a", _row("a"), dict, on_disk=False), 10.0)
        assert _names_for_others(path) == {"a"}
    finally:
        disk.set()


async def test_of_one_transaction_only_those_who_wait_for_the_disk_hear_that_it_failed(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_file: int) -> None:
        raise OSError("no such luck")

    monkeypatch.setattr(os, "fdatasync", fail)
    both_wait = threading.Event()
    busy = asyncio.ensure_future(database.run(lambda _connection: both_wait.wait(30.0)))
    await asyncio.sleep(0)
    hurried = database.put(rooms, "a", _row("a"), dict, on_disk=False)
    careful = database.put(rooms, "b", _row("b"), dict)
    both_wait.set()
    await busy
    await hurried
    with pytest.raises(StorageError, match="could not be written"):
        await careful
    assert _names_for_others(path) == {"a", "b"}


async def test_a_row_that_is_refused_is_refused_to_whoever_waits_for_its_commit(
    database: Database,
) -> None:
    bad = _row("bad") | {"sid": None}
    with pytest.raises(StorageError, match="could not be written"):
        await database.put(rooms, "bad", bad, dict, on_disk=False)
    assert await database.run(_synchronous) == _FULL


async def test_after_a_commit_in_a_hurry_others_wait_for_the_disk_as_ever(
    database: Database,
) -> None:
    await database.put(rooms, "a", _row("a"), dict, on_disk=False)
    assert await database.run(_synchronous) == _FULL


async def test_a_database_without_such_a_log_is_as_quick() -> None:
    database = Database("sqlite://")
    await database.open()
    await database.put(rooms, "a", _row("a"), dict, on_disk=False)
    await database.close()


def _synchronous(connection: Connection) -> object:
    return connection.exec_driver_sql("PRAGMA synchronous").scalar()
