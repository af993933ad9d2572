"""Our side of a call's session description, from the offer to the last re-negotiation. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from switchroom.base.records import record, replace
from switchroom.sdp.codecs import Codec
from switchroom.sdp.crypto import CryptoAttribute, SrtpPolicy
from switchroom.sdp.description import SessionDescription
from switchroom.sdp.errors import EncryptionMismatch, NoCommonCodec, NotAcceptable, SdpError
from switchroom.sdp.offer_answer import (
    LocalMedia,
    NegotiatedMedia,
    accept_answer,
    answer,
    offer,
    successor,
)

#: Statuses by which a far end without SRTP refuses an offer of it.
_NO_SRTP = (415, 488, 606)


@record
class LegDescription:
    """What we last said about our media; `local` is what we want, `current` what is on the wire."""

    local: LocalMedia
    current: SessionDescription

    @classmethod
    def offering(
        cls,
        address: tuple[str, int],
        codecs: tuple[Codec, ...],
        session_id: int,
        *,
        srtp: SrtpPolicy = SrtpPolicy.NEVER,
        keys: Iterable[CryptoAttribute] = (),
    ) -> LegDescription:
        """The first offer. `address` is where the leg receives; `session_id` goes into ``o=``.

        `keys` are fresh ones of this call (`crypto.FreshKeys`); it has them to its end.
        """
        local = LocalMedia(address[0], address[1], codecs, session_id, srtp=srtp, keys=keys)
        return cls(local, offer(local))

    @property
    def body(self) -> bytes:
        return self.current.serialise()

    def accept(self, body: bytes) -> NegotiatedMedia:
        """What the far end's answer to our offer settles. Raises SdpError."""
        return accept_answer(self.current, body, self.local.srtp)

    def answering_first(self, body: bytes) -> tuple[LegDescription, NegotiatedMedia]:
        """Our answer to the offer that a call begins with, and what it settles. Raises SdpError."""
        described, media = answer(self.local, body)
        return replace(self, current=described), media

    def answering(self, body: bytes) -> tuple[LegDescription, NegotiatedMedia]:
        """Our answer to the far end's new offer, and what it settles. Raises SdpError."""
        described, media = answer(self.local, body)
        return replace(self, current=successor(self.current, described)), media

    def reoffering(self, settled: NegotiatedMedia | None = None) -> LegDescription:
        """A new offer of all that we have, for a request that came without one.

        It is encrypted if what is `settled` now is.
        """
        return replace(self, current=successor(self.current, offer(self.local, settled)))

    def after_refusal(self, status: int) -> LegDescription | None:
        """A first offer to try again with after this final response; None if there is none.

        Who prefers SRTP offers it alone, since an offer of both would be taken for the plain one
        by most. A far end that has none refuses it, and is asked again in the clear.
        """
        if status not in _NO_SRTP or self.local.srtp is not SrtpPolicy.PREFERRED:
            return None
        plain = replace(self.local, srtp=SrtpPolicy.IF_INSISTED)
        return replace(self, local=plain, current=offer(plain))


@record
class SdpRefusal:
    """How a request with an unusable description is answered: status and ``Warning``."""

    status: int
    phrase: str
    warning_code: int
    """RFC 3261 section 20.43."""
    text: str


def refusal_of(error: SdpError) -> SdpRefusal:
    """What the far end is told. A body that is no SDP at all is a bad request."""
    text = str(error).translate(_IN_QUOTES)[:200]
    match error:
        case EncryptionMismatch():
            return SdpRefusal(488, "Not Acceptable Here", 302, text)
        case NoCommonCodec():
            return SdpRefusal(488, "Not Acceptable Here", 305, text)
        case NotAcceptable():
            return SdpRefusal(488, "Not Acceptable Here", 304, text)
        case _:
            return SdpRefusal(400, "Bad Session Description", 399, text)


class _InQuotes(dict[int, str]):
    """Printable ASCII without the two characters that a quoted string would have to escape."""

    def __missing__(self, letter: int) -> str:
        return chr(letter) if 32 <= letter < 127 and chr(letter) not in '"\\' else "'"


_IN_QUOTES = _InQuotes()
