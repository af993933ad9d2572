"""What can still come of an INVITE of ours when its call is over (RFC 3261 section 13.2.2.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from switchroom.sip.acks import Acks
from switchroom.sip.dialog import Dialog
from switchroom.sip.dialog_request import DialogRequest, Outcome
from switchroom.sip.digest import DigestClient
from switchroom.sip.message import Response
from switchroom.sip.session_host import SessionHost
from switchroom.sip.transactions.client import ClientTransaction
from switchroom.sip.transactions.machine import Failure

MAX_FORKS: Final = 16
"""More callees than this in one call are nobody's network but an attack."""


class LateAnswers:
    """Takes the place of an answered call at its INVITE, so that the call itself can be freed.

    A 2xx that is repeated gets its ACK again; that of another callee gets its own, and a BYE.
    """

    __slots__ = ("_acks", "_digest", "_host", "_known")

    def __init__(
        self, host: SessionHost, acks: Acks, digest: DigestClient, known: Iterable[str]
    ) -> None:
        """``known``: the remote tags of those that have had their BYE, or need none."""
        self._host = host
        self._acks = acks
        self._digest = digest
        self._known = tuple(known)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response to the INVITE: a 2xx, for the INVITE had one."""
        tag = response.to_tag or ""
        new = tag not in self._known
        if new and len(self._known) >= MAX_FORKS:
            return
        flow = transaction.flow
        dialog = Dialog.as_caller(transaction.request, response, flow.transport)
        dialog.flow = flow
        self._acks.acknowledge(dialog, transaction.request, now)
        if new:
            # What it had a PRACK for when it rang is forgotten.
            dialog.leave_a_gap()
            self._known = (*self._known, tag)
            DialogRequest(self._host, dialog, self._digest, method="BYE", done=unheard).start(now)

    def on_failure(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        """The call is over in any case."""


def unheard(outcome: Outcome, now: float) -> None:
    """What becomes of a request that no call hangs on: a PRACK, the BYE of a fork."""
