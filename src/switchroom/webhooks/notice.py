"""One thing to tell the receivers. Pure."""

from __future__ import annotations

from switchroom.base.records import record


@record
class Notice:
    """An event as it is sent.

    `sequence` rises from notice to notice and is its birth in Unix nanoseconds; `id` is what the
    receiver knows it by (`EV_…`); notices of one `room_sid` are delivered in order. `body` is the
    proto-JSON of LiveKit's WebhookEvent.
    """

    sequence: int
    id: str
    name: str
    room_sid: str
    body: str

    def body_after(self, dropped: int) -> bytes:
        """The body to send; `dropped` tells how many notices before it never arrived."""
        if not dropped:
            return self.body.encode()
        return f'{self.body[:-1]},"numDropped":{dropped}}}'.encode()
