"""Inbound calls: from the INVITE to a running call, or to a refusal that says why."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import field

from switchroom.base.ids import new_id
from switchroom.base.legible import legible
from switchroom.base.log import get_logger
from switchroom.base.records import record, replace
from switchroom.base.redact import redact_number
from switchroom.media import EngineError, Leg, LegEvent, Tone, WavFile
from switchroom.sdp.crypto import FreshKeys, SrtpPolicy
from switchroom.sdp.errors import SdpError
from switchroom.sdp.offer_answer import NegotiatedMedia
from switchroom.sip.flows import Flow
from switchroom.sip.invite_session import Fields, IncomingInviteSession, SessionEvent
from switchroom.sip.message import Request
from switchroom.sip.sanity import Refusal
from switchroom.sip.uas_core import SILENCE
from switchroom.telephony.calls.call_events import CallStatus, Guest
from switchroom.telephony.calls.call_ports import CallPorts
from switchroom.telephony.calls.call_record import CallDirection, CallRecord
from switchroom.telephony.calls.dial_failure import of_sdp
from switchroom.telephony.calls.leg_description import LegDescription, refusal_of
from switchroom.telephony.calls.running_calls import RunningCalls
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.events import CallEnded
from switchroom.telephony.inbound.arrival import (
    ReceptionSettings,
    guest_of,
    media_of,
    reception_plan,
)
from switchroom.telephony.inbound.inbound_events import Sound
from switchroom.telephony.inbound.inbound_runner import Forwarding, InboundRunner, Lobby
from switchroom.telephony.inbound.intake import (
    Declined,
    Routed,
    Wanted,
    find_rule,
    find_trunk,
    is_scanner,
    read_call,
    with_asserted_caller,
)
from switchroom.telephony.inbound.reception import begin
from switchroom.telephony.inbound.refusals import RefusalBudget
from switchroom.telephony.routing.dispatch_rule_registry import DispatchRules
from switchroom.telephony.routing.dispatch_rules import DispatchRule
from switchroom.telephony.routing.incoming_call import IncomingCall
from switchroom.telephony.routing.media_config import offered_codecs, srtp_policy
from switchroom.telephony.routing.rule_matching import RuleMatch
from switchroom.telephony.routing.trunk_registry import InboundTrunks

_log = get_logger("telephony")

_RETRY_AFTER = "10"
_REMEMBERED_REFUSALS = 1024


@record
class InboundSettings:
    """How calls are taken.

    ``unmatched_status`` is for those that nobody wants; with ``hide`` they get no answer at all.
    ``codecs`` are the node's, on or off.
    """

    reception: ReceptionSettings = field(default_factory=ReceptionSettings)
    unmatched_status: int = 404
    hide: bool = False
    codecs: Mapping[str, bool] = field(default_factory=dict)


@record
class _Described:
    """Our side of the media: the leg's description, and what the caller's offer settles."""

    leg: LegDescription
    media: NegotiatedMedia | None


class Inbound:
    """Takes calls from outside. `forward` phones a number for a room that stays empty."""

    def __init__(
        self,
        ports: CallPorts,
        running: RunningCalls,
        trunks: InboundTrunks,
        rules: DispatchRules,
        settings: InboundSettings,
        *,
        sounds: Mapping[Sound, Tone | WavFile],
        forward: Forwarding,
    ) -> None:
        self._ports = ports
        self._running = running
        self._trunks = trunks
        self._rules = rules
        self._settings = settings
        self._sounds = sounds
        self._forward = forward
        self._budget = RefusalBudget()
        self._noted: OrderedDict[tuple[str, str], None] = OrderedDict()

    # ── before a call exists ─────────────────────────────────────────────────

    def admit(self, request: Request, flow: Flow) -> Refusal | None:
        """Whether an INVITE may become a call; nothing is kept of one that may not.

        None lets it in. Whoever owes a password is asked for it by the answer that is returned.
        """
        if not self._running.accepting:
            return Refusal(503, "", (("Retry-After", _RETRY_AFTER),))
        if is_scanner(request):
            return SILENCE
        wanted = self._find_trunk(read_call(request, flow.remote[0]))
        if isinstance(wanted, Declined):
            return self._decline(request, flow, wanted)
        challenge = self._demand_login(request, flow, wanted)
        if challenge is not None:
            return challenge
        routed = self._find_rule(with_asserted_caller(wanted, request))
        if isinstance(routed, Declined):
            trunk_id = wanted.trunk.trunk_id if wanted.trunk is not None else ""
            return self._decline(request, flow, routed, trunk_id)
        return None

    def _find_trunk(self, call: IncomingCall) -> Wanted | Declined:
        return find_trunk(self._trunks.candidates(call), self._rules.for_call(call, ""), call)

    def _find_rule(self, wanted: Wanted, pin: str | None = None) -> Routed | Declined:
        trunk_id = wanted.trunk.trunk_id if wanted.trunk is not None else ""
        rules = self._rules.for_call(wanted.call, trunk_id)
        return find_rule(rules, wanted, pin=pin, random=new_id(""))

    def _demand_login(self, request: Request, flow: Flow, wanted: Wanted) -> Refusal | None:
        trunk = wanted.trunk
        if trunk is None or not trunk.challenges:
            return None

        def password_of(username: str) -> str | None:
            return trunk.auth_password if username == trunk.auth_username else None

        refusal = self._ports.sip.demand_login(request, flow, trunk.realm, password_of)
        if refusal is not None and _was_wrong(request, refusal):
            why = Declined(Cause.WRONG_LOGIN, "", f"wrong login for trunk {trunk.trunk_id}")
            self._note_refusal(request, flow, why, refusal.status, trunk.trunk_id)
        return refusal

    def _decline(self, request: Request, flow: Flow, why: Declined, trunk_id: str = "") -> Refusal:
        status = self._settings.unmatched_status
        if why.cause is Cause.AMBIGUOUS_TRUNKS:
            status = 503
        silent = self._settings.hide
        self._note_refusal(request, flow, why, None if silent else status, trunk_id)
        return SILENCE if silent else Refusal(status, why.phrase)

    def _note_refusal(
        self, request: Request, flow: Flow, why: Declined, status: int | None, trunk_id: str
    ) -> None:
        """Keep a record of the refusal, once for a call, and within bounds.

        `status` is None where nothing is answered.
        """
        key = (request.call_id, request.from_tag or "")
        if key in self._noted or not self._budget.spend(self._ports.clock.monotonic()):
            return
        if left_out := self._budget.take_left_out():
            _log.warning("refused calls not written down", calls=left_out)
        self._noted[key] = None
        if len(self._noted) > _REMEMBERED_REFUSALS:
            self._noted.popitem(last=False)
        call = read_call(request, flow.remote[0])
        record = self._opened(call, request, "{}:{}".format(*flow.remote), trunk_id, "")
        ending = Termination(why.cause, status, why.phrase, why.detail)
        self._close(replace(record, termination=ending, ended_at=record.created_at))

    # ── a call ───────────────────────────────────────────────────────────────

    def incoming(
        self, session: IncomingInviteSession, request: Request, source: str
    ) -> Callable[[SessionEvent], None]:
        """Take a call that was admitted; who hears its events is returned."""
        if session.replaces is not None:
            return self._take_over(session, request, session.replaces)
        wanted = self._find_trunk(read_call(request, source.rpartition(":")[0].strip("[]")))
        routed: Routed | Declined = (
            wanted
            if isinstance(wanted, Declined)
            else self._find_rule(wanted := with_asserted_caller(wanted, request))
        )
        if isinstance(wanted, Declined) or isinstance(routed, Declined):
            # Trunk or rule was deleted since the call was admitted.
            session.reject(self._settings.unmatched_status, "Does not match Trunks or Rules")
            return _nobody
        record = replace(
            self._opened(wanted.call, request, source, _trunk_id(wanted), routed.rule.rule_id),
            hides_numbers=routed.rule.hide_phone_number,
        )
        runner = self._open(_Arrived(session, request, wanted, routed), record)
        return runner.listen() if runner is not None else _nobody

    def _take_over(
        self, session: IncomingInviteSession, request: Request, replaced: str
    ) -> Callable[[SessionEvent], None]:
        """A PBX puts another of its calls into the place of one that we have (RFC 3891)."""
        runner = self._running.with_sip_call_id(replaced)
        if runner is None:
            session.reject(481, "Call/Transaction Does Not Exist")
            return _nobody
        return runner.take_over(session, request)

    def _open(self, arrived: _Arrived, record: CallRecord) -> InboundRunner | None:
        """The leg comes first: without a port there is nothing to answer with."""
        runners: list[InboundRunner] = []

        def on_event(event: LegEvent) -> None:
            runners[0].media_event(event)

        source_ip = arrived.wanted.call.source_ip
        try:
            local_ip = self._ports.sip.local_address_towards(source_ip)
            leg = self._ports.engine.open_leg(local_ip, on_event)
        except EngineError as error:
            self._refuse(arrived, record, Termination(Cause.MEDIA_FAILED, 503, detail=str(error)))
            return None
        described = self._describe(arrived, leg)
        if isinstance(described, _Unusable):
            leg.close()
            self._refuse(arrived, record, described.ending, described.headers)
            return None
        runner = InboundRunner(
            self._lobby(arrived, record.call_id), leg, self._ports, record, self._running.remove
        )
        runners.append(runner)
        runner.remote_headers = arrived.request.headers
        self._start(runner, arrived, described)
        return runner

    def _describe(self, arrived: _Arrived, leg: Leg) -> _Described | _Unusable:
        """Our answer to the caller's offer, or our offer where it made none."""
        media = media_of(arrived.wanted.trunk, arrived.routed)
        try:
            codecs = offered_codecs(media, self._settings.codecs)
        except InvalidRequestError as error:
            ending = Termination(Cause.NO_COMMON_CODEC, 488, _NOT_ACCEPTABLE, error.message)
            return _Unusable(ending)
        local_ip, port = leg.local_address
        told_ip = self._ports.sip.advertised_address_of(local_ip)
        policy = srtp_policy(media.encryption)
        ours = LegDescription.offering(
            (told_ip, port),
            codecs,
            secrets.randbits(31),
            srtp=policy,
            keys=() if policy is SrtpPolicy.NEVER else FreshKeys(secrets.token_bytes),
        )
        if not arrived.request.body:
            return _Described(ours, None)
        try:
            return _Described(*ours.answering_first(arrived.request.body))
        except SdpError as error:
            return _unusable(error)

    def _lobby(self, arrived: _Arrived, call_id: str) -> Lobby:
        trunk = arrived.wanted.trunk

        def route(pin: str) -> tuple[Guest, DispatchRule] | None:
            found = self._find_rule(arrived.wanted, pin)
            if not isinstance(found, RuleMatch):
                return None
            guest = guest_of(found, arrived.request, trunk, call_id, CallStatus.ACTIVE)
            return guest, found.rule

        return Lobby(
            session=arrived.session,
            headers=tuple(trunk.headers.items()) if trunk is not None else (),
            sounds=self._sounds,
            route=route,
            forward=self._forward,
        )

    def _start(self, runner: InboundRunner, arrived: _Arrived, described: _Described) -> None:
        wanted, routed = arrived.wanted, arrived.routed
        guest = None
        if isinstance(routed, RuleMatch):
            guest = guest_of(
                routed, arrived.request, wanted.trunk, runner.call_id, CallStatus.RINGING
            )
        plan = reception_plan(wanted, routed, guest, self._settings.reception)
        self._running.add(runner)
        _log.info(
            "call comes in",
            call=runner.call_id,
            to=redact_number(wanted.call.called),
            trunk=_trunk_id(wanted),
            rule=routed.rule.rule_id,
        )
        now = self._ports.clock.monotonic()
        runner.run(*begin(plan, described.leg, described.media, now))

    def _refuse(
        self, arrived: _Arrived, record: CallRecord, ending: Termination, headers: Fields = ()
    ) -> None:
        arrived.session.reject(ending.status or 500, ending.reason, headers)
        now = self._ports.clock.unix_ns()
        self._close(replace(record, termination=ending, ended_at=now))

    def _close(self, record: CallRecord) -> None:
        """Note a call that was refused, and tell of it: whoever runs the server wants to know."""
        self._ports.calls.save(record)
        for listener in self._ports.listeners:
            listener(CallEnded(record))
        ending = record.termination
        _log.info(
            "call refused",
            call=record.call_id,
            to=redact_number(record.to_number),
            source=record.remote_address,
            sip_status=ending.status if ending is not None else None,
            why=ending.sentence if ending is not None else "",
        )

    def _opened(
        self, call: IncomingCall, request: Request, source: str, trunk_id: str, rule_id: str
    ) -> CallRecord:
        return CallRecord(
            call_id=new_id("SCL_"),
            room_name="",
            participant_identity="",
            # As they come from the wire, no database could hold them (half a surrogate pair).
            from_number=legible(call.caller),
            to_number=legible(call.called),
            trunk_id=trunk_id,
            trunk_address="",
            created_at=self._ports.clock.unix_ns(),
            direction=CallDirection.INBOUND,
            rule_id=rule_id,
            sip_call_id=legible(request.call_id),
            remote_address=source,
        )


