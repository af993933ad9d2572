"""``/tts``: text to speech over a WebSocket, as livekit-agents speaks it.

In: ``session.create`` (rate, encoding, voice), then for each answer ``input_transcript`` by the
sentence and ``session.flush``. Out: ``session.created``, ``output_audio`` (base64) as soon as a
sentence is made, ``done`` when all of them are sent, ``error``. A connection is used again for the
next answer, so every message names the session.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import Any

from aiohttp import web

from switchroom.base.ids import new_id
from switchroom.offline.errors import BadRequest, shown
from switchroom.offline.journal import JOB_HEADER
from switchroom.offline.speaking import Speaker
from switchroom.offline.web import name_of, next_message, open_socket, rate_of
from switchroom.speech.errors import SpeechError
from switchroom.speech.pcm import SAMPLE_BYTES

_PIECE_SECONDS = 0.2
_MOST_WAITING = 64
"""Sentences of one session that wait to be spoken; a client that sends faster is slowed."""


class TtsSocket:
    """One endpoint for all sessions."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until its client closes or breaks the rules."""
        socket = await open_socket(request)
        session = _Session(socket, self._speaker, request.headers.get(JOB_HEADER, ""))
        try:
            await session.run()
        except BadRequest as wrong:
            with contextlib.suppress(ConnectionError):
                await socket.send_json({"type": "error", "message": str(wrong), "code": 400})
        except ConnectionError:
            pass  # an interrupted answer: the client closed before it was sent
        finally:
            await session.aclose()
            await socket.close()
        return socket


class _Session:
    def __init__(self, socket: web.WebSocketResponse, speaker: Speaker, job: str) -> None:
        self._job = job
        self._socket = socket
        self._speaker = speaker
        self._id = new_id("TTS_")
        self._rate = 0
        self._voice = ""
        # None: all sentences of an answer are given.
        self._sentences: asyncio.Queue[str | None] = asyncio.Queue(_MOST_WAITING)
        self._speaking = asyncio.create_task(self._speak(), name="tts session")

    async def run(self) -> None:
        """Take messages until there are no more."""
        while (message := await next_message(self._socket)) is not None:
            await self._take(message)

    async def aclose(self) -> None:
        """Say no more."""
        self._speaking.cancel()
        await asyncio.gather(self._speaking, return_exceptions=True)

    async def _take(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "session.create":
                await self._create(message)
            case "input_transcript":
                self._require_session()
                text = message.get("transcript")
                if not isinstance(text, str):
                    raise BadRequest("input_transcript has its text as transcript")
                await self._sentences.put(text)
            case "session.flush":
                self._require_session()
                await self._sentences.put(None)
            case "session.update" | "session.close":
                pass
            case other:
                raise BadRequest(f"a message of type {shown(other)} is not known here")

    async def _create(self, message: dict[str, Any]) -> None:
        self._rate = rate_of(message, 24_000)
        self._voice = name_of(message, "voice")
        await self._socket.send_json(self._event("session.created"))

    def _require_session(self) -> None:
        if not self._rate:
            raise BadRequest("the first message must be session.create")

    async def _speak(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                sentence = await self._sentences.get()
                if sentence is None:
                    await self._socket.send_json(self._event("done"))
                    continue
                try:
                    await self._say(sentence)
                except SpeechError as failure:
                    await self._socket.send_json(
                        self._event("error") | {"message": str(failure), "code": 500}
                    )

    async def _say(self, text: str) -> None:
        size = SAMPLE_BYTES * round(self._rate * _PIECE_SECONDS)
        async for sound in self._speaker.sentences(text, self._voice, self._rate, self._job):
            for start in range(0, len(sound.samples), size):
                piece = base64.b64encode(sound.samples[start : start + size]).decode()
                await self._socket.send_json(self._event("output_audio") | {"audio": piece})

    def _event(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "session_id": self._id}
