"""What happens to a call beside the events of `sip.invite_session`, and what is to be done.

What only one direction knows stands beside its machine, in `outbound` and `inbound`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from switchroom.base.records import record
from switchroom.rooms.reasons import DisconnectReason
from switchroom.sdp.offer_answer import NegotiatedMedia
from switchroom.sip.invite_session import Fields
from switchroom.sip.uri import NameAddr
from switchroom.telephony.calls.termination import Termination


class CallStatus(StrEnum):
    """The values of ``sip.callStatus``."""

    DIALING = "dialing"
    RINGING = "ringing"
    AUTOMATION = "automation"
    ACTIVE = "active"
    HANGUP = "hangup"


def _nothing() -> Mapping[str, str]:
    return {}


@record
class Guest:
    """The phone as it joins a room. ``attributes`` hold the first ``sip.callStatus``.

    ``configuration`` (proto-JSON of RoomConfiguration, as it came) and ``preset`` are what
    the room is created with, should there be none of that name.
    """

    room_name: str
    identity: str
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=_nothing)
    configuration: str = ""
    preset: str = ""


# ── what happens ─────────────────────────────────────────────────────────────


@record
class Joined:
    """The phone has its seat in the room."""


@record
class JoinRefused:
    """The room does not take the phone."""

    detail: str


@record
class AnswerStored:
    """The dialog of the answered call is stored, or will never be."""


@record
class MediaStarted:
    """The first packet came from the phone."""


@record
class MediaLost:
    """No packet came from the phone for the agreed time."""


@record
class DigitsPlayed:
    """The last digit asked for has been sent to the phone."""


@record
class DigitFromPhone:
    """A key was pressed on the phone: one of ``0-9*#ABCD``."""

    digit: str


@record
class DigitsFromRoom:
    """A participant wants these digits to be heard by the phone."""

    digits: str


@record
class RoomClosed:
    """The room takes the seat away: deleted, participant removed, same identity joined."""

    reason: DisconnectReason


@record
class EndWanted:
    """A participant ends the call (``lk.sip.EndCall``); `headers` go with our farewell."""

    headers: Fields = ()


@record
class Abandoned:
    """Whoever wanted the call gave up before hearing that it is active."""


@record
class TakenOver:
    """Somebody calls with Replaces (RFC 3891): `body` is the offer of that INVITE."""

    body: bytes = field(repr=False)


@record
class Stopping:
    """The server ends its calls."""


@record
class DeadlineReached:
    """The time that `deadline` named has come."""


# ── what to do ───────────────────────────────────────────────────────────────


@record
class JoinRoom:
    """Take a seat; answered by Joined or JoinRefused."""

    guest: Guest


@record
class PublishTrack:
    """Publish the phone's audio track; with `tone` it carries the dial tone first."""

    tone: bool


@record
class ConnectTrack:
    """From now on the room hears the phone on that track, and no tone."""


@record
class HearRoom:
    """From now on the phone hears the room."""


@record
class StoreAnswer:
    """Store the dialog; if `at_once`, answer with AnswerStored when a crash cannot lose it."""

    at_once: bool


@record
class StoreEnd:
    """Close the record."""

    termination: Termination


@record
class ForgetDialog:
    """The far end knows that the call is over: nothing is left to end after a crash."""


@record
class Cancel:
    """Stop a dial of ours; `reason` is the value of the Reason header, empty for none."""

    reason: str = ""
    headers: Fields = ()


@record
class Reject:
    """Refuse a call to us that is not answered."""

    status: int
    phrase: str
    headers: Fields = ()


@record
class Bye:
    """Hang up; `reason` is the value of the Reason header (RFC 3326)."""

    reason: str
    headers: Fields = ()


@record
class RespondRefer:
    """Answer the phone's wish to be transferred."""

    refer_id: int
    status: int
    phrase: str


@record
class DialReferred:
    """Call, in the phone's place, whom it names; the phone is told how that goes."""

    refer_id: int
    refer_to: NameAddr


@record
class AnswerSuccessor:
    """Answer the call that takes over this one with this description, and leave the old dialog."""

    body: bytes = field(repr=False)


@record
class RefuseSuccessor:
    """The call that was to take over cannot."""

    status: int
    phrase: str


@record
class RespondOffer:
    """Answer a re-INVITE or UPDATE."""

    offer_id: int
    status: int
    phrase: str
    body: bytes = field(default=b"", repr=False)


@record
class Patience:
    """How long (s) no packet may come: before the first one, and then. None is for ever."""

    first: float | None
    then: float | None


NO_HURRY = Patience(None, None)


@record
class UpdateLeg:
    """Send and receive as agreed."""

    media: NegotiatedMedia
    patience: Patience


@record
class CloseLeg:
    """Give the port back."""


@record
class PlayDigits:
    """Send digits to the phone, in the form that was agreed on; DigitsPlayed follows."""

    digits: str


@record
class SetProcessing:
    """What is done to the phone's sound: whole, each time."""

    denoise: bool
    detect_tones: bool


@record
class TellDigit:
    """Tell the room which key was pressed."""

    digit: str


@record
class SetStatus:
    """Tell the room the new status, and whatever else became known with it, in one update."""

    status: CallStatus
    attributes: Mapping[str, str]


@record
class SetAttributes:
    """Tell the room what became known."""

    attributes: Mapping[str, str]


@record
class SetHold:
    """Tell the room that the phone holds the call, or does no longer."""

    held: bool


@record
class LeaveRoom:
    """Give the seat back."""

    reason: DisconnectReason


Command = (
    JoinRoom
    | PublishTrack
    | ConnectTrack
    | HearRoom
    | StoreAnswer
    | StoreEnd
    | ForgetDialog
    | Cancel
    | Reject
    | Bye
    | RespondRefer
    | DialReferred
    | AnswerSuccessor
    | RefuseSuccessor
    | SetHold
    | RespondOffer
    | UpdateLeg
    | CloseLeg
    | PlayDigits
    | SetProcessing
    | TellDigit
    | SetStatus
    | SetAttributes
    | LeaveRoom
)
