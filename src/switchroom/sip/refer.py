"""The transfers of one call, asked for by us and by the peer (RFC 3515, RFC 6665, RFC 4488)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from switchroom.sip.call_over import CALL_OVER
from switchroom.sip.dialog_request import DialogRequest, Done, Outcome
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import (
    Fields,
    ReferAnswered,
    ReferNotified,
    ReferReceived,
    SessionEvent,
    SipFailure,
)
from switchroom.sip.message import Request, Response
from switchroom.sip.responses import one_line, reason_phrase
from switchroom.sip.session_host import SessionHost
from switchroom.sip.timers import Timer
from switchroom.sip.transactions.server import ServerTransaction
from switchroom.sip.uri import NameAddr

_PATIENCE: Final = 5.0
"""Seconds that the owner of a call may think about a REFER. RFC 4320: non-INVITE requests want a
prompt answer, and an owner that never transfers does not even hear of it."""

_SUBSCRIPTION_SECONDS: Final = 180
_AT_ONCE: Final = 4
"""Open transfers of one call in one direction; more is a peer out of order."""

SIPFRAG: Final = "message/sipfrag"


class ReferHost(Protocol):
    """The call, as its transfers see it."""

    def send_request(
        self, method: str, headers: Sequence[tuple[str, str]], body: bytes, done: Done, now: float
    ) -> DialogRequest | None:
        """Send a request inside the dialog; ``None`` if there is none (any more)."""
        ...

    def tell(self, event: SessionEvent) -> None:
        """Tell the owner."""
        ...


@dataclass(slots=True)
class _Asked:
    """A REFER of ours."""

    request: DialogRequest | None = None
    settled: bool = False
    """A final status was heard; what may still come is the end of the subscription."""

    def is_named(self, name: str) -> bool:
        """Whether the ``id`` of an Event field means this one: the CSeq of the REFER (2.4.6)."""
        return self.request is not None and name == str(self.request.cseq)


@dataclass(slots=True)
class _Taken:
    """A REFER of the peer's."""

    transaction: ServerTransaction
    patience: Timer
    event: str
    wants_news: bool
    accepted: bool = False
    over: bool = False
    sending: bool = False
    waiting: list[tuple[int, str]] = field(default_factory=list)


