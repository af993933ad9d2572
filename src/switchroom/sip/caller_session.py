"""A call that we place (RFC 3261 section 13.2): INVITE, its answers, and giving up."""

from __future__ import annotations

from typing import Final

from switchroom.sip.call_session import CallSession
from switchroom.sip.dialog import Dialog
from switchroom.sip.dialog_request import MAX_ATTEMPTS, DialogRequest, Outcome, describe
from switchroom.sip.digest import ChallengeOutcome, Login
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.flows import Flow
from switchroom.sip.grammar import require_clean
from switchroom.sip.headers import check_fields
from switchroom.sip.invite_session import (
    Answered,
    AuthProblem,
    Failed,
    FailureKind,
    Fields,
    OutgoingInvite,
    Provisional,
    SipFailure,
)
from switchroom.sip.late_answers import MAX_FORKS, LateAnswers, unheard
from switchroom.sip.message import Request, Response
from switchroom.sip.reliable_provisional import ReliableReceiver, is_reliable
from switchroom.sip.responses import supported
from switchroom.sip.session_host import SessionHost
from switchroom.sip.targets import redirected
from switchroom.sip.timers import Timer
from switchroom.sip.transactions.client import ClientTransaction
from switchroom.sip.transactions.invite_client import InviteClientTransaction, build_cancel
from switchroom.sip.transactions.machine import Failure, State
from switchroom.sip.uri import NameAddr, Uri
from switchroom.sip.way import Way

_PROBLEMS: Final = {
    ChallengeOutcome.NO_CREDENTIALS: AuthProblem.NO_CREDENTIALS,
    ChallengeOutcome.NO_USABLE_CHALLENGE: AuthProblem.NO_USABLE_CHALLENGE,
    ChallengeOutcome.REJECTED: AuthProblem.REJECTED,
}


