"""What an INVITE that somebody wants becomes: the guest in the room, the plan of the call. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from switchroom.base.legible import legible
from switchroom.base.records import record
from switchroom.sip.message import Request
from switchroom.telephony.calls.call import CallPlan
from switchroom.telephony.calls.call_events import CallStatus, Guest
from switchroom.telephony.inbound.fallback import Fallback
from switchroom.telephony.inbound.intake import Routed, Wanted
from switchroom.telephony.inbound.reception import AnswerWhen, ReceptionPlan
from switchroom.telephony.routing.headers import (
    NO_RULES,
    NUMBER_HEADERS,
    AttributeRules,
    answer_attributes,
)
from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.media_config import MediaConfig
from switchroom.telephony.routing.rule_matching import RuleMatch

LONGEST_CALL = 24 * 3600.0
_RINGING_TIMEOUT = 180.0
_RINGING_STATUS = 486

#: Bytes of attributes that headers may fill; a room takes 64 KiB in all.
_MOST_FROM_HEADERS = 32 * 1024


@record
class ReceptionSettings:
    """The server's own ways, for what neither trunk nor rule says. Times are seconds."""

    answer: AnswerWhen = AnswerWhen.WHEN_HEARD
    first_silence: float = 30.0
    silence: float = 15.0
    fallback: Fallback | None = None
    fallback_after: float = 30.0
    pin_tries: int = 3
    pin_timeout: float = 15.0
    allow_refer: bool = False
    detect_tones: bool = False


def media_of(trunk: InboundTrunk | None, routed: Routed) -> MediaConfig:
    """The trunk's wishes with the rule's on top."""
    of_rule = routed.rule.media
    return of_rule if trunk is None else trunk.media.overlaid(of_rule)


def reception_plan(
    wanted: Wanted,
    routed: Routed,
    guest: Guest | None,
    settings: ReceptionSettings,
) -> ReceptionPlan:
    """How the call is to be received; `guest` is None while a PIN is owed."""
    trunk = wanted.trunk or InboundTrunk()
    media = media_of(wanted.trunk, routed)
    longest = trunk.max_call_duration
    return ReceptionPlan(
        call=CallPlan(
            max_duration=longest if 0 < longest < LONGEST_CALL else LONGEST_CALL,
            first_silence=max(settings.first_silence, media.timeout or 0.0),
            silence=media.timeout or settings.silence,
            attribute_rules=NO_RULES,
            attributes_to_headers=trunk.attributes_to_headers,
            allow_refer=settings.allow_refer,
            denoise=trunk.krisp_enabled or routed.rule.krisp_enabled,
            # A PIN must be typed somehow; elsewhere speech is not searched for tones unasked.
            detect_tones=settings.detect_tones or guest is None,
        ),
        guest=guest,
        answer=settings.answer,
        ringing_timeout=trunk.ringing_timeout if trunk.ringing_timeout > 0 else _RINGING_TIMEOUT,
        ringing_status=trunk.ringing_timeout_status or _RINGING_STATUS,
        pin_timeout=settings.pin_timeout,
        pin_tries=max(1, settings.pin_tries),
        # Who sets a status for the end of ringing has a fallback of his own, at the carrier.
        fallback=None if trunk.ringing_timeout_status else settings.fallback,
        fallback_after=settings.fallback_after,
    )


def guest_of(
    match: RuleMatch,
    request: Request,
    trunk: InboundTrunk | None,
    call_id: str,
    status: CallStatus,
) -> Guest:
    """The phone as it joins its room with `status`."""
    return Guest(
        room_name=match.room_name,
        identity=legible(match.identity),
        name=legible(match.name),
        metadata=match.metadata,
        attributes=_attributes(match, request, trunk, call_id, status),
        configuration=json.dumps(dict(match.room_config)) if match.room_config else "",
        preset=match.room_preset,
    )


def _attributes(
    match: RuleMatch,
    request: Request,
    trunk: InboundTrunk | None,
    call_id: str,
    status: CallStatus,
) -> Mapping[str, str]:
    """LiveKit's table; what a trunk's map names may overwrite all but the status."""
    told = _from_headers(match, request, trunk)
    mapped = set(trunk.headers_to_attributes.values()) if trunk is not None else set()
    attributes = {name: value for name, value in told.items() if name not in mapped}
    attributes |= match.attributes
    attributes["sip.callID"] = call_id
    attributes["sip.callIDFull"] = request.call_id
    attributes["sip.callTag"] = request.from_tag or ""
    attributes |= {name: value for name, value in told.items() if name in mapped}
    attributes["sip.callStatus"] = status.value
    return {name: legible(value) for name, value in attributes.items()}


def _from_headers(
    match: RuleMatch, request: Request, trunk: InboundTrunk | None
) -> Mapping[str, str]:
    rules = NO_RULES
    if trunk is not None:
        rules = AttributeRules(trunk.include_headers, tuple(trunk.headers_to_attributes.items()))
    told = answer_attributes(request.headers, rules)
    if match.rule.hide_phone_number:
        told = {n: v for n, v in told.items() if n.removeprefix("sip.h.") not in NUMBER_HEADERS}
    if sum(len(name) + len(value) for name, value in told.items()) > _MOST_FROM_HEADERS:
        # A call with very long headers is a call all the same.
        told = {name: value for name, value in told.items() if not name.startswith("sip.h.")}
    return told
