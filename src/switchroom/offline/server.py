"""The gateway: an HTTP server on this machine that stands in for cloud models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from switchroom.base.log import get_logger
from switchroom.offline import chat
from switchroom.offline.door import Door
from switchroom.offline.errors import BadRequest, GatewayFailed
from switchroom.offline.journal import Journal
from switchroom.offline.listening import Listener
from switchroom.offline.openai_audio import OpenAIAudio
from switchroom.offline.script import Script
from switchroom.offline.script_file import load_script
from switchroom.offline.speaking import Speaker
from switchroom.offline.stt_socket import SttSocket
from switchroom.offline.tts_socket import TtsSocket
from switchroom.offline.web import LARGEST_BODY, error_response
from switchroom.speech.errors import SpeechError

_log = get_logger("offline")

_MOST_REQUESTS = 256
"""Requests and sockets at a time; an agent in a call has three."""

_STOP_SECONDS = 2.0


class Gateway:
    """``async with Gateway(script) as gateway:`` serves while the block runs.

    ``script`` is a file or a script that was read. ``keys`` are the API keys whose agents may use
    it; without, anybody who reaches ``host`` may. ``port`` 0 takes any that is free. Making one
    raises ScriptError, entering it SpeechError and GatewayFailed. ``journal`` tells what happens.
    """

    def __init__(
        self,
        script: Script | Path | str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        self._script = script if isinstance(script, Script) else load_script(Path(script))
        self._host = host
        self._port = port
        self._door = Door(keys or {})
        self._open = 0
        self.journal = Journal()
        self._listener = Listener(self._script, self.journal)
        self._speaker = Speaker(self._script.voice, self.journal)
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port listened on; the one chosen by the system where 0 was asked for."""
        return self._port

    @property
    def inference_url(self) -> str:
        """For ``LIVEKIT_INFERENCE_URL``, and as the base URL of OpenAI's client."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/v1"

    @property
    def openai_url(self) -> str:
        """For ``OPENAI_BASE_URL``: the same."""
        return self.inference_url

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Load the recogniser and listen. Raises SpeechError and GatewayFailed."""
        try:
            await self._listener.start()
            await self._listen()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close every connection and end the recogniser."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        await self._speaker.aclose()
        await self._listener.stop()

    async def _listen(self) -> None:
        self._runner = web.AppRunner(
            self._application(),
            handle_signals=False,
            access_log=None,
            # A request whose client is gone is not answered to the end.
            handler_cancellation=True,
            shutdown_timeout=_STOP_SECONDS,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as failure:
            raise GatewayFailed(
                f"can't listen on {self._host}, port {self._port}: {failure.strerror}"
            ) from failure
        self._port = self._runner.addresses[0][1]

    def _application(self) -> web.Application:
        speaker = self._speaker
        talk = chat.Chat(self._script, speaker, self.journal)
        audio = OpenAIAudio(speaker, self._listener)
        application = web.Application(middlewares=[self._guard], client_max_size=LARGEST_BODY)
        application.add_routes(
            [
                web.post("/v1/chat/completions", talk.completions),
                web.get("/v1/models", chat.models),
                web.post("/v1/audio/speech", audio.speech),
                web.post("/v1/audio/transcriptions", audio.transcriptions),
                web.get("/v1/stt", SttSocket(self._listener, self._script.pause).serve),
                web.get("/v1/tts", TtsSocket(speaker).serve),
                # Agents fall back to the models in their own package.
                web.get("/v1/eot", _not_here),
                web.get("/v1/bargein", _not_here),
            ]
        )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self._door.refusal(request.headers.get("Authorization", ""))
        if refusal:
            return error_response(401, refusal, "authentication_error")
        if self._open >= _MOST_REQUESTS:
            return error_response(503, "too many requests at a time", "server_error")
        self._open += 1
        try:
            return await handler(request)
        except BadRequest as wrong:
            return error_response(400, str(wrong))
        except web.RequestPayloadError:
            return error_response(400, "the body is not packed as its headers say")
        except SpeechError as failure:
            _log.warning("could not speak", reason=str(failure))
            return error_response(500, str(failure), "server_error")
        except web.HTTPException as ended:
            return error_response(ended.status, ended.reason)
        finally:
            self._open -= 1


async def _not_here(_request: web.Request) -> web.Response:
    return error_response(404, "turns and interruptions are judged by the agent's own models here")
