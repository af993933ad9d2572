"""A conversation with a real AgentSession on local models, without a room: its ears and mouth are
streams of frames in real time. Arguments: files of samples (16 bit, 8 kHz), the caller's sentences.

Writes a JSON object a line: what happened, and when by the monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from livekit import rtc
from livekit.agents import (
    Agent,
    AgentSession,
    ConversationItemAddedEvent,
    RunContext,
    UserInputTranscribedEvent,
    function_tool,
    utils,
)
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities

RATE = 8000
FRAME = RATE // 50


def tell(event: str, **facts: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, "at": time.monotonic(), **facts}) + "\n")
    sys.stdout.flush()


async def until(moment: float) -> None:
    """Wait for a moment of the monotonic clock, which is the loop's."""
    loop = asyncio.get_running_loop()
    come = loop.create_future()
    loop.call_at(moment, come.set_result, None)
    await come


class Dentist(Agent):
    def __init__(self) -> None:
        super().__init__(
            instructions="You call for Bright Smile Dental. The patient's name is Maria Lopez."
        )

    async def on_enter(self) -> None:
        self.session.generate_reply(instructions="greet the patient")

    @function_tool
    async def confirm_appointment(self, context: RunContext[None], patient: str) -> str:
        """Confirm the appointment.

        Args:
            patient: who confirms
        """
        tell("tool", patient=patient)
        return "confirmed"


class Caller(AudioInput):
    """Sends a frame every 20 ms: a sentence when there is one, else silence."""

    def __init__(self) -> None:
        super().__init__(label="caller")
        self._frames: list[bytes] = []
        self._due = time.monotonic()

    def speak(self, samples: bytes) -> None:
        self._frames = [
            samples[at : at + 2 * FRAME].ljust(2 * FRAME, b"\0")
            for at in range(0, len(samples), 2 * FRAME)
        ]

    async def __anext__(self) -> rtc.AudioFrame:
        self._due += 0.02
        await until(self._due)
        if not self._frames:
            return rtc.AudioFrame(bytes(2 * FRAME), RATE, 1, FRAME)
        frame = self._frames.pop(0)
        if not self._frames:
            tell("caller ended")
        return rtc.AudioFrame(frame, RATE, 1, FRAME)


class Phone(AudioOutput):
    """Plays what the agent says in real time and says when it begins and ends."""

    def __init__(self) -> None:
        super().__init__(label="phone", capabilities=AudioOutputCapabilities(pause=False))
        self._seconds = 0.0
        self._begun = 0.0
        self.finished: asyncio.Queue[None] = asyncio.Queue()

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._seconds:
            self._begun = time.monotonic()
            tell("agent began")
            self.on_playback_started(created_at=time.time())
        self._seconds += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._seconds:
            left = self._begun + self._seconds - time.monotonic()
            asyncio.get_running_loop().call_later(max(0, left), self._end)

    def clear_buffer(self) -> None:
        self._end()

    def _end(self) -> None:
        if self._seconds:
            self.on_playback_finished(playback_position=self._seconds, interrupted=False)
            self._seconds = 0.0
            self.finished.put_nowait(None)


async def converse(sentences: list[bytes]) -> None:
    session = AgentSession[None](
        stt="deepgram/nova-3",
        llm="openai/gpt-4.1-mini",
        tts="cartesia/sonic-3:9626c31c-bec5-4cca-baa8-f8ba9e84c8bc",
        turn_handling={"turn_detection": "vad"},
    )
    caller, phone = Caller(), Phone()
    session.input.audio = caller
    session.output.audio = phone

    @session.on("user_input_transcribed")
    def _heard(event: UserInputTranscribedEvent) -> None:
        if event.is_final:
            tell("heard", text=event.transcript)

    @session.on("conversation_item_added")
    def _added(event: ConversationItemAddedEvent) -> None:
        if getattr(event.item, "role", "") == "assistant":
            tell("said", text=getattr(event.item, "text_content", ""))

    await session.start(Dentist())
    for sentence in sentences:
        await phone.finished.get()
        caller.speak(sentence)
    await phone.finished.get()
    await session.aclose()


async def main(sentences: list[bytes]) -> None:
    async with utils.http_context.open():
        await converse(sentences)


asyncio.run(main([Path(name).read_bytes() for name in sys.argv[1:]]))
