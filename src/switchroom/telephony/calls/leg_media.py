"""What was agreed on in session descriptions, as the engine takes it."""

from __future__ import annotations

from typing import cast

from switchroom.media import LegCodec, LegCrypto, LegMedia
from switchroom.media.leg import CryptoSuite
from switchroom.sdp.codecs import Codec
from switchroom.sdp.crypto import NegotiatedCrypto
from switchroom.sdp.offer_answer import NegotiatedMedia
from switchroom.telephony.calls.call_events import Patience

#: Seconds that no call lasts.
_FOR_EVER = 7 * 24 * 3600.0


def leg_media(
    media: NegotiatedMedia, remote: tuple[str, int] | None, patience: Patience
) -> LegMedia:
    """`media` for a leg that sends to `remote`: its address, once that is no name any more.

    `patience` is how long no packet may come. To the engine a first one that is not told is none
    of its own.
    """
    first = patience.first
    if first is None and patience.then is not None:
        first = _FOR_EVER
    return LegMedia(
        remote=remote,
        codecs=tuple(map(_codec, (*media.codecs, *media.also_received))),
        digits=None if media.digits is None else _codec(media.digits),
        direction=media.direction,
        ptime_ms=media.ptime_ms,
        media_timeout=patience.then,
        first_timeout=first,
        crypto=None if media.crypto is None else _crypto(media.crypto),
        rtcp_mux=media.rtcp_mux,
    )


def _codec(codec: Codec) -> LegCodec:
    return LegCodec(codec.payload_type, codec.name, codec.clock_rate, codec.fmtp)


def _crypto(crypto: NegotiatedCrypto) -> LegCrypto:
    # The suites of `sdp.crypto.KEY_SIZES` are the engine's; a test holds them together.
    suite = cast("CryptoSuite", crypto.suite)
    return LegCrypto(suite, crypto.our_key, crypto.their_key, crypto.their_mki_size)
