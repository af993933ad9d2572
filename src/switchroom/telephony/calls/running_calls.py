"""The calls of this server that are not finished, of both directions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from switchroom.telephony.calls.call_events import Stopping
from switchroom.telephony.calls.call_runner import CallRunner


class RunningCalls:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._running: dict[str, CallRunner] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._hurry = asyncio.Event()
        self.accepting = True

    def __len__(self) -> int:
        return len(self._running)

    @property
    def all(self) -> Sequence[CallRunner]:
        """Every call that is not finished, farewells included."""
        return tuple(self._running.values())

    def find(self, call_id: str) -> CallRunner | None:
        """The call with this ``SCL_`` id."""
        return self._running.get(call_id)

    def with_sip_call_id(self, sip_call_id: str) -> CallRunner | None:
        """The call whose SIP dialog has this Call-ID; None also if there are two.

        A call of ours that a proxy sends back to us has one Call-ID on both sides, and a caller can
        choose that of another: then it does not tell which call is meant.
        """
        found = [
            runner
            for runner in self._running.values()
            if runner.session is not None and runner.session.call_id == sip_call_id
        ]
        return found[0] if len(found) == 1 else None

    def add(self, runner: CallRunner) -> None:
        """A call begins."""
        self._running[runner.call_id] = runner
        self._idle.clear()

    def remove(self, runner: CallRunner) -> None:
        """Nothing is left of the call."""
        self._running.pop(runner.call_id, None)
        if not self._running:
            self._idle.set()

    def stop_all(self) -> None:
        """Hang up everywhere."""
        for runner in self.all:
            runner.tell(Stopping())

    async def until_idle(self, patience: float) -> None:
        """Wait until no call is left, `patience` seconds are over, or `stop_waiting` is called."""
        self._hurry.clear()
        wishes = [asyncio.ensure_future(event.wait()) for event in (self._idle, self._hurry)]
        try:
            await asyncio.wait(wishes, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wish in wishes:
                wish.cancel()

    def stop_waiting(self) -> None:
        """Let a running `until_idle` return now."""
        self._hurry.set()
