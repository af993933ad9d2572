"""`livekit.RoomService`: LiveKit's server API for rooms and who is in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from livekit.protocol import models, room as wire

from switchroom.api.twirp import CallContext, Method, always
from switchroom.auth.grants import (
    require_room_admin,
    require_room_create,
    require_room_list,
)
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.rooms.data import DataMessage, UserData
from switchroom.rooms.errors import Invalid
from switchroom.rooms.info import RoomSpec
from switchroom.rooms.registry import Rooms
from switchroom.rooms.rpc import RESPONSE_LIMIT
from switchroom.rooms.signal.convert import (
    participant_to_wire,
    permissions_from_wire,
    room_to_wire,
    track_to_wire,
)

_NONCE_BYTES = 16


class RoomService:
    """Handlers of the service; each checks the grant first, as livekit-server does."""

    name = "livekit.RoomService"

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self.methods: Mapping[str, Method[Any, Any]] = {
            "CreateRoom": Method(wire.CreateRoomRequest, self._create_room),
            "ListRooms": Method(wire.ListRoomsRequest, self._list_rooms),
            "DeleteRoom": Method(wire.DeleteRoomRequest, self._delete_room),
            "ListParticipants": Method(wire.ListParticipantsRequest, self._list_participants),
            "GetParticipant": Method(wire.RoomParticipantIdentity, self._get_participant),
            "RemoveParticipant": Method(wire.RoomParticipantIdentity, self._remove_participant),
            "MutePublishedTrack": Method(wire.MuteRoomTrackRequest, self._mute_track),
            "UpdateParticipant": Method(wire.UpdateParticipantRequest, self._update_participant),
            "UpdateSubscriptions": Method(
                wire.UpdateSubscriptionsRequest, self._update_subscriptions
            ),
            "SendData": Method(wire.SendDataRequest, self._send_data),
            "UpdateRoomMetadata": Method(wire.UpdateRoomMetadataRequest, self._update_metadata),
            "ForwardParticipant": Method(wire.ForwardParticipantRequest, self._not_built),
            "MoveParticipant": Method(wire.MoveParticipantRequest, self._not_built),
            "PerformRpc": Method(
                wire.PerformRpcRequest, self._perform_rpc, cancelled_with_client=always
            ),
        }

    async def _create_room(
        self, request: wire.CreateRoomRequest, context: CallContext
    ) -> models.Room:
        require_room_create(context.claims)
        return room_to_wire(await self._rooms.create(_room_spec(request)))

    async def _list_rooms(
        self, request: wire.ListRoomsRequest, context: CallContext
    ) -> wire.ListRoomsResponse:
        require_room_list(context.claims)
        rooms = self._rooms.list(frozenset(request.names))
        return wire.ListRoomsResponse(rooms=[room_to_wire(room) for room in rooms])

    async def _delete_room(
        self, request: wire.DeleteRoomRequest, context: CallContext
    ) -> wire.DeleteRoomResponse:
        require_room_create(context.claims)
        await self._rooms.delete(request.room)
        return wire.DeleteRoomResponse()

    async def _list_participants(
        self, request: wire.ListParticipantsRequest, context: CallContext
    ) -> wire.ListParticipantsResponse:
        require_room_admin(context.claims, request.room)
        # livekit-server answers an unknown room with an empty list.
        if not self._rooms.exists(request.room):
            return wire.ListParticipantsResponse()
        infos = self._rooms.participants(request.room)
        return wire.ListParticipantsResponse(
            participants=[participant_to_wire(info) for info in infos]
        )

    async def _get_participant(
        self, request: wire.RoomParticipantIdentity, context: CallContext
    ) -> models.ParticipantInfo:
        require_room_admin(context.claims, request.room)
        return participant_to_wire(self._rooms.get_participant(request.room, request.identity))

    async def _remove_participant(
        self, request: wire.RoomParticipantIdentity, context: CallContext
    ) -> wire.RemoveParticipantResponse:
        require_room_admin(context.claims, request.room)
        await self._rooms.remove_participant(request.room, request.identity)
        return wire.RemoveParticipantResponse()

    async def _mute_track(
        self, request: wire.MuteRoomTrackRequest, context: CallContext
    ) -> wire.MuteRoomTrackResponse:
        require_room_admin(context.claims, request.room)
        track = self._rooms.mute_track(
            request.room, request.identity, request.track_sid, muted=request.muted
        )
        return wire.MuteRoomTrackResponse(track=track_to_wire(track))

    async def _update_participant(
        self, request: wire.UpdateParticipantRequest, context: CallContext
    ) -> models.ParticipantInfo:
        require_room_admin(context.claims, request.room)
        replaced = request.HasField("permission")
        info = self._rooms.update_participant(
            request.room,
            request.identity,
            display_name=request.name,
            metadata=request.metadata,
            attributes=dict(request.attributes),
            permissions=permissions_from_wire(request.permission) if replaced else None,
        )
        return participant_to_wire(info)

    async def _update_subscriptions(
        self, request: wire.UpdateSubscriptionsRequest, context: CallContext
    ) -> wire.UpdateSubscriptionsResponse:
        require_room_admin(context.claims, request.room)
        sids = [*request.track_sids]
        for tracks in request.participant_tracks:
            sids.extend(tracks.track_sids)
        self._rooms.update_subscriptions(
            request.room, request.identity, sids, subscribe=request.subscribe
        )
        return wire.UpdateSubscriptionsResponse()

    async def _send_data(
        self, request: wire.SendDataRequest, context: CallContext
    ) -> wire.SendDataResponse:
        require_room_admin(context.claims, request.room)
        if len(request.nonce) not in (0, _NONCE_BYTES):
            raise Invalid(f"nonce must be empty or {_NONCE_BYTES} bytes")
        message = DataMessage(
            reliable=request.kind == models.DataPacket.RELIABLE,
            sender_sid="",
            sender_identity="",
            destinations=frozenset(request.destination_identities),
            content=UserData(request.data, request.topic),
            nonce=request.nonce,
        )
        self._rooms.send_data(request.room, message, frozenset(request.destination_sids))
        return wire.SendDataResponse()

    async def _update_metadata(
        self, request: wire.UpdateRoomMetadataRequest, context: CallContext
    ) -> models.Room:
        require_room_admin(context.claims, request.room)
        return room_to_wire(await self._rooms.set_room_metadata(request.room, request.metadata))

    async def _perform_rpc(
        self, request: wire.PerformRpcRequest, context: CallContext
    ) -> wire.PerformRpcResponse:
        require_room_admin(context.claims, request.room)
        answer = await self._rooms.call_method(
            request.room,
            request.destination_identity,
            request.method,
            request.payload,
            request.response_timeout_ms / 1000 or RESPONSE_LIMIT,
        )
        return wire.PerformRpcResponse(payload=answer)

    async def _not_built(self, request: Any, context: CallContext) -> Any:
        """The open server refuses these as well, after the same check."""
        require_room_admin(context.claims, request.room)
        raise ServiceError(ErrorCode.UNIMPLEMENTED, "not implemented")


def _room_spec(request: wire.CreateRoomRequest) -> RoomSpec:
    """The parts we act on, and in `configuration` those that only others understand."""
    others = wire.RoomConfiguration(
        agents=request.agents,
        egress=request.egress if request.HasField("egress") else None,
        tags=request.tags,
        min_playout_delay=request.min_playout_delay,
        max_playout_delay=request.max_playout_delay,
        sync_streams=request.sync_streams,
    )
    return RoomSpec(
        name=request.name,
        empty_timeout=request.empty_timeout,
        departure_timeout=request.departure_timeout,
        max_participants=request.max_participants,
        metadata=request.metadata,
        configuration=json_format.MessageToJson(others, indent=None) if others.ByteSize() else "",
        preset=request.room_preset,
    )
