"""Lets clients in: a new session for a join, the old one for who comes back."""

from __future__ import annotations

from switchroom.auth.grants import Claims, PermissionDenied
from switchroom.auth.tokens import TokenVerifier
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.base.outbox import Outbox
from switchroom.media import EngineError
from switchroom.rooms.errors import RoomNotFound
from switchroom.rooms.participant import Participant
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.registry import Rooms
from switchroom.rooms.room import Room
from switchroom.rooms.session.admission import Admission, admit
from switchroom.rooms.session.connection import Connection
from switchroom.rooms.session.incoming import Incoming
from switchroom.rooms.session.measuring import Measuring
from switchroom.rooms.session.session import Session, Surroundings
from switchroom.rooms.session.single_connection import SingleConnection
from switchroom.rooms.session.two_connections import TwoConnections
from switchroom.rooms.signal import responses
from switchroom.rooms.signal.requests import JoinRequest
from switchroom.rooms.signal.responses import LeaveAction


class SignalLink:
    """A signal socket's end of a session: serialised messages in both directions, nothing else."""

    def __init__(self, outbox: Outbox, session: Session | None) -> None:
        self._outbox = outbox
        self._session = session

    @property
    def closed_for(self) -> str | None:
        """Why there are no more messages after those that wait; None while there may be."""
        return self._outbox.closed_for

    async def next(self) -> bytes | None:
        """The next SignalResponse for the client; None when the socket is to be closed."""
        return await self._outbox.get()

    async def closed(self) -> str:
        """Wait until no more messages come; the reason."""
        return await self._outbox.closed()

    def receive(self, data: bytes) -> None:
        """A SignalRequest of the client."""
        if self._session is not None:
            self._session.receive(self._outbox, data)

    def refuse(self) -> None:
        """The client sent something that is no SignalRequest."""
        if self._session is not None:
            self._session.refuse(self._outbox)

    def lost(self) -> None:
        """The socket is closed."""
        if self._session is not None:
            self._session.signal_lost(self._outbox)
        self._outbox.close("socket closed")


class Sessions:
    """The sessions of every client."""

    def __init__(self, rooms: Rooms, tokens: TokenVerifier) -> None:
        self._rooms = rooms
        self._around = Surroundings(
            node_id=rooms.node_id,
            tokens=tokens,
            clock=rooms.clock,
            timers=rooms.timers,
            measuring=Measuring(rooms.engine, tasks=rooms.tasks, timers=rooms.timers),
        )

    def check(self, claims: Claims | None, request: JoinRequest) -> Admission:
        """Whether this client may come in. Raises what `admission.admit` raises."""
        return admit(
            claims,
            request,
            room_exists=self._rooms.exists,
            auto_create=self._rooms.config.room.auto_create,
        )

    async def open(self, claims: Claims | None, request: JoinRequest) -> SignalLink:
        """Do all the work of a join, so that a refusal is raised before a socket is upgraded.

        The first message of the link is `join`, `reconnect`, or `leave` for a client that wants
        back what is not there any more. Raises ServiceError.
        """
        admission = self.check(claims, request)
        if claims is None:
            raise PermissionDenied
        self._rooms.count_arrival(admission.room.name, admission.identity)
        if request.reconnect:
            return self._resume(admission, request)
        return await self._join(claims, admission, request)

    async def _join(self, claims: Claims, admission: Admission, request: JoinRequest) -> SignalLink:
        session = Session(self._around, claims, request.facts, single=request.single_connection)
        connection = self._connection(session, admission, request)
        outbox = Outbox()
        try:
            await connection.open()
            participant = Participant(
                admission.identity,
                session,
                name=admission.name,
                kind=admission.kind,
                kind_details=admission.kind_details,
                metadata=admission.metadata,
                attributes=admission.attributes,
                permissions=admission.permissions,
                auto_subscribe=admission.auto_subscribe,
            )
            session.start(self._room_for(admission), participant, connection, outbox, request)
        except BaseException as failure:
            connection.close()
            if isinstance(failure, EngineError):
                raise ServiceError(ErrorCode.UNAVAILABLE, "no media connection") from failure
            raise
        return SignalLink(outbox, session)

    def _room_for(self, admission: Admission) -> Room:
        """As it is by now: a room may have been deleted while the engine opened the connection."""
        if not (admission.makes_room or self._rooms.exists(admission.room.name)):
            raise RoomNotFound
        return self._rooms.find_or_create(admission.room)

    def _connection(
        self, session: Session, admission: Admission, request: JoinRequest
    ) -> Connection:
        rooms = self._rooms
        incoming = Incoming(session.publishing, session)
        if request.single_connection:
            return SingleConnection(
                rooms.engine, session, incoming, tasks=rooms.tasks, timers=rooms.timers
            )
        return TwoConnections(
            rooms.engine,
            session,
            incoming,
            tasks=rooms.tasks,
            timers=rooms.timers,
            subscriber_primary=admission.permissions.can_subscribe,
        )

    def _resume(self, admission: Admission, request: JoinRequest) -> SignalLink:
        outbox = Outbox()
        session = self._session_of(admission, request)
        if session is None:
            outbox.put(responses.leave(DisconnectReason.STATE_MISMATCH, LeaveAction.RECONNECT))
            outbox.close("unknown session")
            return SignalLink(outbox, None)
        session.resume(outbox, request)
        return SignalLink(outbox, session)

    def _session_of(self, admission: Admission, request: JoinRequest) -> Session | None:
        participant = self._rooms.find(admission.room.name, admission.identity)
        if participant is None or not isinstance(participant.member, Session):
            return None
        session = participant.member
        # Clients of old name no sid; then the identity has to do.
        same = request.participant_sid in ("", participant.sid)
        if not same or session.ended or session.single is not request.single_connection:
            return None
        return session
