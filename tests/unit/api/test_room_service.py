"""RoomService through the official SDK's messages: what is done, what is refused, who may ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, cast

import pytest
from google.protobuf.message import Message
from livekit.protocol import models, room as wire

from switchroom.api.room_service import RoomService
from switchroom.base.config import Config
from switchroom.media import Engine
from switchroom.rooms.data import DispatchEnded, Dtmf, UserData
from switchroom.rooms.info import RoomSpec
from switchroom.rooms.local import LocalParticipantSpec, Seat
from switchroom.rooms.participant import Participant
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.registry import Rooms
from switchroom.rooms.stores import NoRoomStore
from unit.rooms.house import Recorder, settle

from .conftest import Client, Clock, token

_Answer = TypeVar("_Answer", bound=Message)


class _Phone:
    def __init__(self) -> None:
        self.closed: list[DisconnectReason] = []
        self.data: list[UserData | Dtmf] = []

    async def close(self, reason: DisconnectReason) -> None:
        self.closed.append(reason)

    def on_dispatch_ended(self, news: DispatchEnded) -> None:
        return

    def on_data(self, data: UserData | Dtmf) -> None:
        self.data.append(data)


class _Service:
    """Calls the service over HTTP, with a token for each call."""

    def __init__(self, client: Client, rooms: Rooms) -> None:
        self.client = client
        self.rooms = rooms

    async def call(
        self, method: str, request: Message, answer: type[_Answer], **grants: Any
    ) -> _Answer:
        reply = await self._post(method, request, **grants)
        assert reply.status == 200, reply.text
        return answer.FromString(reply.body)

    async def refusal(self, method: str, request: Message, **grants: Any) -> tuple[str, str]:
        error = json.loads((await self._post(method, request, **grants)).body)
        return error["code"], error["msg"]

    async def _post(self, method: str, request: Message, **grants: Any) -> Any:
        headers = {"content-type": "application/protobuf"}
        if grants:
            headers["authorization"] = "Bearer " + token(**grants)
        path = f"/twirp/livekit.RoomService/{method}"
        return await self.client.send("POST", path, request.SerializeToString(), headers=headers)

    async def phone(self, identity: str = "tel") -> tuple[Seat, _Phone]:
        phone = _Phone()
        seat = self.rooms.join_local(LocalParticipantSpec("r", identity), phone)
        return seat, phone


_ADMIN = {"room_admin": True, "room": "r"}


@pytest.fixture
async def service(serve: Callable[..., Client], clock: Clock) -> AsyncIterator[_Service]:
    rooms = Rooms(cast("Engine", None), Config(), clock, NoRoomStore())
    yield _Service(serve(RoomService(rooms)), rooms)
    await rooms.stop()


async def test_a_room_is_created_listed_and_deleted(service: _Service) -> None:
    request = wire.CreateRoomRequest(
        name="r", empty_timeout=9, metadata="m", agents=[{"agent_name": "a"}]
    )
    made = await service.call("CreateRoom", request, models.Room, room_create=True)
    assert (made.name, made.empty_timeout, made.departure_timeout) == ("r", 9, 20)
    assert made.creation_time > 0
    assert made.sid.startswith("RM_")
    assert '"agentName"' in service.rooms._rooms["r"].terms.configuration
    listed = await service.call(
        "ListRooms", wire.ListRoomsRequest(), wire.ListRoomsResponse, room_list=True
    )
    assert [room.sid for room in listed.rooms] == [made.sid]
    _, phone = await service.phone()
    await service.call(
        "DeleteRoom", wire.DeleteRoomRequest(room="r"), wire.DeleteRoomResponse, room_create=True
    )
    assert phone.closed == [DisconnectReason.ROOM_DELETED]
    refusal = await service.refusal(
        "DeleteRoom", wire.DeleteRoomRequest(room="r"), room_create=True
    )
    assert refusal == ("not_found", "requested room does not exist")


async def test_participants_are_listed_found_changed_and_removed(service: _Service) -> None:
    _, phone = await service.phone()
    identity = wire.RoomParticipantIdentity(room="r", identity="tel")
    listed = await service.call(
        "ListParticipants",
        wire.ListParticipantsRequest(room="r"),
        wire.ListParticipantsResponse,
        **_ADMIN,
    )
    assert [p.identity for p in listed.participants] == ["tel"]
    change = wire.UpdateParticipantRequest(
        room="r",
        identity="tel",
        name="Tel",
        attributes={"a": "1"},
        permission=models.ParticipantPermission(can_subscribe=True),
    )
    changed = await service.call("UpdateParticipant", change, models.ParticipantInfo, **_ADMIN)
    assert (changed.name, dict(changed.attributes)) == ("Tel", {"a": "1"})
    assert changed.permission.can_subscribe
    assert not changed.permission.can_publish
    found = await service.call("GetParticipant", identity, models.ParticipantInfo, **_ADMIN)
    assert found == changed
    await service.call("RemoveParticipant", identity, wire.RemoveParticipantResponse, **_ADMIN)
    assert phone.closed == [DisconnectReason.PARTICIPANT_REMOVED]
    refusal = await service.refusal("GetParticipant", identity, **_ADMIN)
    assert refusal == ("not_found", "participant does not exist")


async def test_an_unknown_room_has_no_participants(service: _Service) -> None:
    listed = await service.call(
        "ListParticipants",
        wire.ListParticipantsRequest(room="r"),
        wire.ListParticipantsResponse,
        **_ADMIN,
    )
    assert not listed.participants


async def test_tracks_are_muted_and_never_unmuted(service: _Service) -> None:
    seat, _ = await service.phone()
    sid = seat.publish_audio("tel", None, "audio/PCMU")
    request = wire.MuteRoomTrackRequest(room="r", identity="tel", track_sid=sid, muted=True)
    muted = await service.call("MutePublishedTrack", request, wire.MuteRoomTrackResponse, **_ADMIN)
    assert muted.track.muted
    assert muted.track.mime_type == "audio/PCMU"
    request.muted = False
    refusal = await service.refusal("MutePublishedTrack", request, **_ADMIN)
    assert refusal == ("failed_precondition", "remote unmute not enabled")


async def test_data_reach_whom_they_are_for(service: _Service) -> None:
    _, one = await service.phone("one")
    _, two = await service.phone("two")
    request = wire.SendDataRequest(
        room="r", data=b"x", topic="t", destination_identities=["two"], nonce=b"n" * 16
    )
    for _ in range(2):
        await service.call("SendData", request, wire.SendDataResponse, **_ADMIN)
    assert (one.data, two.data) == ([], [UserData(b"x", "t")])
    request.nonce = b"short"
    assert (await service.refusal("SendData", request, **_ADMIN))[0] == "invalid_argument"


async def test_room_metadata_are_replaced(service: _Service) -> None:
    await service.phone()
    request = wire.UpdateRoomMetadataRequest(room="r", metadata="m")
    room = await service.call("UpdateRoomMetadata", request, models.Room, **_ADMIN)
    assert room.metadata == "m"


async def test_subscriptions_of_unknown_tracks_are_refused(service: _Service) -> None:
    await service.phone()
    request = wire.UpdateSubscriptionsRequest(room="r", identity="tel", track_sids=["TR_x"])
    assert (await service.refusal("UpdateSubscriptions", request, **_ADMIN))[0] == "not_found"
    seat, _ = await service.phone("other")
    request.track_sids[:] = []
    sid = seat.publish_audio("a", None, "")
    request.participant_tracks.add(participant_sid=seat.participant_sid, track_sids=[sid])
    await service.call("UpdateSubscriptions", request, wire.UpdateSubscriptionsResponse, **_ADMIN)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("ForwardParticipant", wire.ForwardParticipantRequest(room="r")),
        ("MoveParticipant", wire.MoveParticipantRequest(room="r")),
    ],
)
async def test_what_the_open_server_does_not_do_is_unimplemented(
    service: _Service, method: str, request_: Message
) -> None:
    assert (await service.refusal(method, request_, **_ADMIN))[0] == "unimplemented"


@pytest.mark.parametrize("method", sorted(RoomService(cast("Rooms", None)).methods))
async def test_every_method_asks_for_its_grant_before_anything_else(
    service: _Service, method: str
) -> None:
    request = RoomService(service.rooms).methods[method].request_type()
    if hasattr(request, "room"):
        request.room = "r"
    nothing = await service.refusal(method, request)
    other_room = await service.refusal(method, request, room_admin=True, room="other")
    assert nothing == other_room == ("unauthenticated", "permissions denied")


@pytest.mark.parametrize("name", ["", "r" * 257])
async def test_a_room_without_a_usable_name_is_refused(service: _Service, name: str) -> None:
    request = wire.CreateRoomRequest(name=name)
    code, _ = await service.refusal("CreateRoom", request, room_create=True)
    assert code == "invalid_argument"


async def test_a_method_whose_caller_hung_up_is_not_waited_for(service: _Service) -> None:
    silent = Recorder()
    room = service.rooms.find_or_create(RoomSpec("r"))
    ann = Participant("ann", silent)
    room.join(ann)
    room.activate(ann)
    request = wire.PerformRpcRequest(
        room="r", destination_identity="ann", method="m", response_timeout_ms=2**32 - 1
    )
    calling = asyncio.ensure_future(
        service.call("PerformRpc", request, wire.PerformRpcResponse, **_ADMIN)
    )
    await settle()
    assert (len(silent.data), len(room._calls)) == (1, 1)
    service.client.hang_up.set()
    await settle()
    assert len(room._calls) == 0
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
