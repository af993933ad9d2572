"""A Python client as a program: commands in on stdin, answers and events out on stdout.

It is a process so that any release of the `livekit` package can run it, from an environment of its
own. `clients.py` has the other end, and says what each command does; `javascript/client.mjs` is
the same program for Node.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import sys
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2

PUBLISH_RATE = 48_000
LISTEN_RATE = 16_000
LEVEL_DBOV = -20.0

Facts = dict[str, Any]
Say = Callable[..., None]
Handlers = dict[str, Callable[..., None]]


class Program:
    """One client. `say` is told its events."""

    def __init__(self, say: Say) -> None:
        self.room = rtc.Room()
        self._say = say
        self._tracks: dict[str, rtc.RemoteTrack] = {}
        self._voices: dict[str, _Voice] = {}
        self._reading: set[asyncio.Task[None]] = set()
        _report_events(self.room, self._tracks, say)

    @property
    def _me(self) -> rtc.LocalParticipant:
        return self.room.local_participant

    # ── coming and going ─────────────────────────────────────────────────────

    async def join(self, url: str, token: str, single: bool, automatic: bool) -> Facts:
        options = rtc.RoomOptions(single_peer_connection=single, auto_subscribe=automatic)
        await self.room.connect(url, token, options)
        return {"sid": self._me.sid}

    async def leave(self) -> None:
        self.hush()
        await self.room.disconnect()

    async def simulate(self, scenario: str) -> None:
        kind: Any = rtc.SimulateScenarioKind.Value(f"SIMULATE_{scenario.upper()}")
        await self.room.simulate_scenario(kind)

    # ── sound ────────────────────────────────────────────────────────────────

    async def publish(self, name: str, hz: int) -> str:
        source = rtc.AudioSource(PUBLISH_RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track(name, source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self._me.publish_track(track, options)
        self._voices[publication.sid] = _Voice(track, source, hz)
        return publication.sid

    async def unpublish(self, sid: str) -> None:
        self._voices.pop(sid).hush()
        await self._me.unpublish_track(sid)

    async def mute(self, sid: str, muted: bool) -> None:
        track = self._voices[sid].track
        track.mute() if muted else track.unmute()

    async def listen(self, sid: str, seconds: float) -> str:
        """What a track brings; less than so many seconds if it falls silent for good."""
        stream = rtc.AudioStream(self._tracks[sid], sample_rate=LISTEN_RATE, num_channels=1)
        heard = bytearray()
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * seconds + 1):
                async for event in stream:
                    heard += bytes(event.frame.data)
                    if len(heard) >= 2 * LISTEN_RATE * seconds:
                        break
        await stream.aclose()
        return base64.b64encode(heard).decode()

    def hush(self) -> None:
        """Stop every sine."""
        for voice in self._voices.values():
            voice.hush()

    async def subscribe(self, sid: str, wanted: bool) -> None:
        self._publication(sid).set_subscribed(wanted)

    async def enable(self, sid: str, enabled: bool) -> None:
        # The package has no method for it, the library inside it does.
        request = ffi_pb2.FfiRequest()
        handle = self._publication(sid)._ffi_handle.handle
        request.enable_remote_track_publication.track_publication_handle = handle
        request.enable_remote_track_publication.enabled = enabled
        FfiClient.instance.request(request)

    async def admit(self, everybody: bool, permitted: dict[str, list[str]]) -> None:
        permissions = [
            rtc.ParticipantTrackPermission(participant_identity=identity, allowed_track_sids=sids)
            for identity, sids in permitted.items()
        ]
        self._me.set_track_subscription_permissions(
            allow_all_participants=everybody, participant_permissions=permissions
        )

    # ── messages ─────────────────────────────────────────────────────────────

    async def send(self, payload: str, reliable: bool, topic: str, to: list[str]) -> None:
        await self._me.publish_data(
            base64.b64decode(payload), reliable=reliable, topic=topic, destination_identities=to
        )

    async def flood(self, size: int, reliable: bool) -> None:
        """Send as fast as the package takes it, until the connection is lost."""
        lost = asyncio.Event()
        for name in ("reconnecting", "disconnected"):
            self.room.on(name, lambda *_: lost.set())
        payload = bytes(size)
        while not lost.is_set():
            messages = (self._me.publish_data(payload, reliable=reliable) for _ in range(200))
            await asyncio.gather(*messages, return_exceptions=True)

    async def send_text(self, text: str, topic: str, attributes: Facts, to: list[str]) -> None:
        await self._me.send_text(
            text, topic=topic, attributes=attributes, destination_identities=to
        )

    async def send_bytes(self, payload: str, topic: str, name: str, to: list[str]) -> None:
        content = base64.b64decode(payload)
        writer = await self._me.stream_bytes(
            name, topic=topic, destination_identities=to, total_size=len(content)
        )
        await writer.write(content)
        await writer.aclose()

    async def read(self, topic: str) -> None:
        self.room.register_text_stream_handler(topic, self._reader("text"))
        self.room.register_byte_stream_handler(topic, self._reader("bytes"))

    def _reader(self, kind: str) -> Callable[[Any, str], None]:
        async def read(reader: Any, sender: str) -> None:
            if kind == "text":
                content = await reader.read_all()
            else:
                content = base64.b64encode(b"".join([chunk async for chunk in reader])).decode()
            info = reader.info
            attributes = dict(info.attributes or {})
            self._say(
                event=kind, who=sender, topic=info.topic, content=content, attributes=attributes
            )

        def begin(reader: Any, sender: str) -> None:
            task = asyncio.ensure_future(read(reader, sender))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)

        return begin

    async def transcribe(self, identity: str, sid: str, text: str) -> None:
        segment = rtc.TranscriptionSegment(
            id="SG_1", text=text, start_time=0, end_time=0, final=True, language="en"
        )
        await self._me.publish_transcription(
            rtc.Transcription(participant_identity=identity, track_sid=sid, segments=[segment])
        )

    async def press(self, code: int, digit: str) -> None:
        await self._me.publish_dtmf(code=code, digit=digit)

    async def serve(self, method: str) -> None:
        async def answer(call: rtc.RpcInvocationData) -> str:
            if call.payload == "fail":
                raise rtc.RpcError(2000, "as you wish", "data")
            return f"{call.caller_identity}:{call.payload[::-1]}"

        self._me.register_rpc_method(method, answer)

    async def call(self, to: str, method: str, payload: str, patience: float) -> Facts:
        try:
            answer = await self._me.perform_rpc(
                destination_identity=to, method=method, payload=payload, response_timeout=patience
            )
        except rtc.RpcError as failure:
            return {"code": int(failure.code), "message": failure.message, "data": failure.data}
        return {"answer": answer}

    # ── facts ────────────────────────────────────────────────────────────────

    async def describe(self, **facts: Any) -> None:
        if "attributes" in facts:
            await self._me.set_attributes(facts["attributes"])
        if "metadata" in facts:
            await self._me.set_metadata(facts["metadata"])
        if "name" in facts:
            await self._me.set_name(facts["name"])

    async def look(self) -> Facts:
        return {
            person.identity: {
                "sid": person.sid,
                "name": person.name,
                "metadata": person.metadata,
                "attributes": dict(person.attributes),
                "is_phone": person.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
                "tracks": {
                    p.sid: {"name": p.name, "muted": p.muted, "subscribed": p.subscribed}
                    for p in person.track_publications.values()
                },
            }
            for person in self.room.remote_participants.values()
        }

    def _publication(self, sid: str) -> rtc.RemoteTrackPublication:
        for person in self.room.remote_participants.values():
            if sid in person.track_publications:
                return person.track_publications[sid]
        raise LookupError(sid)


class _Voice:
    """A track that plays a sine from the beginning on."""

    def __init__(self, track: rtc.LocalAudioTrack, source: rtc.AudioSource, hz: int) -> None:
        self.track = track
        self._source = source
        self._speaking = asyncio.create_task(_speak(source, hz))

    def hush(self) -> None:
        """Nothing more is played. The library may crash when a connection is closed that is fed."""
        self._speaking.cancel()
        self._source.clear_queue()


async def _speak(source: rtc.AudioSource, hz: int) -> None:
    """A sine, paced by the SDK."""
    peak = 32_767 * math.sqrt(2) * 10 ** (LEVEL_DBOV / 20)
    turn = 2 * math.pi * hz / PUBLISH_RATE
    second = array("h", (round(peak * math.sin(turn * n)) for n in range(PUBLISH_RATE)))
    size = PUBLISH_RATE // 50
    frames = [second[at : at + size].tobytes() for at in range(0, PUBLISH_RATE, size)]
    while True:
        for frame in frames:
            await source.capture_frame(rtc.AudioFrame(frame, PUBLISH_RATE, 1, size))


def _report_events(room: rtc.Room, tracks: dict[str, rtc.RemoteTrack], say: Say) -> None:
    """Each event as a line, named alike in all clients, with the facts that tests look at."""
    handlers = _of_tracks(say, tracks) | _of_people(say) | _of_messages(say) | _of_the_link(say)
    for name, handler in handlers.items():
        room.on(name, handler)  # type: ignore[arg-type]


def _of_tracks(say: Say, tracks: dict[str, rtc.RemoteTrack]) -> Handlers:
    def came(track: rtc.RemoteTrack, publication: Any, person: Any) -> None:
        tracks[publication.sid] = track
        say(event="heard", sid=publication.sid, name=publication.name, who=person.identity)

    return {
        "track_subscribed": came,
        "track_unsubscribed": lambda _, t, p: say(event="unheard", sid=t.sid, who=p.identity),
        "track_published": lambda t, p: say(event="published", sid=t.sid, who=p.identity),
        "track_unpublished": lambda t, p: say(event="unpublished", sid=t.sid, who=p.identity),
        "local_track_unpublished": lambda t: say(event="withdrawn", sid=t.sid),
        "local_track_subscribed": lambda t: say(event="wanted", sid=t.sid),
        "track_muted": lambda p, t: say(event="muted", sid=t.sid, who=p.identity),
        "track_unmuted": lambda p, t: say(event="unmuted", sid=t.sid, who=p.identity),
        "active_speakers_changed": lambda speakers: say(
            event="speakers", who=[s.identity for s in speakers]
        ),
    }


def _of_people(say: Say) -> Handlers:
    def permitted(person: Any, permission: Any) -> None:
        say(
            event="permissions",
            who=person.identity,
            publish=permission.can_publish,
            subscribe=permission.can_subscribe,
            data=permission.can_publish_data,
            metadata=permission.can_update_metadata,
        )

    return {
        "participant_permissions_changed": permitted,
        "participant_connected": lambda p: say(event="came", who=p.identity),
        "participant_disconnected": lambda p: say(
            event="left", who=p.identity, reason=int(p.disconnect_reason or 0)
        ),
        "participant_attributes_changed": lambda changed, p: say(
            event="attributes", changed=dict(changed), who=p.identity
        ),
        "participant_metadata_changed": lambda p, _, new: say(
            event="metadata", now=new, who=p.identity
        ),
        "participant_name_changed": lambda p, _, new: say(event="name", now=new, who=p.identity),
        "connection_quality_changed": lambda p, quality: say(
            event="quality", who=p.identity, now=int(quality)
        ),
    }


def _of_messages(say: Say) -> Handlers:
    def told(packet: rtc.DataPacket) -> None:
        say(
            event="data",
            payload=base64.b64encode(packet.data).decode(),
            topic=packet.topic or "",
            who=packet.participant.identity if packet.participant else "",
            reliable=packet.kind == rtc.DataPacketKind.KIND_RELIABLE,
        )

    return {
        "data_received": told,
        "sip_dtmf_received": lambda d: say(
            event="digit", digit=d.digit, code=d.code, who=d.participant.identity
        ),
        "transcription_received": lambda segments, person, _: say(
            event="transcription",
            texts=[segment.text for segment in segments],
            who=person.identity if person else "",
        ),
    }


def _of_the_link(say: Say) -> Handlers:
    return {
        "room_metadata_changed": lambda _, new: say(event="room_metadata", now=new),
        "token_refreshed": lambda: say(event="token"),
        "reconnecting": lambda: say(event="reconnecting"),
        "reconnected": lambda: say(event="reconnected"),
        "disconnected": lambda reason: say(event="disconnected", reason=int(reason)),
    }


def _write(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def _perform(program: Program, command: Facts) -> None:
    number, name = command.pop("id"), command.pop("do")
    try:
        result = await getattr(program, name)(**command)
    except Exception as failure:  # noqa: BLE001 - the test is told, and judges
        _write(id=number, error=f"{type(failure).__name__}: {failure}")
    else:
        _write(id=number, ok=result)


async def main() -> None:
    reader = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    program, running = Program(_write), set()
    _write(event="ready", version=rtc.__version__)
    while line := await reader.readline():
        task = asyncio.ensure_future(_perform(program, json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)


if __name__ == "__main__":
    asyncio.run(main())
