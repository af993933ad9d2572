"""From token and request to participant: grants made concrete, refusals in LiveKit's words."""

from __future__ import annotations

from typing import Any

import pytest

from switchroom.auth.grants import Claims, PermissionDenied, VideoGrants
from switchroom.base.errors import ServiceError
from switchroom.rooms.errors import Invalid, LimitExceeded, RoomNotFound
from switchroom.rooms.info import ParticipantKind, ParticipantKindDetail, TrackSource
from switchroom.rooms.session.admission import Admission, admit, permissions_of, refreshed
from switchroom.rooms.signal.requests import JoinRequest

_VIDEO = VideoGrants(room="r", room_join=True)


def _admit(
    *, video: VideoGrants | None = _VIDEO, exists: bool = False, auto: bool = True, **parts: Any
) -> Admission:
    request = parts.pop("request", JoinRequest(single_connection=True))
    claims = Claims("k", **{"identity": "ann", "video": video, **parts})
    return admit(claims, request, room_exists=lambda _: exists, auto_create=auto)


def test_what_the_token_does_not_say_has_livekits_defaults() -> None:
    permissions = permissions_of(VideoGrants())
    assert permissions.can_publish
    assert permissions.can_subscribe
    assert permissions.can_publish_data
    assert not permissions.can_update_metadata
    assert not permissions_of(VideoGrants(can_publish=False)).can_publish_data
    assert permissions_of(VideoGrants(can_publish=False, can_publish_data=True)).can_publish_data


def test_sources_narrow_and_never_widen() -> None:
    narrow = permissions_of(VideoGrants(can_publish_sources=("microphone",)))
    assert narrow.may_publish(TrackSource.MICROPHONE)
    assert not narrow.may_publish(TrackSource.CAMERA)
    closed = permissions_of(VideoGrants(can_publish=False, can_publish_sources=("microphone",)))
    assert not closed.may_publish(TrackSource.MICROPHONE)
    odd = permissions_of(VideoGrants(can_publish_sources=("of_tomorrow",)))
    assert not odd.may_publish(TrackSource.MICROPHONE)


def test_kind_and_details_are_read_by_name() -> None:
    admission = _admit(kind="agent", kind_details=("cloud_agent", "of_tomorrow"))
    assert admission.kind is ParticipantKind.AGENT
    assert admission.kind_details == (ParticipantKindDetail.CLOUD_AGENT,)
    assert _admit(kind="of_tomorrow").kind is ParticipantKind.STANDARD


@pytest.mark.parametrize("spelling", ["maxParticipants", "max_participants"])
def test_the_rooms_configuration_of_a_token_is_applied_and_kept(spelling: str) -> None:
    config = {spelling: 4, "metadata": "m", "agents": [{"agentName": "a"}]}
    room = _admit(room_config=config).room
    assert (room.max_participants, room.metadata) == (4, "m")
    assert '"agentName": "a"' in room.configuration


@pytest.mark.parametrize(
    "config", [{"maxParticipants": "x"}, {"maxParticipants": -1}, {"metadata": 5}]
)
def test_a_configuration_of_the_wrong_type_has_no_effect(config: dict[str, Any]) -> None:
    room = _admit(room_config=config).room
    assert (room.max_participants, room.metadata) == (0, "")


@pytest.mark.parametrize(
    ("refusal", "words", "parts"),
    [
        (PermissionDenied, "permissions denied", {"video": None}),
        (PermissionDenied, "permissions denied", {"video": VideoGrants(room="r")}),
        (Invalid, "identity cannot be empty", {"identity": ""}),
        (LimitExceeded, "identity", {"identity": "x" * 257}),
        (LimitExceeded, "name", {"name": "x" * 257}),
        (Invalid, "room name", {"video": VideoGrants(room_join=True)}),
        (LimitExceeded, "room name", {"video": VideoGrants(room="r" * 257, room_join=True)}),
        (RoomNotFound, "requested room does not exist", {"auto": False}),
        (LimitExceeded, "metadata", {"metadata": "x" * (512 * 1024 + 1)}),
        (LimitExceeded, "attributes", {"attributes": {"a": "x" * 70_000}}),
    ],
)
def test_who_may_not_come_in_is_told_why(
    refusal: type[ServiceError], words: str, parts: dict[str, Any]
) -> None:
    with pytest.raises(refusal, match=words):
        _admit(**parts)


def test_without_automatic_creation_a_room_must_be_there_or_may_be_made() -> None:
    assert _admit(auto=False, exists=True)
    assert _admit(auto=False, video=VideoGrants(room="r", room_join=True, room_create=True))


def test_facts_in_the_request_need_the_right_to_change_them() -> None:
    request = JoinRequest(single_connection=True, metadata="new", attributes={"b": "2"})
    with pytest.raises(PermissionDenied):
        _admit(request=request)
    video = VideoGrants(room="r", room_join=True, can_update_own_metadata=True)
    admission = _admit(video=video, request=request, metadata="old", attributes={"a": "1"})
    assert admission.metadata == "new"
    assert admission.attributes == {"a": "1", "b": "2"}


def test_a_publishing_connection_of_old_clients_has_an_identity_of_its_own() -> None:
    request = JoinRequest(single_connection=False, legacy_publish="screen")
    admission = _admit(request=request)
    assert admission.identity == "ann#screen"
    assert not admission.auto_subscribe
    assert not admission.permissions.can_subscribe
    with pytest.raises(PermissionDenied):
        _admit(request=request, video=VideoGrants(room="r", room_join=True, can_publish=False))


def test_a_fresh_token_has_the_present_facts_and_is_good_for_ten_minutes_at_least() -> None:
    claims = Claims("k", "ann", video=_VIDEO, expires_at=1000)
    fresh = refreshed(
        claims,
        name="Ann",
        metadata="m",
        attributes={"a": "1"},
        permissions=permissions_of(VideoGrants(can_publish_sources=("microphone",))),
        now=900,
    )
    assert (fresh.name, fresh.metadata, fresh.attributes) == ("Ann", "m", {"a": "1"})
    assert (fresh.not_before, fresh.expires_at) == (900, 1500)
    assert fresh.video is not None
    assert fresh.video.can_publish_sources == ("microphone",)
    assert (fresh.video.room, fresh.video.room_join) == ("r", True)
