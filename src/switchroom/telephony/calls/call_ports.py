"""What a call acts upon: handed from `telephony` to every runner."""

from __future__ import annotations

from dataclasses import dataclass

from switchroom.base.clock import Clock
from switchroom.base.tasks import Tasks
from switchroom.media import Engine
from switchroom.rooms.registry import Rooms
from switchroom.telephony.events import Listener
from switchroom.telephony.sip_endpoint import SipEndpoint
from switchroom.telephony.stores import CallStore


@dataclass(frozen=True, slots=True)
class CallPorts:
    """The rooms and stores around a call. ``listeners`` hear of every CallEvent, in their order."""

    engine: Engine
    rooms: Rooms
    sip: SipEndpoint
    calls: CallStore
    clock: Clock
    tasks: Tasks
    listeners: tuple[Listener, ...] = ()
