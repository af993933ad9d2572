"""The ACKs of one call to the 2xx that it gets (RFC 3261 section 13.2.2.4)."""

from __future__ import annotations

from switchroom.sip.dialog import Dialog
from switchroom.sip.flows import Flow
from switchroom.sip.invite_session import SipFailure
from switchroom.sip.message import Request
from switchroom.sip.session_host import SessionHost


class Acks:
    """Sends an ACK for each 2xx, and the same one again for one that is repeated."""

    __slots__ = ("_host", "_sent")

    def __init__(self, host: SessionHost) -> None:
        self._host = host
        self._sent: dict[str, tuple[int, Flow, bytes]] = {}
        """By remote tag: CSeq, flow and bytes of the last one."""

    def acknowledge(self, dialog: Dialog, invite: Request, now: float) -> None:
        """Send the ACK for a 2xx to this INVITE, or send it again."""
        number = invite.cseq.number
        sent = self._sent.get(dialog.remote_tag)
        if sent is not None and sent[0] == number:
            self._send_again(sent[1], sent[2], dialog.call_id, now)
            return

        def reached(result: Flow | SipFailure, _now: float) -> None:
            if isinstance(result, SipFailure):
                return  # the callee hangs up after 64*T1 without ACK
            via = result.via(f"z9hG4bK{self._host.new_token()}")
            # The ACK carries the credentials of its INVITE, for it can't be challenged (22.1).
            login = [
                (name, value)
                for name, value in invite.headers.fields
                if name in ("Authorization", "Proxy-Authorization")
            ]
            ack = dialog.request("ACK", via, "", login, cseq=number)
            data = ack.serialise()
            self._sent[dialog.remote_tag] = (number, result, data)
            self._host.send(result, data, dialog.call_id)

        self._host.reach(dialog, reached, now)

    def _send_again(self, flow: Flow, data: bytes, call_id: str, now: float) -> None:
        # The connection that it was sent on may be what it was lost with.
        def reached(result: Flow | SipFailure, _now: float) -> None:
            if isinstance(result, Flow):
                self._host.send(result, data, call_id)

        self._host.follow(flow, reached, now)
