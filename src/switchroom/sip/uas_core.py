"""What becomes of a request that arrives (RFC 3261 sections 8.2, 9.2, 12.2.2 and 17.2.3).

Strangers are answered statelessly, never with more bytes than they sent, and never twice for one
request: a forged source address gains an attacker nothing. State is made only for calls that were
let in and for requests inside of them.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from switchroom.sip.call_session import CallSession, unsupported_options
from switchroom.sip.callee_session import CalleeSession
from switchroom.sip.dialog import Dialog
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.flows import Flow, reply_flow, stamp_via
from switchroom.sip.invite_session import IncomingInvite
from switchroom.sip.message import Request, UnparsableError
from switchroom.sip.offers import SDP
from switchroom.sip.replaces import Replaces
from switchroom.sip.responses import ACCEPT, METHODS, make_response
from switchroom.sip.sanity import Refusal, check_request, phrase_for
from switchroom.sip.session_host import SessionHost
from switchroom.sip.session_timer import too_short
from switchroom.sip.transactions.invite_server import InviteServerTransaction
from switchroom.sip.transactions.machine import Key, TransactionHost
from switchroom.sip.transactions.non_invite_server import NonInviteServerTransaction
from switchroom.sip.transactions.server import UNCONCERNED, ServerTransaction, server_key

Admit = Callable[[Request, Flow], Refusal | None]
"""Lets an INVITE in (``None``) or turns it away, before any state is made for it."""

NO_TRUNK: Final = Refusal(404, "No Inbound Trunk")

SILENCE: Final = Refusal(0)
"""What ``Admit`` returns for callers who shall not even learn that somebody is here."""

Overloaded = Callable[[], int | None]
"""``None``, or after how many seconds somebody who wants to call may try again."""

_REPLAY_FOR: Final = 60.0
_REPLAYS_KEPT: Final = 5_000
_MENDABLE: Final = frozenset({401, 407, 413, 415, 416, 420, 421, 422, 487, 488, 491, 493, 494})
"""Refusals after which the same caller rightly comes again with a better INVITE of the same call
(RFC 3261 section 8.1.3.5), or (487) rightly anew."""

_RECOGNISED: Final = frozenset({*METHODS, "REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE"})
_IN_DIALOG_ONLY: Final = frozenset({"BYE", "INFO", "UPDATE", "PRACK", "NOTIFY"})


class UasHost(SessionHost, TransactionHost, Protocol):
    """What the UAS core needs from the endpoint."""

    sessions: dict[tuple[str, str], CallSession]
    dropped: Counter[str]
    max_sessions: int
    max_transactions: int

    def track(self, transaction: ServerTransaction) -> None:
        """Note which flow a transaction depends on."""
        ...

    def came_again(self, transaction: ServerTransaction, flow: Flow) -> None:
        """A request was repeated."""
        ...

    def came_by(self, flow: Flow, dialog: Dialog | None) -> None:
        """A request of the peer's came inside a dialog."""
        ...

    def emit_incoming(self, session: CallSession, invite: IncomingInvite) -> None:
        """Tell the owner that somebody calls."""
        ...


