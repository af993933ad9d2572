"""A transfer, stage by stage: what each answer and each piece of news makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import FailureKind, ReferAnswered, ReferNotified, SipFailure
from switchroom.telephony.calls import transfer as t
from switchroom.telephony.calls.transfer import (
    BYE_PATIENCE,
    FADING,
    ReportTransfer,
    Stage,
    Transfer,
    TransferCommand,
    TransferPlan,
)
from switchroom.telephony.calls.transfer_outcome import TransferReason, TransferStatus

_PLAN = TransferPlan("STR_1", "sip:b@c", "sip:b@c", until=30.0)
_ASKED = t.begin(_PLAN, 1)[0]
_TRYING = replace(_ASKED, stage=Stage.TRYING)


def _answer(status: int, headers: Headers | None = None, number: int = 1) -> ReferAnswered:
    return ReferAnswered(number, status, "text", headers or Headers())


def _news(status: int | None, *, over: bool = False, number: int = 1) -> ReferNotified:
    return ReferNotified(number, status, "text", over, Headers())


def _result(commands: tuple[TransferCommand, ...]) -> tuple[TransferStatus, TransferReason]:
    report = commands[-1]
    assert isinstance(report, ReportTransfer)
    return report.result.status, report.result.reason


_SUCCESS = (TransferStatus.SUCCESSFUL, TransferReason.COMPLETED)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_is_the_phones_consent(status: int) -> None:
    state, commands = t.answered(_ASKED, _answer(status), 1.0)
    assert (state, commands) == (_TRYING, ())


@pytest.mark.parametrize("status", [301, 403, 405, 480, 503, 603])
def test_any_other_answer_is_a_refusal_with_its_status(status: int) -> None:
    state, commands = t.answered(_ASKED, _answer(status), 1.0)
    assert state is None
    report = commands[0]
    assert isinstance(report, ReportTransfer)
    assert report.result == t.TransferResult(
        TransferStatus.FAILED, TransferReason.REJECTED, status, "text"
    )


def test_a_refer_without_an_answer_is_no_refusal() -> None:
    unanswered = replace(_answer(408), failure=SipFailure(FailureKind.NO_RESPONSE))
    _, commands = t.answered(_ASKED, unanswered, 1.0)
    assert _result(tuple(commands)) == (TransferStatus.FAILED, TransferReason.UNSPECIFIED)


def test_consent_without_news_to_come_has_to_do() -> None:
    state, commands = t.answered(_ASKED, _answer(202, Headers((("Refer-Sub", "false"),))), 1.0)
    assert state is not None
    assert state.done
    assert _result(tuple(commands)) == _SUCCESS


@pytest.mark.parametrize("state", [_ASKED, _TRYING])
def test_news_of_a_call_that_stands_is_success_even_before_the_consent(state: Transfer) -> None:
    done, commands = t.notified(state, _news(200, over=True), 5.0)
    assert done is not None
    assert (done.stage, done.due) == (Stage.DONE, 5.0 + BYE_PATIENCE)
    assert _result(tuple(commands)) == _SUCCESS


def test_progress_is_waited_through() -> None:
    for status in (100, 180, 183, None):
        state, commands = t.notified(_TRYING, _news(status), 5.0)
        assert state is not None
        assert (state.stage, commands) == (Stage.TRYING, ())


def test_news_that_end_without_a_result_leave_a_moment_for_the_bye() -> None:
    fading, commands = t.notified(_TRYING, _news(100, over=True), 5.0)
    assert fading is not None
    assert (fading.stage, fading.due, fading.taken) == (Stage.FADING, 5.0 + FADING, True)
    assert commands == ()
    gone, commands = t.overdue(fading)
    assert gone is None
    assert _result(tuple(commands)) == (
        TransferStatus.FAILED, TransferReason.SUBSCRIPTION_TERMINATED,
    )  # fmt: skip


def test_the_deadline_ends_a_transfer_that_rings_too_long() -> None:
    for state in (_ASKED, _TRYING):
        gone, commands = t.overdue(state)
        assert gone is None
        assert _result(tuple(commands)) == (TransferStatus.FAILED, TransferReason.RINGING_TIMEOUT)


def test_nobody_waiting_any_more_ends_the_transfer_and_not_the_call() -> None:
    gone, commands = t.abandoned(_TRYING)
    assert gone is None
    assert _result(tuple(commands)) == (TransferStatus.FAILED, TransferReason.CANCELED)


def test_news_of_an_earlier_transfer_are_not_of_this_one() -> None:
    second = t.begin(_PLAN, 2)[0]
    assert t.notified(second, _news(200), 1.0) == (second, ())
    assert t.answered(second, _answer(202), 1.0) == (second, ())


def test_what_comes_after_the_result_changes_nothing() -> None:
    done = replace(_TRYING, stage=Stage.DONE)
    assert t.notified(done, _news(486), 1.0) == (done, ())
    assert t.overdue(done) == (done, ())
    assert t.abandoned(done) == (done, ())
    assert t.call_ended(done) == ()
