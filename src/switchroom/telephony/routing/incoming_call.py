"""What is known of a call that comes in, before anybody has decided anything. Pure."""

from __future__ import annotations

from switchroom.base.records import record, replace


@record
class IncomingCall:
    """An INVITE, as far as trunks and rules look at it.

    ``caller`` is the user of From and may be empty; ``called`` is the user of To, where LiveKit
    looks; ``request_user`` is that of the Request-URI, which some exchanges alone rewrite.
    ``from_host`` and ``source_ip`` are written without brackets.
    """

    caller: str
    called: str
    source_ip: str
    from_host: str = ""
    request_user: str = ""

    def by_request_user(self) -> IncomingCall | None:
        """The same call, called by the Request-URI; None where that says nothing new."""
        if not self.request_user or self.request_user == self.called:
            return None
        return replace(self, called=self.request_user)
