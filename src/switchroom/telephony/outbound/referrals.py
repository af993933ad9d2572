"""Phones that ask to be transferred (REFER), where the configuration lets them.

The rule is narrow, so that no phone makes us call where it likes: only a call over an outbound
trunk, only to a number on that same trunk, one at a time. The number is called into the phone's
room, and the phone is told how that goes; it hangs up itself when the other one is there.
"""

from __future__ import annotations

from switchroom.base.errors import ServiceError
from switchroom.base.log import get_logger
from switchroom.base.redact import redact_number
from switchroom.base.tasks import Tasks
from switchroom.sip.grammar import split_host_port
from switchroom.sip.uri import NameAddr
from switchroom.telephony.calls.call_events import DialReferred
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.running_calls import RunningCalls
from switchroom.telephony.outbound.outbound import Outbound
from switchroom.telephony.outbound.outbound_request import CreateSipParticipant
from switchroom.telephony.outbound.outbound_runner import OutboundRunner
from switchroom.telephony.routing.numbers import is_user_part

_log = get_logger("telephony")


class Referrals:
    """Calls whom a phone names in its place."""

    def __init__(self, running: RunningCalls, outbound: Outbound, tasks: Tasks) -> None:
        self._running = running
        self._outbound = outbound
        self._tasks = tasks
        self._busy: set[str] = set()

    def take(self, call_id: str, wish: DialReferred) -> bool:
        """Whether the wish is taken; then the phone hears how it goes."""
        runner = self._running.find(call_id)
        if not isinstance(runner, OutboundRunner) or call_id in self._busy:
            return False
        trunk = runner.dial.trunk
        number = _number_of(wish.refer_to, split_host_port(trunk.address)[0])
        if not number or not trunk.trunk_id:
            return False
        request = CreateSipParticipant(
            room_name=runner.books.notes.room_name,
            call_to=number,
            trunk_id=trunk.trunk_id,
            wait_until_answered=True,
        )
        self._busy.add(call_id)
        runner.respond_refer(wish.refer_id, 202)
        self._tasks.spawn(self._dial(runner, wish.refer_id, request), name=f"refer {call_id}")
        return True

    async def _dial(
        self, runner: OutboundRunner, refer_id: int, request: CreateSipParticipant
    ) -> None:
        _log.info("transfer asked for", call=runner.call_id, to=redact_number(request.call_to))
        status, reason = 200, "OK"
        try:
            await self._outbound.create_participant(request)
        except CallFailedError as failure:
            status, reason = failure.termination.status or 480, "The call failed"
        except ServiceError:
            status, reason = 503, "Service Unavailable"
        finally:
            self._busy.discard(runner.call_id)
        runner.notify_refer(refer_id, status, reason)


def _number_of(target: NameAddr, host: str) -> str:
    """The number that is meant, if it is one on the trunk at `host`; else empty."""
    uri = target.uri
    if uri.scheme == "tel":
        number = uri.user or uri.host
    elif uri.headers or uri.host.lower() != host.lower():
        # Headers would want us to do more than to call, such as to take over another call.
        return ""
    else:
        number = uri.user or ""
    return number if number and is_user_part(number) else ""
