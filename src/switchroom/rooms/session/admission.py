"""From a token and a join request to a participant: what is checked, what it may do.

The refusals carry LiveKit's words; the signal door turns them into plain HTTP answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from switchroom.auth.grants import Claims, PermissionDenied, VideoGrants, require_room_join
from switchroom.base.records import record, replace
from switchroom.rooms.configuration import spec_from_configuration
from switchroom.rooms.errors import Invalid, RoomNotFound
from switchroom.rooms.info import (
    ParticipantKind,
    ParticipantKindDetail,
    Permissions,
    RoomSpec,
    TrackSource,
)
from switchroom.rooms.limits import (
    check_attributes,
    check_metadata,
    check_name,
    check_room_name,
)
from switchroom.rooms.signal.requests import JoinRequest

_SHORTEST_VALIDITY = 600.0
"""Seconds that a refreshed token is good for at least."""


@record
class Admission:
    """Somebody who may come in: who it is, what it may do, and the room it wants.

    `makes_room` is whether that room is made when there is none.
    """

    room: RoomSpec
    makes_room: bool
    identity: str
    name: str
    kind: ParticipantKind
    kind_details: tuple[ParticipantKindDetail, ...]
    metadata: str
    attributes: Mapping[str, str]
    permissions: Permissions
    auto_subscribe: bool


def admit(
    claims: Claims | None,
    request: JoinRequest,
    *,
    room_exists: Callable[[str], bool],
    auto_create: bool,
) -> Admission:
    """Check a join in livekit-server's order.

    Raises PermissionDenied, Invalid, LimitExceeded, RoomNotFound.
    """
    video = require_room_join(claims)
    if claims is None:
        raise PermissionDenied
    _check_names(claims, video)
    permissions = permissions_of(video)
    makes_room = auto_create or video.room_create
    if not (makes_room or room_exists(video.room)):
        raise RoomNotFound
    if (request.metadata or request.attributes) and not permissions.can_update_metadata:
        raise PermissionDenied
    admission = Admission(
        room=spec_from_configuration(video.room, claims.room_config, claims.room_preset),
        makes_room=makes_room,
        identity=claims.identity,
        name=claims.name,
        kind=_kind(claims.kind),
        kind_details=_kind_details(claims.kind_details),
        metadata=request.metadata or claims.metadata,
        attributes={**claims.attributes, **request.attributes},
        permissions=permissions,
        auto_subscribe=request.auto_subscribe,
    )
    check_metadata(admission.metadata)
    check_attributes(admission.attributes)
    return _publishing_only(admission, request)


def permissions_of(video: VideoGrants) -> Permissions:
    """Materialise the grants: what the token does not say has LiveKit's default."""
    can_publish = video.can_publish is not False
    data = can_publish if video.can_publish_data is None else video.can_publish_data
    return Permissions(
        can_subscribe=video.can_subscribe is not False,
        can_publish=can_publish,
        can_publish_data=data,
        can_publish_sources=tuple(_source(name) for name in video.can_publish_sources),
        hidden=video.hidden,
        recorder=video.recorder,
        can_update_metadata=bool(video.can_update_own_metadata),
        agent=video.agent,
        can_subscribe_metrics=bool(video.can_subscribe_metrics),
        can_manage_agent_session=bool(video.can_manage_agent_session),
    )


def refreshed(
    claims: Claims,
    *,
    name: str,
    metadata: str,
    attributes: Mapping[str, str],
    permissions: Permissions,
    now: float,
) -> Claims:
    """The same token with the participant's present facts and rights (`now` in Unix seconds)."""
    video = replace(
        claims.video or VideoGrants(),
        can_subscribe=permissions.can_subscribe,
        can_publish=permissions.can_publish,
        can_publish_data=permissions.can_publish_data,
        can_publish_sources=tuple(s.name.lower() for s in permissions.can_publish_sources),
        can_update_own_metadata=permissions.can_update_metadata,
        can_subscribe_metrics=permissions.can_subscribe_metrics,
        can_manage_agent_session=permissions.can_manage_agent_session,
        hidden=permissions.hidden,
        recorder=permissions.recorder,
        agent=permissions.agent,
    )
    return replace(
        claims,
        name=name,
        metadata=metadata,
        attributes=attributes,
        video=video,
        not_before=now,
        expires_at=max(claims.expires_at, now + _SHORTEST_VALIDITY),
    )


def _check_names(claims: Claims, video: VideoGrants) -> None:
    if not claims.identity:
        raise Invalid("identity cannot be empty")
    check_name(claims.identity, "identity")
    check_name(claims.name, "name")
    check_room_name(video.room)


def _publishing_only(admission: Admission, request: JoinRequest) -> Admission:
    if not request.legacy_publish:
        return admission
    if not admission.permissions.can_publish:
        raise PermissionDenied
    identity = f"{admission.identity}#{request.legacy_publish}"
    check_name(identity, "identity")
    permissions = replace(admission.permissions, can_subscribe=False)
    return replace(admission, identity=identity, permissions=permissions, auto_subscribe=False)


def _kind(name: str) -> ParticipantKind:
    return _named(ParticipantKind, name) or ParticipantKind.STANDARD


def _kind_details(names: tuple[str, ...]) -> tuple[ParticipantKindDetail, ...]:
    found = (_named(ParticipantKindDetail, name) for name in names)
    return tuple(detail for detail in found if detail is not None)


def _source(name: str) -> TrackSource:
    return _named(TrackSource, name) or TrackSource.UNKNOWN


def _named(kind: type[Any], name: str) -> Any:
    return kind.__members__.get(name.upper())