class UasCore:
    """The server side of the endpoint: transactions by key, and the way to the right call."""

    def __init__(self, host: UasHost, secret: bytes) -> None:
        self._host = host
        self._secret = secret
        self.admit: Admit = lambda _request, _flow: NO_TRUNK
        self.overloaded: Overloaded = lambda: None
        self.transactions: dict[Key, ServerTransaction] = {}
        self._merges: set[Key] = set()
        """(Call-ID, From tag, CSeq) of open requests outside a dialog."""
        self._turned_away: OrderedDict[tuple[str, str], tuple[float, Refusal]] = OrderedDict()
        """(Call-ID, From tag) → until when, and how, this call is refused again."""

    @property
    def idle(self) -> bool:
        """Whether nothing is remembered."""
        return not self.transactions and not self._merges

    def forget(self, transaction: ServerTransaction) -> None:
        """A server transaction has terminated."""
        if self.transactions.pop(transaction.key, None) is not None:
            self._merges.discard(transaction.merge_key)

    def receive(self, request: Request, flow: Flow, size: int, now: float) -> None:
        """A request of ``size`` bytes that was parsed."""
        refusal = check_request(request)
        if refusal is not None:
            self._refuse_broken(request, flow, refusal, size)
        elif request.method == "ACK":
            self._ack(request, now)
        elif (known := self.transactions.get(server_key(request, request.method))) is not None:
            self._host.came_again(known, flow)
            known.repeated(now)
        elif request.method == "CANCEL":
            self._cancel(request, flow, size, now)
        elif request.to_tag is not None:
            self._in_dialog(request, flow, size, now)
        else:
            self._out_of_dialog(request, flow, size, now)

    def turned_away(self, request: Request, refusal: Refusal, now: float) -> None:
        """A call that was let in has been rejected by its owner.

        Carriers that fail over send the same INVITE again by another way; it gets the same answer
        for a minute instead of ringing a second time. An answer that names a time to come back
        (Retry-After) is an invitation, and kept to.
        """
        invited = any(name.lower() == "retry-after" for name, _ in refusal.headers)
        if refusal.status < 400 or refusal.status in _MENDABLE or invited:
            return
        self._turned_away[request.call_id, request.from_tag or ""] = (now + _REPLAY_FOR, refusal)
        if len(self._turned_away) > _REPLAYS_KEPT:
            self._turned_away.popitem(last=False)

    def unparsable(self, error: UnparsableError, flow: Flow, size: int) -> None:
        """Bytes that are no SIP message; a request that can be answered gets its 4xx."""
        refusal = Refusal(error.fault.status, phrase_for(error.fault))
        if error.request is None:
            self._host.dropped["unparsable"] += 1
        else:
            self._refuse_broken(error.request, flow, refusal, size)

    # ── ACK and CANCEL ──

    def _ack(self, ack: Request, now: float) -> None:
        transaction = self.transactions.get(server_key(ack, "INVITE"))
        if isinstance(transaction, InviteServerTransaction):
            transaction.acknowledged(ack, now)
            return
        # The ACK to a 2xx is a transaction of its own (section 17): it goes to the dialog.
        session = self._session_of(ack)
        if session is not None and session.knows(ack.from_tag or ""):
            session.on_dialog_ack(ack, now)
        else:
            self._host.dropped["stray ACK"] += 1

    def _cancel(self, cancel: Request, flow: Flow, size: int, now: float) -> None:
        invite = self.transactions.get(server_key(cancel, "INVITE"))
        if not isinstance(invite, InviteServerTransaction):
            self._reply(cancel, flow, 481, size=size)
            return
        session = self.host_session(invite)
        transaction = NonInviteServerTransaction(
            self._host, flow, cancel, UNCONCERNED, invite.to_tag
        )
        self._open(transaction, now)
        # Section 9.2: 200 in any case; whether there is something left to cancel is the INVITE's.
        transaction.respond(transaction.response(200), now)
        if session is not None:
            session.on_cancel(invite, cancel, now)

    def host_session(self, invite: ServerTransaction) -> CallSession | None:
        """The call that an INVITE of a peer belongs to."""
        tag = invite.request.to_tag or invite.to_tag or ""
        return self._host.sessions.get((invite.request.call_id, tag))

    # ── inside and outside of dialogs ──

    def _session_of(self, request: Request) -> CallSession | None:
        return self._host.sessions.get((request.call_id, request.to_tag or ""))

    def _in_dialog(self, request: Request, flow: Flow, size: int, now: float) -> None:
        session = self._session_of(request)
        if session is None or not session.knows(request.from_tag or ""):
            # Section 12.2.2.
            self._reply(request, flow, 481, size=size)
            return
        if len(self.transactions) >= self._host.max_transactions and request.method != "BYE":
            self._reply(request, flow, 503, (("Retry-After", "5"),), size=size)
            return
        self._host.came_by(flow, session.dialog)
        transaction = (
            InviteServerTransaction(self._host, flow, request, session, None)
            if request.method == "INVITE"
            else NonInviteServerTransaction(self._host, flow, request, UNCONCERNED, None)
        )
        self._open(transaction, now)
        session.on_request(transaction, request, now)

    def _out_of_dialog(self, request: Request, flow: Flow, size: int, now: float) -> None:
        refusal = self._refusal(request)
        if refusal is not None:
            self._refuse(request, flow, refusal, size)
        elif request.method == "OPTIONS":
            fields = (self._host.allow, ACCEPT, self._host.supported)
            self._reply(request, flow, 200, fields, size=size)
        else:
            self._invite(request, flow, size, now)

    def _refusal(self, request: Request) -> Refusal | None:
        """Section 8.2: method, then merged requests, then extensions, then content."""
        if request.method not in self._host.methods:
            # 405 for a method we know and don't serve, 501 for one we never heard of (21.5.2).
            return Refusal(405 if request.method in _RECOGNISED else 501, "", (self._host.allow,))
        if _merge_key(request) in self._merges:
            # Section 8.2.2.2: the same request by another path.
            return Refusal(482)
        unsupported = unsupported_options(request, self._host.options)
        if unsupported:
            return Refusal(420, "", (("Unsupported", ", ".join(unsupported)),))
        if request.method in _IN_DIALOG_ONLY:
            return Refusal(481)
        if request.method == "REFER":
            # A stranger does not send us about: transfers belong to a call.
            return Refusal(403)
        if request.method == "INVITE" and request.body and not _is_sdp(request):
            return Refusal(415, "", (ACCEPT,))
        return too_short(request) if request.method == "INVITE" else None

    def _no_room(self) -> Refusal | None:
        host = self._host
        full = len(self.transactions) >= host.max_transactions
        wait = 5 if full or len(host.sessions) >= host.max_sessions else self.overloaded()
        return None if wait is None else Refusal(503, "", (("Retry-After", str(wait)),))

    def _refused_before(self, request: Request, now: float) -> Refusal | None:
        until, refusal = self._turned_away.get(
            (request.call_id, request.from_tag or ""), (0.0, SILENCE)
        )
        return refusal if now < until else None

    def _invite(self, request: Request, flow: Flow, size: int, now: float) -> None:
        # What costs least is asked first: under a flood this is all that is done.
        refusal = self._no_room() or self._refused_before(request, now) or self.admit(request, flow)
        if refusal is not None:
            self._refuse(request, flow, refusal, size)
            return
        replaced = self._replaced(request)
        if isinstance(replaced, Refusal):
            self._refuse(request, flow, replaced, size)
            return
        host = self._host
        tag = host.new_token()
        try:
            dialog = Dialog.as_callee(request, tag, flow.transport)
        except MalformedValueError:
            self._refuse(request, flow, Refusal(400, "Bad Request (missing Contact)"), size)
            return
        dialog.flow = flow
        session = CalleeSession(host, request, dialog, replaced)
        transaction = InviteServerTransaction(host, flow, request, session, tag)
        session.begin(transaction)
        host.sessions[session.call_id, session.local_tag] = session
        transaction.merge_key = _merge_key(request)
        self._merges.add(transaction.merge_key)
        self._open(transaction, now)
        host.emit_incoming(session, IncomingInvite(request, flow.transport, flow.remote, replaced))

    def _replaced(self, request: Request) -> str | Refusal | None:
        """Call-ID of the call that an INVITE is to take over (RFC 3891 section 3)."""
        values = request.headers.get_all("Replaces")
        if not values or "replaces" not in self._host.options:
            return None
        if len(values) > 1:
            return Refusal(400, "Bad Request (more than one Replaces)")
        try:
            wanted = Replaces.parse(values[0])
        except MalformedValueError as fault:
            return Refusal(400, phrase_for(fault))
        session = self._host.sessions.get((wanted.call_id, wanted.to_tag))
        if session is None or not session.knows(wanted.from_tag):
            return Refusal(481)
        if session.finished or (session.dialog is not None and not session.up):
            return Refusal(603)
        if session.dialog is None and isinstance(session, CalleeSession):
            # An early dialog may only be taken from who began it.
            return Refusal(481)
        if session.dialog is not None and wanted.early_only:
            return Refusal(486)
        return wanted.call_id

    def _open(self, transaction: ServerTransaction, now: float) -> None:
        self.transactions[transaction.key] = transaction
        self._host.track(transaction)
        transaction.start(now)

    # ── stateless answers ──

    def _refuse_broken(self, request: Request, flow: Flow, refusal: Refusal, size: int) -> None:
        # An ACK is never answered, and without a Via the answer would be addressed to nobody.
        if request.method == "ACK" or "Via" not in request.headers:
            self._host.dropped[f"request: {refusal.phrase}"] += 1
        else:
            self._refuse(request, flow, refusal, size)

    def _refuse(self, request: Request, flow: Flow, refusal: Refusal, size: int) -> None:
        if refusal is SILENCE:
            self._host.dropped["silence"] += 1
            return
        self._reply(
            request, flow, refusal.status, refusal.headers, size=size, reason=refusal.phrase
        )

    def _reply(
        self,
        request: Request,
        flow: Flow,
        status: int,
        headers: Sequence[tuple[str, str]] = (),
        *,
        size: int,
        reason: str = "",
    ) -> None:
        """Answer once; over UDP in at most ``size`` bytes, what does not fit is left out."""
        try:
            top_via, back = stamp_via(request, flow), reply_flow(request, flow)
        except MalformedValueError:
            top_via, back = request.headers.get("Via") or "", flow
        server = ("Server", self._host.user_agent)
        tag = self._stateless_tag(request)
        for fields, phrase, compact in _slimmer([*headers, server], reason):
            response = make_response(
                request, status, phrase, top_via=top_via, to_tag=tag, headers=fields
            )
            data = response.serialise(compact=compact)
            # The source of a connection is no forgery.
            if len(data) <= size or flow.reliable:
                self._host.send(back, data, request.headers.get("Call-ID") or "")
                return
        self._host.dropped["answer would be larger than the request"] += 1

    def _stateless_tag(self, request: Request) -> str:
        # Section 8.2.7: the same request gets the same tag, though nothing is remembered.
        headers = request.headers
        names = ("Via", "From", "Call-ID")
        seed = "\n".join((headers.get(name) or "")[:512] for name in names)
        digest = hashlib.blake2b(
            seed.encode("utf-8", "surrogateescape"), key=self._secret, digest_size=4
        )
        return digest.hexdigest()


def _slimmer(
    headers: list[tuple[str, str]], reason: str
) -> Iterator[tuple[Sequence[tuple[str, str]], str, bool]]:
    """Header fields, reason, and whether in compact form: from the full answer to the least."""
    yield headers, reason, False
    for count in range(len(headers) - 1, -1, -1):
        yield headers[:count], reason, True
    yield (), "", True


def _merge_key(request: Request) -> tuple[str, str, str]:
    return request.call_id, request.from_tag or "", str(request.cseq)


def _is_sdp(request: Request) -> bool:
    # Without a type there is nothing else it could be (RFC 3261 section 20.15 makes it mandatory).
    return request.content_type in (SDP, "") or request.content_type.startswith("multipart/")
