"""``/audio/speech`` and ``/audio/transcriptions``: OpenAI's speech endpoints."""

from __future__ import annotations

from aiohttp import BodyPartReader, web

from switchroom.offline.errors import BadRequest
from switchroom.offline.listening import Listener
from switchroom.offline.speaking import Speaker
from switchroom.offline.web import LARGEST_BODY, json_body
from switchroom.speech.errors import CannotHear
from switchroom.speech.pcm import from_wav

_RATE = 24_000
"""Samples a second of OpenAI's ``pcm``."""


class OpenAIAudio:
    """Speaks and listens, a whole file at a time."""

    def __init__(self, speaker: Speaker, listener: Listener) -> None:
        self._speaker = speaker
        self._listener = listener

    async def speech(self, request: web.Request) -> web.Response:
        """Text in, sound out: WAV, or raw samples at 24 kHz."""
        asked = await json_body(request)
        text, form = asked.get("input"), asked.get("response_format", "wav")
        if not isinstance(text, str):
            raise BadRequest("input must be the text to speak")
        if form not in ("wav", "pcm"):
            raise BadRequest(f"response_format {str(form)[:20]!r} is not made here; use wav or pcm")
        sound = await self._speaker.say(text, str(asked.get("voice", "")), _RATE)
        if form == "pcm":
            return web.Response(body=sound.samples, content_type="audio/pcm")
        return web.Response(body=sound.wav(), content_type="audio/wav")

    async def transcriptions(self, request: web.Request) -> web.Response:
        """A WAV file in, its words out."""
        if not request.content_type.startswith("multipart/"):
            raise BadRequest("a form (multipart/form-data) with a file is needed")
        file, form = b"", "json"
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise BadRequest("a form within a form is not read here")
            value = await part.read(decode=True)
            if len(value) > LARGEST_BODY:
                raise BadRequest(f"more than {LARGEST_BODY} bytes")
            if part.name == "file":
                file = bytes(value)
            elif part.name == "response_format":
                form = value.decode(errors="replace")
        try:
            text = await self._listener.understand(from_wav(file))
        except CannotHear as wrong:
            raise BadRequest(str(wrong)) from wrong
        if form == "text":
            return web.Response(text=text + "\n")
        return web.json_response({"text": text})
