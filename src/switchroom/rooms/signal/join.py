"""Reads how a client comes in: the query of `/rtc`, the `join_request` of `/rtc/v1`."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Mapping
from itertools import islice

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from switchroom.rooms.errors import Invalid
from switchroom.rooms.info import ClientFacts
from switchroom.rooms.signal.reading import read_add_track, read_sync_state
from switchroom.rooms.signal.requests import JoinRequest, Offer

_MAX_INFLATED = 1024 * 1024
_MAX_CAPABILITIES = 32
_MAX_TRACKS = 128
"""More than a participant may have; two bytes are a track, and inflated there are many."""
_TRUE = ("1", "true")
_GZIP = 16 + zlib.MAX_WBITS


def read_join_request(value: str) -> JoinRequest:
    """Decode `join_request` of `/rtc/v1`. Raises Invalid.

    base64url, padded or not, of a WrappedJoinRequest; inflated to 1 MiB at most.
    """
    try:
        wrapped = rtc.WrappedJoinRequest.FromString(_base64url(value))
        inner = wrapped.join_request
        if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
            inner = _inflate(inner)
        message = rtc.JoinRequest.FromString(inner)
    except (DecodeError, ValueError, zlib.error) as undecodable:
        raise Invalid("cannot decode join_request") from undecodable
    return _join_request(message)


def read_join_query(query: Mapping[str, str]) -> JoinRequest:
    """Read the query parameters of `/rtc`. Raises Invalid."""
    return JoinRequest(
        single_connection=False,
        facts=ClientFacts(
            protocol=_number(query.get("protocol", "")),
            client_protocol=_number(query.get("client_protocol", "")),
            capabilities=_capabilities(query.get("capabilities", "")),
        ),
        auto_subscribe=query.get("auto_subscribe", "1").lower() in _TRUE,
        reconnect=query.get("reconnect", "").lower() in _TRUE,
        participant_sid=query.get("sid", ""),
        attributes=_attributes(query.get("attributes", "")),
        legacy_publish=query.get("publish", ""),
    )


def _join_request(message: rtc.JoinRequest) -> JoinRequest:
    client = message.client_info
    offer = message.publisher_offer
    return JoinRequest(
        single_connection=True,
        facts=ClientFacts(
            protocol=client.protocol,
            client_protocol=client.client_protocol,
            capabilities=_distinct(client.capabilities),
        ),
        auto_subscribe=message.connection_settings.auto_subscribe,
        reconnect=message.reconnect,
        participant_sid=message.participant_sid,
        metadata=message.metadata,
        attributes=dict(message.participant_attributes),
        add_tracks=tuple(map(read_add_track, message.add_track_requests[:_MAX_TRACKS])),
        offer=Offer(offer.sdp, offer.id) if offer.sdp else None,
        sync_state=(
            read_sync_state(message.sync_state) if message.HasField("sync_state") else None
        ),
    )


def _base64url(value: str) -> bytes:
    padded = value.rstrip("=")
    padded += "=" * (-len(padded) % 4)
    # Some clients use the standard alphabet; a "+" in a query arrives as a space.
    plain = padded.replace(" ", "+").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(plain.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as wrong:
        raise ValueError("not base64url") from wrong


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(_GZIP)
    inflated = inflater.decompress(data, _MAX_INFLATED)
    if inflater.unconsumed_tail or not inflater.eof:
        raise ValueError("too large or cut short")
    return inflated


def _number(text: str) -> int:
    return int(text[:9]) if text.isascii() and text.isdigit() else 0


def _capabilities(listed: str) -> tuple[int, ...]:
    known = models.ClientInfo.Capability.items()
    numbers = dict(known)
    return _distinct(numbers[name] for name in listed.split(",") if name in numbers)


def _distinct(capabilities: Iterable[int]) -> tuple[int, ...]:
    """Each once, and not more than there may ever be: they are told with every update."""
    return tuple(islice(dict.fromkeys(capabilities), _MAX_CAPABILITIES))


def _attributes(value: str) -> Mapping[str, str]:
    """base64url of a JSON object of strings."""
    if not value:
        return {}
    try:
        found = json.loads(_base64url(value))
    except (ValueError, RecursionError) as undecodable:
        raise Invalid("cannot decode attributes") from undecodable
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise Invalid("attributes must map strings to strings")
    return found
