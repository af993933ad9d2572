"""The engine: opens everything, carries commands in and events out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from switchroom.base.log import get_logger
from switchroom.base.records import record

from . import _engine
from .errors import (
    EngineError,
    EngineFailed,
    EngineStopped,
    InvalidCommand,
    PeerError,
    engine_error,
)
from .events import LegEvent, PeerEvent, PlayerEvent
from .graph import Handler, Sink, Source
from .leg import Leg
from .peer import Peer, PeerKind
from .player import Player, Tone, WavFile
from .stats import EngineStats, engine_stats

_log = get_logger("media")


@record
class EngineConfig:
    """What the engine is told once."""

    rtc_addresses: tuple[str, ...]
    """IP addresses with one WebRTC socket each; clients are told all of them."""
    rtc_port: int
    """UDP port of those sockets; 0: the system chooses."""
    rtp_port_range: tuple[int, int]
    """First and last UDP port for phones."""
    advertised: Mapping[str, str] = field(default_factory=dict)
    """What clients are told in place of an address of `rtc_addresses`: the public one, where a 1:1
    NAT lies between."""

    def told(self) -> list[tuple[str, str]]:
        """Each address of the WebRTC sockets, with the one that clients are told."""
        return [(ip, self.advertised.get(ip, ip)) for ip in self.rtc_addresses]


class Engine:
    """One media thread. Use it within one event loop.

    Commands take effect in order, soon after the current callback returns. Those about things that
    have ended meanwhile have no effect.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._ids = itertools.count(1)
        self._native: _engine.Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: list[tuple[Any, ...]] = []
        self._handlers: dict[int, Handler] = {}
        self._requests: dict[int, asyncio.Future[Any]] = {}
        self._failed: str | None = None

    @property
    def rtc_addresses(self) -> tuple[tuple[str, int], ...]:
        """Where the WebRTC sockets are bound. Raises :class:`EngineStopped`."""
        return tuple(self._running().rtc_addresses)

    @property
    def failed(self) -> bool:
        """Whether the media thread has ended by a fault. It does not come back."""
        return self._failed is not None

    async def start(self) -> None:
        """Open the WebRTC sockets and start the thread. Raises :class:`EngineError`."""
        config = self._config
        try:
            native = _engine.Engine(config.told(), config.rtc_port, config.rtp_port_range)
        except _engine.EngineFault as fault:
            raise engine_error(fault) from None
        self._native = native
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(native.fd, self._read)

    async def stop(self) -> None:
        """Close everything, with good-byes, and wait until the thread has ended."""
        native, loop = self._native, self._loop
        if native is None or loop is None:
            return
        self._flush()
        self._native = None
        loop.remove_reader(native.fd)
        self._handlers.clear()
        self._refuse_requests(EngineStopped("the media engine was stopped"))
        await loop.run_in_executor(None, native.stop)

    async def open_peer(self, kind: PeerKind, on_event: Callable[[PeerEvent], None]) -> Peer:
        """A new WebRTC connection, to be negotiated. Raises :class:`EngineStopped`."""
        self._running()
        peer = Peer(
            next(self._ids),
            send=self._send,
            request=self._request,
            next_id=self._ids.__next__,
            on_event=on_event,
            on_close=self._forget,
        )
        self._handlers[peer.id] = peer.handle
        self._send("open_peer", peer.id, kind.value)
        return peer

    def open_leg(self, local_ip: str, on_event: Callable[[LegEvent], None]) -> Leg:
        """A phone's RTP ports on ``local_ip``, bound when this returns.

        Raises :class:`NoPortAvailable`, :class:`BadAddress` or :class:`EngineStopped`.
        """
        leg, source, sink = next(self._ids), Source(next(self._ids)), next(self._ids)
        try:
            port = self._running().open_leg(leg, source.id, sink, local_ip)
        except _engine.EngineFault as fault:
            raise engine_error(fault) from None
        opened = Leg(
            leg,
            source,
            Sink(sink, self._send),
            (local_ip, port),
            send=self._send,
            request=self._request,
            on_event=on_event,
            on_close=self._forget,
        )
        self._handlers[leg] = opened.handle
        return opened

    def play(
        self, what: Tone | WavFile, on_event: Callable[[PlayerEvent], None] | None = None
    ) -> Player:
        """A tone or a file, playing from now on.

        Raises :class:`PlayerError` for what cannot be played, :class:`EngineStopped`.
        """
        player = Player(
            next(self._ids),
            Source(next(self._ids)),
            send=self._send,
            on_event=on_event,
            on_close=self._forget,
        )
        try:
            match what:
                case Tone(segments, level, repeat):
                    parts = [(list(frequencies), seconds) for frequencies, seconds in segments]
                    self._running().play_tone(player.id, player.source.id, parts, level, repeat)
                case WavFile(path, repeat):
                    self._running().play_file(player.id, player.source.id, str(path), repeat)
        except _engine.EngineFault as fault:
            raise engine_error(fault) from None
        self._handlers[player.id] = player.handle
        return player

    async def stats(self) -> EngineStats:
        """What is open, and all counters. Raises :class:`EngineStopped`."""
        return engine_stats(await self._request("stats"))

    # ── commands ─────────────────────────────────────────────────────────────

    def _running(self) -> _engine.Engine:
        if self._failed is not None:
            raise EngineFailed(self._failed)
        if self._native is None:
            raise EngineStopped("the media engine is not running")
        return self._native

    def _send(self, *command: object) -> None:
        """Queue a command. After the end there is nobody to tell, and nothing left to change."""
        if self._native is None or self._loop is None:
            return
        if not self._queue:
            self._loop.call_soon(self._flush)
        self._queue.append(command)

    def _request(self, name: str, *arguments: object) -> asyncio.Future[Any]:
        """Queue a command that is answered, at once and not only when the answer is awaited.

        A refusal comes as the answer, so that who asks goes on: there may be a leg to be closed.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self._running()
        except EngineStopped as stopped:
            answer.set_exception(stopped)
            return answer
        request = next(self._ids)
        self._requests[request] = answer
        self._send(name, request, *arguments)
        return answer

    def _flush(self) -> None:
        queue, self._queue = self._queue, []
        if self._native is not None and queue:
            self._submit(self._native, queue)

    def _submit(self, native: _engine.Engine, queue: list[tuple[Any, ...]]) -> None:
        try:
            native.submit(queue)
        except Exception as fault:  # noqa: BLE001 - also what Python's values are refused with
            error = _refusal(fault)
            if len(queue) > 1 and not isinstance(error, EngineStopped):
                # None was taken, for one that can't be read; the others are other people's.
                for command in queue:
                    self._submit(native, [command])
                return
            _log.error("media commands refused", commands=len(queue), error=str(error))
            for command in queue:
                self._refuse_request(command[1], error)

    def _forget(self, handle: int) -> None:
        self._handlers.pop(handle, None)

    # ── events ───────────────────────────────────────────────────────────────

    def _read(self) -> None:
        if self._native is None:
            return
        for news in self._native.drain():
            try:
                self._dispatch(news)
            except Exception:  # noqa: BLE001 - one listener's fault must not deafen the others
                _log.exception("media event handler failed", kind=news[0])

    def _dispatch(self, news: tuple[Any, ...]) -> None:
        handler = self._handlers.get(news[1])
        if handler is not None:
            handler(news)
            return
        match news:
            case ("answer", request, answer):
                asked = self._take_request(request)
                if asked is not None:
                    asked.set_result(answer)
            case ("refusal", request, reason):
                self._refuse_request(request, PeerError(reason))
            case ("engine_failed", _, reason):
                self._fail(reason)

    def _fail(self, reason: str) -> None:
        _log.critical("the media engine has failed", reason=reason)
        self._failed = reason
        self._refuse_requests(EngineFailed(reason))

    def _refuse_requests(self, error: EngineError) -> None:
        for request in tuple(self._requests):
            self._refuse_request(request, error)

    def _refuse_request(self, request: int, error: EngineError) -> None:
        asked = self._take_request(request)
        if asked is not None:
            asked.set_exception(error)

    def _take_request(self, request: int) -> asyncio.Future[Any] | None:
        """Who waits for an answer, if anybody still does."""
        asked = self._requests.pop(request, None)
        return asked if asked is not None and not asked.done() else None


def _refusal(fault: Exception) -> EngineError:
    if isinstance(fault, _engine.EngineFault):
        return engine_error(fault)
    return InvalidCommand(str(fault))
