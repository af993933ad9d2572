"""Our side of a call's session description, from the offer to the last re-negotiation. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from switchroom.sdp.codecs import Codec
from switchroom.sdp.description import SessionDescription
from switchroom.sdp.offer_answer import (
    LocalMedia,
    NegotiatedMedia,
    accept_answer,
    answer,
    offer,
    successor,
)


@dataclass(frozen=True, slots=True)
class LegDescription:
    """What we last said about our media; `local` is what we want, `current` what is on the wire."""

    local: LocalMedia
    current: SessionDescription

    @classmethod
    def offering(
        cls, address: tuple[str, int], codecs: tuple[Codec, ...], session_id: int
    ) -> LegDescription:
        """The first offer. `address` is where the leg receives; `session_id` goes into ``o=``."""
        local = LocalMedia(address[0], address[1], codecs, session_id)
        return cls(local, offer(local))

    @property
    def body(self) -> bytes:
        return self.current.serialise()

    def accept(self, body: bytes) -> NegotiatedMedia:
        """What the far end's answer to our offer settles. Raises SdpError."""
        return accept_answer(self.current, body)

    def answering(self, body: bytes) -> tuple[LegDescription, NegotiatedMedia]:
        """Our answer to the far end's new offer, and what it settles. Raises SdpError."""
        described, media = answer(self.local, body)
        return replace(self, current=successor(self.current, described)), media

    def reoffering(self) -> LegDescription:
        """A new offer of all that we have, for a request that came without one."""
        return replace(self, current=successor(self.current, offer(self.local)))
