"""Rows inserted, or put in the place of those with their primary key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert

Row = Mapping[str, Any]


def upsert(table: Table, dialect: str) -> Insert:
    """Insert a row, or replace the one with its primary key; both dialects spell it alike."""
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    rest = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=rest)


class Upserts:
    """The statements of one connection, each made once.

    For SQLite the rows are bound here, with SQLAlchemy's own conversions: what it does for each
    execution of a statement costs more than all the rest, and an answered call waits for it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._made: dict[str, Callable[[Sequence[Row]], object]] = {}

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Every row must have all columns of the table."""
        write = self._made.get(table.name)
        if write is None:
            write = self._made[table.name] = self._make(table)
        write(rows)

    def _make(self, table: Table) -> Callable[[Sequence[Row]], object]:
        connection, dialect = self._connection, self._connection.dialect
        statement = upsert(table, dialect.name)
        if dialect.name != "sqlite":
            return lambda rows: connection.execute(statement, [dict(row) for row in rows])
        columns = [(column.name, _conversion(column.type, dialect)) for column in table.columns]
        sql = str(statement.compile(dialect=dialect, column_keys=[name for name, _ in columns]))

        def bound(row: Row) -> tuple[Any, ...]:
            return tuple(
                [row[name] if convert is None else convert(row[name]) for name, convert in columns]
            )

        return lambda rows: connection.exec_driver_sql(sql, [bound(row) for row in rows])


def _conversion(type_: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    """What SQLAlchemy makes of a value of this type for the driver, None if nothing."""
    conversion: Callable[[Any], Any] | None = type_.dialect_impl(dialect).bind_processor(dialect)
    return conversion
