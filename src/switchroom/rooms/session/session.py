"""One client's session: its participant, its connection, and the signal socket of the moment.

The participant outlives its socket. Between the two runs nothing but serialised messages: what the
client says comes to `receive`, what it is told goes into an Outbox.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from switchroom.auth.grants import Claims
from switchroom.auth.tokens import TokenVerifier, mint
from switchroom.base.clock import Clock
from switchroom.base.log import get_logger
from switchroom.base.outbox import Outbox
from switchroom.base.pace import Pace
from switchroom.base.records import record
from switchroom.base.timers import Timer, Timers
from switchroom.media import Source
from switchroom.rooms.data import DataMessage, EarlyMessages
from switchroom.rooms.errors import LimitExceeded
from switchroom.rooms.info import (
    ClientFacts,
    ConnectionQuality,
    ParticipantInfo,
    ParticipantState,
    RoomInfo,
    Speaker,
    TrackInfo,
)
from switchroom.rooms.participant import Participant
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.room import Room
from switchroom.rooms.session.admission import refreshed
from switchroom.rooms.session.connection import Connection
from switchroom.rooms.session.loudness import Loudness
from switchroom.rooms.session.measuring import Measuring
from switchroom.rooms.session.pace import DATA, SIGNALS, signal_cost, telling_cost
from switchroom.rooms.session.publishing import Publishing, Refusal
from switchroom.rooms.session.quality import Counts, Gauge
from switchroom.rooms.signal import requests, responses
from switchroom.rooms.signal.data_packets import LOSSY, RELIABLE, read_packet, wire_of
from switchroom.rooms.signal.reading import SignalGarbage, read_request
from switchroom.rooms.signal.responses import LeaveAction, Outcome, SubscriptionFailure
from switchroom.rooms.track import Track

_log = get_logger("rooms")

JOIN_LIMIT = 60.0
"""Seconds after which a client that never connected is given up."""

RETURN_LIMIT = 5.0
"""Seconds that a client whose media stopped gets to come back."""

RENEWAL_LIMIT = 15.0
"""Seconds that it has from then on to renew its connection: as long as clients wait for it."""

LINGER = 2.0
"""Seconds that a client which was told to leave gets to close by itself.

