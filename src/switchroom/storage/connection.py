"""One database, one connection, one thread that talks to it.

The event loop hands work over and goes on. Rows that may be written a moment later wait up to
`LINGER` seconds for others and share a transaction; a row that is written again meanwhile is
written once, and its record made then. A caller that awaits makes the thread begin at once, and
says what it waits for: that a crash of this process cannot lose the row, or that nothing can.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from switchroom.base.log import get_logger
from switchroom.storage.errors import StorageError
from switchroom.storage.exclusive import claim, claim_session
from switchroom.storage.upgrade import upgrade
from switchroom.storage.upsert import Row, Upserts
from switchroom.storage.write_ahead_log import WriteAheadLog

_log = get_logger("storage")

#: Seconds that a row nobody awaits may wait for company.
LINGER = 0.1

Encode = Callable[[Any], Row]
"""Makes a row of a record; done in the thread, and not for records replaced before."""
_Result = TypeVar("_Result")


@dataclass(slots=True)
class _PendingRow:
    """The newest content of one row, and who waits for it to be committed, or on disk as well."""

    table: Table
    record: Any
    encode: Encode
    until_committed: list[asyncio.Future[None]] = field(default_factory=list)
    until_on_disk: list[asyncio.Future[None]] = field(default_factory=list)


@dataclass(slots=True)
class _LaterRow:
    """A row that waits for company, and where its content will come from."""

    table: Table
    record_of: Callable[[], Any]
    encode: Encode


class Database:
    """Started with `open`, ended with `close`; everything else is handed to its thread."""

    def __init__(self, url: str, *, linger: float = LINGER) -> None:
        self._url = _parse(url)
        self._linger = linger
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._rows: dict[tuple[str, str], _PendingRow] = {}
        self._soon: dict[tuple[str, str], _LaterRow] = {}  # the loop's alone
        self._jobs: list[Callable[[Connection], None]] = []
        self._closing = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lingering: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Connect, bring the schema up to date. Raises StorageError."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._live, args=(opened,), name="storage", daemon=True
        )
        self._thread.start()
        await opened

    async def close(self) -> None:
        """Write what is pending and disconnect."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._closing = True
        self._wake()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)

    async def run(self, job: Callable[[Connection], _Result]) -> _Result:
        """Run `job` in a transaction of its own, committed on return. Raises StorageError."""
        done: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._check_open()
        # First, for the thread may be awake already: the job finds all that was saved before it.
        self._hand_over()
        with self._lock:
            self._jobs.append(partial(self._run_job, job, done))
        self._work.set()
        return await done

    def put_soon(
        self, table: Table, key: str, record_of: Callable[[], Any], encode: Encode
    ) -> None:
        """Insert or replace the row with the primary key `key`, in a moment.

        `record_of` is asked in the event loop, once, when the row goes to the thread.
        """
        waiting = self._soon.get((table.name, key))
        if waiting is not None:
            waiting.record_of = record_of
        else:
            self._soon[table.name, key] = _LaterRow(table, record_of, encode)
        # The loop's timer costs less than waking a thread that would only wait for company.
        if self._lingering is None and self._loop is not None:
            self._lingering = self._loop.call_later(self._linger, self._wake)

    def put(
        self, table: Table, key: str, record: Any, encode: Encode, *, on_disk: bool = True
    ) -> asyncio.Future[None]:
        """Insert or replace the row, beginning now. Done when it is on disk, or a StorageError.

        Not `on_disk`: done as soon as the end of this process cannot lose it; the disk follows.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._thread is None:
            done.set_exception(StorageError("the database is closed"))
            return done
        # What waits for company is older.
        self._soon.pop((table.name, key), None)
        with self._lock:
            row = self._put(table, key, record, encode)
            (row.until_on_disk if on_disk else row.until_committed).append(done)
        self._wake()
        return done

    def _check_open(self) -> None:
        if self._thread is None:
            raise StorageError("the database is closed")

    def _put(self, table: Table, key: str, record: Any, encode: Encode) -> _PendingRow:
        pending = self._rows.get((table.name, key))
        if pending is None:
            pending = self._rows[table.name, key] = _PendingRow(table, record, encode)
        else:
            pending.record = record
        return pending

    def _wake(self) -> None:
        self._hand_over()
        self._work.set()

    def _hand_over(self) -> None:
        """Rows that wait for company go to the thread."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if self._soon:
            soon, self._soon = self._soon, {}
            made = [(key, row, row.record_of()) for (_, key), row in soon.items()]
            with self._lock:
                for key, row, record in made:
                    self._put(row.table, key, record, row.encode)

    # ── in the thread ────────────────────────────────────────────────────────

    def _live(self, opened: asyncio.Future[None]) -> None:
        try:
            held, connection = self._connect()
        except StorageError as error:
            self._settle(opened, error=error)
            return
        log = WriteAheadLog(connection)
        self._settle(opened, None)
        try:
            upserts = Upserts(connection)
            while self._serve(connection, upserts, log):
                pass
        finally:
            log.close()
            held.close()

    def _connect(self) -> tuple[ExitStack, Connection]:
        """A connection, and what is to be closed when it is no longer needed."""
        with ExitStack() as held:
            try:
                engine = _engine(self._url)
                claimed = claim(self._url)
                held.callback(claimed.release)
                held.callback(engine.dispose)
                connection = held.enter_context(engine.connect())
                upgrade(connection)
            except StorageError:
                raise
            except Exception as error:  # drivers raise what they like for a URL that is not theirs
                _log.debug("database cannot be opened", exc_info=error)
                raise StorageError(f"the database cannot be opened: {_cause(error)}") from error
            return held.pop_all(), connection

    def _serve(self, connection: Connection, upserts: Upserts, log: WriteAheadLog) -> bool:
        """Wait for work and do it; False when there is none and the end has come."""
        self._work.wait()
        with self._lock:
            self._work.clear()
            rows, self._rows = self._rows, {}
            jobs, self._jobs = self._jobs, []
            closing = self._closing
        if rows:
            self._write(connection, upserts, log, list(rows.values()))
        for job in jobs:
            job(connection)
        return not closing

    def _write(
        self,
        connection: Connection,
        upserts: Upserts,
        log: WriteAheadLog,
        rows: list[_PendingRow],
    ) -> None:
        hurried = any(row.until_committed for row in rows)
        try:
            with log.unsynced() if hurried else nullcontext():
                self._write_together(connection, upserts, rows)
                for row in rows:
                    self._report(row.until_committed)
        except Exception:  # noqa: BLE001 - drivers raise their own for what they can't encode
            for row in rows:
                self._write_alone(connection, upserts, row)
            return
        failure = self._sync(log) if hurried else None
        for row in rows:
            self._report(row.until_on_disk, failure)

    def _sync(self, log: WriteAheadLog) -> StorageError | None:
        try:
            log.sync()
        except OSError as error:
            _log.error("rows not on disk", exc_info=error)
            return StorageError("the database could not be written")
        return None

    def _write_together(
        self, connection: Connection, upserts: Upserts, rows: list[_PendingRow]
    ) -> None:
        by_table: dict[str, list[_PendingRow]] = {}
        for row in rows:
            by_table.setdefault(row.table.name, []).append(row)
        with connection.begin():
            for same in by_table.values():
                upserts.write(same[0].table, [row.encode(row.record) for row in same])

    def _write_alone(self, connection: Connection, upserts: Upserts, row: _PendingRow) -> None:
        """One bad row must not take the others with it."""
        try:
            self._write_together(connection, upserts, [row])
        except Exception as error:  # noqa: BLE001 - the thread must outlive any row
            _log.error("row not written", table=row.table.name, **_facts(error))
            failure = StorageError("the database could not be written")
            self._report((*row.until_committed, *row.until_on_disk), failure)
        else:
            self._report((*row.until_committed, *row.until_on_disk))

    def _report(
        self, waiters: Iterable[asyncio.Future[None]], failure: StorageError | None = None
    ) -> None:
        for waiter in waiters:
            self._settle(waiter, None, failure)

    def _run_job(
        self,
        job: Callable[[Connection], _Result],
        done: asyncio.Future[_Result],
        connection: Connection,
    ) -> None:
        try:
            with connection.begin():
                result = job(connection)
        except SQLAlchemyError as error:
            _log.error("database job failed", **_facts(error))
            self._settle(done, error=StorageError())
        except Exception as error:  # noqa: BLE001 - the thread must outlive any job
            self._settle(done, error=error)
        else:
            self._settle(done, result)

    def _settle(
        self,
        future: asyncio.Future[_Result],
        result: _Result | None = None,
        error: Exception | None = None,
    ) -> None:
        def settle() -> None:
            if future.done():
                return  # its caller was cancelled
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # None only where it is meant

        assert self._loop is not None  # noqa: S101 - set by open(), before the thread starts
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(settle)


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: its port is no number
        raise StorageError("storage.url is no SQLAlchemy URL") from None
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        # However it is written elsewhere, such as for asyncpg: the driver is ours to choose.
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise StorageError(f"storage.url must name sqlite or postgresql, not {backend}")
    # As many write it; it speaks to event loops only, and this is a thread.
    return url.set(drivername="sqlite") if url.drivername == "sqlite+aiosqlite" else url


def _engine(url: URL) -> Engine:
    try:
        engine = create_engine(url, poolclass=StaticPool, hide_parameters=True)
    except (ModuleNotFoundError, NoSuchModuleError):
        remedy = "; pip install 'switchroom[postgres]'" if "psycopg" in url.drivername else ""
        raise StorageError(f"the driver of {url.drivername} is not installed{remedy}") from None
    prepare = _prepare_sqlite if url.get_backend_name() == "sqlite" else claim_session
    event.listen(engine, "connect", prepare)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """WAL: readers such as a backup never stop us. FULL: what was promised survives a power cut.

    `WriteAheadLog` takes that back for a moment where somebody waits for no more than a commit.

    The log begins anew after a MB, a quarter of what SQLite has: as long as a commit makes its file
    longer it takes several times as long, and whoever waits for an answer waits for it.
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA wal_autocheckpoint=256")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def _cause(error: Exception) -> str:
    """The driver's own words, without the statement."""
    return str(getattr(error, "orig", None) or error).splitlines()[0][:200]


def _facts(error: Exception) -> dict[str, Any]:
    """What the log may say: beyond its first line a driver tells what was to be written."""
    return {"reason": _cause(error)} if isinstance(error, SQLAlchemyError) else {"exc_info": error}
