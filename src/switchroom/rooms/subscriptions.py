"""Who hears whom: the rules, without anybody's connection. Pure.

Two sides decide. A subscriber hears everything (automatic) or what it asked for; a publisher may
restrict who hears it (LiveKit's SubscriptionPermission). The permission wins.
"""

from __future__ import annotations

from collections.abc import Iterable
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


@record
class Audience:
    """Who may hear a publisher. The default lets everybody."""

    all_participants: bool = True
    permissions: tuple[TrackPermission, ...] = ()

    def admits(self, sid: str, identity: str, track_sid: str) -> bool:
        """Whether this subscriber may hear this track."""
        if self.all_participants:
            return True
        return any(
            entry.all_tracks or track_sid in entry.track_sids
            for entry in self.permissions
            if (
                entry.participant_identity == identity
                if entry.participant_identity
                else entry.participant_sid == sid
            )
        )


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
