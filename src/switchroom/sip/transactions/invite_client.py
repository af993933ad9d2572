"""The INVITE client transaction: RFC 3261 section 17.1.1 with RFC 6026 section 7.2 (Accepted).

                  | INVITE from TU: send, start A and B
                  v
timer A: resend +---------+  timer B, transport error: tell TU
+---------------| Calling |-------------------------------+
+-------------->|         |---------+ 2xx: to TU          |
                +---------+         |                     |
     1xx: to TU   |     | 300-699: ACK, to TU             |
                  v     |           |                     |
1xx: to TU +------------+           |                     |
+----------| Proceeding |--------+  |                     |
+--------->|            |  2xx   |  |                     |
           +------------+        v  v                     |
    300-699: |     |       +----------+ 2xx: to TU        |
    ACK, to  |     |       | Accepted |<------+           |
    TU       v     v       |          |-------+           |
  300-699: +-----------+   +----------+                   |
  ACK +----| Completed |        | timer M                 |
      +--->|           |        v                         v
           +-----------+---> Terminated  <----------------+
                  timer D, transport error: tell TU
"""

from __future__ import annotations

from typing import Final

from switchroom.sip.message import Request, Response
from switchroom.sip.transactions.client import ClientTransaction
from switchroom.sip.transactions.machine import (
    Effect,
    Input,
    SipMessage,
    State,
    Table,
    input_of,
)

STATES: Final = (
    State.CALLING,
    State.PROCEEDING,
    State.COMPLETED,
    State.ACCEPTED,
    State.TERMINATED,
)

START: Final = (Effect.START_A, Effect.START_B)

TABLE: Final[Table] = {
    (State.CALLING, Input.TIMER_A): (State.CALLING, (Effect.RESEND, Effect.BACK_OFF_A)),
    (State.CALLING, Input.TIMER_B): (State.TERMINATED, (Effect.REPORT_TIMEOUT,)),
    (State.CALLING, Input.ABANDON): (State.TERMINATED, (Effect.REPORT_TIMEOUT,)),
    (State.CALLING, Input.QUIET): (State.CALLING, (Effect.STOP_TIMERS, Effect.START_B)),
    (State.CALLING, Input.TRANSPORT_ERROR): (
        State.TERMINATED,
        (Effect.REPORT_TRANSPORT_ERROR,),
    ),
    (State.CALLING, Input.PROVISIONAL): (
        State.PROCEEDING,
        (Effect.STOP_TIMERS, Effect.DELIVER),
    ),
    (State.CALLING, Input.SUCCESS): (
        State.ACCEPTED,
        (Effect.STOP_TIMERS, Effect.START_M, Effect.DELIVER),
    ),
    (State.CALLING, Input.FAILURE): (
        State.COMPLETED,
        (Effect.STOP_TIMERS, Effect.SEND_ACK, Effect.DELIVER, Effect.START_D),
    ),
    # No timer here: how long it may ring is the caller's business (section 13.2.2.1 has Expires,
    # section 16.6 timer C for proxies), and nothing is sent that a transport could refuse.
    (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, (Effect.DELIVER,)),
    (State.PROCEEDING, Input.SUCCESS): (State.ACCEPTED, (Effect.START_M, Effect.DELIVER)),
    (State.PROCEEDING, Input.FAILURE): (
        State.COMPLETED,
        (Effect.SEND_ACK, Effect.DELIVER, Effect.START_D),
    ),
    (State.PROCEEDING, Input.ABANDON): (State.TERMINATED, (Effect.REPORT_TIMEOUT,)),
    (State.COMPLETED, Input.FAILURE): (State.COMPLETED, (Effect.RESEND,)),
    (State.COMPLETED, Input.TIMER_D): (State.TERMINATED, ()),
    (State.COMPLETED, Input.TRANSPORT_ERROR): (
        State.TERMINATED,
        (Effect.REPORT_TRANSPORT_ERROR,),
    ),
    # RFC 6026 section 7.2: repeated and forked 2xx are the TU's, which has to ACK each of them.
    (State.ACCEPTED, Input.SUCCESS): (State.ACCEPTED, (Effect.DELIVER,)),
    (State.ACCEPTED, Input.TIMER_M): (State.TERMINATED, ()),
}


class InviteClientTransaction(ClientTransaction):
    """Our INVITE. It acknowledges failures itself; the ACK to a 2xx is the dialog's."""

    __slots__ = ()

    table = TABLE
    first_state = State.CALLING
    start_effects = START

    def receive(self, response: Response, now: float) -> None:
        """A response that matches this transaction."""
        self.feed(input_of(response), now, response)

    def quiet(self, now: float) -> None:
        """Send nothing again; a late answer is still taken for 64*T1."""
        self.feed(Input.QUIET, now)

    def _perform_own(self, effect: Effect, message: SipMessage | None) -> None:
        if effect is Effect.SEND_ACK and isinstance(message, Response):
            self._transmit(build_ack(self.request, message).serialise())


def _along(
    invite: Request, method: str, to: str, fields: tuple[tuple[str, str], ...] = ()
) -> Request:
    """A request that follows the INVITE hop by hop."""
    headers = invite.headers
    return Request.compose(
        method,
        invite.target,
        # One Via, equal to that of the INVITE: it is the same hop and, for CANCEL, the same branch.
        via=headers.get("Via") or "",
        routes=headers.get_all("Route"),
        from_=headers.get("From") or "",
        to=to,
        call_id=invite.call_id,
        number=invite.cseq.number,
        fields=fields,
    )


def build_ack(request: Request, response: Response) -> Request:
    """The ACK to a 300–699 response (section 17.1.1.3): To from the response, all else as sent."""
    return _along(request, "ACK", response.headers.get("To") or "")


def build_cancel(request: Request, headers: tuple[tuple[str, str], ...] = ()) -> Request:
    """The CANCEL of an INVITE (section 9.1): all as sent, To still without a tag.

    ``headers`` are added, such as a Reason (RFC 3326).
    """
    return _along(request, "CANCEL", request.headers.get("To") or "", headers)
