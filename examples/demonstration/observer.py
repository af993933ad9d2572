"""A hidden participant that reads what the agent tells the room: transcripts and tool calls.

Anybody in the room can do this with LiveKit's own SDK; the agent does not know that it is watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from livekit import api, rtc
from livekit.protocol import agent_pb

from demonstration.journal import Journal, Said, ToolCall
from demonstration.timeline import Timeline

TRANSCRIPTS = "lk.transcription"
SESSION_EVENTS = "lk.agent.session"


class Observer:
    """Watches one room and writes what happens into the journal and the timeline."""

    def __init__(self, journal: Journal, timeline: Timeline) -> None:
        self.room = rtc.Room()
        self._journal = journal
        self._timeline = timeline
        self._reading: set[asyncio.Task[None]] = set()
        self._in_order = asyncio.Lock()
        self.room.on("participant_connected", self._joined)
        self.room.on("participant_disconnected", self._left)
        self.room.on("participant_attributes_changed", self._attributes)
        self.room.on("disconnected", self._closed)
        self.room.register_text_stream_handler(TRANSCRIPTS, self._transcript)
        self.room.register_byte_stream_handler(SESSION_EVENTS, self._session_event)

    def _joined(self, participant: rtc.RemoteParticipant) -> None:
        if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            self._journal.agent_joined = True
            self._timeline.note("agent", "joins the room")
        self._status(participant.attributes)
        self._journal.news.set()

    def _left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            self._journal.agent_left = True
            self._timeline.note("agent", "has left the room")
        self._journal.news.set()

    def _attributes(self, changed: dict[str, str], _participant: rtc.Participant) -> None:
        self._status(changed)

    def _status(self, attributes: dict[str, str]) -> None:
        status = attributes.get("sip.callStatus")
        if status:
            self._journal.statuses.append(status)
            self._journal.news.set()

    def _closed(self, reason: rtc.DisconnectReason.ValueType) -> None:
        self._journal.room_closed = rtc.DisconnectReason.Name(reason)
        self._journal.news.set()

    # ── streams ──────────────────────────────────────────────────────────────

    def _transcript(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self._read(self._read_transcript(reader, identity, time.time()))

    def _session_event(self, reader: rtc.ByteStreamReader, _identity: str) -> None:
        self._read(self._read_session_event(reader))

    def _read(self, reading: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(reading)
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read_transcript(
        self, reader: rtc.TextStreamReader, identity: str, began: float
    ) -> None:
        chunks: list[str] = []
        # The agent's last words may be told by a stream that ends with the room.
        with contextlib.suppress(rtc.StreamError):
            async for chunk in reader:
                chunks.append(chunk)  # noqa: PERF401 – what came before an error counts
        text = "".join(chunks).strip()
        if not text:
            return
        said = Said(text, began)
        if self._is_agent(identity):
            self._journal.agent_said.append(said)
            self._timeline.speech("agent", text, at=began)
        elif (reader.info.attributes or {}).get("lk.transcription_final") == "true":
            self._journal.agent_heard.append(said)
        self._journal.news.set()

    def _is_agent(self, identity: str) -> bool:
        return identity.startswith("agent-")

    async def _read_session_event(self, reader: rtc.ByteStreamReader) -> None:
        # One after the other: what was heard comes before the tool that it made the model call.
        async with self._in_order:
            try:
                data = b"".join([chunk async for chunk in reader])
            except rtc.StreamError:
                return  # the room has ended in the middle of it
            event = agent_pb.agent_session.AgentSessionMessage.FromString(data).event
            if event.user_input_transcribed.is_final:
                self._timeline.understood("agent", event.user_input_transcribed.transcript)
            if event.tool_execution_updated.HasField("started"):
                self._tool(event.tool_execution_updated.started.function_call)

    def _tool(self, called: agent_pb.agent_session.FunctionCall) -> None:
        tool = ToolCall(called.name, json.loads(called.arguments or "{}"))
        self._journal.tools.append(tool)
        self._timeline.tool(tool)
        self._journal.news.set()


@contextlib.asynccontextmanager
async def observing(
    url: str, key: str, secret: str, journal: Journal, timeline: Timeline
) -> AsyncIterator[None]:
    """Be in the room, unseen, while the block runs."""
    grants = api.VideoGrants(
        room_join=True, room=journal.room, hidden=True, can_publish=False, can_publish_data=False
    )
    token = api.AccessToken(key, secret).with_identity("observer").with_grants(grants).to_jwt()
    observer = Observer(journal, timeline)
    await observer.room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
    try:
        yield
    finally:
        await observer.room.disconnect()
