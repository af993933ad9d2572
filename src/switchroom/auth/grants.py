"""What an access token says, as records, and the questions a service asks of it.

The claim names are LiveKit's: a token minted by any of its SDKs reads the same here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.base.records import record


@record
class VideoGrants:
    """The `video` claim. `None` in a tri-state means that the token does not say."""

    room: str = ""
    room_create: bool = False
    room_list: bool = False
    room_record: bool = False
    room_admin: bool = False
    room_join: bool = False
    ingress_admin: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False
    destination_room: str = ""
    can_publish: bool | None = None
    can_subscribe: bool | None = None
    can_publish_data: bool | None = None
    can_publish_sources: tuple[str, ...] = ()
    can_update_own_metadata: bool | None = None
    can_subscribe_metrics: bool | None = None
    can_manage_agent_session: bool | None = None


@record
class SipGrants:
    """The `sip` claim: `admin` manages trunks and rules, `call` places calls."""

    admin: bool = False
    call: bool = False


@record
class Claims:
    """One verified token.

    `room_config` is the proto-JSON object of a RoomConfiguration, kept as it came. `expires_at` and
    `not_before` are Unix seconds.
    """

    api_key: str
    identity: str = ""
    name: str = ""
    kind: str = ""
    kind_details: tuple[str, ...] = ()
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    video: VideoGrants | None = None
    sip: SipGrants | None = None
    room_config: Mapping[str, Any] | None = None
    room_preset: str = ""
    sha256: str = ""
    expires_at: float = 0.0
    not_before: float = 0.0


class PermissionDenied(ServiceError):
    """The token does not grant what was asked; 401 `unauthenticated`, as LiveKit answers it."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.UNAUTHENTICATED, "permissions denied")


def _video(claims: Claims | None) -> VideoGrants:
    if claims is None or claims.video is None:
        raise PermissionDenied
    return claims.video


def grants_methods(claims: Claims | None) -> bool:
    """Whether the token grants any method of the server API, in whatever room."""
    if claims is None:
        return False
    video, sip = claims.video or VideoGrants(), claims.sip or SipGrants()
    return video.room_create or video.room_list or video.room_admin or sip.admin or sip.call


def require_room_create(claims: Claims | None) -> None:
    """Raise PermissionDenied unless the token has `video.roomCreate`."""
    if not _video(claims).room_create:
        raise PermissionDenied


def require_room_list(claims: Claims | None) -> None:
    """Raise PermissionDenied unless the token has `video.roomList`."""
    if not _video(claims).room_list:
        raise PermissionDenied


def require_room_admin(claims: Claims | None, room: str) -> None:
    """Raise PermissionDenied unless the token has `video.roomAdmin` for exactly this room."""
    video = _video(claims)
    if not video.room_admin or video.room != room:
        raise PermissionDenied


def require_room_reached(claims: Claims | None, room: str) -> None:
    """Raise PermissionDenied unless the token may send people of its own room to this one.

    That is its own room, and the one that `video.destinationRoom` names.
    """
    if room not in (_video(claims).room, _video(claims).destination_room):
        raise PermissionDenied


def require_room_join(claims: Claims | None) -> VideoGrants:
    """Return the video grants; raise PermissionDenied unless they hold `roomJoin`."""
    video = _video(claims)
    if not video.room_join:
        raise PermissionDenied
    return video


def require_agent(claims: Claims | None) -> VideoGrants:
    """Return the video grants; raise PermissionDenied unless they hold `agent` (worker socket)."""
    video = _video(claims)
    if not video.agent:
        raise PermissionDenied
    return video


def require_sip_admin(claims: Claims | None) -> None:
    """Raise PermissionDenied unless the token has `sip.admin`."""
    if claims is None or claims.sip is None or not claims.sip.admin:
        raise PermissionDenied


def require_sip_call(claims: Claims | None) -> None:
    """Raise PermissionDenied unless the token has `sip.call`."""
    if claims is None or claims.sip is None or not claims.sip.call:
        raise PermissionDenied
