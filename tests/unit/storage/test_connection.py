"""The database thread: batches, durability, failures, one server at a time."""

from __future__ import annotations

import asyncio
import stat
import sys
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text
from structlog.typing import EventDict

from switchroom.storage.connection import Database
from switchroom.storage.errors import StorageError
from switchroom.storage.schema import rooms
from unit.storage.postgresql import Databases


def _row(name: str, sid: str = "RM_1") -> dict[str, object]:
    return {
        "name": name,
        "sid": sid,
        "metadata": "",
        "empty_timeout": 1,
        "departure_timeout": 2,
        "max_participants": 3,
        "created_at_ns": 4,
        "configuration": "",
    }


def _sids(connection: Connection) -> dict[str, str]:
    found = connection.execute(select(rooms.c.name, rooms.c.sid))
    return {row.name: row.sid for row in found}


async def test_a_row_that_is_awaited_is_there_for_others(database: Database, url: str) -> None:
    await database.put(rooms, "a", _row("a"), dict)
    assert await database.run(_sids) == {"a": "RM_1"}


async def test_a_row_that_nobody_awaits_is_written_by_the_close_at_the_latest(url: str) -> None:
    first = Database(url, linger=3600.0)
    await first.open()
    first.put_soon(rooms, "a", lambda: _row("a"), dict)
    await first.close()
    second = Database(url)
    await second.open()
    assert await second.run(_sids) == {"a": "RM_1"}
    await second.close()


async def test_the_last_content_of_a_row_wins_over_those_before_it(url: str) -> None:
    database = Database(url, linger=3600.0)
    await database.open()
    for sid in ("RM_1", "RM_2", "RM_3"):
        database.put_soon(rooms, "a", partial(_row, "a", sid), dict)
    await database.put(rooms, "b", _row("b"), dict)
    assert await database.run(_sids) == {"a": "RM_3", "b": "RM_1"}
    await database.put(rooms, "a", _row("a", "RM_4"), dict)
    assert (await database.run(_sids))["a"] == "RM_4"
    await database.close()


async def test_what_a_row_holds_is_asked_once_and_as_late_as_can_be(url: str) -> None:
    asked: list[str] = []

    def record() -> dict[str, object]:
        asked.append(sid)
        return _row("a", sid)

    database = Database(url, linger=3600.0)
    await database.open()
    sid = "RM_1"
    database.put_soon(rooms, "a", record, dict)
    sid = "RM_2"
    database.put_soon(rooms, "a", record, dict)
    sid = "RM_3"
    assert await database.run(_sids) == {"a": "RM_3"}
    assert asked == ["RM_3"]
    await database.close()


async def test_a_job_finds_what_was_saved_before_it_although_the_thread_is_awake(
    database: Database,
) -> None:
    def while_the_thread_looks() -> dict[str, object]:
        """It is made to look for work just now, and has done so on return."""
        database._work.set()
        while database._work.is_set():
            continue
        with database._lock:
            return _row("a")

    database.put_soon(rooms, "a", while_the_thread_looks, dict)
    assert await database.run(_sids) == {"a": "RM_1"}


async def test_a_row_that_is_awaited_replaces_the_one_that_waits_for_company(url: str) -> None:
    database = Database(url, linger=3600.0)
    await database.open()
    database.put_soon(rooms, "a", partial(_row, "a", "RM_old"), dict)
    await database.put(rooms, "a", _row("a", "RM_new"), dict)
    assert await database.run(_sids) == {"a": "RM_new"}
    await database.close()


async def test_a_bad_row_fails_alone(database: Database) -> None:
    bad = _row("bad") | {"sid": None}
    results = await asyncio.gather(
        database.put(rooms, "good", _row("good"), dict),
        database.put(rooms, "bad", bad, dict),
        return_exceptions=True,
    )
    assert results[0] is None
    assert isinstance(results[1], StorageError)
    assert await database.run(_sids) == {"good": "RM_1"}


async def test_what_a_row_held_that_failed_is_not_in_the_log(
    database: Database, log: list[EventDict]
) -> None:
    """It may be a trunk's password."""
    bad = {**_row("bad"), "sid": None, "metadata": "hunter2"}

    def add(connection: Connection) -> None:
        connection.execute(rooms.insert(), bad)

    for attempt in (database.put(rooms, "bad", bad, dict), database.run(add)):
        with pytest.raises(StorageError):
            await attempt
    assert [line["log_level"] for line in log] == ["error", "error"]
    assert all("sid" in line["reason"] for line in log)
    assert "hunter2" not in str(log)


