"""What was agreed on, as the engine takes it."""

from __future__ import annotations

import pytest

from switchroom.sdp.codecs import PCMU
from switchroom.sdp.offer_answer import NegotiatedMedia
from switchroom.telephony.calls.call_events import Patience
from switchroom.telephony.calls.leg_media import leg_media

_MEDIA = NegotiatedMedia(("192.0.2.1", 4000), (PCMU,), None, "sendrecv", 20)
_LONGER_THAN_ANY_CALL = 24 * 3600.0


@pytest.mark.parametrize(
    ("patience", "first", "then"),
    [
        (Patience(30.0, 15.0), 30.0, 15.0),
        (Patience(30.0, None), 30.0, None),
        (Patience(None, None), None, None),
    ],
)
def test_patience_is_told_as_it_is(
    patience: Patience, first: float | None, then: float | None
) -> None:
    media = leg_media(_MEDIA, _MEDIA.remote, patience)
    assert (media.first_timeout, media.media_timeout) == (first, then)


def test_endless_patience_before_the_first_packet_outlasts_every_call() -> None:
    media = leg_media(_MEDIA, _MEDIA.remote, Patience(None, 15.0))
    assert media.media_timeout == 15.0
    assert media.first_timeout is not None
    assert media.first_timeout > _LONGER_THAN_ANY_CALL
