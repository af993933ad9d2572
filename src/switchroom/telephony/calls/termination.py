"""How a call ended: one value, read by the API error, the participant's reason and the record.

The words and the error codes are LiveKit's (its SIP bridge's metric reasons). Where LiveKit's room
server flattens a reason to CLIENT_INITIATED, the true one is given as long as the call was not yet
active; ``docs/telephony.md`` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from switchroom.base.errors import NO_META, ErrorCode
from switchroom.base.records import record
from switchroom.rooms.reasons import DisconnectReason
from switchroom.telephony.calls.sip_status import enum_name, error_code, short_name


class Result(StrEnum):
    """Whose success or failure an ending counts as."""

    SUCCESS = "success"
    CLIENT_ERROR = "client_error"
    UPSTREAM_ERROR = "upstream_error"
    SERVER_ERROR = "server_error"
    INDETERMINATE = "indeterminate"


class Party(StrEnum):
    """Who ended the call."""

    PHONE = "phone"  # the person on it, or what stands for one
    CARRIER = "carrier"
    REQUEST = "request"  # what it asked for, or its giving up
    ROOM = "room"
    SERVER = "server"


class Cause(StrEnum):
    """The stable word of an ending."""

    # what the far end answered to the INVITE
    AUTH_REQUIRED = "auth-required"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    REQUEST_TIMEOUT = "request-timeout"
    UNAVAILABLE = "unavailable"
    BUSY = "busy"
    NOT_ACCEPTABLE = "not-acceptable"
    CLIENT_ERROR = "client-error"
    UPSTREAM_SERVER_ERROR = "upstream-server-error"
    CPS_LIMIT = "cps-limit-exceeded"
    CONCURRENT_LIMIT = "concurrent-limit-exceeded"
    GLOBAL_DECLINE = "global-decline"
    CARRIER_BLOCKED = "carrier-blocked"
    INVITE_FAILED = "invite-failed"
    # why the call could not be set up
    AUTH_FAILED = "auth-failed"
    NO_ANSWER = "no-answer"
    NO_RESPONSE = "upstream-no-response"
    NO_FINAL_RESPONSE = "no-final-response"
    NO_COMMON_CODEC = "no-common-codec"
    ENCRYPTION_REQUIRED = "encryption-required"
    SDP_ERROR = "sdp-error"
    ADDRESS_ERROR = "address-error"
    DNS_RESOLUTION = "dns-resolution"
    NETWORK_ERROR = "network-error"
    STORAGE_FAILED = "storage-failed"
    JOIN_FAILED = "join-failed"
    MEDIA_FAILED = "media-failed"
    # why a call to us did not come about
    NO_TRUNK = "no-trunk"
    AMBIGUOUS_TRUNKS = "ambiguous-trunks"
    NO_RULE = "no-rule"
    WRONG_LOGIN = "wrong-login"
    PIN_FAILED = "pin-failed"
    NOBODY_HEARD = "cannot-subscribe"
    NO_AGENT = "no-agent"
    REDIRECTED = "redirected"
    CANCELLED = "cancelled"
    # how a call ended that was there
    BYE = "bye"
    TRANSFERRED = "transferred"
    REMOVED = "removed"
    MEDIA_TIMEOUT = "media-timeout"
    DIALOG_LOST = "dialog-lost"
    MAX_DURATION = "hangup"
    END_CALL = "rpc"
    ABANDONED = "abandoned"
    SHUTDOWN = "shutdown"
    SERVER_RESTART = "server_restart"


#: Words that carry the status: ``client-error-484``.
_NUMBERED = frozenset({Cause.CLIENT_ERROR, Cause.UPSTREAM_SERVER_ERROR, Cause.GLOBAL_DECLINE})


@record
class Ending:
    """A row of the table: what everyone sees of one cause.

    ``error`` is None where the SIP status decides. ``room`` is the participant's reason, ``record``
    what a call record says. ``message`` is the API error's text, ``sentence`` what a person reads.
    """

    result: Result
    who: Party
    room: DisconnectReason
    record: DisconnectReason
    error: ErrorCode | None
    message: str
    sentence: str


_CLIENT = Result.CLIENT_ERROR
_REJECTED = DisconnectReason.USER_REJECTED
_UNAVAILABLE = DisconnectReason.USER_UNAVAILABLE
_TRUNK = DisconnectReason.SIP_TRUNK_FAILURE
_MEDIA = DisconnectReason.MEDIA_FAILURE
_HUNG_UP = DisconnectReason.CLIENT_INITIATED
_UNKNOWN = DisconnectReason.UNKNOWN_REASON
_CANCELED = ErrorCode.CANCELED
_PRECONDITION = ErrorCode.FAILED_PRECONDITION
_INVALID = ErrorCode.INVALID_ARGUMENT
_TIMED_OUT = "sip request timed out"


def _refusal(who: Party, room: DisconnectReason, sentence: str) -> Ending:
    return Ending(_CLIENT, who, room, room, None, "", sentence)


def _unwanted(sentence: str) -> Ending:
    """A call to us that did not come about: no request waits for it."""
    return Ending(_CLIENT, Party.SERVER, _UNAVAILABLE, _UNAVAILABLE, _CANCELED, "", sentence)


ENDINGS: Mapping[Cause, Ending] = {
    Cause.AUTH_REQUIRED: _refusal(
        Party.CARRIER, _REJECTED, "The carrier did not accept the trunk's credentials."
    ),
    Cause.FORBIDDEN: _refusal(Party.CARRIER, _REJECTED, "The carrier forbids this call."),
    Cause.NOT_FOUND: _refusal(Party.CARRIER, _UNAVAILABLE, "Nobody has this number."),
    Cause.REQUEST_TIMEOUT: _refusal(
        Party.CARRIER, _UNAVAILABLE, "The carrier could not reach the callee in time."
    ),
    Cause.UNAVAILABLE: _refusal(
        Party.PHONE, _UNAVAILABLE, "The callee cannot be reached at the moment."
    ),
    Cause.BUSY: _refusal(Party.PHONE, _REJECTED, "The line is busy."),
    Cause.NOT_ACCEPTABLE: _refusal(
        Party.CARRIER, _REJECTED, "The far end does not accept the offered media."
    ),
    Cause.CLIENT_ERROR: Ending(
        _CLIENT, Party.CARRIER, _REJECTED, _UNAVAILABLE, None, "", "The carrier refused the call."
    ),
    Cause.UPSTREAM_SERVER_ERROR: Ending(
        Result.UPSTREAM_ERROR, Party.CARRIER, _TRUNK, _TRUNK, None, "", "The carrier failed."
    ),
    Cause.CPS_LIMIT: Ending(
        _CLIENT, Party.CARRIER, _REJECTED, _TRUNK, None, "",
        "The carrier takes no more new calls a second from this trunk.",
    ),
    Cause.CONCURRENT_LIMIT: Ending(
        _CLIENT, Party.CARRIER, _REJECTED, _TRUNK, None, "",
        "The carrier takes no more calls at a time from this trunk.",
    ),
    Cause.GLOBAL_DECLINE: _refusal(Party.PHONE, _REJECTED, "The callee declined the call."),
    Cause.CARRIER_BLOCKED: _refusal(
        Party.CARRIER, _REJECTED, "The carrier blocks calls from this number."
    ),
    Cause.INVITE_FAILED: Ending(
        Result.SERVER_ERROR, Party.CARRIER, _TRUNK, _UNKNOWN, None, "",
        "The carrier redirected the call to an address that is not followed.",
    ),
    Cause.AUTH_FAILED: Ending(
        _CLIENT, Party.CARRIER, _REJECTED, _REJECTED, _PRECONDITION,
        "sip server required auth, but no username or password was provided",
        "The carrier asked for credentials that could not be given.",
    ),
    Cause.NO_ANSWER: Ending(
        _CLIENT, Party.PHONE, _UNAVAILABLE, _UNAVAILABLE, _CANCELED, _TIMED_OUT,
        "Nobody answered in time.",
    ),
    Cause.NO_RESPONSE: Ending(
        Result.INDETERMINATE, Party.CARRIER, _UNAVAILABLE, _TRUNK, _CANCELED,
        "transaction failed to complete (0 intermediate responses)",
        "The carrier never responded.",
    ),
    Cause.NO_FINAL_RESPONSE: Ending(
        _CLIENT, Party.CARRIER, _UNAVAILABLE, _TRUNK, _CANCELED,
        "transaction failed to complete (no final response)",
        "The carrier began to respond and then fell silent.",
    ),
    Cause.NO_COMMON_CODEC: Ending(
        _CLIENT, Party.CARRIER, _MEDIA, _MEDIA, _PRECONDITION, "no common codec",
        "The far end answered without a codec in common.",
    ),
    Cause.ENCRYPTION_REQUIRED: Ending(
        _CLIENT, Party.CARRIER, _MEDIA, _MEDIA, _PRECONDITION, "media encryption is required",
        "Encrypted media is required and could not be agreed on.",
    ),
    Cause.SDP_ERROR: Ending(
        _CLIENT, Party.CARRIER, _MEDIA, _MEDIA, _PRECONDITION, "unusable session description",
        "The far end answered with a session description that cannot be used.",
    ),
    Cause.ADDRESS_ERROR: Ending(
        _CLIENT, Party.REQUEST, _TRUNK, _TRUNK, _INVALID, "invalid address",
        "The address to call is not valid.",
    ),
    Cause.DNS_RESOLUTION: Ending(
        _CLIENT, Party.CARRIER, _TRUNK, _TRUNK, _INVALID, "address could not be resolved",
        "The trunk's host name could not be resolved.",
    ),
    Cause.NETWORK_ERROR: Ending(
        Result.SERVER_ERROR, Party.CARRIER, _TRUNK, _TRUNK, _PRECONDITION, "network error",
        "The carrier could not be reached over the network.",
    ),
    Cause.STORAGE_FAILED: Ending(
        Result.SERVER_ERROR, Party.SERVER, _UNKNOWN, _UNKNOWN, ErrorCode.INTERNAL,
        "the call could not be recorded", "The call could not be recorded, so it was not placed.",
    ),
    Cause.JOIN_FAILED: Ending(
        Result.SERVER_ERROR, Party.ROOM, _UNKNOWN, _UNKNOWN, ErrorCode.INTERNAL,
        "update room failed", "The phone could not join the room.",
    ),
    Cause.MEDIA_FAILED: Ending(
        Result.SERVER_ERROR, Party.SERVER, _UNKNOWN, _UNKNOWN, ErrorCode.INTERNAL,
        "no media port", "This server had no media port for the call.",
    ),
    Cause.NO_TRUNK: _unwanted("No inbound trunk takes this call."),
    Cause.AMBIGUOUS_TRUNKS: _unwanted("Several inbound trunks take this call alike."),
    Cause.NO_RULE: _unwanted("No dispatch rule says where this call goes."),
    Cause.WRONG_LOGIN: _unwanted("The caller did not know the trunk's user name and password."),
    Cause.PIN_FAILED: _unwanted("The caller did not type a PIN that a dispatch rule has."),
    Cause.NOBODY_HEARD: _unwanted("Nobody who can be heard came into the room in time."),
    Cause.NO_AGENT: _unwanted("No agent came, nor anybody else."),
    Cause.REDIRECTED: _unwanted("Nobody came, so the caller was sent to another address."),
    Cause.CANCELLED: Ending(
        Result.SUCCESS, Party.PHONE, _HUNG_UP, _HUNG_UP, _CANCELED,
        "the caller hung up before the call was answered",
        "The caller hung up before anybody answered.",
    ),
    Cause.BYE: Ending(
        Result.SUCCESS, Party.PHONE, _HUNG_UP, _HUNG_UP, ErrorCode.ABORTED,
        "the callee hung up before the call was active", "The phone hung up.",
    ),
    Cause.TRANSFERRED: Ending(
        Result.SUCCESS, Party.PHONE, _HUNG_UP, _HUNG_UP, _CANCELED,
        "the call was transferred", "The call was transferred.",
    ),
    Cause.REMOVED: Ending(
        Result.SUCCESS, Party.ROOM, _UNKNOWN, _UNKNOWN, _CANCELED,
        "the participant was removed before the call was active",
        "The participant was taken out of the room.",
    ),
    Cause.MEDIA_TIMEOUT: Ending(
        Result.INDETERMINATE, Party.CARRIER, _HUNG_UP, _UNKNOWN, ErrorCode.ABORTED,
        "media-timeout", "No sound came from the far end for too long.",
    ),
    Cause.DIALOG_LOST: Ending(
        Result.INDETERMINATE, Party.CARRIER, _HUNG_UP, _UNKNOWN, ErrorCode.ABORTED,
        "the far end lost the call", "The far end no longer knows of the call.",
    ),
    Cause.MAX_DURATION: Ending(
        Result.SUCCESS, Party.SERVER, _HUNG_UP, _HUNG_UP, _CANCELED,
        "the call reached its maximum duration", "The call reached its maximum duration.",
    ),
    Cause.END_CALL: Ending(
        Result.SUCCESS, Party.ROOM, _HUNG_UP, _HUNG_UP, _CANCELED,
        "the call was ended from the room", "A participant ended the call.",
    ),
    Cause.ABANDONED: Ending(
        _CLIENT, Party.REQUEST, _UNAVAILABLE, _UNAVAILABLE, _CANCELED, _TIMED_OUT,
        "The request that waited for the answer went away.",
    ),
    Cause.SHUTDOWN: Ending(
        Result.SERVER_ERROR, Party.SERVER, DisconnectReason.SERVER_SHUTDOWN,
        DisconnectReason.SERVER_SHUTDOWN, _CANCELED, "the server is shutting down",
        "This server was stopped.",
    ),
    Cause.SERVER_RESTART: Ending(
        Result.SERVER_ERROR, Party.SERVER, DisconnectReason.SERVER_SHUTDOWN,
        DisconnectReason.SERVER_SHUTDOWN, _CANCELED, "the server was restarted",
        "This server stopped without warning during the call; the call was ended at its restart.",
    ),
}  # fmt: skip


@record
class Termination:
    """The ending of one call.

    ``status`` is the final SIP status if one decided (300-699) and ``reason`` its text as the far
    end gave it, perhaps empty. ``detail`` says more in words, and ``text`` stands in the API error
    where the table's message does not fit. ``was_active`` is whether the two sides had been
    connected. ``left_with`` is the room's own reason where the room decided. ``q850`` is the
    telephone network's cause where the far end told it (RFC 3326).
    """

    cause: Cause
    status: int | None = None
    reason: str = ""
    detail: str = ""
    text: str = ""
    was_active: bool = False
    left_with: DisconnectReason | None = None
    q850: int | None = None

    @property
    def _row(self) -> Ending:
        return ENDINGS[self.cause]

    @property
    def word(self) -> str:
        """The stable word: ``busy``, ``client-error-484``."""
        if self.cause in _NUMBERED and self.status is not None:
            return f"{self.cause}-{self.status}"
        return str(self.cause)

    @property
    def result(self) -> Result:
        return self._row.result

    @property
    def who(self) -> Party:
        return self._row.who

    @property
    def room_reason(self) -> DisconnectReason:
        """The participant's disconnect reason.

        A call that was active ends as CLIENT_INITIATED, whatever ended it: agents close their
        session on that. Only the room's own reasons are kept.
        """
        if self.left_with is not None:
            return self.left_with
        return _HUNG_UP if self.was_active else self._row.room

    @property
    def record_reason(self) -> DisconnectReason:
        """The reason for records and analytics, never flattened."""
        return self.left_with if self.left_with is not None else self._row.record

    @property
    def error(self) -> ErrorCode:
        """The API's code for a request that waited for the answer."""
        if self._row.error is not None or self.status is None:
            return self._row.error or ErrorCode.INTERNAL
        return error_code(self.status)

    @property
    def message(self) -> str:
        """The API error's text: ``sip status 486: Busy Here``."""
        if self._row.error is None and self.status is not None:
            return f"sip status {self.status}: {self.reason or short_name(self.status)}"
        if self.text:
            return self.text
        return f"{self._row.message}: {self.detail}" if self.detail else self._row.message

    @property
    def meta(self) -> Mapping[str, str]:
        """``sip_status_code`` and ``sip_status`` where a SIP status decided."""
        if self._row.error is not None or self.status is None:
            return NO_META
        return {
            "sip_status_code": str(self.status),
            "sip_status": self.reason or enum_name(self.status),
        }

    @property
    def sentence(self) -> str:
        """What a person reads: the cause in words, then the SIP status or the detail."""
        text = self._row.sentence
        if self.status is not None:
            text += f" (SIP {self.status}{' ' + self.reason if self.reason else ''})"
        return f"{text} {self.detail}" if self.detail else text


