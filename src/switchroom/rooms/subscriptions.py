"""Who hears whom: the rules, without anybody's connection. Pure.

Two sides decide. A subscriber hears everything (automatic) or what it asked for; a publisher may
restrict who hears it (LiveKit's SubscriptionPermission). The permission wins.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from enum import Enum, auto

from switchroom.base.records import record


class Verdict(Enum):
    """Whether a subscriber hears a track."""

    HEARS = auto()
    NOT_WANTED = auto()
    NOT_ALLOWED = auto()
    """It wants to, and the publisher does not let it."""


@record
class TrackPermission:
    """One line of a publisher's list: a subscriber, by sid or identity, and what it may hear."""

    participant_sid: str = ""
    participant_identity: str = ""
    all_tracks: bool = False
    track_sids: frozenset[str] = frozenset()


_EVERY_TRACK = ""
"""Stands for all sids where those of tracks are listed; no track has it."""


@record
class Audience:
    """Who may hear a publisher. The default lets everybody.

    `by_identity` and `by_sid` are what a list of TrackPermission comes to: sids of tracks for each
    subscriber. A list may be long, and it is asked for every listener and every track.
    """

    all_participants: bool = True
    by_identity: Mapping[str, Collection[str]] = field(default_factory=dict)
    by_sid: Mapping[str, Collection[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, permissions: Iterable[TrackPermission]) -> Audience:
        """Nobody but those that are listed."""
        by_identity: dict[str, set[str]] = {}
        by_sid: dict[str, set[str]] = {}
        for entry in permissions:
            if entry.participant_identity:
                tracks = by_identity.setdefault(entry.participant_identity, set())
            else:
                tracks = by_sid.setdefault(entry.participant_sid, set())
            tracks |= {_EVERY_TRACK} if entry.all_tracks else entry.track_sids - {_EVERY_TRACK}
        return cls(all_participants=False, by_identity=by_identity, by_sid=by_sid)

    def admits(self, sid: str, identity: str, track_sid: str) -> bool:
        """Whether this subscriber may hear this track."""
        if self.all_participants:
            return True
        listed = (self.by_identity.get(identity, ()), self.by_sid.get(sid, ()))
        return any(_EVERY_TRACK in tracks or track_sid in tracks for tracks in listed)


class Wishes:
    """What one subscriber wants to hear: everything, or what it asked for track by track."""

    __slots__ = ("_asked", "automatic")

    def __init__(self, *, automatic: bool) -> None:
        self.automatic = automatic
        self._asked: dict[str, bool] = {}

    def ask(self, track_sids: Iterable[str], *, wanted: bool) -> None:
        """Remember a request of the subscriber, or of an administrator for it."""
        for sid in track_sids:
            self._asked[sid] = wanted

    def forget(self, track_sid: str) -> None:
        """The track is gone for good: sids are never used again."""
        self._asked.pop(track_sid, None)

    def wants(self, track_sid: str) -> bool:
        """Whether the subscriber would like to hear this track."""
        return self._asked.get(track_sid, self.automatic)


def judge(
    wishes: Wishes, audience: Audience, *, sid: str, identity: str, track_sid: str
) -> Verdict:
    """Decide for one subscriber (`sid`, `identity`) and one track."""
    if not wishes.wants(track_sid):
        return Verdict.NOT_WANTED
    if not audience.admits(sid, identity, track_sid):
        return Verdict.NOT_ALLOWED
    return Verdict.HEARS
