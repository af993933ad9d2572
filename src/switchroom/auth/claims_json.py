"""Claims to and from the JSON inside a token. Strict where a wrong type could widen a right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any

from switchroom.auth.grants import Claims, SipGrants, VideoGrants


class ClaimError(ValueError):
    """A claim has the wrong type; the message names it."""


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


_VIDEO_TEXTS = ("room", "destination_room")
_VIDEO_FLAGS = tuple(
    f.name for f in fields(VideoGrants) if f.name not in (*_VIDEO_TEXTS, "can_publish_sources")
)
_VIDEO_JSON = {f.name: _camel(f.name) for f in fields(VideoGrants)}


def _text(source: Mapping[str, Any], key: str) -> str:
    value = source.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ClaimError(f"claim {key} must be a string")
    return value


def _flag(source: Mapping[str, Any], key: str) -> bool | None:
    value = source.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise ClaimError(f"claim {key} must be true or false")


def _texts(source: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = source.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ClaimError(f"claim {key} must be a list of strings")
    return tuple(value)


def _object(source: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    value = source.get(key)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ClaimError(f"claim {key} must be an object")
    return value


def _seconds(source: Mapping[str, Any], key: str) -> float:
    value = source.get(key, 0)
    if not isinstance(value, bool) and isinstance(value, int | float):
        with suppress(OverflowError):
            seconds = float(value)
            # JSON as Python reads it has NaN, which is never past, and numbers without end.
            if math.isfinite(seconds):
                return seconds
    raise ClaimError(f"claim {key} must be a number")


def _attributes(source: Mapping[str, Any]) -> Mapping[str, str]:
    value = _object(source, "attributes") or {}
    if not all(isinstance(item, str) for item in value.values()):
        raise ClaimError("claim attributes must map strings to strings")
    return value


def _video(source: Mapping[str, Any] | None) -> VideoGrants | None:
    if source is None:
        return None
    given: dict[str, Any] = {name: _text(source, _VIDEO_JSON[name]) for name in _VIDEO_TEXTS}
    for name in _VIDEO_FLAGS:
        flag = _flag(source, _VIDEO_JSON[name])
        if flag is not None:
            given[name] = flag
    given["can_publish_sources"] = _texts(source, "canPublishSources")
    return VideoGrants(**given)


def _sip(source: Mapping[str, Any] | None) -> SipGrants | None:
    if source is None:
        return None
    return SipGrants(admin=bool(_flag(source, "admin")), call=bool(_flag(source, "call")))


def claims_from_json(payload: Mapping[str, Any]) -> Claims:
    """Read the payload of a token. Unknown claims are ignored; raises ClaimError on a wrong type.

    An empty `sub` falls back to `jti`, as LiveKit's verifier does.
    """
    if "exp" not in payload:
        raise ClaimError("claim exp is required")
    return Claims(
        api_key=_text(payload, "iss"),
        identity=_text(payload, "sub") or _text(payload, "jti"),
        name=_text(payload, "name"),
        kind=_text(payload, "kind"),
        kind_details=_texts(payload, "kindDetails"),
        metadata=_text(payload, "metadata"),
        attributes=_attributes(payload),
        video=_video(_object(payload, "video")),
        sip=_sip(_object(payload, "sip")),
        room_config=_object(payload, "roomConfig"),
        room_preset=_text(payload, "roomPreset"),
        sha256=_text(payload, "sha256"),
        expires_at=_seconds(payload, "exp"),
        not_before=_seconds(payload, "nbf"),
    )


def _video_json(video: VideoGrants) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, key in _VIDEO_JSON.items():
        value = getattr(video, name)
        # A tri-state that was set to false must be written; the plain flags default to false.
        if value or (value is False and name.startswith("can_")):
            said[key] = list(value) if isinstance(value, tuple) else value
    return said


def claims_to_json(claims: Claims) -> dict[str, Any]:
    """Write claims as the payload of a token; what is empty is left out."""
    payload: dict[str, Any] = {"iss": claims.api_key, "exp": int(claims.expires_at)}
    optional = {
        "nbf": int(claims.not_before),
        "sub": claims.identity,
        "name": claims.name,
        "kind": claims.kind,
        "kindDetails": list(claims.kind_details),
        "metadata": claims.metadata,
        "attributes": dict(claims.attributes),
        "roomConfig": dict(claims.room_config or {}),
        "roomPreset": claims.room_preset,
        "sha256": claims.sha256,
    }
    payload.update({key: value for key, value in optional.items() if value})
    if claims.video is not None:
        payload["video"] = _video_json(claims.video)
    if claims.sip is not None:
        payload["sip"] = {"admin": claims.sip.admin, "call": claims.sip.call}
    return payload
