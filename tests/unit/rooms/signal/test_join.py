"""How clients come in: real join requests, and what is no join request at all."""

from __future__ import annotations

import base64
import gzip
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, strategies as st
from livekit.protocol import models, rtc

from switchroom.rooms.errors import Invalid
from switchroom.rooms.signal.join import read_join_query, read_join_request
from switchroom.rooms.signal.reading import read_request
from switchroom.rooms.signal.requests import SyncState


def _wrap(inner: bytes, *, compressed: bool = False) -> str:
    kind = rtc.WrappedJoinRequest.GZIP if compressed else rtc.WrappedJoinRequest.NONE
    wrapped = rtc.WrappedJoinRequest(compression=kind, join_request=inner)
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def _request(**fields: object) -> bytes:
    return rtc.JoinRequest(**fields).SerializeToString()  # type: ignore[arg-type]


def test_the_join_request_of_a_real_agent_is_read() -> None:
    captured = Path(__file__).parents[3] / "conformance/signal/agents-1.8.9_join_request.txt"
    request = read_join_request(captured.read_text().strip())
    assert request.facts.protocol == 17
    assert request.facts.client_protocol == 2
    assert request.auto_subscribe
    assert request.single_connection
    assert request.offer is not None
    assert request.offer.sdp.count("m=audio") == 3


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_padding_and_compression_are_the_clients_choice(compressed: bool, padded: bool) -> None:
    inner = _request(metadata="m", participant_attributes={"a": "1"}, participant_sid="PA_1")
    value = _wrap(gzip.compress(inner) if compressed else inner, compressed=compressed)
    request = read_join_request(value if padded else value.rstrip("="))
    assert (request.metadata, dict(request.attributes)) == ("m", {"a": "1"})
    assert request.participant_sid == "PA_1"
    assert not request.auto_subscribe, "what is not said is false here"
    assert request.offer is None


def test_a_short_query_that_inflates_to_endless_lists_is_read_as_far_as_makes_sense() -> None:
    """Half a million empty tracks are two bytes each, and kept the server busy for ten seconds."""
    track = rtc.JoinRequest(add_track_requests=[rtc.AddTrackRequest()]).SerializeToString()
    state = rtc.SyncState(datachannel_receive_states=[rtc.DataChannelReceiveState()])
    states = rtc.SyncState.FromString(state.SerializeToString() * 100_000)
    for number, each in enumerate(states.datachannel_receive_states):
        each.publisher_sid = str(number)
    value = _wrap(gzip.compress(track * 100_000), compressed=True)
    assert len(value) < 1000
    assert len(read_join_request(value).add_tracks) == 128
    request = rtc.SignalRequest(sync_state=states)
    sync_state = read_request(request.SerializeToString())
    assert isinstance(sync_state, SyncState)
    assert len(sync_state.last_sequences) == 10_000


def test_capabilities_are_told_with_every_update_so_they_are_few() -> None:
    info = models.ClientInfo()
    for number in range(1000):
        info.capabilities.append(number)  # type: ignore[arg-type]  # of a protocol to come
    request = read_join_request(_wrap(_request(client_info=info)))
    assert len(request.facts.capabilities) == 32
    listed = ",".join(["CAP_PACKET_TRAILER"] * 1000)
    assert read_join_query({"capabilities": listed}).facts.capabilities == (1,)


@pytest.mark.parametrize(
    "value",
    [
        "!!!!",
        "AAAA",
        "ü",
        _wrap(b"\xff\xff"),
        _wrap(b"no gzip", compressed=True),
        _wrap(gzip.compress(b"x" * 100)[:-4], compressed=True),
        _wrap(gzip.compress(b"\x00" * (1024 * 1024 + 1)), compressed=True),
    ],
)
def test_what_is_no_join_request_is_invalid(value: str) -> None:
    with pytest.raises(Invalid, match="cannot decode join_request"):
        read_join_request(value)


@given(st.text(alphabet="ABCDabcd0123-_=", max_size=60))
def test_no_text_does_more_than_be_refused(value: str) -> None:
    with suppress(Invalid):
        read_join_request(value)


def test_the_query_of_the_other_path_is_read() -> None:
    query = (
        "sdk=python&protocol=17&client_protocol=2&auto_subscribe=0&adaptive_stream=0&version=1.2.0"
        "&capabilities=CAP_PACKET_TRAILER,CAP_COMPRESSION_DEFLATE_RAW,CAP_OF_TOMORROW"
        "&attributes=" + base64.urlsafe_b64encode(b'{"a":"1"}').decode().rstrip("=")
    )
    request = read_join_query(dict(parse_qsl(query)))
    assert not request.single_connection
    assert not request.auto_subscribe
    assert request.facts.capabilities == (1, 2)
    assert request.attributes == {"a": "1"}
    again = read_join_query({"reconnect": "1", "sid": "PA_1", "protocol": "x"})
    assert (again.reconnect, again.participant_sid, again.facts.protocol) == (True, "PA_1", 0)
    assert again.auto_subscribe, "what is not said is true here"


@pytest.mark.parametrize("attributes", ["!", "bm90IGpzb24", "WzFd", "eyJhIjogMX0"])
def test_attributes_that_are_none_are_invalid(attributes: str) -> None:
    with pytest.raises(Invalid):
        read_join_query({"attributes": attributes})
