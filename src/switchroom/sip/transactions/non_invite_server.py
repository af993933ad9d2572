"""The non-INVITE server transaction: RFC 3261 section 17.2.2 with RFC 4320.

                      | request: to TU, start the 3.5 s to a 100
                      v
                 +--------+  request again: nothing
                 | Trying |
                 +--------+
     timer trying: |    | 200-699 from TU: send
     send 100      v    |
      request:  +------------+
      resend +--| Proceeding |
             +->|            |
                +------------+
      200-699 from TU: | |          transport error while answering: tell TU
      send             v v
      request:  +-----------+ timer J
      resend +--| Completed |-----> Terminated
             +->|           |
                +-----------+

RFC 4320 section 4: no provisional but 100, and that only once the client's timer E has reached T2;
and a TU never answers 408 to a non-INVITE.
"""

from __future__ import annotations

from typing import Final

from switchroom.sip.message import Response
from switchroom.sip.transactions.machine import Effect, Input, State, Table
from switchroom.sip.transactions.server import ServerTransaction

STATES: Final = (State.TRYING, State.PROCEEDING, State.COMPLETED, State.TERMINATED)

START: Final = (Effect.START_LATE_TRYING,)

_FINAL: Final = (State.COMPLETED, (Effect.STOP_TIMERS, Effect.SEND, Effect.START_J))
_BROKEN: Final = (State.TERMINATED, (Effect.REPORT_TRANSPORT_ERROR,))

TABLE: Final[Table] = {
    (State.TRYING, Input.REQUEST): (State.TRYING, ()),
    (State.TRYING, Input.TIMER_TRYING): (State.PROCEEDING, (Effect.SEND_TRYING,)),
    (State.TRYING, Input.FINAL): _FINAL,
    (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, (Effect.RESEND,)),
    (State.PROCEEDING, Input.FINAL): _FINAL,
    (State.PROCEEDING, Input.TRANSPORT_ERROR): _BROKEN,
    (State.COMPLETED, Input.REQUEST): (State.COMPLETED, (Effect.RESEND,)),
    (State.COMPLETED, Input.TIMER_J): (State.TERMINATED, ()),
    (State.COMPLETED, Input.TRANSPORT_ERROR): _BROKEN,
}


class NonInviteServerTransaction(ServerTransaction):
    """A request to us that is neither INVITE nor ACK."""

    __slots__ = ()

    table = TABLE
    first_state = State.TRYING
    start_effects = START

    def respond(self, response: Response, now: float) -> None:
        """Send the final response."""
        self.feed(Input.FINAL, now, response)
        self.let_go()
