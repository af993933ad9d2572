"""The sound of one call: what is agreed on in SDP, the line, and the port beneath it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from switchroom.base.ip_addresses import is_ip
from switchroom.phonenet.line import Line, LineCodecs
from switchroom.phonenet.media_port import MediaPort
from switchroom.sdp.codecs import PCMA, PCMU, Codec, telephone_event
from switchroom.sdp.description import SessionDescription
from switchroom.sdp.errors import SdpError
from switchroom.sdp.offer_answer import (
    LocalMedia,
    NegotiatedMedia,
    accept_answer,
    answer,
    offer,
    successor,
)

CODECS = {"PCMU": PCMU, "PCMA": PCMA}


class CallMedia:
    """Begins with `answer` or with `offer` and `accept`; lives until `close`."""

    def __init__(self, port: MediaPort, codecs: Sequence[str]) -> None:
        self._port = port
        self._codecs: tuple[Codec, ...] = (*(CODECS[name] for name in codecs), telephone_event())
        self._session_id = secrets.randbits(31)
        self._described: SessionDescription | None = None
        self.line: Line | None = None
        self.agreed: NegotiatedMedia | None = None

    def answer(self, offer_body: bytes) -> bytes:
        """Our answer to an offer, the first one or a later one. Raises SdpError."""
        described, agreed = answer(self._local(), offer_body)
        self._agree(agreed)
        return self._remember(described)

    def offer(self) -> bytes:
        """Our own offer, for an INVITE that came without one (RFC 3264 section 5, late offer)."""
        return self._remember(offer(self._local()))

    def accept(self, answer_body: bytes) -> None:
        """Their answer to our offer. Raises SdpError."""
        if self._described is None:
            raise SdpError("an answer to nothing")
        self._agree(accept_answer(self._described, answer_body))

    def described(self) -> bytes:
        """What we said last: a 200 repeats the answer that a 183 gave (RFC 6337 section 3.1.1)."""
        return b"" if self._described is None else self._described.serialise()

    def close(self) -> None:
        self._port.close()

    def _local(self) -> LocalMedia:
        ip, port = self._port.address
        return LocalMedia(ip, port, self._codecs, self._session_id)

    def _remember(self, described: SessionDescription) -> bytes:
        if self._described is not None:
            described = successor(self._described, described)
        self._described = described
        return described.serialise()

    def _agree(self, agreed: NegotiatedMedia) -> None:
        if agreed.remote is not None and not is_ip(agreed.remote[0]):
            raise SdpError(f"the host name {agreed.remote[0][:80]!r}; an IP address is needed")
        self.agreed = agreed
        codecs = LineCodecs.of(agreed)
        if self.line is None:
            self.line = Line(
                codecs,
                ssrc=secrets.randbits(32),
                sequence=secrets.randbits(15),
                timestamp=secrets.randbits(32),
            )
            self._port.start(self.line)
        self.line.codecs = codecs
        self._port.send_to(agreed.remote if agreed.sends else None)
