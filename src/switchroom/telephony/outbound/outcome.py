"""What became of a request to call: known bit by bit, and waited for by any number of requests."""

from __future__ import annotations

import asyncio

from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.termination import Termination
from switchroom.telephony.outbound.outbound_request import SipParticipantInfo


class Outcome:
    """The outcome of one dial. Belongs to the event loop."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._info: SipParticipantInfo | None = None
        self._active = False
        self._ending: Termination | None = None
        self._sleepers: list[asyncio.Future[None]] = []

    @classmethod
    def of_earlier_process(
        cls, info: SipParticipantInfo, *, answered: bool, ending: Termination | None
    ) -> Outcome:
        """The outcome of a call that a record tells of."""
        outcome = cls(info.call_id)
        outcome._info = info
        outcome._active = answered
        outcome._ending = ending
        return outcome

    @property
    def ended(self) -> bool:
        return self._ending is not None

    def dialed(self, info: SipParticipantInfo) -> None:
        """The INVITE is on its way."""
        self._info = info
        self._wake()

    def became_active(self) -> None:
        """Both sides are connected, and a crash would not orphan the call."""
        self._active = True
        self._wake()

    def end(self, ending: Termination) -> None:
        """The call is over."""
        self._ending = ending
        self._wake()

    async def until_dialed(self) -> SipParticipantInfo:
        """The answer to a request that does not wait. Raises CallFailedError."""
        while self._info is None:
            await self._news()
        return self._info

    async def until_active(self) -> SipParticipantInfo:
        """The answer to a request that waits for the answer. Raises CallFailedError."""
        while self._info is None or not self._active:
            await self._news()
        return self._info

    async def _news(self) -> None:
        if self._ending is not None:
            raise CallFailedError(self._ending, self._call_id)
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append(sleeper)
        try:
            await sleeper
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def _wake(self) -> None:
        sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            if not sleeper.done():
                sleeper.set_result(None)
