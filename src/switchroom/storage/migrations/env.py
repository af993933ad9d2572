"""Alembic's entry: runs revisions on the connection that `storage.upgrade` hands over."""

from __future__ import annotations

from alembic import context

from switchroom.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most of a table in place: alembic then copies it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
