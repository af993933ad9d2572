"""``/audio/speech`` and ``/audio/transcriptions``: OpenAI's speech endpoints."""

from __future__ import annotations

import asyncio

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from switchroom.offline.errors import BadRequest, shown
from switchroom.offline.listening import Listener
from switchroom.offline.speaking import Speaker
from switchroom.offline.web import json_body, name_of
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
        text, voice = asked.get("input"), name_of(asked, "voice")
        form = asked.get("response_format", "wav")
        if not isinstance(text, str):
            raise BadRequest("input must be the text to speak")
        if form not in ("wav", "pcm"):
            raise BadRequest(f"response_format {shown(form)} is not made here; use wav or pcm")
        sound = await self._speaker.say(text, voice, _RATE)
        if form == "pcm":
            return web.Response(body=sound.samples, content_type="audio/pcm")
        return web.Response(body=sound.wav(), content_type="audio/wav")

    async def transcriptions(self, request: web.Request) -> web.Response:
        """A WAV file in, its words out."""
        fields = await _form(request)
        form = fields.get("response_format", b"json").decode(errors="replace")
        try:
            # Of several channels one is taken out sample by sample: not where calls are served.
            sound = await asyncio.to_thread(from_wav, fields.get("file", b""))
        except CannotHear as wrong:
            raise BadRequest(str(wrong)) from wrong
        text = await self._listener.understand(sound)
        if form == "text":
            return web.Response(text=text + "\n")
        return web.json_response({"text": text})


async def _form(request: web.Request) -> dict[str, bytes]:
    """The fields of a form that are used here. Raises BadRequest, and 413 for a part too large."""
    if not request.content_type.startswith("multipart/"):
        raise BadRequest("a form (multipart/form-data) with a file is needed")
    fields: dict[str, bytes] = {}
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise BadRequest("a form within a form is not read here")
            value = await part.read(decode=True)
            if part.name in ("file", "response_format"):
                fields[part.name] = bytes(value)
    # aiohttp says it in all of these ways, and in an answer of its own that is not for JSON.
    except (ValueError, RuntimeError, HttpProcessingError) as error:
        raise BadRequest(f"this is no form that can be read: {shown(str(error))}") from error
    return fields