class Refers:
    """What became of each REFER. Ids count from 1, ours and theirs apart."""

    def __init__(self, call: ReferHost, host: SessionHost) -> None:
        self._call = call
        self._host = host
        self._asked: dict[int, _Asked] = {}
        self._asked_so_far = 0
        self._taken: dict[int, _Taken] = {}
        self._taken_so_far = 0

    # ── ours ──

    def ask(self, refer_to: str, headers: Fields, now: float) -> int:
        """Send a REFER. Returns its id."""
        self._asked_so_far += 1
        number = self._asked_so_far
        value = refer_to if refer_to.rstrip().endswith(">") else f"<{refer_to}>"
        asked = self._asked[number] = _Asked()
        asked.request = self._call.send_request(
            "REFER",
            (("Refer-To", value), *headers),
            b"",
            lambda outcome, at: self._answered(number, outcome, at),
            now,
        )
        if asked.request is None:
            self._asked.pop(number, None)
        return number

    def _answered(self, number: int, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, SipFailure):
            event = ReferAnswered(number, 408, outcome.reason, Headers(), outcome)
        else:
            event = ReferAnswered(number, outcome.status, outcome.reason, outcome.headers)
        if not 200 <= event.status < 300:
            self._asked.pop(number, None)
        self._call.tell(event)

    def notified(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A NOTIFY inside the dialog."""
        event = request.headers.get("Event")
        if not event:
            transaction.respond(transaction.response(400, "Bad Request (missing Event)"), now)
            return
        package, _, params = event.partition(";")
        if package.strip().lower() != "refer":
            # RFC 6665 section 4.1.3.
            headers = (("Allow-Events", "refer"),)
            transaction.respond(transaction.response(489, "Bad Event", headers=headers), now)
            return
        number = self._meant_by(params)
        if number is None:
            reason = "Subscription Does Not Exist"
            transaction.respond(transaction.response(481, reason), now)
            return
        self._take_news(number, transaction, request, now)

    def _meant_by(self, params: str) -> int | None:
        name = ""
        for param in params.split(";"):
            key, _, value = param.partition("=")
            if key.strip().lower() == "id":
                name = value.strip()
        if name:
            return next((n for n, asked in self._asked.items() if asked.is_named(name)), None)
        # The first REFER of a dialog need not be named (section 2.4.6).
        by_age = sorted(self._asked, key=lambda number: (self._asked[number].settled, number))
        return by_age[0] if by_age else None

    def _take_news(
        self, number: int, transaction: ServerTransaction, request: Request, now: float
    ) -> None:
        try:
            status, reason = _read_fragment(request)
        except MalformedValueError as fault:
            refusal = f"Bad Request ({fault.reason})"
            transaction.respond(transaction.response(400, refusal), now)
            return
        transaction.respond(transaction.response(200), now)
        state = (request.headers.get("Subscription-State") or "").partition(";")[0]
        over = state.strip().lower() == "terminated"
        if over:
            del self._asked[number]
        elif status is not None and status >= 200:
            self._asked[number].settled = True
        self._call.tell(ReferNotified(number, status, reason, over, request.headers))

    # ── the peer's ──

    def received(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A REFER inside the dialog."""
        values = request.headers.get_all("Refer-To")
        try:
            refer_to = NameAddr.parse(values[0]) if len(values) == 1 else None
        except MalformedValueError:
            refer_to = None
        if refer_to is None:
            transaction.respond(transaction.response(400, "Bad Request (bad Refer-To)"), now)
            return
        if sum(not taken.over for taken in self._taken.values()) >= _AT_ONCE:
            transaction.respond(transaction.response(603), now)
            return
        self._taken_so_far += 1
        number = self._taken_so_far
        # Only the first may go without a name (section 2.4.6).
        event = "refer" if number == 1 else f"refer;id={request.cseq.number}"
        wants_news = (request.headers.get("Refer-Sub") or "").strip().lower() != "false"
        patience = self._host.timers.schedule(
            now + _PATIENCE, lambda at: self.respond(number, 603, "", at)
        )
        self._taken[number] = _Taken(transaction, patience, event, wants_news)
        self._call.tell(ReferReceived(number, refer_to, request.headers))

    def respond(self, number: int, status: int, reason: str, now: float) -> None:
        """The owner's answer to a ReferReceived; a 2xx is sent as 202 and a NOTIFY follows it."""
        taken = self._taken.get(number)
        if taken is None or taken.accepted or status < 200:
            return
        taken.patience.cancel()
        transaction = taken.transaction
        if status >= 300:
            del self._taken[number]
            transaction.respond(transaction.response(status, reason), now)
            return
        taken.accepted = True
        headers: Fields = (
            ("Contact", transaction.flow.contact(None, secure=transaction.request.secure)),
        )
        if not taken.wants_news:
            headers = (*headers, ("Refer-Sub", "false"))
        transaction.respond(transaction.response(202, headers=headers), now)
        # RFC 3515 section 2.4.4: a NOTIFY at once, whatever is known.
        self.tell(number, 100, "Trying", now)

    def tell(self, number: int, status: int, reason: str, now: float) -> None:
        """Tell the peer how its transfer goes; a final status is the last it hears."""
        taken = self._taken.get(number)
        if taken is None or not taken.accepted or taken.over or not 100 <= status < 700:
            return
        taken.over = status >= 200
        if not taken.wants_news:
            if taken.over:
                del self._taken[number]
            return
        # One at a time: a NOTIFY that overtakes another gets a 500 for its CSeq.
        if len(taken.waiting) < _AT_ONCE or taken.over:
            taken.waiting.append((status, one_line(reason) or reason_phrase(status)))
        self._send_news(number, taken, now)

    def _send_news(self, number: int, taken: _Taken, now: float) -> None:
        if taken.sending or not taken.waiting:
            return
        status, reason = taken.waiting.pop(0)
        state = f"active;expires={_SUBSCRIPTION_SECONDS}"
        if status >= 200:
            state = "terminated;reason=noresource"
        headers = (
            ("Event", taken.event),
            ("Subscription-State", state),
            ("Content-Type", f"{SIPFRAG};version=2.0"),
        )
        body = f"SIP/2.0 {status} {reason}\r\n".encode()

        def done(outcome: Outcome, at: float) -> None:
            taken.sending = False
            if isinstance(outcome, Response) and outcome.is_success:
                self._send_news(number, taken, at)
            else:
                # RFC 6665 section 4.2.2: whoever does not want to hear is not told.
                taken.over = True
                taken.waiting.clear()
            if taken.over and not taken.waiting and not taken.sending:
                # A call may last a day, and its peer ask again and again.
                self._taken.pop(number, None)

        taken.sending = self._call.send_request("NOTIFY", headers, body, done, now) is not None

    def drop(self, now: float) -> None:
        """The dialog is over: REFERs that nobody answered get their end (section 15.1.2)."""
        for taken in self._taken.values():
            taken.patience.cancel()
            if not taken.accepted:
                taken.transaction.respond(taken.transaction.response(487), now)
        self._taken.clear()
        self._asked.clear()

    def let_go(self) -> None:
        """Nothing comes to the call any more: do not hold it."""
        self._call = CALL_OVER


def _read_fragment(notify: Request) -> tuple[int | None, str]:
    """Status and reason of a ``message/sipfrag`` body; ``None`` if there is no body.

    Raises MalformedValueError for any other body.
    """
    if not notify.body:
        return None, ""
    if notify.content_type not in (SIPFRAG, ""):
        raise MalformedValueError("body is no message/sipfrag")
    line = notify.body[:512].decode("utf-8", "replace").lstrip("\r\n").partition("\n")[0]
    version, _, rest = line.strip().partition(" ")
    code, _, reason = rest.strip().partition(" ")
    valid = version.upper() == "SIP/2.0" and len(code) == 3 and code.isascii() and code.isdigit()
    if not valid or not 100 <= int(code) < 700:
        raise MalformedValueError("body is no status line")
    return int(code), reason