@record
class _Arrived:
    """A call that somebody wants."""

    session: IncomingInviteSession
    request: Request
    wanted: Wanted
    routed: Routed


@record
class _Unusable:
    """The caller's offer, or what we may answer with, fits nothing."""

    ending: Termination
    headers: Fields = ()


_NOT_ACCEPTABLE = "Not Acceptable Here"


def _unusable(error: SdpError) -> _Unusable:
    """Why an offer is refused, in the words of RFC 3261 section 20.43 too."""
    refusal = refusal_of(error)
    cause = of_sdp(error).cause
    warning = f'{refusal.warning_code} switchroom "{refusal.text}"'
    ending = Termination(cause, refusal.status, refusal.phrase, refusal.text)
    return _Unusable(ending, (("Warning", warning),))


def _trunk_id(wanted: Wanted) -> str:
    return wanted.trunk.trunk_id if wanted.trunk is not None else ""


def _was_wrong(request: Request, refusal: Refusal) -> bool:
    """Whether a login was tried and failed; a stale one is only asked for again."""
    tried = "Authorization" in request.headers or "Proxy-Authorization" in request.headers
    return tried and not any("stale=true" in value for _, value in refusal.headers)


def _nobody(_event: SessionEvent) -> None:
    """Hears of calls that were refused."""
