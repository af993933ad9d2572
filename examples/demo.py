"""The demo: a program calls a phone with LiveKit's own SDKs, and both hear each other.

    make demo

It starts ``switchroom dev`` (the server and a simulated carrier, a process of its own), then does
what any program for LiveKit does: it joins a room with ``livekit`` and calls with ``livekit-api``.
The timeline is made of what each side reports: "agent" lines are the SDK's events and the sound it
received, "phone" lines come from the phone at the other end of the SIP trunk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from livekit import api, rtc
from rich.console import Console

ROOM = "demo"
SAMPLE_RATE = 48_000
AGENT_TONE_HZ = 440
AGENT_LEVEL_DBOV = -20.0
PHONE_TONE_HZ = 1000
LISTEN_SECONDS = 5.0

ANSWERS, HANGS_UP, BUSY = "+12025550100", "+12025550104", "+12025550111"

console = Console(highlight=False, soft_wrap=True)

# What the client remarks about streams that end together with their track is no news here.
logging.getLogger("livekit").setLevel(logging.ERROR)

# The key of `switchroom dev` is as short as that of `livekit-server --dev`.
warnings.filterwarnings("ignore", message="The HMAC key is")


# ── the server ───────────────────────────────────────────────────────────────


@dataclass
class Server:
    """`switchroom dev`, as a process; `phones` is a stream of what the simulated phones report."""

    ready: dict[str, Any]
    lines: asyncio.StreamReader

    async def phones(self) -> AsyncIterator[dict[str, Any]]:
        while line := await self.lines.readline():
            yield json.loads(line)


@contextlib.asynccontextmanager
async def running_server() -> AsyncIterator[Server]:
    """Start the server; stop it at the end, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="switchroom-demo-") as data:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("switchroom")),
            *("dev", "--json", "--data", data),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            first = await process.stdout.readline()
            if not first:
                raise SystemExit("the server did not start; its words are above")
            yield Server(json.loads(first), process.stdout)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


# ── what is shown ────────────────────────────────────────────────────────────


COLOURS = {"agent": "cyan", "phone": "green", "api": "magenta"}


