"""Who waits for a call hears of it once, however late."""

from __future__ import annotations

import asyncio

import pytest

from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.outbound.outbound_request import SipParticipantInfo
from switchroom.telephony.outbound.outcome import Outcome

_INFO = SipParticipantInfo("PA_1", "sip_1", "room", "SCL_1")
_BUSY = Termination(Cause.BUSY, 486, "Busy Here")


async def test_a_request_that_does_not_wait_is_answered_at_the_dial() -> None:
    outcome = Outcome("SCL_1")
    waiting = asyncio.ensure_future(outcome.until_dialed())
    await asyncio.sleep(0)
    outcome.dialed(_INFO)
    assert await waiting == _INFO
    assert await outcome.until_dialed() == _INFO


async def test_a_request_that_waits_is_answered_when_both_sides_are_connected() -> None:
    outcome = Outcome("SCL_1")
    waiting = [asyncio.ensure_future(outcome.until_active()) for _ in range(2)]
    outcome.dialed(_INFO)
    await asyncio.sleep(0)
    assert not any(request.done() for request in waiting)
    outcome.became_active()
    assert await asyncio.gather(*waiting) == [_INFO, _INFO]


async def test_the_end_fails_those_who_still_wait() -> None:
    outcome = Outcome("SCL_1")
    waiting = asyncio.ensure_future(outcome.until_active())
    outcome.dialed(_INFO)
    await asyncio.sleep(0)
    outcome.end(_BUSY)
    with pytest.raises(CallFailedError) as failure:
        await waiting
    assert failure.value.termination == _BUSY
    assert failure.value.meta["sip_status_code"] == "486"
    assert failure.value.call_id == "SCL_1"


async def test_a_call_that_was_active_stays_a_success_after_its_end() -> None:
    outcome = Outcome("SCL_1")
    outcome.dialed(_INFO)
    outcome.became_active()
    outcome.end(Termination(Cause.BYE, was_active=True))
    assert await outcome.until_active() == _INFO


async def test_a_call_that_never_was_dialled_fails_both_kinds_of_requests() -> None:
    outcome = Outcome("SCL_1")
    outcome.end(Termination(Cause.JOIN_FAILED))
    with pytest.raises(CallFailedError):
        await outcome.until_dialed()
    with pytest.raises(CallFailedError):
        await outcome.until_active()


async def test_a_request_that_goes_away_leaves_the_others() -> None:
    outcome = Outcome("SCL_1")
    gone = asyncio.ensure_future(outcome.until_dialed())
    stays = asyncio.ensure_future(outcome.until_dialed())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    outcome.dialed(_INFO)
    assert await stays == _INFO


async def test_a_record_of_an_earlier_process_has_its_outcome() -> None:
    answered = Outcome.of_earlier_process(_INFO, answered=True, ending=_BUSY)
    assert await answered.until_active() == _INFO
    refused = Outcome.of_earlier_process(_INFO, answered=False, ending=_BUSY)
    assert await refused.until_dialed() == _INFO
    with pytest.raises(CallFailedError):
        await refused.until_active()
