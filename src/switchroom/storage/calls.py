"""Call records as rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection, delete, select

from switchroom.rooms.reasons import DisconnectReason
from switchroom.sip.dialog import DialogSnapshot
from switchroom.storage.connection import Database
from switchroom.storage.schema import calls
from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.call_record import (
    CallDirection,
    CallRecord,
    MediaFigures,
    StatusChange,
)
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.calls.transfer_outcome import (
    TransferReason,
    TransferRecord,
    TransferStatus,
)


class SqlCallStore:
    """`telephony.stores.CallStore` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, record: CallRecord) -> None:
        self.save_later(record.call_id, lambda: record)

    def save_later(self, call_id: str, record_of: Callable[[], CallRecord]) -> None:
        self._database.put_soon(calls, call_id, record_of, _row)

    def save_now(self, record: CallRecord) -> asyncio.Future[None]:
        return self._database.put(calls, record.call_id, record, _row, on_disk=False)

    def save_durably(self, record: CallRecord) -> Awaitable[None]:
        return self._database.put(calls, record.call_id, record, _row)

    async def unfinished(self) -> Sequence[CallRecord]:
        def read(connection: Connection) -> list[CallRecord]:
            query = select(calls).where(calls.c.open).order_by(calls.c.created_at)
            return [record_of_row(row._asdict()) for row in connection.execute(query)]

        return await self._database.run(read)

    async def keyed_since(self, created_at: int) -> Sequence[CallRecord]:
        def read(connection: Connection) -> list[CallRecord]:
            query = select(calls).where(calls.c.request_key != "", calls.c.created_at >= created_at)
            return [record_of_row(row._asdict()) for row in connection.execute(query)]

        return await self._database.run(read)

    async def delete_ended(self, before: int, limit: int) -> int:
        """Delete up to `limit` ended calls created before that time (Unix ns); how many it were."""
        old = select(calls.c.call_id).where(calls.c.created_at < before, ~calls.c.open).limit(limit)

        def forget(connection: Connection) -> int:
            return connection.execute(delete(calls).where(calls.c.call_id.in_(old))).rowcount

        return await self._database.run(forget)

    async def get(self, call_id: str) -> CallRecord | None:
        """One record, None if there is none."""

        def read(connection: Connection) -> CallRecord | None:
            query = select(calls).where(calls.c.call_id == call_id)
            row = connection.execute(query).one_or_none()
            return None if row is None else record_of_row(row._asdict())

        return await self._database.run(read)


def _row(record: CallRecord) -> dict[str, Any]:
    ending = record.termination
    return {
        "call_id": record.call_id,
        "direction": record.direction.value,
        "rule_id": record.rule_id,
        "hides_numbers": record.hides_numbers,
        "sip_call_id": record.sip_call_id,
        "remote_address": record.remote_address,
        "room_name": record.room_name,
        "room_sid": record.room_sid,
        "participant_identity": record.participant_identity,
        "participant_sid": record.participant_sid,
        "from_number": record.from_number,
        "to_number": record.to_number,
        "trunk_id": record.trunk_id,
        "trunk_address": record.trunk_address,
        "created_at": record.created_at,
        "answered_at": record.answered_at,
        "ended_at": record.ended_at,
        "path": [[change.status.value, change.at] for change in record.path],
        "codec": record.codec,
        "encryption": record.encryption,
        "media": None if record.media is None else _media_to_json(record.media),
        "transfers": [_transfer_to_json(transfer) for transfer in record.transfers],
        "termination": None if ending is None else _ending_to_json(ending),
        "cause": None if ending is None else ending.word,
        "ended_by": None if ending is None else ending.who.value,
        "sip_status": None if ending is None else ending.status,
        "q850_cause": None if ending is None else ending.q850,
        "dialog": None if record.dialog is None else record.dialog.to_json(),
        "open": ending is None or record.dialog is not None,
        "request_key": record.request_key,
        "request_digest": record.request_digest,
    }


_MEDIA_FIGURES = tuple(field.name for field in fields(MediaFigures))
#: Columns that are read into something else, or are there only to be searched for.
_NOT_PLAIN = frozenset(
    (
        "direction", "path", "media", "transfers", "termination", "dialog",
        "cause", "ended_by", "sip_status", "q850_cause", "open",
    )
)  # fmt: skip


def record_of_row(row: Mapping[str, Any]) -> CallRecord:
    """The record that a row of `calls` holds."""
    ending, dialog, media = row["termination"], row["dialog"], row["media"]
    return CallRecord(
        **{name: row[name] for name in row if name not in _NOT_PLAIN},
        direction=CallDirection(row["direction"]),
        path=tuple(StatusChange(CallStatus(status), at) for status, at in row["path"]),
        media=None if media is None else MediaFigures(**media),
        transfers=tuple(_transfer_from_json(transfer) for transfer in row["transfers"]),
        termination=None if ending is None else _ending_from_json(ending),
        dialog=None if dialog is None else DialogSnapshot.from_json(dialog),
    )


def _media_to_json(media: MediaFigures) -> dict[str, Any]:
    # Not `asdict`, which looks for records within records: it took longer than all other columns.
    return {name: getattr(media, name) for name in _MEDIA_FIGURES}


def _transfer_to_json(transfer: TransferRecord) -> dict[str, Any]:
    return {
        **asdict(transfer),
        "status": transfer.status.value,
        "reason": transfer.reason.value,
    }


def _transfer_from_json(stored: Mapping[str, Any]) -> TransferRecord:
    return TransferRecord(
        **{
            **stored,
            "status": TransferStatus(stored["status"]),
            "reason": TransferReason(stored["reason"]),
        }
    )


def _ending_to_json(ending: Termination) -> dict[str, Any]:
    return {
        "cause": ending.cause.value,
        "status": ending.status,
        "reason": ending.reason,
        "detail": ending.detail,
        "text": ending.text,
        "was_active": ending.was_active,
        "q850": ending.q850,
        "left_with": None if ending.left_with is None else int(ending.left_with),
    }


def _ending_from_json(stored: Mapping[str, Any]) -> Termination:
    left_with = stored["left_with"]
    return Termination(
        **{
            **stored,
            "cause": Cause(stored["cause"]),
            "left_with": None if left_with is None else DisconnectReason(left_with),
        }
    )
