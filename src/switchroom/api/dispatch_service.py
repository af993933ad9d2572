"""`livekit.AgentDispatchService`: asks for agents in rooms, and says what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livekit.protocol import agent_dispatch as wire

from switchroom.agents.dispatcher import Dispatcher
from switchroom.agents.protocol import dispatch_to_wire, spec_from_wire
from switchroom.api.twirp import CallContext, Method
from switchroom.auth.grants import require_room_admin
from switchroom.rooms.registry import Rooms


class DispatchService:
    """Handlers of the service; each checks the grant first, as livekit-server does."""

    name = "livekit.AgentDispatchService"

    def __init__(self, rooms: Rooms, dispatcher: Dispatcher) -> None:
        self._rooms = rooms
        self._dispatcher = dispatcher
        self.methods: Mapping[str, Method[Any, Any]] = {
            "CreateDispatch": Method(wire.CreateAgentDispatchRequest, self._create),
            "DeleteDispatch": Method(wire.DeleteAgentDispatchRequest, self._delete),
            "ListDispatch": Method(wire.ListAgentDispatchRequest, self._list),
        }

    async def _create(
        self, request: wire.CreateAgentDispatchRequest, context: CallContext
    ) -> wire.AgentDispatch:
        require_room_admin(context.claims, request.room)
        record = await self._dispatcher.create(request.room, spec_from_wire(request))
        return dispatch_to_wire(self._rooms.get(request.room).info(), record)

    async def _delete(
        self, request: wire.DeleteAgentDispatchRequest, context: CallContext
    ) -> wire.AgentDispatch:
        require_room_admin(context.claims, request.room)
        info = self._rooms.get(request.room).info()
        record = await self._dispatcher.delete(request.room, request.dispatch_id)
        return dispatch_to_wire(info, record)

    async def _list(
        self, request: wire.ListAgentDispatchRequest, context: CallContext
    ) -> wire.ListAgentDispatchResponse:
        require_room_admin(context.claims, request.room)
        room = self._rooms.get(request.room)
        info = room.info()
        records = room.dispatches.list(request.dispatch_id)
        return wire.ListAgentDispatchResponse(
            agent_dispatches=[dispatch_to_wire(info, record) for record in records]
        )
