"""The INVITE server transaction: RFC 3261 section 17.2.1 with RFC 6026 section 7.1 (Accepted).

                      | INVITE: to TU, start the 200 ms to a 100
                      v
 INVITE: resend +------------+ 101-199 from TU: send
 +--------------| Proceeding |<-------------+      transport error in any state:
 +------------->|            |--------------+      tell TU, stay
                +------------+
300-699 from TU: |          | 2xx from TU: send
send             v          v
 INVITE:   +-----------+  +----------+ INVITE: nothing
 resend +--| Completed |  | Accepted |-----+ ACK: to TU
 timer G:  |           |  |          |<----+ 2xx from TU: send
 resend +->|           |  +----------+
           +-----------+        | timer L
             |      | timer H:  |
        ACK  v      | tell TU   |
           +-----------+        |
           | Confirmed |        |
           +-----------+        v
             | timer I      Terminated
             +----------------> ^
"""

from __future__ import annotations

from typing import Final

from switchroom.sip.message import Request, Response
from switchroom.sip.transactions.machine import Effect, Input, State, Table, input_of
from switchroom.sip.transactions.server import ServerTransaction

STATES: Final = (
    State.PROCEEDING,
    State.COMPLETED,
    State.CONFIRMED,
    State.ACCEPTED,
    State.TERMINATED,
)

START: Final = (Effect.START_TRYING,)

TABLE: Final[Table] = {
    (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, (Effect.RESEND,)),
    # Section 17.2.1: a 100 keeps the client from repeating itself when the TU takes its time.
    (State.PROCEEDING, Input.TIMER_TRYING): (State.PROCEEDING, (Effect.SEND_TRYING,)),
    (State.PROCEEDING, Input.PROVISIONAL): (
        State.PROCEEDING,
        (Effect.STOP_TIMERS, Effect.SEND),
    ),
    (State.PROCEEDING, Input.SUCCESS): (
        State.ACCEPTED,
        (Effect.STOP_TIMERS, Effect.SEND, Effect.START_L),
    ),
    (State.PROCEEDING, Input.FAILURE): (
        State.COMPLETED,
        (Effect.STOP_TIMERS, Effect.SEND, Effect.START_G, Effect.START_H),
    ),
    (State.PROCEEDING, Input.TRANSPORT_ERROR): (
        State.PROCEEDING,
        (Effect.REPORT_TRANSPORT_ERROR,),
    ),
    (State.COMPLETED, Input.REQUEST): (State.COMPLETED, (Effect.RESEND,)),
    (State.COMPLETED, Input.TIMER_G): (State.COMPLETED, (Effect.RESEND, Effect.BACK_OFF_G)),
    (State.COMPLETED, Input.TIMER_H): (State.TERMINATED, (Effect.REPORT_TIMEOUT,)),
    (State.COMPLETED, Input.ACK): (State.CONFIRMED, (Effect.STOP_TIMERS, Effect.START_I)),
    (State.COMPLETED, Input.TRANSPORT_ERROR): (
        State.COMPLETED,
        (Effect.REPORT_TRANSPORT_ERROR,),
    ),
    # Confirmed only swallows what is still on its way.
    (State.CONFIRMED, Input.ACK): (State.CONFIRMED, ()),
    (State.CONFIRMED, Input.REQUEST): (State.CONFIRMED, ()),
    (State.CONFIRMED, Input.TIMER_I): (State.TERMINATED, ()),
    # RFC 6026 section 7.1: repeating the 2xx is the TU's business, not this machine's.
    (State.ACCEPTED, Input.REQUEST): (State.ACCEPTED, ()),
    (State.ACCEPTED, Input.SUCCESS): (State.ACCEPTED, (Effect.SEND,)),
    (State.ACCEPTED, Input.ACK): (State.ACCEPTED, (Effect.DELIVER,)),
    (State.ACCEPTED, Input.TIMER_L): (State.TERMINATED, ()),
    (State.ACCEPTED, Input.TRANSPORT_ERROR): (
        State.ACCEPTED,
        (Effect.REPORT_TRANSPORT_ERROR,),
    ),
}


class InviteServerTransaction(ServerTransaction):
    """An INVITE to us."""

    __slots__ = ()

    table = TABLE
    first_state = State.PROCEEDING
    start_effects = START

    def respond(self, response: Response, now: float) -> None:
        """Send a response; a 2xx may be given again and again until it is acknowledged."""
        self.feed(input_of(response), now, response)

    def acknowledged(self, ack: Request, now: float) -> None:
        """An ACK that carries this transaction's branch."""
        self.feed(Input.ACK, now, ack)
        if self.state is State.CONFIRMED:
            self.let_go()

    def let_go(self) -> None:
        """Its response was acknowledged, or is not repeated any more."""
        super().let_go()
        self._last_sent = b""
