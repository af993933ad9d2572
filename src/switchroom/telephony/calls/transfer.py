"""A transfer as a pure machine: we ask the phone to call somebody else in our place (REFER).

The phone first says whether it tries (the answer to REFER, RFC 3515), then how its call goes
(NOTIFY with a status line). What LiveKit takes for a result is taken here. Time is the monotonic
clock's, in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from switchroom.base.legible import legible
from switchroom.base.records import record, replace
from switchroom.sip.invite_session import Fields, ReferAnswered, ReferNotified
from switchroom.telephony.calls.transfer_outcome import TransferReason, TransferStatus

#: Seconds that the phone has for its BYE once it has been transferred; then it gets ours.
BYE_PATIENCE = 1.0
#: Seconds after the end of the news in which a BYE still tells success: some peers send
#: ``100 Trying`` with a terminated subscription, and hang up when the new call stands.
FADING = 2.0


@record
class TransferPlan:
    """What is to be done. ``refer_to`` is the URI in Refer-To, ``until`` the deadline.

    With ``play_dialtone`` the phone hears ringing instead of the room until the transfer is over.
    """

    transfer_id: str
    transfer_to: str
    refer_to: str
    until: float
    headers: Fields = ()
    play_dialtone: bool = False


@record
class TransferResult:
    """How it ended. ``sip_status`` is the last that the phone told, None if it told none."""

    status: TransferStatus
    reason: TransferReason
    sip_status: int | None = None
    sip_reason: str = ""


class Stage(Enum):
    """How far the transfer has come."""

    ASKED = "asked"  # REFER is on its way
    TRYING = "trying"  # the phone has agreed and calls
    FADING = "fading"  # no more news will come, and none told the result
    DONE = "done"  # the phone is elsewhere: its BYE is due


# ── what happens and what is to be done ──────────────────────────────────────


@record
class TransferWanted:
    """Somebody wants the phone to be elsewhere."""

    plan: TransferPlan


@record
class TransferAbandoned:
    """Nobody waits for the result any more."""


@record
class Refer:
    """Send REFER."""

    plan: TransferPlan


@record
class RingPhone:
    """Let the phone hear ringing, and not the room."""


@record
class RestoreSound:
    """Let the phone hear the room again."""


@record
class ReportTransfer:
    """The requests that wait get their answer; the books and the room are told."""

    result: TransferResult


TransferCommand = Refer | RingPhone | RestoreSound | ReportTransfer


@record
class Transfer:
    """The state. ``due`` is when the stage ends by itself; ``number`` counts REFERs of the call."""

    plan: TransferPlan
    number: int
    due: float
    stage: Stage = Stage.ASKED
    last: tuple[int, str] | None = None

    @property
    def done(self) -> bool:
        """Whether the phone is elsewhere."""
        return self.stage is Stage.DONE

    @property
    def taken(self) -> bool:
        """Whether an end of the call now means that the transfer succeeded."""
        return self.stage in (Stage.TRYING, Stage.FADING)


_Step = tuple[Transfer | None, Sequence[TransferCommand]]


def begin(plan: TransferPlan, number: int) -> tuple[Transfer, Sequence[TransferCommand]]:
    """Ask the phone; this is the call's REFER with that number, counted from 1."""
    ringing: list[TransferCommand] = [RingPhone()] if plan.play_dialtone else []
    return Transfer(plan, number, plan.until), [*ringing, Refer(plan)]


def answered(transfer: Transfer, event: ReferAnswered, now: float) -> _Step:
    """The phone agrees or not. A NOTIFY may have come before its answer."""
    if event.refer_id != transfer.number or transfer.stage is not Stage.ASKED:
        return transfer, ()
    if not 200 <= event.status < 300:
        status = (event.status, legible(event.reason))
        heard = event.failure is None
        reason = TransferReason.REJECTED if heard else TransferReason.UNSPECIFIED
        return _failed(replace(transfer, last=status), reason)
    if event.no_news:
        # RFC 4488: the phone will not say how its call goes, so that it agreed has to do.
        return _succeeded(transfer, now)
    return replace(transfer, stage=Stage.TRYING), ()


def notified(transfer: Transfer, event: ReferNotified, now: float) -> _Step:
    """The phone tells how its call goes."""
    if event.refer_id != transfer.number or transfer.done:
        return transfer, ()
    if event.status is not None:
        transfer = replace(transfer, last=(event.status, legible(event.reason)))
    if event.status is not None and event.status >= 200:
        if event.status < 300:
            return _succeeded(transfer, now)
        return _failed(transfer, TransferReason.REJECTED)
    if event.over:
        due = min(transfer.due, now + FADING)
        return replace(transfer, stage=Stage.FADING, due=due), ()
    return replace(transfer, stage=Stage.TRYING), ()


def overdue(transfer: Transfer) -> _Step:
    """The stage's time is over; a transfer that is done is the call's to end."""
    if transfer.done:
        return transfer, ()
    if transfer.stage is Stage.FADING:
        return _failed(transfer, TransferReason.SUBSCRIPTION_TERMINATED)
    return _failed(transfer, TransferReason.RINGING_TIMEOUT)


def abandoned(transfer: Transfer) -> _Step:
    """Nobody waits any more: the phone stays, if it still can."""
    if transfer.done:
        return transfer, ()
    return _failed(transfer, TransferReason.CANCELED)


def call_ended(transfer: Transfer) -> Sequence[TransferCommand]:
    """What the end of the call means: after the phone's consent, that it has gone elsewhere."""
    if transfer.done:
        return ()
    status = TransferStatus.SUCCESSFUL if transfer.taken else TransferStatus.FAILED
    return (_report(transfer, status, TransferReason.CALL_ENDED),)


def _succeeded(transfer: Transfer, now: float) -> _Step:
    report = _report(transfer, TransferStatus.SUCCESSFUL, TransferReason.COMPLETED)
    return replace(transfer, stage=Stage.DONE, due=now + BYE_PATIENCE), (report,)


def _failed(transfer: Transfer, reason: TransferReason) -> _Step:
    report = _report(transfer, TransferStatus.FAILED, reason)
    if transfer.plan.play_dialtone:
        return None, (RestoreSound(), report)
    return None, (report,)


def _report(transfer: Transfer, status: TransferStatus, reason: TransferReason) -> ReportTransfer:
    sip_status, sip_reason = transfer.last or (None, "")
    return ReportTransfer(TransferResult(status, reason, sip_status, sip_reason))
