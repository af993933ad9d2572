"""The phone as the room sees it: a participant of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from switchroom.rooms.data import DispatchEnded, Dtmf, UserData
from switchroom.rooms.reasons import DisconnectReason
from switchroom.telephony.calls.call_events import DigitsFromRoom, RoomClosed
from switchroom.telephony.calls.dtmf import playable


class PhoneParticipant:
    """A `rooms.local.LocalParticipant`: what the room says becomes an event of the call."""

    def __init__(
        self, tell_call: Callable[[object], None], play_out: Callable[[], asyncio.Future[None]]
    ) -> None:
        self._tell_call = tell_call
        self._play_out = play_out

    def close(self, reason: DisconnectReason) -> asyncio.Future[None]:
        """The call hangs up as soon as this is done: attribute and BYE are then on their way.

        The phone is sent the last word before: an agent that ends the room has just said it.
        """
        played_out = self._play_out()
        played_out.add_done_callback(lambda _: self._tell_call(RoomClosed(reason)))
        return played_out

    def on_data(self, data: UserData | Dtmf) -> None:
        """Keys pressed in the room are played to the phone; it cannot read anything else."""
        if isinstance(data, Dtmf):
            digits = playable(data.digit)
            if digits:
                self._tell_call(DigitsFromRoom(digits))

    def on_dispatch_ended(self, news: DispatchEnded) -> None:
        """A caller who waits for an agent may have to be sent elsewhere; other calls go on."""
        self._tell_call(news)
