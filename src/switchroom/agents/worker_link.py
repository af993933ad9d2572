"""A worker socket's end of the agents: frames in, messages out, nothing else."""

from __future__ import annotations

from switchroom.agents import protocol
from switchroom.agents.dispatcher import Dispatcher
from switchroom.agents.errors import WorkerRefused
from switchroom.agents.protocol import (
    Availability,
    JobReport,
    MigrateJob,
    NotAMessage,
    Ping,
    Register,
    SimulateJob,
    WorkerMessage,
    WorkerReport,
)
from switchroom.agents.worker import REGISTER_LIMIT, Worker
from switchroom.base.errors import ServiceError
from switchroom.base.ids import new_id
from switchroom.base.log import get_logger

_log = get_logger("agents")


class WorkerLink:
    """One connection, from the accepted socket to its end."""

    def __init__(self, dispatcher: Dispatcher, api_key: str) -> None:
        self._dispatcher = dispatcher
        self._desk = dispatcher.desk
        self._worker = Worker(new_id("AW_"), api_key)
        self._deadline = dispatcher.timers.after(REGISTER_LIMIT, self._too_late)

    @property
    def closed_for(self) -> str | None:
        """Why there are no more messages after those that wait; None while there may be."""
        return self._worker.closed_for

    async def next(self) -> bytes | None:
        """The next ServerMessage; None when the socket is to be closed."""
        return await self._worker.next()

    async def closed(self) -> str:
        """Wait until no more messages come; the reason."""
        return await self._worker.closed()

    def receive(self, frame: bytes | str) -> None:
        """A frame of the worker. One that is out of order ends the connection."""
        if self._worker.closed_for is not None:
            return
        try:
            self._worker.check_pace(self._dispatcher.clock.monotonic())
            self._handle(protocol.decode(frame))
        except NotAMessage:
            self._refuse("not a WorkerMessage")
        except WorkerRefused as refused:
            self._refuse(str(refused))

    def as_text(self, message: bytes) -> str:
        """A message as JSON, for a worker that speaks it."""
        return protocol.as_json(message)

    def lost(self, *, stopped: bool = False) -> None:
        """The socket is closed; `stopped` if the worker closed it. Again is without effect."""
        self._deadline.cancel()
        self._worker.close("socket closed")
        self._desk.lost(self._worker, stopped=stopped)

    def _handle(self, message: WorkerMessage) -> None:
        worker = self._worker
        if not worker.registered:
            if not isinstance(message, Register):
                raise WorkerRefused("the first message must be register")
            self._deadline.cancel()
            self._desk.register(worker, message)
            return
        match message:
            case Availability():
                self._desk.answer(worker, message)
            case WorkerReport():
                self._desk.report(worker, message)
            case JobReport():
                self._desk.job_report(worker, message)
            case Ping():
                now_ms = self._dispatcher.clock.unix_ns() // 1_000_000
                worker.send(protocol.pong(message, now_ms))
            case MigrateJob():
                self._dispatcher.migrate(worker, message)
            case SimulateJob():
                self._simulate(message)
            case _:
                # livekit-server closes here; a newer worker is served as far as we understand it.
                _log.info("message ignored", worker=worker.id, kind=type(message).__name__)

    def _simulate(self, message: SimulateJob) -> None:
        try:
            self._dispatcher.simulate(self._worker, message)
        except ServiceError as refusal:
            _log.warning("no simulated job", worker=self._worker.id, why=refusal.message)

    def _too_late(self) -> None:
        self._refuse("no register message in time")

    def _refuse(self, reason: str) -> None:
        _log.warning("worker sent away", worker=self._worker.id, why=reason)
        self._worker.close(reason)
