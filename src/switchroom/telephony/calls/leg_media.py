"""What was agreed on in session descriptions, as the engine takes it."""

from __future__ import annotations

from typing import cast

from switchroom.media import LegCodec, LegCrypto, LegMedia
from switchroom.media.leg import CryptoSuite
from switchroom.sdp.codecs import Codec
from switchroom.sdp.crypto import NegotiatedCrypto
from switchroom.sdp.offer_answer import NegotiatedMedia


def leg_media(
    media: NegotiatedMedia, remote: tuple[str, int] | None, silence: float | None
) -> LegMedia:
    """`media` for a leg that sends to `remote`: its address, once that is no name any more.

    `silence` is how many seconds without a packet are told, None if none are.
    """
    return LegMedia(
        remote=remote,
        codecs=tuple(map(_codec, (*media.codecs, *media.also_received))),
        digits=None if media.digits is None else _codec(media.digits),
        direction=media.direction,
        ptime_ms=media.ptime_ms,
        media_timeout=silence,
        crypto=None if media.crypto is None else _crypto(media.crypto),
        rtcp_mux=media.rtcp_mux,
    )


def _codec(codec: Codec) -> LegCodec:
    return LegCodec(codec.payload_type, codec.name, codec.clock_rate, codec.fmtp)


def _crypto(crypto: NegotiatedCrypto) -> LegCrypto:
    # The suites of `sdp.crypto.KEY_SIZES` are the engine's; a test holds them together.
    suite = cast("CryptoSuite", crypto.suite)
    return LegCrypto(suite, crypto.our_key, crypto.their_key, crypto.their_mki_size)
