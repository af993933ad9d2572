"""The reception where the scenarios cannot look: moments that are not the right one."""

from __future__ import annotations

import pytest

from switchroom.sdp.codecs import PCMU
from switchroom.telephony.calls.call import CallPlan, Wire, early
from switchroom.telephony.calls.call_events import DeadlineReached, Guest
from switchroom.telephony.calls.leg_description import LegDescription
from switchroom.telephony.inbound.pin import PinEntry
from switchroom.telephony.inbound.reception import Reception, ReceptionPlan, Stage

_PLAN = ReceptionPlan(CallPlan(3600.0, 30.0, 15.0), None)
_LEG = LegDescription.offering(("192.0.2.1", 4000), (PCMU,), 1)
_GUEST = Guest("room", "phone", "", "", {})


@pytest.mark.parametrize(
    "stage", [Stage.RINGING, Stage.WAITING, Stage.TYPING, Stage.WELCOMING, Stage.LEAVING]
)
def test_a_deadline_that_comes_a_moment_early_is_waited_for_as_before(stage: Stage) -> None:
    call = early(_PLAN.call, _LEG, 0.0, Wire.CALLED)
    state = Reception(_PLAN, call, None, stage=stage, until=30.0, entry=PinEntry(3), guest=_GUEST)
    machine, commands = state.step(DeadlineReached(), 29.999)
    assert (machine, commands) == (state, [])
    _, commands = state.step(DeadlineReached(), 30.0)
    assert commands
