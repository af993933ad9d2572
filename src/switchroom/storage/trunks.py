"""Outbound trunks as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from switchroom.storage.connection import Database
from switchroom.storage.schema import outbound_trunks
from switchroom.telephony.routing.headers import HeaderOptions
from switchroom.telephony.routing.media_config import Encryption, ListedCodec, MediaConfig
from switchroom.telephony.routing.trunks import OutboundTrunk, Transport


class SqlTrunkStore:
    """`telephony.stores.TrunkStore` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Sequence[OutboundTrunk]:
        def read(connection: Connection) -> list[OutboundTrunk]:
            found = connection.execute(select(outbound_trunks))
            return [_trunk(row._asdict()) for row in found]

        return await self._database.run(read)

    async def save(self, trunk: OutboundTrunk) -> None:
        await self._database.put(outbound_trunks, trunk.trunk_id, trunk, _row)

    async def delete(self, trunk_id: str) -> None:
        def forget(connection: Connection) -> None:
            connection.execute(
                delete(outbound_trunks).where(outbound_trunks.c.trunk_id == trunk_id)
            )

        await self._database.run(forget)


def _row(trunk: OutboundTrunk) -> dict[str, Any]:
    return {
        "trunk_id": trunk.trunk_id,
        "name": trunk.name,
        "metadata": trunk.metadata,
        "address": trunk.address,
        "transport": int(trunk.transport),
        "destination_country": trunk.destination_country,
        "numbers": list(trunk.numbers),
        "auth_username": trunk.auth_username,
        "auth_password": trunk.auth_password,
        "headers": dict(trunk.headers),
        "headers_to_attributes": dict(trunk.headers_to_attributes),
        "attributes_to_headers": dict(trunk.attributes_to_headers),
        "include_headers": int(trunk.include_headers),
        "media": _media_to_json(trunk.media),
        "from_host": trunk.from_host,
        "created_at": trunk.created_at,
        "updated_at": trunk.updated_at,
    }


def _trunk(row: Mapping[str, Any]) -> OutboundTrunk:
    return OutboundTrunk(
        **{
            **row,
            "transport": Transport(row["transport"]),
            "numbers": tuple(row["numbers"]),
            "include_headers": HeaderOptions(row["include_headers"]),
            "media": _media_from_json(row["media"]),
        }
    )


def _media_to_json(media: MediaConfig) -> dict[str, Any]:
    return {
        "only_listed_codecs": media.only_listed_codecs,
        "codecs": [[codec.name, codec.rate] for codec in media.codecs],
        "encryption": None if media.encryption is None else int(media.encryption),
        "timeout": media.timeout,
    }


def _media_from_json(stored: Mapping[str, Any]) -> MediaConfig:
    encryption = stored["encryption"]
    return MediaConfig(
        stored["only_listed_codecs"],
        tuple(ListedCodec(name, rate) for name, rate in stored["codecs"]),
        None if encryption is None else Encryption(encryption),
        stored["timeout"],
    )
