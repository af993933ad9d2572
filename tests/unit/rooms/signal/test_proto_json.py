"""Proto-JSON that is wrong in ways that the JSON parser does not mind."""

from __future__ import annotations

import pytest
from livekit.protocol import rtc

from switchroom.rooms.signal.proto_json import NotProtoJson, read_json


@pytest.mark.parametrize("number", ["Infinity", "1e400"])
def test_an_endless_number_where_a_choice_belongs_is_refused(number: str) -> None:
    with pytest.raises(NotProtoJson):
        read_json(f'{{"leave": {{"reason": {number}}}}}', rtc.SignalRequest())