class CallerSession(CallSession):
    """From ``start`` until the answer; then what CallSession does."""

    def __init__(self, host: SessionHost, invite: OutgoingInvite) -> None:
        user = invite.from_.uri.user
        super().__init__(host, invite.call_id, invite.local_tag, user, invite.credentials)
        self._invite = invite
        self._headers = check_fields(invite.headers)
        self._target = require_clean(str(invite.request_uri.without_headers()), "Request-URI")
        self._from = require_clean(f"{invite.from_};tag={invite.local_tag}", "From")
        self._to = require_clean(str(invite.to), "To")
        require_clean(invite.call_id, "Call-ID")
        self._login: Login | None = None
        self._attempts = 0
        """Also the CSeq of the last INVITE."""
        self._way: Way | None = None
        self._patience: Timer | None = None
        self._refusal: SipFailure | None = None
        """What the target before this one said."""
        self._redirected: set[str] = set()
        self._transaction: ClientTransaction | None = None
        self._called_off: set[ClientTransaction] = set()
        self._provisional_seen = 0
        self._rang: dict[str, tuple[ClientTransaction, Response]] = {}
        """By remote tag: our INVITE and the last 101–199 response, from which a dialog follows."""
        self._early_bodies: dict[str, bytes] = {}
        """By remote tag: the last SDP that came before the answer."""
        self._early: dict[str, Dialog] = {}
        """The early dialogs that were needed so far."""
        self._reliable: dict[str, ReliableReceiver] = {}
        self._unwanted: set[str] = set()
        """Remote tags of those whose answer we hung up on."""
        self._cancel_wanted = False
        self._cancel_sent = False
        self._cancel_headers: Fields = ()
        self._give_up: Timer | None = None

    @property
    def placed(self) -> bool:
        """It is we who call."""
        return True

    # ── commands ──

    def start(self, now: float) -> None:
        """Find the way and send the INVITE."""
        self._find_way(self._first_hop(), now)

    def cancel(self, now: float, headers: Fields = ()) -> None:
        """Give up before the answer; after it, hang up."""
        headers = check_fields(headers)
        if self.dialog is not None:
            self.bye(now, headers)
        if self.finished or self._cancel_wanted or self.dialog is not None:
            return
        self._cancel_wanted = True
        self._cancel_headers = headers
        if self._transaction is None:
            # Nothing has left yet, and nothing will.
            self._fail(SipFailure(FailureKind.CANCELLED, reason="cancelled"))
        elif self._provisional_seen:
            self._send_cancel(now)

    def bye(self, now: float, headers: Fields = ()) -> None:
        """Hang up; before the answer, cancel."""
        if self.dialog is None:
            self.cancel(now, headers)
        else:
            super().bye(now, headers)

    # ── sending ──

    def _first_hop(self) -> Uri:
        for name, value in self._headers:
            if name.lower() == "route":
                try:
                    return NameAddr.parse(value.partition(",")[0]).uri
                except MalformedValueError:
                    break
        return self._invite.request_uri

    def _find_way(self, hop: Uri, now: float) -> None:
        size = len(self._invite.body) + sum(
            len(name) + len(value) + 4 for name, value in self._headers
        )
        self._way = self._host.way(hop, self._invite.transport, size=size + _USUAL_HEAD)
        self._attempts += 1
        self._way.next(self._reached, now)

    def _reached(self, result: Flow | SipFailure, now: float) -> None:
        if self.finished:
            return
        if isinstance(result, SipFailure):
            self._fail(self._refusal or result)
        else:
            self._send_invite(result, now)

    def _send_again(self, flow: Flow, now: float) -> None:
        # Section 22.2: each attempt has the same Call-ID, To and From tag, and the next CSeq.
        self._attempts += 1
        self._send_invite(flow, now)

    def _send_invite(self, flow: Flow, now: float) -> None:
        self._provisional_seen = 0
        self.remote = flow.peer
        request = self._build_invite(flow)
        self._transaction = self._host.start_request(flow, request, self, now)
        if self._way is not None and self._way.more:
            self._patience = self._host.timers.schedule(now + _PATIENCE, self._too_quiet)

    # ── other targets (RFC 3263 section 4.3) ──

    def _too_quiet(self, now: float) -> None:
        self._patience = None
        transaction = self._transaction
        if isinstance(transaction, InviteClientTransaction) and not self._settled:
            transaction.quiet(now)
            self._try_next(None, now)

    @property
    def _settled(self) -> bool:
        """Whether it is too late to turn to somebody else."""
        started = bool(self._provisional_seen) or self.dialog is not None
        return started or self.finished or self._cancel_wanted

    def _try_next(self, refusal: SipFailure | None, now: float, penalty: float = 30.0) -> bool:
        """Turn to the next target, if there is one: the same INVITE in another transaction."""
        way = self._way
        if way is None:
            return False
        way.blame(now, penalty)
        if not way.more:
            return False
        self._be_patient()
        self._refusal, self._transaction = refusal, None
        way.next(self._reached, now)
        return True

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _call_off(self, transaction: ClientTransaction, now: float) -> None:
        """A target that we gave up on rings after all: nobody is to be called twice."""
        if transaction not in self._called_off:
            self._called_off.add(transaction)
            self._stop(transaction, (), now)

    def _redirect(self, response: Response, now: float) -> bool:
        """Follow a 3xx, if that is wanted and it stays in the house (section 8.1.3.4)."""
        if len(self._redirected) >= self._host.redirects:
            return False
        for uri in redirected(response, self._invite.request_uri):
            target = str(uri)
            if target not in self._redirected and target != self._target:
                self._redirected.add(target)
                self._target, self._transaction = target, None
                self._find_way(uri, now)
                return True
        return False

    def _build_invite(self, flow: Flow) -> Request:
        invite = self._invite
        fields = [
            ("Contact", flow.contact(self._contact_user, secure=self._target.startswith("sips:"))),
            ("User-Agent", self._host.user_agent),
            self._host.allow,
            # A late offer would put our answer into the PRACK, which we do not do: no 100rel then.
            self._host.supported
            if invite.body
            else supported(self._host.options, without="100rel"),
            *self._offers.timer.ask(),
            *self._headers,
            *self._digest.authorise("INVITE", self._target),
        ]
        if invite.body:
            fields.append(("Content-Type", invite.content_type))
        return Request.compose(
            "INVITE",
            self._target,
            via=flow.via(f"z9hG4bK{self._host.new_token()}"),
            from_=self._from,
            to=self._to,
            call_id=invite.call_id,
            number=self._attempts,
            fields=fields,
            body=invite.body,
        )

    def _send_cancel(self, now: float) -> None:
        # Section 9.1: not before a provisional response, else it may overtake the INVITE.
        if self._transaction is None or self._cancel_sent:
            return
        self._cancel_sent = True
        self._give_up = self._stop(self._transaction, self._cancel_headers, now)

    def _stop(self, transaction: ClientTransaction, headers: Fields, now: float) -> Timer:
        """CANCEL an INVITE. Gives the timer that ends it if its callee never says that it has
        stopped (section 9.1)."""
        cancel = build_cancel(transaction.request, headers)

        def reached(result: Flow | SipFailure, at: float) -> None:
            # It rings on though its connection was lost, and must hear of this on another.
            if isinstance(result, Flow):
                self._host.start_request(result, cancel, _UNHEARD, at)

        self._host.follow(transaction.flow, reached, now)
        return self._host.timers.schedule(now + self._host.timing.give_up, transaction.abandon)

    # ── what comes back ──

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response to the INVITE."""
        if response.is_success:
            self._on_success(transaction, response, now)
        elif transaction is not self._transaction:
            if response.is_provisional:
                self._call_off(transaction, now)
        elif self.finished:
            return
        elif response.is_provisional:
            self._on_provisional(transaction, response, now)
        else:
            self._on_rejection(transaction, response, now)

    def _on_provisional(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> None:
        self._provisional_seen += 1
        self._be_patient()
        if self._way is not None:
            self._way.praise()
        if self._cancel_wanted:
            self._send_cancel(now)
            return
        tag = response.to_tag if response.status > 100 else None
        if tag and (tag in self._rang or len(self._rang) < MAX_FORKS):
            self._rang[tag] = (transaction, response)
        reliable = bool(tag) and is_reliable(response)
        if reliable and not self._prack(tag or "", response, now):
            return
        if tag and response.body and len(self._early_bodies) < MAX_FORKS:
            self._early_bodies[tag] = response.body
        self.tell(
            Provisional(
                response.status,
                response.reason,
                response.headers,
                response.body,
                tag or "",
                reliable,
            )
        )

    def _make_dialog(self, transaction: ClientTransaction, response: Response) -> Dialog:
        """The dialog with one callee; a forked INVITE has several (section 12.1.2)."""
        # A Contact that names no transport is reached over the one the INVITE took; section 19.1.2
        # says UDP, but peers that were called over TCP mean TCP.
        flow = transaction.flow
        dialog = self._early.get(response.to_tag or "")
        if dialog is None:
            dialog = Dialog.as_caller(transaction.request, response, flow.transport)
            self._early[dialog.remote_tag] = dialog
        else:
            dialog.confirm(response)
        dialog.flow = flow
        return dialog

    def _early_dialog(self, tag: str) -> Dialog | None:
        if tag not in self._early and tag in self._rang:
            return self._make_dialog(*self._rang[tag])
        return self._early.get(tag)

    def _prack(self, tag: str, response: Response, now: float) -> bool:
        """Acknowledge a reliable 1xx (RFC 3262 section 4); False if it is none to act upon."""
        rseq = response.rseq or 0
        dialog = self._early_dialog(tag)
        if dialog is None:
            return False
        receiver = self._reliable.setdefault(dialog.remote_tag, ReliableReceiver())
        if not receiver.is_next(rseq):
            return False
        DialogRequest(
            self._host,
            dialog,
            self._digest,
            method="PRACK",
            headers=(("RAck", f"{rseq} {response.cseq}"),),
            done=unheard,
        ).start(now)
        return True

    def _on_success(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        tag = response.to_tag or ""
        if self.dialog is not None and self.dialog.remote_tag == tag:
            # Our ACK was lost (section 13.2.2.4).
            self._acks.acknowledge(self.dialog, transaction.request, now)
            return
        if tag not in self._early and len(self._early) >= MAX_FORKS:
            return
        dialog = self._make_dialog(transaction, response)
        self._acks.acknowledge(dialog, transaction.request, now)
        if self.dialog is None and not self._cancel_wanted and not self.finished:
            self._choose(transaction, now)
            self._answered(dialog, response, now)
        elif tag not in self._unwanted and len(self._unwanted) < MAX_FORKS:
            self._unwanted.add(tag)
            self._hang_up_unwanted(dialog, response, now)

    def _choose(self, transaction: ClientTransaction, now: float) -> None:
        """Of several targets that were tried, this one has answered."""
        self._be_patient()
        other, self._transaction = self._transaction, transaction
        self.remote = transaction.flow.peer
        if other is None or other is transaction:
            return
        if self._provisional_seen:
            self._call_off(other, now)
        elif isinstance(other, InviteClientTransaction):
            # It has said nothing so far, and is not to be rung by a repetition.
            other.quiet(now)

    def _answered(self, dialog: Dialog, response: Response, now: float) -> None:
        self.dialog = dialog
        self._offers.heard(response.headers)
        self._offers.timer.answered(response, now)
        self._rang.clear()
        self._early.clear()
        self._reliable.clear()
        body = response.body or self._early_bodies.get(dialog.remote_tag, b"")
        self._early_bodies.clear()
        self._offers.local, self._offers.remote = self._invite.body, body
        self.tell(
            Answered(response.status, response.reason, response.headers, body, dialog.remote_tag)
        )

    def _hang_up_unwanted(self, dialog: Dialog, response: Response, now: float) -> None:
        """BYE after the ACK: a second callee of a fork, or a 2xx that crossed our CANCEL."""
        forked = self.dialog is not None
        done = unheard if forked else self._crossed_bye_done
        if not forked:
            self._bye_sent = True
        else:
            # Its PRACKs were forgotten when the other one answered.
            dialog.leave_a_gap()
        DialogRequest(self._host, dialog, self._digest, method="BYE", done=done).start(now)
        if not forked:
            self._emit_failed(FailureKind.CANCELLED, response)

    def _crossed_bye_done(self, outcome: Outcome, now: float) -> None:
        self.let_go()

    def _on_rejection(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        self._stop_giving_up()
        self._be_patient()
        if self._cancel_wanted:
            self._emit_failed(FailureKind.CANCELLED, response)
        elif not self._mended(transaction, response, now):
            if response.status in (401, 407):
                self._log_in(transaction, response, now)
            else:
                self._emit_failed(FailureKind.REJECTED, response)

    def _mended(self, transaction: ClientTransaction, response: Response, now: float) -> bool:
        """Whether the call goes on in spite of this refusal."""
        if response.status == 503:
            failure = self._failure_of(FailureKind.REJECTED, response)
            return self._try_next(failure, now, _pause_of(response))
        if 300 <= response.status < 400:
            return self._redirect(response, now)
        more = self._attempts < MAX_ATTEMPTS
        if response.status == 422 and more and self._offers.timer.raised(response):
            # RFC 4028 section 7.3: the same INVITE with the interval that is wanted.
            self._send_again(transaction.flow, now)
            return True
        return False

    def _log_in(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        self._login = self._login or self._digest.login()
        outcome = self._login.challenged(response)
        if outcome is not ChallengeOutcome.RETRY:
            self._emit_failed(FailureKind.AUTH, response, _PROBLEMS[outcome])
        elif self._attempts >= MAX_ATTEMPTS:
            self._emit_failed(FailureKind.AUTH, response, AuthProblem.TOO_MANY_ATTEMPTS)
        else:
            self._send_again(transaction.flow, now)

    def on_failure(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        """No final response to the INVITE will come."""
        if transaction is not self._transaction or self.finished or self.dialog is not None:
            return
        self._stop_giving_up()
        if self._cancel_wanted:
            # Section 9.1: 64*T1 after the CANCEL the INVITE counts as cancelled.
            kind, reason = FailureKind.CANCELLED, "cancelled"
        else:
            told = describe(transaction, failure)
            if not self._settled and (
                self._sent_anew(transaction, failure, now) or self._try_next(told, now)
            ):
                return
            kind, reason = told.kind, told.reason
            if kind is FailureKind.NO_RESPONSE and self._provisional_seen:
                kind, reason = FailureKind.TIMED_OUT, "no final response"
        self._fail(SipFailure(kind, reason=reason, provisional_seen=self._provisional_seen))

    def _sent_anew(self, transaction: ClientTransaction, failure: Failure, now: float) -> bool:
        """Whether the INVITE of a connection that was closed under it goes out on another.

        A peer that had read it all the same knows it by its branch, and does not ring twice.
        """
        if failure is not Failure.TRANSPORT or not transaction.reused:
            return False
        invite, self._transaction = transaction.request, None

        def reached(result: Flow | SipFailure, at: float) -> None:
            if self.finished:
                return
            if isinstance(result, Flow):
                self._transaction = self._host.start_request(result, invite, self, at)
            elif not self._try_next(result, at):
                self._fail(result)

        self._host.follow(transaction.flow, reached, now)
        return True

    def _emit_failed(
        self, kind: FailureKind, response: Response, auth: AuthProblem | None = None
    ) -> None:
        self._fail(self._failure_of(kind, response, auth))

    def _failure_of(
        self, kind: FailureKind, response: Response, auth: AuthProblem | None = None
    ) -> SipFailure:
        return SipFailure(
            kind,
            status=response.status,
            reason=response.reason,
            headers=response.headers,
            body=response.body,
            provisional_seen=self._provisional_seen,
            auth=auth,
        )

    def _fail(self, failure: SipFailure) -> None:
        self._be_patient()
        self._finish(Failed(failure))

    def let_go(self) -> None:
        """As of any call; its INVITE is held for 64*T1 by SIP, and must not hold the call."""
        super().let_go()
        transaction = self._transaction
        if transaction is None:
            return
        if transaction.state is State.ACCEPTED:
            known = () if self.dialog is None else (self.dialog.remote_tag,)
            transaction.hand_over(
                LateAnswers(self._host, self._acks, self._digest, (*known, *self._unwanted))
            )
        elif transaction.state is State.COMPLETED:
            transaction.let_go()

    def _stop_giving_up(self) -> None:
        if self._give_up is not None:
            self._give_up.cancel()
            self._give_up = None

    # ── requests from the callee before its answer ──

    def knows(self, remote_tag: str) -> bool:
        """Early dialogs included: a callee may send UPDATE or INFO before it answers."""
        return super().knows(remote_tag) or remote_tag in self._rang

    def _dialog_of(self, request: Request) -> Dialog | None:
        return super()._dialog_of(request) or self._early_dialog(request.from_tag or "")

    def _bye_received(self, request: Request, now: float) -> None:
        super()._bye_received(request, now)
        if self.dialog is None:
            # Section 15 wants another answer to the INVITE of who does not want it; this one may
            # give none any more, and others of a fork ring on.
            self._send_cancel(now)


def _pause_of(response: Response) -> float:
    """For how long a target that says 503 is tried last: as it says, but not for ever."""
    after = (response.headers.get("Retry-After") or "").partition(";")[0].strip()
    known = after.isascii() and after.isdigit() and len(after) < 6
    return min(float(after), 300.0) if known else 30.0


_USUAL_HEAD: Final = 600
"""Bytes of an INVITE without what its owner adds: start line, Via, From, To, Contact, Allow."""

_PATIENCE: Final = 4.0
"""Seconds without a response after which another target is tried (T1 doubled thrice)."""


class _Unheard:
    """Nobody waits for the answer to a CANCEL (section 9.1): it is the INVITE's that counts."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """Nothing to do."""

    def on_failure(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        """Nothing to do."""


_UNHEARD: Final = _Unheard()
