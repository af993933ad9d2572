"""Migrations: from nothing to the schema of the code, and back; the same SQL on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Dialect, create_engine, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateIndex, CreateTable

from switchroom.storage.errors import StorageError
from switchroom.storage.schema import calls, metadata
from switchroom.storage.upgrade import downgrade, upgrade
from switchroom.storage.upsert import upsert
from unit.storage.postgresql import Databases


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    url = "sqlite://"
    if request.param == "postgresql":
        databases: Databases = request.getfixturevalue("postgresql_databases")
        url = databases.empty().replace("postgresql", "postgresql+psycopg", 1)
    engine = create_engine(url, poolclass=StaticPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_the_migrations_lead_to_the_schema_of_the_code(connection: Connection) -> None:
    upgrade(connection)
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    assert compare_metadata(context, metadata) == []


def test_databases_of_one_process_can_be_upgraded_at_the_same_time() -> None:
    def tables_of_a_new_one(_: int) -> int:
        engine = create_engine("sqlite://", poolclass=StaticPool)
        with engine.connect() as connection:
            upgrade(connection)
            count = len(inspect(connection).get_table_names())
        engine.dispose()
        return count

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(tables_of_a_new_one, range(4))) == {len(metadata.tables) + 1}


def test_the_way_back_leaves_nothing_and_the_way_up_again_works(connection: Connection) -> None:
    upgrade(connection)
    downgrade(connection, "base")
    assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    connection.rollback()
    upgrade(connection)
    assert "calls" in inspect(connection).get_table_names()


def test_upgrading_what_is_up_to_date_changes_nothing(connection: Connection) -> None:
    upgrade(connection)
    upgrade(connection)
    assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1


def test_a_database_of_a_newer_version_is_left_alone(connection: Connection) -> None:
    upgrade(connection)
    connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    connection.commit()
    with pytest.raises(StorageError, match="newer version"):
        upgrade(connection)


def test_the_schema_is_sql_that_postgresql_has_too() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()])  # type: ignore[no-untyped-call]
def test_a_row_is_inserted_or_replaced_by_one_statement(dialect: Dialect) -> None:
    statement = str(upsert(calls, dialect.name).compile(dialect=dialect))
    assert "ON CONFLICT (call_id) DO UPDATE SET" in statement
    assert " call_id = excluded" not in statement


def test_calls_of_the_version_before_are_found_by_their_sip_call_ids(
    connection: Connection,
) -> None:
    upgrade(connection, "0006")
    connection.execute(
        text(
            "INSERT INTO calls (call_id, direction, rule_id, hides_numbers, sip_call_id, "
            "remote_address, room_name, room_sid, participant_identity, participant_sid, "
            "from_number, to_number, trunk_id, trunk_address, created_at, answered_at, ended_at, "
            "path, codec, encryption, transfers, open, request_key, request_digest) "
            "VALUES ('SCL_1', 'outbound', '', false, 'a@b', '', 'r', '', 'p', '', '+1', '+2', '', "
            "'', 1, 0, 0, '[]', '', '', '[]', true, '', '')"
        )
    )
    connection.commit()
    upgrade(connection)
    found = connection.execute(text("SELECT call_id FROM calls WHERE sip_call_id = 'a@b'"))
    assert found.scalar_one() == "SCL_1"
    assert "calls_sip_call_id" in {
        index["name"] for index in inspect(connection).get_indexes("calls")
    }
    connection.rollback()
    downgrade(connection, "0006")
    assert connection.scalar(text("SELECT count(*) FROM calls")) == 1
