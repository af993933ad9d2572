"""From the SIP layer's account of a failed dial to the ending of the call. Pure."""

from __future__ import annotations

from switchroom.base.legible import legible
from switchroom.base.records import replace
from switchroom.sdp.errors import EncryptionMismatch, NoCommonCodec, SdpError
from switchroom.sip.invite_session import AuthProblem, FailureKind, SipFailure
from switchroom.telephony.calls.q850 import q850_of
from switchroom.telephony.calls.termination import Cause, Termination, of_response

_READABLE_BODIES = ("", "text/plain")
_LONGEST_BODY = 1000
_AUTH_TEXTS = {
    AuthProblem.NO_USABLE_CHALLENGE: "sip server required auth, but sent no usable challenge",
    AuthProblem.TOO_MANY_ATTEMPTS: "max auth retry attempts reached",
}
_WITHOUT_STATUS = {
    FailureKind.AUTH: Cause.AUTH_FAILED,
    FailureKind.DNS: Cause.DNS_RESOLUTION,
    FailureKind.TRANSPORT: Cause.NETWORK_ERROR,
    FailureKind.CANCELLED: Cause.NO_ANSWER,
    FailureKind.NO_RESPONSE: Cause.NO_RESPONSE,
    FailureKind.TIMED_OUT: Cause.NO_FINAL_RESPONSE,
    FailureKind.REJECTED: Cause.DIALOG_LOST,
}


def of_failure(failure: SipFailure) -> Termination:
    """The ending that a failed INVITE means."""
    ending = _of_failure(failure)
    cause = q850_of(failure.headers)
    return ending if cause is None else replace(ending, q850=cause)


def _of_failure(failure: SipFailure) -> Termination:
    if failure.kind is FailureKind.AUTH and failure.auth is not AuthProblem.REJECTED:
        text = _AUTH_TEXTS.get(failure.auth, "") if failure.auth else ""
        return Termination(Cause.AUTH_FAILED, text=text)
    if failure.status is not None:
        twilio = legible(failure.headers.get("X-Twilio-Error") or "")
        return of_response(failure.status, legible(failure.reason), _readable(failure), twilio)
    if failure.kind is FailureKind.TIMED_OUT:
        seen = failure.provisional_seen
        text = f"transaction failed to complete ({seen} intermediate responses)"
        return Termination(Cause.NO_FINAL_RESPONSE, text=text)
    return Termination(_WITHOUT_STATUS[failure.kind], detail=legible(failure.reason))


def of_sdp(error: SdpError) -> Termination:
    """The ending that an unusable answer means."""
    match error:
        case EncryptionMismatch():
            cause = Cause.ENCRYPTION_REQUIRED
        case NoCommonCodec():
            cause = Cause.NO_COMMON_CODEC
        case _:
            cause = Cause.SDP_ERROR
    return Termination(cause, detail=str(error))


def _readable(failure: SipFailure) -> str:
    """The body where it is meant for people: carriers explain refusals there."""
    content_type = failure.headers.get("Content-Type") or ""
    if content_type.partition(";")[0].strip().lower() not in _READABLE_BODIES:
        return ""
    return failure.body[:_LONGEST_BODY].decode("utf-8", "replace")