Clients report an error when their data channels or their socket are closed under them.
"""

REFRESH_INTERVAL = 300.0
"""Seconds between fresh tokens."""

_SINCE_OK_IS_TOLD = 14
"""Newer protocols than this wait for the OK of a metadata update."""

_SIMULATED_LEVEL = 0.75

_TOLD_TO_ALL = (requests.MuteTrack, requests.UpdateMetadata, requests.UpdateAudioTrack)


@record
class Surroundings:
    """What every session is given."""

    node_id: str
    tokens: TokenVerifier
    clock: Clock
    timers: Timers
    measuring: Measuring


class Session:
    """A client in a room. Implements Member for the room and ConnectionHost for its connection."""

    watches = True

    def __init__(
        self,
        surroundings: Surroundings,
        claims: Claims,
        facts: ClientFacts,
        *,
        single: bool,
    ) -> None:
        self._around = surroundings
        self._claims = claims
        self._facts = facts
        self.single = single
        self.publishing = Publishing()
        self._room: Room
        self.participant: Participant
        self._connection: Connection
        self._outbox: Outbox | None = None
        self._timers: dict[str, Timer] = {}
        self._loudness = Loudness()
        self._gauge = Gauge()
        self._open_channels: set[str] = set()
        self._early = EarlyMessages()
        self._data_pace = Pace(DATA)
        self._signal_pace = Pace(SIGNALS)
        self._last_sequence = 0
        self._drop_next_resume = False
        self._owed_messages = False
        self._ended = False

    # ── coming, coming back ──────────────────────────────────────────────────

    def start(
        self,
        room: Room,
        participant: Participant,
        connection: Connection,
        outbox: Outbox,
        request: requests.JoinRequest,
    ) -> None:
        """Join `room` and tell the client so. Raises what `Room.join` raises."""
        self._room = room
        self.participant = participant
        self._connection = connection
        room.join(participant)
        self._outbox = outbox
        dual = not request.single_connection
        outbox.put(
            responses.join(
                self._around.node_id,
                room.info(),
                participant.info(),
                room.visible_to(participant),
                subscriber_primary=dual and participant.permissions.can_subscribe,
            )
        )
        self._set_timer("join", JOIN_LIMIT, self._never_connected)
        connection.begin()
        for track in request.add_tracks:
            self._add_track(track)
        if request.offer is not None:
            connection.offer(request.offer)

    def resume(self, outbox: Outbox, request: requests.JoinRequest) -> None:
        """The client is back on another socket: tell it how things are now."""
        if self._outbox is not None:
            self._outbox.close("resumed on another socket")
        self._outbox = outbox
        outbox.put(responses.reconnect(self._around.node_id, self._last_sequence))
        if self._drop_next_resume:
            self._drop_next_resume = False
            outbox.close("simulated")
            return
        self.send(
            responses.update([*self._room.visible_to(self.participant), self.participant.info()])
        )
        self.send(responses.room_update(self._room.info()))
        # What was told while no socket was there is told again where it is not in the update.
        for track in self.participant.tracks.values():
            if track.announced:
                self.send(responses.track_subscribed(track.sid))
        self._refresh_token()
        self._owed_messages = True
        if "return" in self._timers:
            self._set_timer("return", RENEWAL_LIMIT, self._never_returned)
        self._connection.resume()
        if request.sync_state is not None:
            self._synchronise(request.sync_state)

    def signal_lost(self, outbox: Outbox) -> None:
        """The socket is gone. A client whose media never came up is gone with it."""
        outbox.close("socket closed")
        if outbox is not self._outbox:
            return
        self._outbox = None
        if self._ended:
            self._finish()
            return
        if not self.participant.was_active:
            self._end(DisconnectReason.SIGNAL_CLOSE)
            return
        self._connection.signal_lost()

    @property
    def reachable(self) -> bool:
        """Whether a signal socket is there."""
        return self._outbox is not None

    @property
    def ended(self) -> bool:
        return self._ended

    # ── what the client says ─────────────────────────────────────────────────

    def receive(self, outbox: Outbox, data: bytes) -> None:
        """A message from the socket that `outbox` serves; one of an older socket is ignored."""
        if outbox is not self._outbox or self._ended or self.participant.gone:
            return
        if not self._signal_pace.allows(self._around.clock.monotonic(), signal_cost(data)):
            self._end_for_flooding("signals")
            return
        try:
            request = read_request(data)
        except SignalGarbage:
            self.refuse(outbox)
            return
        if request is not None:
            self._act(request)

    def refuse(self, outbox: Outbox) -> None:
        """What came from the socket is no message: the session ends, the client is told why."""
        if outbox is self._outbox and not self._ended:
            _log.warning("client sent garbage", participant=self.participant.sid)
            self._end(DisconnectReason.STATE_MISMATCH)

    def _act(self, request: requests.SignalRequest) -> None:
        match request:
            case requests.Offer():
                self._connection.offer(request)
            case requests.Answer():
                self._connection.answer(request)
            case requests.Trickle():
                self._connection.trickle(request)
            case requests.Ping(timestamp=timestamp, legacy=legacy):
                now_ms = self._around.clock.unix_ns() // 1_000_000
                self.send(responses.pong(timestamp, now_ms, legacy=legacy))
            case requests.Leave(reason=reason):
                self._end(reason)
            case requests.Simulate():
                self._simulate(request)
            case requests.Unsupported():
                self.send(responses.not_supported(request))
            case _:
                if isinstance(request, _TOLD_TO_ALL) and not self._may_tell():
                    self._end_for_flooding("changes")
                    return
                self._act_in_room(request)

    def _may_tell(self) -> bool:
        """Whether the others can be told of this client once more."""
        person = self.participant
        tracks = (track.info for track in person.tracks.values())
        cost = telling_cost(person.metadata, person.attributes, tracks)
        return self._signal_pace.allows(self._around.clock.monotonic(), cost)

    def _act_in_room(self, request: requests.SignalRequest) -> None:
        match request:
            case requests.AddTrack():
                self._add_track(request)
            case requests.MuteTrack(sid=sid, muted=muted):
                self._mute(sid, muted=muted)
            case requests.Subscription():
                self._subscribe(request)
            case requests.UpdateMetadata():
                self._update_metadata(request)
            case requests.SetAudience(audience=audience):
                self._room.set_audience(self.participant, audience)
            case requests.UpdateAudioTrack(track_sid=sid, features=features):
                track = self.participant.tracks.get(sid)
                if track is not None:
                    self._room.change_track(track, audio_features=features)
            case requests.TrackSettings(track_sids=sids, disabled=disabled):
                self._connection.pause_tracks(sids, paused=disabled)
            case requests.SyncState():
                self._synchronise(request)
            case _:
                return

    def _add_track(self, request: requests.AddTrack) -> None:
        if not self.participant.permissions.may_publish(request.source):
            self.send(
                responses.add_track_outcome(request, Outcome.NOT_ALLOWED, "may not publish this")
            )
            return
        match self.publishing.announce(request):
            case TrackInfo() as info:
                self.send(responses.track_published(request.cid, info))
            case Refusal.UNSUPPORTED:
                self.send(
                    responses.add_track_outcome(
                        request, Outcome.UNSUPPORTED_TYPE, "only audio tracks are supported"
                    )
                )
            case Refusal.TOO_MANY:
                self.send(
                    responses.add_track_outcome(request, Outcome.LIMIT_EXCEEDED, "too many tracks")
                )
            case Refusal.TOO_LONG:
                self.send(
                    responses.add_track_outcome(
                        request, Outcome.LIMIT_EXCEEDED, "name, stream or cid is too long"
                    )
                )
            case Refusal.QUEUED:
                self.send(
                    responses.add_track_outcome(
                        request, Outcome.QUEUED, "a track of this cid is still published"
                    )
                )

    def _mute(self, sid: str, *, muted: bool) -> None:
        track = self.participant.tracks.get(sid)
        if track is None:
            self.publishing.mute(sid, muted=muted)
        elif track.info.muted is not muted:
            self._room.change_track(track, muted=muted)

    def _subscribe(self, request: requests.Subscription) -> None:
        known = []
        for sid in request.track_sids:
            if self._room.track(sid) is not None:
                known.append(sid)
            elif request.subscribe:
                self.send(responses.subscription_failed(sid, SubscriptionFailure.TRACK_NOT_FOUND))
        self._room.ask(self.participant, known, wanted=request.subscribe)

    def _update_metadata(self, request: requests.UpdateMetadata) -> None:
        if not self.participant.permissions.can_update_metadata:
            outcome = responses.metadata_outcome(
                request, Outcome.NOT_ALLOWED, "does not have permission to update own metadata"
            )
            self.send(outcome)
            return
        try:
            self._room.update(
                self.participant,
                name=request.name,
                metadata=request.metadata,
                attributes=request.attributes,
            )
        except LimitExceeded as refusal:
            self.send(responses.metadata_outcome(request, Outcome.LIMIT_EXCEEDED, refusal.message))
            return
        if self._facts.protocol > _SINCE_OK_IS_TOLD:
            self.send(responses.metadata_outcome(request, Outcome.OK))

    def _synchronise(self, state: requests.SyncState) -> None:
        """A resuming client says what it believes; what it publishes must be what we know."""
        for sid in state.published:
            if sid not in self.participant.tracks and not self.publishing.knows(sid):
                self.failed("client publishes a track that is not known")
                return
        if state.subscription is not None:
            wanted = state.subscription.subscribe
            known = [sid for sid in state.subscription.track_sids if self._room.track(sid)]
            self._room.ask(self.participant, known, wanted=wanted)
        self._connection.pause_tracks(state.disabled, paused=True)
        if self._owed_messages and state.last_sequences:
            self._owed_messages = False
            self._room.replay(self.participant, state.last_sequences)

    def _simulate(self, request: requests.Simulate) -> None:
        """Faults that the clients' test suites ask for."""
        match request.scenario:
            case "speaker_update":
                speaker = Speaker(self.participant.sid, _SIMULATED_LEVEL, active=True)
                self.speakers_changed((speaker,))
                silent = (Speaker(self.participant.sid, 0.0, active=False),)
                self._set_timer("speaker", request.seconds, partial(self.speakers_changed, silent))
            case "node_failure":
                if self._outbox is not None:
                    self._outbox.close("simulated")
                    self._outbox = None
                self._end(DisconnectReason.SIGNAL_CLOSE)
            case "server_leave":
                self._end(DisconnectReason.SERVER_SHUTDOWN, LeaveAction.DISCONNECT)
            case "migration":
                self.send(responses.leave(DisconnectReason.MIGRATION, LeaveAction.RESUME))
            case "leave_request_full_reconnect":
                self.failed("simulated")
            case "disconnect_signal_on_resume" | "disconnect_signal_on_resume_no_messages":
                self._drop_next_resume = True
            case _:
                return

    # ── what the connection says ─────────────────────────────────────────────

    def send(self, message: bytes) -> None:
        """To the socket of the moment; without one it is dropped, a resume tells all anew.

        Who was told to leave is told nothing more.
        """
        if self._outbox is not None and not self._ended:
            self._outbox.put(message)

    def connected(self) -> None:
        self._clear_timer("join")
        self._clear_timer("return")
        if self.participant.state is ParticipantState.JOINED:
            self._room.activate(self.participant)
            self._refresh_token()
        self._room.set_quality(self.participant, ConnectionQuality.EXCELLENT)
        self._around.measuring.add(self)

    @property
    def peer_ids(self) -> Sequence[int]:
        """For Measuring: the engine's numbers of the connections."""
        return self._connection.peer_ids

    def measured(self, counts: Counts) -> None:
        """For Measuring: what became of the packets so far."""
        quality = self._gauge.judge(counts)
        if self.participant.quality is not ConnectionQuality.LOST:
            self._room.set_quality(self.participant, quality)

    def disconnected(self) -> None:
        """Nothing comes any more: ask the client to renew the connection, and wait a little."""
        if not self.participant.was_active:
            return
        self._room.set_quality(self.participant, ConnectionQuality.LOST)
        # The socket stays open: a client that finds it closed begins a new session instead.
        self.send(responses.leave(DisconnectReason.CONNECTION_TIMEOUT, LeaveAction.RESUME))
        if "return" not in self._timers:
            self._set_timer("return", RETURN_LIMIT, self._never_returned)

    def client_closed(self) -> None:
        """Its Leave may be on its way, or the join of a new session: it gets a little time."""
        if self._ended:
            self._finish()
        elif "return" not in self._timers:
            self._set_timer("return", RETURN_LIMIT, self._left_silently)

    def _left_silently(self) -> None:
        self._end(DisconnectReason.CLIENT_INITIATED)

    def failed(self, why: str) -> None:
        """Something does not fit together any more: the client is to begin a new session."""
        _log.warning("session starts anew", participant=self.participant.sid, why=why)
        self._end(DisconnectReason.STATE_MISMATCH, LeaveAction.RECONNECT)

    def track_started(self, info: TrackInfo, source: Source) -> None:
        self._loudness.begin(source)
        self._room.publish(self.participant, info, source)

    def track_stopped(self, track_sid: str) -> None:
        track = self.participant.tracks.get(track_sid)
        if track is not None:
            self._forget_level(track)
            self._room.unpublish(track)
        queued = self.publishing.next_queued()
        if queued is not None:
            self._add_track(queued)

    def track_received(self, track: Track) -> None:
        self._room.received(self.participant, track)

    def track_coded(self, track_sid: str, mime_type: str) -> None:
        track = self.participant.tracks.get(track_sid)
        if track is not None and track.info.mime_type.lower() != mime_type.lower():
            self._room.change_track(track, mime_type=mime_type)

    def source_level(self, source: Source, level: float, *, active: bool) -> None:
        if self._loudness.heard(source, level, active=active):
            self._tell_level()

    def data_received(self, label: str, payload: bytes) -> None:
        if not self.participant.permissions.can_publish_data or self.participant.gone:
            return
        reliable = label == RELIABLE
        if not reliable and label != LOSSY:
            return
        if not self._data_pace.allows(self._around.clock.monotonic()):
            # A lossy message may be lost. A reliable one may not, so who sends too many must go.
            if reliable:
                self._end_for_flooding("data")
            return
        message = read_packet(payload, reliable=reliable, sender=self.participant)
        if message is None:
            return
        if message.sequence:
            # A client that resumed sends again what it is not sure of.
            if message.sequence <= self._last_sequence:
                return
            self._last_sequence = message.sequence
        self._room.send(message)

    def _end_for_flooding(self, kind: str) -> None:
        _log.warning("client sends too much", participant=self.participant.sid, kind=kind)
        self._end(DisconnectReason.STATE_MISMATCH)

    def channel_opened(self, label: str) -> None:
        self._open_channels.add(label)
        if label == RELIABLE:
            for message in self._early.take():
                self.receive_data(message)

    # ── what the room says ───────────────────────────────────────────────────

    @property
    def facts(self) -> ClientFacts:
        return self._facts

    @property
    def listens(self) -> bool:
        return self.participant.was_active

    def participants_changed(self, infos: Sequence[ParticipantInfo]) -> None:
        self.send(responses.update(infos))

    def room_changed(self, info: RoomInfo) -> None:
        self.send(responses.room_update(info))

    def receive_tracks(self, tracks: Sequence[Track]) -> None:
        self._connection.receive_tracks(tracks)

    def source_changed(self, track: Track) -> None:
        self._connection.source_changed(track)

    def track_subscribed(self, track_sid: str) -> None:
        self.send(responses.track_subscribed(track_sid))

    def subscription_permission_changed(
        self, publisher_sid: str, track_sid: str, *, allowed: bool
    ) -> None:
        self.send(responses.subscription_permission(publisher_sid, track_sid, allowed=allowed))

    def speakers_changed(self, speakers: Sequence[Speaker]) -> None:
        self.send(responses.speakers_changed(speakers))

    def quality_changed(self, qualities: Mapping[str, ConnectionQuality]) -> None:
        self.send(responses.connection_quality(qualities))

    def receive_data(self, message: DataMessage) -> None:
        label = RELIABLE if message.reliable else LOSSY
        if label in self._open_channels:
            self._connection.send_data(label, wire_of(message))
        elif message.reliable:
            self._early.add(message)

    def muted_by_server(self, track_sid: str, *, muted: bool) -> None:
        self.send(responses.mute(track_sid, muted=muted))

    def unpublished_by_server(self, track_sid: str) -> None:
        self.publishing.drop(track_sid)
        self._forget_level(self.participant.tracks[track_sid])
        self.send(responses.track_unpublished(track_sid))

    def grants_changed(self) -> None:
        self.publishing.forbid(self.participant.permissions.may_publish)
        self._refresh_token()

    async def close(self, reason: DisconnectReason) -> None:
        # People come back when the server does; agents are dispatched anew when they do.
        returns = reason is DisconnectReason.SERVER_SHUTDOWN and not self.participant.dependent
        self._close(reason, LeaveAction.RECONNECT if returns else LeaveAction.DISCONNECT)

    # ── endings and deadlines ────────────────────────────────────────────────

    def _end(self, reason: DisconnectReason, action: LeaveAction = LeaveAction.DISCONNECT) -> None:
        """The session ends by itself, not by the room's wish."""
        if not self._ended:
            self._close(reason, action)
            self._room.leave(self.participant, reason)

    def _close(self, reason: DisconnectReason, action: LeaveAction) -> None:
        if self._ended:
            return
        self._ended = True
        self._around.measuring.remove(self)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._connection.retire()
        if self._outbox is None:
            self._finish()
            return
        self._outbox.put(responses.leave(reason, action))
        self._set_timer("linger", LINGER, self._finish)

    def _finish(self) -> None:
        """The client has closed, or had its time to."""
        self._clear_timer("linger")
        self._connection.close()
        if self._outbox is not None:
            self._outbox.close("session ended")
            self._outbox = None

    def _never_connected(self) -> None:
        self._end(DisconnectReason.JOIN_FAILURE)

    def _never_returned(self) -> None:
        self._end(DisconnectReason.CONNECTION_TIMEOUT)

    def _refresh_token(self) -> None:
        if self._ended:
            return
        person = self.participant
        now = self._around.clock.unix_ns() / 1e9
        claims = refreshed(
            self._claims,
            name=person.name,
            metadata=person.metadata,
            attributes=person.attributes,
            permissions=person.permissions,
            now=now,
        )
        secret = self._around.tokens.secret_of(claims.api_key)
        self.send(responses.refresh_token(mint(claims, secret)))
        self._set_timer("refresh", REFRESH_INTERVAL, self._refresh_token)

    def _forget_level(self, track: Track) -> None:
        if track.source is not None and self._loudness.end(track.source):
            self._tell_level()

    def _tell_level(self) -> None:
        level = self._loudness.level
        self._room.speaking(self.participant, level, active=level > 0.0)

    def _set_timer(self, name: str, seconds: float, callback: Callable[[], None]) -> None:
        self._clear_timer(name)

        def fire() -> None:
            self._timers.pop(name, None)
            callback()

        self._timers[name] = self._around.timers.after(seconds, fire)

    def _clear_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