async def test_a_job_that_fails_changes_nothing_and_the_thread_lives_on(
    database: Database,
) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(rooms.insert().values(**_row("half")))
        connection.execute(text("SELECT no_such_column"))

    with pytest.raises(StorageError, match="could not be reached"):
        await database.run(fail)
    assert await database.run(_sids) == {}


async def test_a_mistake_of_a_job_is_the_callers(database: Database) -> None:
    def fail(_connection: Connection) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await database.run(fail)
    assert await database.run(_sids) == {}


async def test_a_caller_that_went_away_disturbs_nobody(database: Database) -> None:
    gone = asyncio.ensure_future(database.put(rooms, "a", _row("a"), dict))
    await asyncio.sleep(0)
    gone.cancel()
    await database.put(rooms, "b", _row("b"), dict)
    assert set(await database.run(_sids)) == {"a", "b"}


async def test_after_the_close_nothing_is_promised(database: Database) -> None:
    await database.close()
    with pytest.raises(StorageError, match="closed"):
        await database.put(rooms, "a", _row("a"), dict)
    await database.close()


async def test_a_second_server_is_turned_away_until_the_first_is_gone(url: str) -> None:
    first, second = Database(url), Database(url)
    await first.open()
    with pytest.raises(StorageError, match="another switchroom is using this database"):
        await second.open()
    await first.close()
    third = Database(url)
    await third.open()
    await third.close()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_lost_connection_is_made_anew_and_the_database_stays_ours(
    database: Database, url: str, postgresql_databases: Databases
) -> None:
    await database.put(rooms, "a", _row("a"), dict)
    postgresql_databases.cut_off(url)
    await database.put(rooms, "b", _row("b"), dict)
    assert set(await database.run(_sids)) == {"a", "b"}
    with pytest.raises(StorageError, match="another switchroom is using this database"):
        await Database(url).open()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_file_that_is_in_use_is_named(database: Database, url: str) -> None:
    with pytest.raises(StorageError, match=r"using this database: .*/data/switchroom\.db"):
        await Database(url).open()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_the_file_is_for_its_owner_only(database: Database, tmp_path: Path) -> None:
    mode = stat.S_IMODE((tmp_path / "data" / "switchroom.db").stat().st_mode)
    assert mode == 0o600


async def test_a_database_in_memory_will_do() -> None:
    database = Database("sqlite://")
    await database.open()
    await database.put(rooms, "a", _row("a"), dict)
    assert await database.run(_sids) == {"a": "RM_1"}
    await database.close()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("no url", "storage.url is no SQLAlchemy URL"),
        ("postgresql://host:port/db", "storage.url is no SQLAlchemy URL"),
        ("mysql://host/db", "storage.url must name sqlite or postgresql, not mysql"),
    ],
)
def test_a_url_that_names_no_database_of_ours_is_refused(url: str, text: str) -> None:
    with pytest.raises(StorageError) as refusal:
        Database(url)
    assert refusal.value.message == text


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_postgresql_is_spoken_by_one_driver_however_its_url_is_written(scheme: str) -> None:
    assert Database(f"{scheme}://host/db")._url.drivername == "postgresql+psycopg"


async def test_sqlite_is_spoken_by_one_driver_too(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/a.db")
    await database.open()
    await database.close()


async def test_an_option_that_no_driver_understands_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot be opened: could not convert .*'soon'"):
        await Database(f"sqlite:///{tmp_path}/a.db?timeout=soon").open()


async def test_a_driver_that_is_missing_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageError, match=r"psycopg is not installed; pip install 'switchroom\["):
        await Database("postgresql://host/db").open()


async def test_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, log: list[EventDict]
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    database = Database(f"sqlite:///{blocker}/switchroom.db")
    with pytest.raises(StorageError, match=r"cannot be opened: .*/file'"):
        await database.open()
    assert [line["log_level"] for line in log] == ["debug"]  # the sentence says it all


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all, but long enough to look at " * 10)
    with pytest.raises(StorageError, match="cannot be opened"):
        await Database(f"sqlite:///{path}").open()


@pytest.mark.parametrize("unspeakable", ["half \ud800 a pair", 2**70])
async def test_what_no_database_can_hold_fails_alone_and_the_thread_lives_on(
    database: Database, unspeakable: object
) -> None:
    results = await asyncio.gather(
        database.put(rooms, "good", _row("good"), dict),
        database.put(rooms, "bad", _row("bad") | {"created_at_ns": 4, **_odd(unspeakable)}, dict),
        return_exceptions=True,
    )
    assert results[0] is None
    assert isinstance(results[1], StorageError)
    assert await database.run(_sids) == {"good": "RM_1"}


def _odd(value: object) -> dict[str, object]:
    return {"metadata" if isinstance(value, str) else "created_at_ns": value}
