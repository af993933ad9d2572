"""Stands in for an agent: speaks, and tells its state and what is said as livekit-agents does."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from livekit import rtc

from switchroom.speech.synthesis import say

RATE = 16_000
_FRAME = RATE // 50
_TOPIC = "lk.transcription"


class WebAgent:
    """An agent's voice and words. It joins by `join`; the caller leaves the room."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self._source = rtc.AudioSource(RATE, 1)
        self._track = ""
        self._speakers: asyncio.Queue[set[str]] = asyncio.Queue()
        self.room.on("active_speakers_changed", self._speakers_changed)

    async def join(self, url: str, token: str) -> None:
        await self.room.connect(url, token)
        track = rtc.LocalAudioTrack.create_audio_track("roomio_audio", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self.room.local_participant.publish_track(track, options)
        self._track = publication.sid
        await self.be("listening")

    async def be(self, state: str) -> None:
        await self.room.local_participant.set_attributes({"lk.agent.state": state})

    async def say(self, text: str) -> None:
        """Speak, and stream the words as they are spoken."""
        speech = await say(text, rate=RATE)
        await self.be("speaking")
        attributes = self._attributes(self._track, final=False)
        writer = await self.room.local_participant.stream_text(topic=_TOPIC, attributes=attributes)
        words = text.split(" ")
        samples = speech.samples
        told = 0
        for at in range(0, len(samples), 2 * _FRAME):
            due = 1 + (len(words) - 1) * at // len(samples)
            if told < due:
                await writer.write(" ".join(["", *words[told:due]]) if told else words[0])
                told = max(due, 1)
            frame = samples[at : at + 2 * _FRAME].ljust(2 * _FRAME, b"\0")
            await self._source.capture_frame(rtc.AudioFrame(frame, RATE, 1, _FRAME))
        await writer.write(" ".join(["", *words[told:]]))
        await writer.aclose(attributes={"lk.transcription_final": "true"})
        await self._source.wait_for_playout()
        await self.be("listening")

    def _speakers_changed(self, speakers: list[rtc.Participant]) -> None:
        self._speakers.put_nowait({one.identity for one in speakers})

    async def falls_silent(self, who: str) -> None:
        """Wait until somebody has spoken and is silent again."""
        while who not in await self._speakers.get():
            pass
        while who in await self._speakers.get():
            pass

    async def understand(self, who: str, guesses: list[str]) -> None:
        """Tell what somebody said: each guess replaces the one before, the last one stays."""
        (publication,) = self.room.remote_participants[who].track_publications.values()
        attributes = self._attributes(publication.sid, final=False)
        for number, guess in enumerate(guesses, 1):
            final = number == len(guesses)
            attributes["lk.transcription_final"] = "true" if final else "false"
            writer = await self.room.local_participant.stream_text(
                topic=_TOPIC, attributes=attributes, sender_identity=who
            )
            await writer.write(guess)
            await writer.aclose()

    def _attributes(self, track: str, *, final: bool) -> dict[str, str]:
        return {
            "lk.segment_id": f"SG_{uuid4().hex[:12]}",
            "lk.transcribed_track_id": track,
            "lk.transcription_final": "true" if final else "false",
        }
