"""A trunk's or rule's media settings as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from switchroom.telephony.routing.media_config import Encryption, ListedCodec, MediaConfig


def media_to_json(media: MediaConfig) -> dict[str, Any]:
    return {
        "only_listed_codecs": media.only_listed_codecs,
        "codecs": [[codec.name, codec.rate] for codec in media.codecs],
        "encryption": None if media.encryption is None else int(media.encryption),
        "timeout": media.timeout,
    }


def media_from_json(stored: Mapping[str, Any]) -> MediaConfig:
    encryption = stored["encryption"]
    return MediaConfig(
        stored["only_listed_codecs"],
        tuple(ListedCodec(name, rate) for name, rate in stored["codecs"]),
        None if encryption is None else Encryption(encryption),
        stored["timeout"],
    )
