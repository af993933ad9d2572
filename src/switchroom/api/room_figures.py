"""Figures of rooms, participants, tracks and agents' jobs: livekit-server's names."""

from __future__ import annotations

from switchroom.agents.events import JobEnded, JobEvent, JobStarted
from switchroom.base.clock import Clock
from switchroom.base.metrics import Figures
from switchroom.rooms.events import (
    ParticipantConnectionAborted,
    ParticipantJoined,
    ParticipantLeft,
    RoomEvent,
    RoomFinished,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)
from switchroom.rooms.info import ParticipantInfo, TrackInfo

# livekit-server's buckets.
_ROOM = (5, 10, 60, 300, 600, 1800, 3600, 2 * 3600, 5 * 3600, 10 * 3600)
_SESSION_MS = (100, 1e3, 1e4, 6e4, 3e5, 6e5, 1.8e6, 3.6e6, 7.2e6, 1.44e7)


class RoomFigures:
    """Hears every RoomEvent and JobEvent."""

    def __init__(self, figures: Figures, clock: Clock) -> None:
        self._clock = clock
        self._rooms = figures.gauge("livekit_room_total", "Rooms that exist.")
        self._room_life = figures.histogram(
            "livekit_room_duration_seconds", "How long rooms lived.", (), _ROOM
        )
        self._participants = figures.gauge("livekit_participant_total", "Participants, active.")
        self._joins = figures.counter(
            "livekit_participant_join_total", "Joins, and how far they came.", ("state",)
        )
        self._stay = figures.histogram(
            "livekit_session_duration_ms",
            "How long participants stayed.",
            ("protocol_version",),
            _SESSION_MS,
        )
        self._tracks = figures.gauge("livekit_track_published_total", "Tracks.", ("kind",))
        self._publications = figures.counter(
            "livekit_track_publish_counter", "Publications.", ("kind", "state")
        )
        self._jobs = figures.gauge("switchroom_agent_jobs", "Jobs that agents do.")
        self._jobs_over = figures.counter(
            "switchroom_agent_jobs_ended_total", "Jobs over, and how.", ("status", "reason")
        )

        self._running: set[str] = set()

    def hear(self, event: RoomEvent) -> None:
        """Count what happened in a room."""
        match event:
            case RoomStarted():
                self._rooms.add()
            case RoomFinished(room):
                self._rooms.add(amount=-1)
                self._room_life.observe(self._age(room.created_at_ns))
            case ParticipantJoined():
                self._participants.add()
                self._joins.add("rtc_connected")
            case ParticipantLeft(_, participant):
                self._left(participant)
            case ParticipantConnectionAborted():
                self._joins.add("rtc_canceled")
            case TrackPublished(_, _, track):
                self._tracks.add(_kind(track))
                self._publications.add(_kind(track), "success")
            case TrackUnpublished(_, _, track):
                self._tracks.add(_kind(track), amount=-1)

    def hear_job(self, event: JobEvent) -> None:
        """Count what agents do."""
        match event:
            case JobStarted(_, _, job):
                self._running.add(job.id)
                self._jobs.set(to=len(self._running))
            case JobEnded(_, _, job):
                self._running.discard(job.id)
                self._jobs.set(to=len(self._running))
                self._jobs_over.add(job.status.name.lower(), job.reason.name.lower())

    def _left(self, participant: ParticipantInfo) -> None:
        self._participants.add(amount=-1)
        protocol = str(min(participant.client_protocol, 99))
        self._stay.labels(protocol).observe(self._age(participant.joined_at_ns) * 1000)

    def _age(self, since_ns: int) -> float:
        return max(0.0, (self._clock.unix_ns() - since_ns) / 1e9)


def _kind(track: TrackInfo) -> str:
    return track.type.name
