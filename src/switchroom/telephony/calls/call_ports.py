"""What a call acts upon: handed from `telephony` to every runner."""

from __future__ import annotations

from collections.abc import Callable

from switchroom.base.clock import Clock
from switchroom.base.records import record
from switchroom.base.tasks import Tasks
from switchroom.media import Engine
from switchroom.rooms.registry import Rooms
from switchroom.telephony.calls.call_events import DialReferred
from switchroom.telephony.events import Listener
from switchroom.telephony.sip_endpoint import SipEndpoint
from switchroom.telephony.stores import CallStore


def _declined(_call_id: str, _wish: DialReferred) -> bool:
    return False


@record
class CallPorts:
    """The rooms and stores around a call. ``listeners`` hear of every CallEvent, in their order.

    ``referred`` is told when a phone that may do so wants somebody else to be called in its place;
    False declines.
    """

    engine: Engine
    rooms: Rooms
    sip: SipEndpoint
    calls: CallStore
    clock: Clock
    tasks: Tasks
    listeners: tuple[Listener, ...] = ()
    referred: Callable[[str, DialReferred], bool] = _declined
