"""The non-INVITE client transaction: RFC 3261 section 17.1.2.

                    | request from TU: send, start E and F
                    v
timer E: resend +--------+
+---------------| Trying |------------+  timer F, transport error: tell TU
+-------------->|        |            |
                +--------+            |
        1xx: to TU |  | 200-699: to TU|
                   v  |               |
timer E: resend +------------+        |
+---------------| Proceeding |--------+  timer F, transport error: tell TU
+-------------->|            |<-+     |
  (every T2)    +------------+--+     |
                      |     1xx: to TU|
       200-699: to TU v               v
                +-----------+ timer K
                | Completed |-----> Terminated
                +-----------+
"""

from __future__ import annotations

from typing import Final

from switchroom.sip.message import Response
from switchroom.sip.transactions.client import ClientTransaction
from switchroom.sip.transactions.machine import (
    Effect,
    Input,
    SipMessage,
    State,
    Table,
)

STATES: Final = (State.TRYING, State.PROCEEDING, State.COMPLETED, State.TERMINATED)

START: Final = (Effect.START_E, Effect.START_F)

_FINAL: Final = (State.COMPLETED, (Effect.STOP_TIMERS, Effect.DELIVER, Effect.START_K))
_TIMED_OUT: Final = (State.TERMINATED, (Effect.REPORT_TIMEOUT,))
_BROKEN: Final = (State.TERMINATED, (Effect.REPORT_TRANSPORT_ERROR,))

TABLE: Final[Table] = {
    (State.TRYING, Input.TIMER_E): (State.TRYING, (Effect.RESEND, Effect.BACK_OFF_E)),
    (State.TRYING, Input.TIMER_F): _TIMED_OUT,
    (State.TRYING, Input.TRANSPORT_ERROR): _BROKEN,
    # Timer E goes on, at its own pace until it fires next.
    (State.TRYING, Input.PROVISIONAL): (State.PROCEEDING, (Effect.DELIVER,)),
    (State.TRYING, Input.FINAL): _FINAL,
    (State.PROCEEDING, Input.TIMER_E): (State.PROCEEDING, (Effect.RESEND, Effect.SLOW_E)),
    (State.PROCEEDING, Input.TIMER_F): _TIMED_OUT,
    (State.PROCEEDING, Input.TRANSPORT_ERROR): _BROKEN,
    (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, (Effect.DELIVER,)),
    (State.PROCEEDING, Input.FINAL): _FINAL,
    (State.COMPLETED, Input.TIMER_K): (State.TERMINATED, ()),
}


class NonInviteClientTransaction(ClientTransaction):
    """A request of ours that is neither INVITE nor ACK."""

    __slots__ = ()

    table = TABLE
    first_state = State.TRYING
    start_effects = START

    def receive(self, response: Response, now: float) -> None:
        """A response that matches this transaction."""
        if response.is_provisional:
            self.feed(Input.PROVISIONAL, now, response)
        else:
            self.feed(Input.FINAL, now, response)
            self.let_go()

    def _perform_own(self, effect: Effect, message: SipMessage | None) -> None:
        raise AssertionError(f"no such effect in this table: {effect} {message}")
