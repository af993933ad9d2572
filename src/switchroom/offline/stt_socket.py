"""``/stt``: speech to text over a WebSocket, as livekit-agents speaks it.

In: ``session.create`` (rate and encoding), ``input_audio`` (base64), ``session.finalize`` (the
utterance is over), ``session.update``, ``session.close``. Out: ``session.created``,
``start_of_speech``, ``final_transcript``, ``session.finalized``, ``error``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from typing import Any

from aiohttp import web

from switchroom.base.ids import new_id
from switchroom.offline.errors import BadRequest, shown
from switchroom.offline.journal import JOB_HEADER
from switchroom.offline.listening import Listener
from switchroom.offline.web import next_message, open_socket, rate_of
from switchroom.speech.endpoint import Endpointer, EndpointSettings, SpeechEnded, SpeechStarted

_MOST_WAITING = 8
"""Utterances of one session that wait to be understood; a client that sends faster is slowed."""


class SttSocket:
    """One endpoint for all sessions."""

    def __init__(self, listener: Listener, pause: float) -> None:
        self._listener = listener
        self._pause = pause

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one session until its client closes or breaks the rules."""
        socket = await open_socket(request)
        job = request.headers.get(JOB_HEADER, "")
        session = _Session(socket, self._listener, self._pause, job)
        try:
            await session.run()
        except BadRequest as wrong:
            with contextlib.suppress(ConnectionError):
                await socket.send_json({"type": "error", "message": str(wrong), "code": 400})
        except ConnectionError:
            pass  # it left in the middle of an answer
        finally:
            await session.aclose()
            await socket.close()
        return socket


class _Session:
    def __init__(
        self, socket: web.WebSocketResponse, listener: Listener, pause: float, job: str
    ) -> None:
        self._socket = socket
        self._job = job
        self._listener = listener
        self._pause = pause
        self._id = new_id("STT_")
        self._rate = 0
        self._ears: Endpointer | None = None
        self._utterances: asyncio.Queue[SpeechEnded | None] = asyncio.Queue(_MOST_WAITING)
        self._understanding = asyncio.create_task(self._understand(), name="stt session")

    async def run(self) -> None:
        """Take messages until there are no more."""
        while (message := await next_message(self._socket)) is not None:
            if message.get("type") == "session.close":
                # No session.closed in return: the agents of 1.9.0 for Node have closed their
                # queue by now, and a message more ends their whole process.
                return
            await self._take(message)

    async def aclose(self) -> None:
        """Stop understanding; nobody would hear of it."""
        self._understanding.cancel()
        await asyncio.gather(self._understanding, return_exceptions=True)

    async def _take(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "session.create":
                await self._create(message.get("settings"))
            case "session.update":
                pass  # models and their hints are all the same here
            case "input_audio":
                ears = self._require_ears()
                await self._tell(ears.feed(_audio(message.get("audio"))))
            case "session.finalize":
                await self._tell(self._require_ears().finish())
                await self._utterances.put(None)
            case other:
                raise BadRequest(f"a message of type {shown(other)} is not known here")

    async def _create(self, settings: Any) -> None:
        if settings is not None and not isinstance(settings, dict):
            raise BadRequest("settings is not an object")
        self._rate = rate_of(settings or {}, 16_000)
        self._ears = Endpointer(self._rate, EndpointSettings(silence=self._pause))
        await self._socket.send_json(self._event("session.created"))

    def _require_ears(self) -> Endpointer:
        if self._ears is None:
            raise BadRequest("the first message must be session.create")
        return self._ears

    async def _tell(self, news: list[SpeechStarted | SpeechEnded]) -> None:
        for piece in news:
            if isinstance(piece, SpeechEnded):
                await self._utterances.put(piece)
            else:
                await self._socket.send_json(self._event("start_of_speech"))

    async def _understand(self) -> None:
        """Utterances one after the other, so that transcripts keep their order."""
        with contextlib.suppress(ConnectionError):
            while True:
                utterance = await self._utterances.get()
                if utterance is None:
                    await self._socket.send_json(self._event("session.finalized"))
                    continue
                text = await self._listener.understand(utterance.sound, self._job)
                await self._socket.send_json(
                    self._event("final_transcript")
                    | {
                        "transcript": text,
                        "language": "en",
                        "start": utterance.start / self._rate,
                        "duration": (utterance.end - utterance.start) / self._rate,
                        "confidence": 1.0,
                    }
                )

    def _event(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "session_id": self._id, "request_id": self._id}


def _audio(encoded: Any) -> bytes:
    if not isinstance(encoded, str):
        raise BadRequest("input_audio has its samples in base64 as audio")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"audio is not base64: {error}") from error