class Timeline:
    """Prints one line an event, with the seconds since the call was asked for."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def restart(self, title: str) -> None:
        self._start = time.monotonic()
        console.print(f"\n[bold]{title}[/bold]\n")

    def seconds(self) -> float:
        return time.monotonic() - self._start

    def say(self, who: str, what: str) -> float:
        now = self.seconds()
        colour = COLOURS[who]
        console.print(f"  [dim]{now:6.2f} s[/dim]  [{colour}]{who:<6}[/{colour}] {what}")
        return now


@dataclass
class Sound:
    """A second of sound, as it is told: its level, and its tone if it is one."""

    level_dbov: float
    tone_hz: float | None

    def __str__(self) -> str:
        if self.level_dbov < -60:
            return "silence"
        what = f"a tone of {self.tone_hz:.0f} Hz" if self.tone_hz else "sound"
        return f"{what} at {self.level_dbov:.0f} dBov"


def judge(samples: np.ndarray[Any, np.dtype[np.int16]]) -> Sound:
    """The level of the samples, and the frequency that holds nearly all of their power, if any."""
    wave = samples.astype(np.float64) / 32_768
    power = float(np.mean(wave**2))
    level = 10 * np.log10(max(power, 1e-13))
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    peak = int(np.argmax(spectrum))
    share = spectrum[max(peak - 3, 0) : peak + 4].sum() / max(spectrum.sum(), 1e-12)
    pure = level > -60 and share > 0.9
    return Sound(level, peak * SAMPLE_RATE / len(wave) if pure else None)


# ── the agent's side ─────────────────────────────────────────────────────────


@dataclass
class Call:
    """What became of a call, seen from both ends."""

    number: str
    statuses: list[tuple[float, str]] = field(default_factory=list)
    agent_heard: Sound | None = None
    phone_heard: dict[str, Any] | None = None
    left: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    heard_tone: asyncio.Event = field(default_factory=asyncio.Event)


class Agent:
    """A participant like any agent: it publishes a tone and listens to whoever is there."""

    def __init__(self, timeline: Timeline) -> None:
        self.room = rtc.Room()
        self.call = Call("")
        self._timeline = timeline
        self._source = rtc.AudioSource(SAMPLE_RATE, 1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: dict[str, asyncio.Task[None]] = {}
        self.room.on("participant_connected", self._joined)
        self.room.on("participant_attributes_changed", self._attributes)
        self.room.on("participant_disconnected", self._left)
        self.room.on("track_subscribed", self._subscribed)
        self.room.on("track_unsubscribed", self._unsubscribed)

    async def join(self, url: str, token: str) -> None:
        await self.room.connect(url, token)
        track = rtc.LocalAudioTrack.create_audio_track("voice", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        self._start(self._speak())

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    def _start(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _speak(self) -> None:
        """A tone, for as long as the agent is there; the SDK paces it."""
        samples = SAMPLE_RATE // 50
        peak = 32_767 * np.sqrt(2) * 10 ** (AGENT_LEVEL_DBOV / 20)
        for frame_number in range(sys.maxsize):
            n = np.arange(samples) + frame_number * samples
            wave = (peak * np.sin(2 * np.pi * AGENT_TONE_HZ * n / SAMPLE_RATE)).astype(np.int16)
            await self._source.capture_frame(
                rtc.AudioFrame(wave.tobytes(), SAMPLE_RATE, 1, samples)
            )

    def _joined(self, participant: rtc.RemoteParticipant) -> None:
        status = participant.attributes.get("sip.callStatus", "")
        self._status(status, f"{participant.identity} has joined the room: ")

    def _attributes(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        if "sip.callStatus" in changed:
            self._status(changed["sip.callStatus"], "")

    def _status(self, status: str, before: str) -> None:
        seconds = self._timeline.say("agent", f"{before}sip.callStatus = [bold]{status}[/bold]")
        self.call.statuses.append((seconds, status))

    def _left(self, participant: rtc.RemoteParticipant) -> None:
        reason = participant.disconnect_reason
        self.call.left = rtc.DisconnectReason.Name(reason) if reason is not None else "?"
        self._timeline.say("agent", f"{participant.identity} has left: {self.call.left}")
        self.call.over.set()

    def _subscribed(
        self, track: rtc.Track, publication: Any, participant: rtc.RemoteParticipant
    ) -> None:
        self._listening[track.sid] = self._start(self._listen(track, self.call))

    def _unsubscribed(
        self, track: rtc.Track, publication: Any, participant: rtc.RemoteParticipant
    ) -> None:
        self._listening.pop(track.sid).cancel()

    async def _listen(self, track: rtc.Track, call: Call) -> None:
        """Judge what comes, half a second at a time; tell when it changes."""
        stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1)
        collected: list[np.ndarray[Any, np.dtype[np.int16]]] = []
        told = "silence"
        try:
            async for event in stream:
                collected.append(np.frombuffer(event.frame.data, dtype=np.int16))
                if sum(map(len, collected)) < SAMPLE_RATE // 2:
                    continue
                sound = judge(np.concatenate(collected))
                collected.clear()
                told = self._tell(call, sound, told)
        finally:
            await stream.aclose()

    def _tell(self, call: Call, sound: Sound, told: str) -> str:
        if sound.tone_hz is not None and abs(sound.tone_hz - PHONE_TONE_HZ) < 5:
            call.agent_heard = sound
            call.heard_tone.set()
        # A level that wanders by a decibel or a melody's next note is not news.
        kind = "tone" if sound.tone_hz else "silence" if sound.level_dbov < -60 else "sound"
        if kind != told:
            self._timeline.say("agent", f"hears {sound}")
        return kind


# ── the phone's side ─────────────────────────────────────────────────────────


async def report_phones(server: Server, timeline: Timeline, current: Callable[[], Call]) -> None:
    """Put what the phones report into the timeline."""
    async for event in server.phones():
        match event["event"]:
            case "called":
                timeline.say("phone", f"{event['number']} gets an INVITE from {event['caller']}")
            case "ringing":
                timeline.say("phone", "rings")
            case "answered":
                timeline.say("phone", f"is picked up, codec {event['codec']}")
            case "rejected":
                timeline.say("phone", f"refuses the call: {event['status']} {event['reason']}")
            case "plays":
                timeline.say("phone", f"plays {event['sound']}")
            case "hears":
                timeline.say("phone", f"hears {Sound(event['level_dbov'], event['tone_hz'])}")
            case "ended":
                current().phone_heard = event["heard"]
                timeline.say("phone", f"call over, ended by the {event['by']}: {event['reason']}")


# ── the demo ─────────────────────────────────────────────────────────────────


async def place(livekit: api.LiveKitAPI, trunk: str, number: str) -> api.SIPParticipantInfo:
    """Call a number, exactly as LiveKit's documentation does it."""
    return await livekit.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(
            sip_trunk_id=trunk,
            sip_call_to=number,
            room_name=ROOM,
            participant_identity="phone",
            participant_name="Ada",
            wait_until_answered=True,
        )
    )


