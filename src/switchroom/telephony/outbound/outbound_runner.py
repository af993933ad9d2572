"""Drives an outbound call: the INVITE, the record of the dial, the requests that wait for it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from switchroom.base.errors import ServiceError
from switchroom.base.records import replace
from switchroom.media import Leg
from switchroom.sdp.crypto import FreshKeys, SrtpPolicy
from switchroom.sip.errors import LocalSipError
from switchroom.telephony.calls import call_events as do
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.call_ports import CallPorts
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.call_runner import CallRunner
from switchroom.telephony.calls.leg_description import LegDescription
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.outbound import dial_events as dial
from switchroom.telephony.outbound.dial import Dial
from switchroom.telephony.outbound.dialling import begin
from switchroom.telephony.outbound.outbound_request import SipParticipantInfo
from switchroom.telephony.outbound.outcome import Outcome


class OutboundRunner(CallRunner):
    """A call that a request places."""

    def __init__(
        self,
        dialled: Dial,
        leg: Leg,
        ports: CallPorts,
        record: CallRecord,
        on_finished: Callable[[CallRunner], None],
    ) -> None:
        super().__init__(leg, ports, record, on_finished)
        self.dial = dialled
        self.outcome = Outcome(record.call_id)
        self._waiting = 0
        self._heard_of = False
        self._invites = 0

    def start(self, session_id: int) -> None:
        """Begin; the leg is open. `session_id` goes into the session description."""
        plan = self.dial.plan
        address = (self.dial.advertised_ip, self.sound.address[1])
        keys = () if plan.srtp is SrtpPolicy.NEVER else FreshKeys(secrets.token_bytes)
        leg = LegDescription.offering(address, plan.codecs, session_id, srtp=plan.srtp, keys=keys)
        self.run(*begin(plan, leg, self.ports.clock.monotonic()))

    async def wait(self, *, until_answered: bool, deadline: float) -> SipParticipantInfo:
        """The answer for one request. Raises CallFailedError.

        The dial lives as long as somebody waits for it: when the last one goes away, so does it,
        even if it is active by then and nobody has heard of that. It was planned for the patience
        of the first; who comes later may have more.
        """
        if not until_answered:
            return await self.outcome.until_dialed()
        if not self.dial.request.wait_until_answered:
            return await self._outlast(deadline)
        if self._waiting:
            self.tell(dial.WaiterJoined(deadline))
        self._waiting += 1
        try:
            info = await self.outcome.until_active()
            self._heard_of = True
            return info
        except asyncio.CancelledError:
            if self._waiting == 1 and not self._heard_of:
                self.tell(do.Abandoned())
            raise
        finally:
            self._waiting -= 1

    async def _outlast(self, deadline: float) -> SipParticipantInfo:
        """Wait for a call that was placed without waiting, and goes on without us."""
        try:
            async with asyncio.timeout(deadline - self.ports.clock.monotonic()):
                return await self.outcome.until_active()
        except TimeoutError:
            raise CallFailedError(Termination(Cause.NO_ANSWER), self.call_id) from None

    # ── commands ─────────────────────────────────────────────────────────────

    def _send_invite(self, command: dial.SendInvite) -> None:
        """A second INVITE, after a refusal, is a new call to the far end: another Call-ID."""
        self._invites += 1
        given = self.dial.invite
        call_id = given.call_id if self._invites == 1 else f"{given.call_id}{self._invites}"
        self.books.notes.sip_call_id = call_id
        try:
            self.session = self.ports.sip.invite(
                replace(given, call_id=call_id, body=command.body), self.listen()
            )
        except LocalSipError as error:
            self.tell(dial.Undialable(str(error)))

    def _store_dial(self, command: dial.StoreDial) -> None:
        if command.durable:
            self.send_out(self._store_dial_durably, "store dial")
        else:
            self.books.save()

    async def _store_dial_durably(self) -> None:
        try:
            await self.books.save_durably()
        except ServiceError as refusal:
            self.tell(dial.DialStored(refusal.message))
        else:
            self.tell(dial.DialStored())

    def _report_dialed(self, _command: dial.ReportDialed) -> None:
        notes = self.books.notes
        self.outcome.dialed(
            SipParticipantInfo(
                participant_id=notes.participant_sid,
                participant_identity=notes.participant_identity,
                room_name=notes.room_name,
                call_id=self.call_id,
            )
        )

    def _report_active(self, _command: dial.ReportActive) -> None:
        self.outcome.became_active()

    def _report_ended(self, command: dial.ReportEnded) -> None:
        self.outcome.end(command.termination)

    PERFORM: ClassVar[Mapping[type[Any], Callable[[Any, Any], None]]] = {
        **CallRunner.PERFORM,
        dial.SendInvite: _send_invite,
        dial.StoreDial: _store_dial,
        dial.ReportDialed: _report_dialed,
        dial.ReportActive: _report_active,
        dial.ReportEnded: _report_ended,
    }
