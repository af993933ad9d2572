"""Applies the rules of `subscriptions` to a room: who is sent which track, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from switchroom.rooms.info import Speaker
from switchroom.rooms.participant import Participant
from switchroom.rooms.subscriptions import Verdict, judge
from switchroom.rooms.track import Track

Participants = Callable[[], Iterable[Participant]]


class Hearing:
    """Keeps every participant's `heard` true and its Member informed."""

    def __init__(self, participants: Participants) -> None:
        self._participants = participants

    def review_listener(self, listener: Participant) -> None:
        """Judge every track of the others for one listener."""
        if not (listener.member.listens or listener.heard or listener.refused):
            return
        changed = False
        for publisher in self._participants():
            if publisher is not listener:
                for track in publisher.tracks.values():
                    changed |= self._judge(listener, track)
        if changed:
            listener.member.receive_tracks(tuple(listener.heard.values()))

    def review_track(self, track: Track) -> None:
        """Judge one track for every listener."""
        publisher = track.publisher
        for listener in self._participants():
            if listener is not publisher and self._judge(listener, track):
                listener.member.receive_tracks(tuple(listener.heard.values()))

    def drop_track(self, track: Track) -> None:
        """The track ended: nobody hears it any more."""
        for listener in self._participants():
            listener.wishes.forget(track.sid)
            listener.refused.discard(track.sid)
            if listener.heard.pop(track.sid, None) is not None:
                self._stop(listener, track)
                listener.member.receive_tracks(tuple(listener.heard.values()))

    def drop_listener(self, listener: Participant) -> None:
        """The listener left."""
        for track in listener.heard.values():
            track.receivers.discard(listener)
        listener.heard.clear()

    def received(self, listener: Participant, track: Track) -> None:
        """The listener's connection carries the track from now on.

        The publisher is told of the first listener who is not hidden: agents send no sound before.
        """
        if listener.heard.get(track.sid) is not track or listener in track.receivers:
            return
        track.receivers.add(listener)
        publisher = track.publisher
        if publisher.level.active:
            listener.member.speakers_changed((publisher.level,))
        if not track.announced and not listener.hidden:
            track.announced = True
            publisher.member.track_subscribed(track.sid)

    def source_changed(self, track: Track) -> None:
        """Tell whoever hears the track that its source or muting changed."""
        for listener in self._participants():
            if track.sid in listener.heard:
                listener.member.source_changed(track)

    def speaking(self, participant: Participant, speaker: Speaker) -> None:
        """Tell the participant itself, and those who receive it, how loud it is."""
        participant.level = speaker
        told = {participant}
        for track in participant.tracks.values():
            told |= track.receivers
        for listener in told:
            listener.member.speakers_changed((speaker,))

    def _judge(self, listener: Participant, track: Track) -> bool:
        """Bring `heard` up to date for one pair; whether it changed."""
        verdict = self._verdict(listener, track)
        refused = verdict is Verdict.NOT_ALLOWED
        if refused != (track.sid in listener.refused):
            self._tell_permission(listener, track, refused=refused)
        hears = track.sid in listener.heard
        if (verdict is Verdict.HEARS) == hears:
            return False
        if hears:
            del listener.heard[track.sid]
            self._stop(listener, track)
        else:
            listener.heard[track.sid] = track
        return True

    def _verdict(self, listener: Participant, track: Track) -> Verdict:
        if not (listener.permissions.can_subscribe and listener.member.listens):
            return Verdict.NOT_WANTED
        return judge(
            listener.wishes,
            track.publisher.audience,
            sid=listener.sid,
            identity=listener.identity,
            track_sid=track.sid,
        )

    def _tell_permission(self, listener: Participant, track: Track, *, refused: bool) -> None:
        if refused:
            listener.refused.add(track.sid)
        else:
            listener.refused.discard(track.sid)
        listener.member.subscription_permission_changed(
            track.publisher.sid, track.sid, allowed=not refused
        )

    def _stop(self, listener: Participant, track: Track) -> None:
        if listener not in track.receivers:
            return
        track.receivers.discard(listener)
        publisher = track.publisher
        if publisher.level.active:
            silent = Speaker(publisher.sid, 0.0, active=False)
            listener.member.speakers_changed((silent,))