_BY_STATUS: Mapping[int, Cause] = {
    401: Cause.AUTH_REQUIRED,
    403: Cause.FORBIDDEN,
    404: Cause.NOT_FOUND,
    407: Cause.AUTH_REQUIRED,
    408: Cause.REQUEST_TIMEOUT,
    480: Cause.UNAVAILABLE,
    486: Cause.BUSY,
    488: Cause.NOT_ACCEPTABLE,
}
_BY_CLASS: Mapping[int, Cause] = {
    3: Cause.INVITE_FAILED,
    4: Cause.CLIENT_ERROR,
    5: Cause.UPSTREAM_SERVER_ERROR,
    6: Cause.GLOBAL_DECLINE,
}
#: Statuses whose phrase says less than their body or Twilio's header.
_EXPLAINED_ELSEWHERE = frozenset({400, 404, 480, 486, 488})
_TWILIO_BLOCKED = "32203"
_LONGEST_REASON = 200


def of_response(status: int, phrase: str, body: str = "", twilio_error: str = "") -> Termination:
    """The ending that a final response (300-699) to our INVITE means.

    `body` is the response's body where it is text, `twilio_error` its X-Twilio-Error header.
    """
    reason = phrase
    if status in _EXPLAINED_ELSEWHERE:
        reason = body.strip() or twilio_error.strip() or phrase
    return Termination(_cause_of(status, reason, twilio_error), status, _one_line(reason))


def _cause_of(status: int, reason: str, twilio_error: str) -> Cause:
    if twilio_error.startswith(_TWILIO_BLOCKED):
        return Cause.CARRIER_BLOCKED
    lowered = reason.lower()
    if 500 <= status < 600 and "cps limit exceeded" in lowered:
        return Cause.CPS_LIMIT
    if 500 <= status < 600 and "concurrent call limit exceeded" in lowered:
        return Cause.CONCURRENT_LIMIT
    return _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, Cause.CLIENT_ERROR)


def _one_line(text: str) -> str:
    """Printable and short enough for a header, a log line and a screen."""
    flat = " ".join(text.split())
    return "".join(c for c in flat if c.isprintable())[:_LONGEST_REASON]