async def talk(
    livekit: api.LiveKitAPI, trunk: str, agent: Agent, timeline: Timeline
) -> tuple[Call, Call, str]:
    """The three calls: one that we end, one that the phone ends, one that is refused."""
    first = agent.call = Call(ANSWERS)
    timeline.restart(f"1. Calling {ANSWERS}: Ada answers, and we talk")
    await place(livekit, trunk, ANSWERS)
    timeline.say("api", "create_sip_participant returns: answered")
    await asyncio.wait_for(first.heard_tone.wait(), 20)
    await asyncio.sleep(LISTEN_SECONDS)
    timeline.say("api", "remove_participant: we hang up")
    await livekit.room.remove_participant(api.RoomParticipantIdentity(room=ROOM, identity="phone"))
    await asyncio.wait_for(first.over.wait(), 10)

    second = agent.call = Call(HANGS_UP)
    timeline.restart(f"2. Calling {HANGS_UP}: a phone that hangs up first")
    await place(livekit, trunk, HANGS_UP)
    timeline.say("api", "create_sip_participant returns: answered")
    await asyncio.wait_for(second.over.wait(), 20)

    third = agent.call = Call(BUSY)
    timeline.restart(f"3. Calling {BUSY}: the line is busy")
    refusal = ""
    try:
        await place(livekit, trunk, BUSY)
    except api.TwirpError as error:
        code, status = error.metadata.get("sip_status_code"), error.metadata.get("sip_status")
        refusal = f"{error.code}, SIP {code} {status}"
        timeline.say("api", f"create_sip_participant raises {type(error).__name__}: {refusal}")
    await asyncio.wait_for(third.over.wait(), 10)
    return first, second, refusal


def summarise(first: Call, second: Call, refusal: str) -> bool:
    """The summary; whether everything was as it should be."""
    moments = {status: seconds for seconds, status in reversed(first.statuses)}
    phone, agent = first.phone_heard or {}, first.agent_heard
    heard_hz, heard_level = phone.get("tone_hz") or 0.0, phone.get("level_dbov", -127.0)
    rows = [
        (
            "status went dialing, ringing, active, hangup",
            [status for _, status in first.statuses] == ["dialing", "ringing", "active", "hangup"],
            ", ".join(f"{name} {at:.2f} s" for name, at in moments.items()),
        ),
        (
            f"the phone heard the agent's {AGENT_TONE_HZ} Hz",
            abs(heard_hz - AGENT_TONE_HZ) < 5 and abs(heard_level - AGENT_LEVEL_DBOV) < 1,
            f"{heard_hz:.0f} Hz at {heard_level:.1f} dBov (sent at {AGENT_LEVEL_DBOV:.0f})",
        ),
        (
            f"the agent heard the phone's {PHONE_TONE_HZ} Hz",
            agent is not None and abs(agent.level_dbov - -20.0) < 1,
            f"{agent.tone_hz:.0f} Hz at {agent.level_dbov:.1f} dBov (sent at -20)" if agent else "",
        ),
        ("we hung up", first.left == "PARTICIPANT_REMOVED", first.left),
        ("the phone hung up", second.left == "CLIENT_INITIATED", second.left),
        ("busy was told as busy", "486" in refusal, refusal),
    ]
    console.print("\n[bold]Summary[/bold]\n")
    for what, good, detail in rows:
        mark = "[green]✓[/green]" if good else "[red]✗[/red]"
        console.print(f"  {mark} {what}  [dim]{detail}[/dim]")
    return all(good for _, good, _ in rows)


async def main() -> int:
    console.print("[bold]Switchroom demo[/bold]: a program calls phones with LiveKit's own SDKs")
    timeline = Timeline()
    async with running_server() as server:
        ready = server.ready
        console.print(f"  server ready at {ready['ws_url']}, trunk {ready['trunk_id']}")
        agent = Agent(timeline)
        token = (
            api.AccessToken(ready["api_key"], ready["api_secret"])
            .with_identity("agent")
            .with_grants(api.VideoGrants(room_join=True, room=ROOM))
            .to_jwt()
        )
        phones = asyncio.create_task(report_phones(server, timeline, lambda: agent.call))
        await agent.join(ready["ws_url"], token)
        async with api.LiveKitAPI(ready["url"], ready["api_key"], ready["api_secret"]) as livekit:
            calls = await talk(livekit, ready["trunk_id"], agent, timeline)
            await agent.leave()
            await livekit.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        phones.cancel()
    good = summarise(*calls)
    console.print("\n  Yours to try: [bold]make dev[/bold], then call the numbers it shows.\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
