"""What is left of a call once nothing can come to it any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from switchroom.sip.dialog import Dialog
from switchroom.sip.dialog_request import DialogRequest, Done
from switchroom.sip.invite_session import SessionEvent, SipFailure


class _CallOver:
    """A call that has ended, as its offers and transfers see it: nothing is sent, nobody is told.

    It takes the place of the call there, which then is freed with its last user: a call and its
    parts that hold each other would wait, with all its messages, for the cyclic collector.
    """

    dialog: Dialog | None = None
    finished = True

    @property
    def up(self) -> bool:
        return False

    @property
    def placed(self) -> bool:
        return False

    def send_request(
        self, method: str, headers: Sequence[tuple[str, str]], body: bytes, done: Done, now: float
    ) -> DialogRequest | None:
        return None

    def tell(self, event: SessionEvent) -> None:
        return

    def hang_up_on(self, failure: SipFailure | None, now: float) -> None:
        return


CALL_OVER: Final = _CallOver()
