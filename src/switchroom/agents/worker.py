"""One connected worker: what it may send, how fast, and what waits to be sent to it."""

from __future__ import annotations

from switchroom.agents import protocol
from switchroom.agents.errors import WorkerRefused
from switchroom.agents.pool import PoolKey
from switchroom.agents.protocol import Register
from switchroom.base.outbox import Outbox
from switchroom.base.pace import Allowance, Pace
from switchroom.rooms.info import Permissions

REGISTER_LIMIT = 10.0
"""Seconds that a worker has to introduce itself, livekit-server's."""

MESSAGES = Allowance(rate=500.0, burst=2000.0)
"""A worker with hundreds of jobs says a few things about each; beyond this it is out of order."""

# An offer and an assignment hold the metadata of a dispatch each, which may be half a megabyte.
_OUTBOX_BYTES = 16 * 1024 * 1024
_OUTBOX_MESSAGES = 4096

_MAX_NAME = 256


class Worker:
    """A connection of a worker. `api_key` is the key that it authenticated with."""

    def __init__(self, worker_id: str, api_key: str) -> None:
        self.id = worker_id
        self.api_key = api_key
        self.key: PoolKey | None = None
        self.namespace = ""
        self.version = ""
        self.permissions = Permissions()
        self._outbox = Outbox(max_messages=_OUTBOX_MESSAGES, max_bytes=_OUTBOX_BYTES)
        self._pace = Pace(MESSAGES)

    @property
    def registered(self) -> bool:
        return self.key is not None

    @property
    def closed_for(self) -> str | None:
        """Why nothing more is sent to it; None while there may be."""
        return self._outbox.closed_for

    def introduce(self, register: Register) -> PoolKey:
        """Take in what it says of itself. Raises WorkerRefused."""
        if register.kind is None:
            raise WorkerRefused("unknown job type")
        # livekit-server: a deployment is part of a topic whose parts are joined by underscores.
        if "_" in register.deployment or any(c.isspace() for c in register.deployment):
            raise WorkerRefused("a deployment holds no underscore and no space")
        names = (register.agent_name, register.namespace, register.deployment)
        if any(len(name) > _MAX_NAME for name in names):
            raise WorkerRefused("a name is too long")
        self.key = PoolKey(register.agent_name, register.kind, register.deployment)
        self.namespace = register.namespace
        self.version = register.version[:_MAX_NAME]
        self.permissions = register.permissions
        return self.key

    def check_pace(self, now: float) -> None:
        """One more message came. Raises WorkerRefused."""
        if not self._pace.allows(now):
            raise WorkerRefused("too many messages")

    def send(self, message: bytes) -> None:
        """Queue a message; without effect once it is closed."""
        self._outbox.put(message)

    def terminate(self, job_id: str) -> None:
        """Tell it that a job is over."""
        self.send(protocol.termination(job_id))

    def close(self, reason: str) -> None:
        """Send what waits and close the connection."""
        self._outbox.close(reason)

    async def next(self) -> bytes | None:
        """The next message for it; None when the socket is to be closed."""
        return await self._outbox.get()

    async def closed(self) -> str:
        """Wait until nothing more is sent; the reason."""
        return await self._outbox.closed()
