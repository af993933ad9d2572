"""One client's session, from the messages on its socket to what the engine is told."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models, rtc

from switchroom.auth.grants import Claims, PermissionDenied, VideoGrants
from switchroom.auth.tokens import TokenVerifier
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.media import (
    ChannelOpened,
    Connected,
    DataReceived,
    Disconnected,
    Failed,
    LevelChanged,
    Source,
    TrackStarted,
)
from switchroom.rooms.data import Dtmf, UserData
from switchroom.rooms.info import ClientFacts, ParticipantState, Permissions
from switchroom.rooms.reasons import DisconnectReason as Reason
from switchroom.rooms.requests import AddTrack, JoinRequest, Offer
from switchroom.rooms.sessions import Sessions, SignalLink
from switchroom.rooms.signal_convert import number as wire_number

from .conftest import Ears, House, settle
from .fake_engine import (
    FakeEngine,
    FakePeer,
    client_answer,
    client_offer,
)

_SPARE = (("0", "recvonly", ""), ("1", "recvonly", ""), ("2", "recvonly", ""))


class Client:
    """A client at the far end of a link."""

    def __init__(self, link: SignalLink, peers: list[FakePeer]) -> None:
        self.link = link
        self.peers = peers
        self.heard: list[rtc.SignalResponse] = []

    @property
    def peer(self) -> FakePeer:
        return self.peers[0]

    def say(self, **message: Any) -> None:
        self.link.receive(rtc.SignalRequest(**message).SerializeToString())

    async def listen(self) -> list[rtc.SignalResponse]:
        """What came since the last time."""
        await settle()
        news = []
        while self.link._outbox._waiting:
            message = await self.link.next()
            assert message is not None
            news.append(rtc.SignalResponse.FromString(message))
        self.heard += news
        return news

    async def last(self, kind: str) -> Any:
        """The newest message of a kind among all that came."""
        await self.listen()
        found = [m for m in self.heard if m.WhichOneof("message") == kind]
        assert found, f"no {kind} in {[m.WhichOneof('message') for m in self.heard]}"
        return getattr(found[-1], kind)

    async def kinds(self) -> list[str]:
        return [m.WhichOneof("message") or "" for m in await self.listen()]

    async def offers(self) -> list[rtc.SignalResponse]:
        """Every offer with a track that came so far."""
        await self.listen()
        return [m for m in self.heard if m.HasField("offer") and "m=audio" in m.offer.sdp]

    async def offer(self, *sections: tuple[str, str, str], id_: int = 1) -> Any:
        """Offer, and return the answer."""
        self.say(offer=rtc.SessionDescription(type="offer", sdp=client_offer(*sections), id=id_))
        return await self.last("answer")


class Door:
    """Lets clients in."""

    def __init__(self, house: House, engine: FakeEngine) -> None:
        self.house = house
        self.engine = engine
        tokens = TokenVerifier({"devkey": "secret"}, house.time)
        self.sessions = Sessions(house.rooms, tokens)

    async def join(
        self,
        identity: str = "ann",
        *,
        single: bool = True,
        connect: bool = True,
        grants: dict[str, Any] | None = None,
        claims: dict[str, Any] | None = None,
        **request: Any,
    ) -> Client:
        count = len(self.engine.peers)
        request.setdefault("facts", ClientFacts(protocol=17, client_protocol=2))
        if single and not request.get("reconnect"):
            request.setdefault("offer", Offer(client_offer(*_SPARE), 0))
        video = VideoGrants(room="r", room_join=True, **(grants or {}))
        link = await self.sessions.open(
            Claims("devkey", identity, video=video, expires_at=4e9, **(claims or {})),
            JoinRequest(single_connection=single, **request),
        )
        client = Client(link, self.engine.peers[count:])
        if connect:
            await self.connect(client)
        return client

    async def connect(self, client: Client) -> None:
        await settle()
        client.peers[-1].event(Connected())
        for label in ("_reliable", "_lossy"):
            client.peers[-1].event(ChannelOpened(label))
        await settle()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def door(house: House, engine: FakeEngine) -> Door:
    return Door(house, engine)


def _user(payload: bytes, *, sequence: int = 0, **fields: Any) -> bytes:
    packet = models.DataPacket(user=models.UserPacket(payload=payload), sequence=sequence, **fields)
    return packet.SerializeToString()


# ── joining ──────────────────────────────────────────────────────────────────


async def test_a_join_is_answered_with_what_clients_need(door: Door) -> None:
    await door.house.phone("tel")
    client = await door.join(connect=False)
    first, second = (await client.listen())[:2]
    join = first.join
    assert join.room.sid.startswith("RM_")
    assert join.participant.sid.startswith("PA_")
    assert join.participant.state == models.ParticipantInfo.JOINED
    assert join.participant.client_protocol == 2
    assert [other.identity for other in join.other_participants] == ["tel"]
    assert join.server_info.version == join.server_version != ""
    assert (join.ping_interval, join.ping_timeout) == (5, 15)
    assert join.fast_publish
    assert not join.subscriber_primary
    assert join.enabled_publish_codecs[0].mime == "video/VP8"
    assert (second.answer.type, second.answer.id) == ("answer", 0)


@pytest.mark.parametrize("protocol", [17, 18])
async def test_clients_of_this_protocol_and_the_next_are_served_alike(
    door: Door, protocol: int
) -> None:
    client = await door.join(facts=ClientFacts(protocol=protocol))
    assert "refresh_token" in await client.kinds()


async def test_connecting_makes_the_participant_active_for_all(door: Door) -> None:
    bob = await door.join("bob")
    await bob.listen()
    ann = await door.join("ann", connect=False)
    (joined,) = (await bob.last("update")).participants
    assert (joined.identity, joined.state) == ("ann", models.ParticipantInfo.JOINED)
    await door.connect(ann)
    (active,) = (await bob.last("update")).participants
    assert (active.state, active.version > joined.version) == (
        models.ParticipantInfo.ACTIVE,
        True,
    )
    qualities = (await ann.last("connection_quality")).updates
    assert {q.quality for q in qualities} == {models.ConnectionQuality.EXCELLENT}
    assert len(qualities) == 2


async def test_hidden_participants_are_seen_by_nobody(door: Door) -> None:
    bob = await door.join("bob")
    await bob.listen()
    ann = await door.join("ann", grants={"hidden": True})
    assert await bob.kinds() == []
    ann.say(leave=rtc.LeaveRequest())
    assert await bob.kinds() == []


async def test_a_token_that_may_not_join_is_refused_before_anything_is_made(door: Door) -> None:
    with pytest.raises(PermissionDenied):
        await door.sessions.open(Claims("devkey", "ann"), JoinRequest(single_connection=True))
    assert door.engine.peers == []


async def test_a_full_room_refuses_and_gives_the_engine_its_peer_back(door: Door) -> None:
    config = {"room_config": {"maxParticipants": 1}}
    await door.join("ann", claims=config)
    with pytest.raises(ServiceError) as refused:
        await door.join("bob")
    assert refused.value.code is ErrorCode.RESOURCE_EXHAUSTED
    assert door.engine.peers[-1].closed


async def test_an_engine_without_peers_is_unavailable(door: Door) -> None:
    door.engine.broken = True
    with pytest.raises(ServiceError) as refused:
        await door.join("ann")
    assert refused.value.code is ErrorCode.UNAVAILABLE
    assert door.house.rooms.list() == ()


async def test_the_same_identity_takes_over_and_the_first_is_told_why(door: Door) -> None:
    bob = await door.join("bob")
    first = await door.join("ann")
    await bob.listen()
    second = await door.join("ann")
    leave = await first.last("leave")
    assert (leave.reason, leave.action) == (Reason.DUPLICATE_IDENTITY, rtc.LeaveRequest.DISCONNECT)
    assert first.peer.closed
    assert not second.peer.closed
    states = [
        p.state for m in await bob.listen() if m.HasField("update") for p in m.update.participants
    ]
    assert models.ParticipantInfo.DISCONNECTED not in states, "they see the new sid instead"
    join = await second.last("join")
    assert [p.identity for p in join.other_participants] == ["bob"]


async def test_a_client_that_never_connects_is_given_up(door: Door) -> None:
    client = await door.join(connect=False)
    await door.house.time.pass_(60)
    assert (await client.last("leave")).reason == Reason.JOIN_FAILURE
    assert client.peer.closed


async def test_a_socket_lost_before_media_ends_the_participant(door: Door) -> None:
    client = await door.join(connect=False)
    client.link.lost()
    assert door.house.rooms.participants("r") == ()
    assert client.peer.closed


# ── publishing ───────────────────────────────────────────────────────────────


async def _publish(client: Client, cid: str = "c1", mid: str = "3", **track: Any) -> str:
    request = rtc.AddTrackRequest(
        cid=cid, name="mic", type=models.AUDIO, source=models.MICROPHONE, **track
    )
    client.say(add_track=request)
    published = await client.last("track_published")
    assert published.cid == cid
    await client.offer(*_SPARE, (mid, "sendonly", cid))
    return str(published.track.sid)


async def test_a_track_is_published_once_its_section_is_answered(door: Door) -> None:
    bob = await door.join("bob")
    ann = await door.join("ann")
    ann.say(
        add_track=rtc.AddTrackRequest(
            cid="c1", name="mic", source=models.MICROPHONE, disable_dtx=True, stereo=True
        )
    )
    track = (await ann.last("track_published")).track
    assert track.sid.startswith("TR_AM")
    assert (track.name, track.stream, track.mime_type) == ("mic", "camera", "audio/opus")
    assert list(track.audio_features) == [0, 1]
    assert door.house.rooms.get_participant("r", "ann").tracks == ()
    answer = await ann.offer(*_SPARE, ("3", "sendonly", "c1"), id_=7)
    assert answer.id == 7
    (info,) = door.house.rooms.get_participant("r", "ann").tracks
    assert (info.sid, info.mid) == (track.sid, "3")
    (told,) = (await bob.last("update")).participants
    assert told.tracks[0].sid == track.sid
    assert told.is_publisher


async def test_a_phone_hears_the_client_and_the_client_is_told_of_its_first_listener(
    door: Door,
) -> None:
    seat, _ = await door.house.phone("tel")
    ann = await door.join("ann")
    sid = await _publish(ann)
    assert "track_subscribed" not in await ann.kinds(), "nobody listens while the phone rings"
    ears = Ears()
    seat.hear(ears.sink)
    assert ears.inputs == {ann.peer.receive("3"): 1.0}
    assert (await ann.last("track_subscribed")).track_sid == sid


async def test_a_section_that_stops_ends_its_track(door: Door) -> None:
    bob = await door.join("bob")
    ann = await door.join("ann")
    await _publish(ann)
    await ann.offer(*_SPARE, ("3", "inactive", ""))
    assert door.house.rooms.get_participant("r", "ann").tracks == ()
    (told,) = (await bob.last("update")).participants
    assert not told.tracks


async def test_a_cid_in_use_waits_until_it_is_free(door: Door) -> None:
    ann = await door.join("ann")
    await _publish(ann)
    ann.say(add_track=rtc.AddTrackRequest(cid="c1", source=models.MICROPHONE))
    assert (await ann.last("request_response")).reason == rtc.RequestResponse.QUEUED
    await ann.listen()
    await ann.offer(*_SPARE, ("3", "inactive", ""))
    assert ann.heard[-1].track_published.cid == "c1"


@pytest.mark.parametrize(
    ("grants", "request_", "reason"),
    [
        ({"can_publish": False}, {}, rtc.RequestResponse.NOT_ALLOWED),
        ({"can_publish_sources": ("camera",)}, {}, rtc.RequestResponse.NOT_ALLOWED),
        ({}, {"type": models.VIDEO}, rtc.RequestResponse.UNSUPPORTED_TYPE),
    ],
)
async def test_a_track_that_may_not_be_is_refused_by_name(
    door: Door, grants: dict[str, Any], request_: dict[str, Any], reason: int
) -> None:
    ann = await door.join("ann", grants=grants)
    ann.say(add_track=rtc.AddTrackRequest(cid="c", source=models.MICROPHONE, **request_))
    refusal = await ann.last("request_response")
    assert (refusal.reason, refusal.add_track.cid) == (reason, "c")


async def test_tracks_are_bounded(door: Door) -> None:
    ann = await door.join("ann")
    for number in range(65):
        ann.say(add_track=rtc.AddTrackRequest(cid=f"c{number}", source=models.MICROPHONE))
    assert (await ann.last("request_response")).reason == rtc.RequestResponse.LIMIT_EXCEEDED


async def test_tracks_of_the_join_request_are_published_with_it(door: Door) -> None:
    offer = Offer(client_offer(*_SPARE, ("3", "sendonly", "c1")), 1)
    ann = await door.join("ann", add_tracks=(AddTrack("c1"),), offer=offer)
    kinds = await ann.kinds()
    assert kinds[0] == "join"
    assert kinds.index("track_published") < kinds.index("answer")
    assert len(door.house.rooms.get_participant("r", "ann").tracks) == 1


async def test_muting_is_told_and_kept_also_before_the_track_lives(door: Door) -> None:
    bob = await door.join("bob")
    ann = await door.join("ann")
    ann.say(add_track=rtc.AddTrackRequest(cid="c1", source=models.MICROPHONE))
    sid = (await ann.last("track_published")).track.sid
    ann.say(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    await ann.offer(*_SPARE, ("3", "sendonly", "c1"))
    assert (await bob.last("update")).participants[0].tracks[0].muted
    ann.say(mute=rtc.MuteTrackRequest(sid=sid, muted=False))
    assert not (await bob.last("update")).participants[0].tracks[0].muted


async def test_an_administrator_mutes_but_never_unmutes(door: Door) -> None:
    ann = await door.join("ann")
    sid = await _publish(ann)
    assert door.house.rooms.mute_track("r", "ann", sid, muted=True).muted
    assert (await ann.last("mute")).muted
    with pytest.raises(ServiceError) as refused:
        door.house.rooms.mute_track("r", "ann", sid, muted=False)
    assert refused.value.message == "remote unmute not enabled"


async def test_a_lost_permission_ends_the_track_and_is_told(door: Door) -> None:
    ann = await door.join("ann")
    sid = await _publish(ann)
    door.house.rooms.update_participant("r", "ann", permissions=Permissions(can_publish=False))
    assert (await ann.last("track_unpublished")).track_sid == sid
    assert door.house.rooms.get_participant("r", "ann").tracks == ()
    assert "refresh_token" in [m.WhichOneof("message") for m in ann.heard[-4:]]
    # The section goes on being offered until the client has stopped: it is nobody's track.
    await ann.offer(*_SPARE, ("3", "sendonly", "c1"))
    assert door.house.rooms.get_participant("r", "ann").tracks == ()


async def test_what_the_media_turn_out_to_be_is_told(door: Door) -> None:
    bob = await door.join("bob")
    ann = await door.join("ann")
    await _publish(ann)
    await bob.listen()
    ann.peer.event(TrackStarted("3", "opus"))
    assert await bob.kinds() == [], "as was said before"
    ann.peer.event(TrackStarted("3", "PCMU"))
    assert (await bob.last("update")).participants[0].tracks[0].mime_type == "audio/PCMU"


# ── hearing, with one connection ─────────────────────────────────────────────


async def test_a_phones_track_is_put_on_a_free_section_after_an_empty_request(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    source = Source(99)
    sid = seat.publish_audio("tel", source, "audio/PCMU")
    ann = await door.join("ann")
    requirement = await ann.last("media_sections_requirement")
    assert (requirement.num_audios, requirement.num_videos) == (0, 0)
    answer = await ann.offer(*_SPARE)
    assert dict(answer.mid_to_track_id) == {"0": sid}
    assert f"a=msid:{seat.participant_sid}|{sid} {sid}" in answer.sdp
    assert ann.peer.sinks["0"].inputs == {source: 1.0}
    assert "media_sections_requirement" not in await ann.kinds()


async def test_more_tracks_than_sections_are_asked_for_in_one_message(door: Door) -> None:
    for number in range(5):
        seat, _ = await door.house.phone(f"tel{number}")
        seat.publish_audio("a", Source(number), "")
    ann = await door.join("ann")
    needs = [m for m in await ann.listen() if m.HasField("media_sections_requirement")]
    assert [n.media_sections_requirement.num_audios for n in needs] == [2]
    more = (("3", "recvonly", ""), ("4", "recvonly", ""))
    answer = await ann.offer(*_SPARE, *more)
    assert len(answer.mid_to_track_id) == 5


async def test_a_freed_section_is_given_back_and_used_again(door: Door) -> None:
    seat, _ = await door.house.phone("one")
    seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann")
    await ann.offer(*_SPARE)
    await seat.leave(Reason.CLIENT_INITIATED)
    assert ann.peer.sinks["0"].inputs == {}, "silent at once, whatever is negotiated"
    assert (await ann.last("media_sections_requirement")).num_audios == 0
    answer = await ann.offer(*_SPARE)
    assert dict(answer.mid_to_track_id) == {}
    other, _ = await door.house.phone("two")
    sid = other.publish_audio("b", Source(2), "")
    answer = await ann.offer(*_SPARE)
    assert dict(answer.mid_to_track_id) == {"0": sid}
    assert ann.peer.sinks["0"].inputs == {Source(2): 1.0}


async def test_a_track_that_ended_during_the_negotiation_never_sounds(door: Door) -> None:
    seat, _ = await door.house.phone("one")
    seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann")
    await ann.listen()
    original = ann.peer.accept_offer

    async def slow(sdp: str) -> str:
        await seat.leave(Reason.CLIENT_INITIATED)
        return await original(sdp)

    ann.peer.accept_offer = slow  # type: ignore[method-assign]
    await ann.offer(*_SPARE)
    assert ann.peer.sinks["0"].inputs == {}
    assert (await ann.last("media_sections_requirement")).num_audios == 0


async def test_a_client_that_does_not_offer_when_asked_starts_anew(door: Door) -> None:
    seat, _ = await door.house.phone("one")
    seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann")
    await door.house.time.pass_(15)
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)


async def test_without_automatic_subscription_nothing_comes_until_asked_for(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    sid = seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann", auto_subscribe=False)
    assert "media_sections_requirement" not in await ann.kinds()
    ann.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=True))
    answer = await ann.offer(*_SPARE)
    assert dict(answer.mid_to_track_id) == {"0": sid}
    ann.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=False))
    assert ann.peer.sinks["0"].inputs == {}


async def test_a_track_that_does_not_exist_is_refused_by_name(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(subscription=rtc.UpdateSubscription(track_sids=["TR_no"], subscribe=True))
    refusal = await ann.last("subscription_response")
    assert (refusal.track_sid, refusal.err) == ("TR_no", models.SE_TRACK_NOTFOUND)


async def test_who_may_not_hear_is_told_and_hears_once_it_may(door: Door) -> None:
    ann = await door.join("ann")
    bob = await door.join("bob")
    sid = await _publish(ann)
    await bob.offer(*_SPARE)
    ann.say(subscription_permission=rtc.SubscriptionPermission(all_participants=False))
    update = await bob.last("subscription_permission_update")
    assert (update.track_sid, update.allowed) == (sid, False)
    assert bob.peer.sinks["0"].inputs == {}
    ann.say(subscription_permission=rtc.SubscriptionPermission(all_participants=True))
    assert (await bob.last("subscription_permission_update")).allowed
    answer = await bob.offer(*_SPARE)
    assert sid in answer.mid_to_track_id.values()


async def test_a_client_without_the_right_to_subscribe_hears_nothing(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann", grants={"can_subscribe": False})
    assert "media_sections_requirement" not in await ann.kinds()


@pytest.mark.parametrize("sdp", ["", "garbage", "v=0\r\nm=audio\r\n", "\x00" * 100])
async def test_an_offer_that_is_none_starts_the_session_anew(door: Door, sdp: str) -> None:
    ann = await door.join("ann")
    ann.say(offer=rtc.SessionDescription(type="offer", sdp=sdp))
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
    assert door.house.rooms.participants("r") == ()


async def test_an_offer_that_the_engine_refuses_starts_the_session_anew(door: Door) -> None:
    ann = await door.join("ann")
    ann.peer.refuse = True
    ann.say(offer=rtc.SessionDescription(type="offer", sdp=client_offer(*_SPARE)))
    assert (await ann.last("leave")).action == rtc.LeaveRequest.RECONNECT


async def test_a_flood_of_offers_starts_the_session_anew(door: Door) -> None:
    ann = await door.join("ann")
    for _ in range(40):
        ann.say(offer=rtc.SessionDescription(type="offer", sdp=client_offer(*_SPARE)))
    assert (await ann.last("leave")).action == rtc.LeaveRequest.RECONNECT


# ── hearing, with two connections ────────────────────────────────────────────


async def _answer(client: Client, **answer: Any) -> Any:
    offer = await client.last("offer")
    client.say(answer=rtc.SessionDescription(type="answer", sdp=client_answer(offer.sdp, **answer)))
    await settle()
    return offer


async def test_the_server_offers_data_first_and_tracks_once_connected(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    source = Source(99)
    sid = seat.publish_audio("tel", source, "audio/PCMU")
    ann = await door.join("ann", single=False, connect=False)
    join = await ann.last("join")
    assert join.subscriber_primary
    first = await _answer(ann)
    assert "m=application" in first.sdp
    assert "m=audio" not in first.sdp
    assert ann.peers[1].answers == [("cli", "y" * 22, "sha-256 CC:DD", "active")]
    await door.connect(ann)
    second = await _answer(ann)
    assert second.id > first.id
    assert f"a=msid:{seat.participant_sid}|{sid} {sid}" in second.sdp
    assert ann.peers[1].payload_types["s0"]["PCMU"] == 0
    assert ann.peers[1].sinks["s0"].inputs == {source: 1.0}
    assert len(ann.peers[1].answers) == 1, "the same credentials are not applied twice"


async def test_one_offer_at_a_time_carries_what_changed_meanwhile(door: Door) -> None:
    ann = await door.join("ann", single=False, connect=False)
    await _answer(ann)
    await door.connect(ann)
    await ann.listen()
    for number in range(3):
        seat, _ = await door.house.phone(f"tel{number}")
        seat.publish_audio("a", Source(number), "")
        await settle()
    assert [m.offer.sdp.count("m=audio") for m in await ann.offers()] == [1]
    await _answer(ann)
    assert [m.offer.sdp.count("m=audio") for m in await ann.offers()] == [1, 3]


async def test_changes_of_one_moment_go_into_one_offer(door: Door) -> None:
    for number in range(3):
        seat, _ = await door.house.phone(f"tel{number}")
        seat.publish_audio("a", Source(number), "")
    ann = await door.join("ann", single=False, connect=False)
    await _answer(ann)
    await door.connect(ann)
    assert [m.offer.sdp.count("m=audio") for m in await ann.offers()] == [3]


async def test_a_section_of_ours_is_used_again(door: Door) -> None:
    seat, _ = await door.house.phone("one")
    seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann", single=False, connect=False)
    await _answer(ann)
    await door.connect(ann)
    await _answer(ann)
    await seat.leave(Reason.CLIENT_INITIATED)
    assert ann.peers[1].sinks["s0"].inputs == {}
    offer = await _answer(ann)
    assert "a=inactive" in offer.sdp
    other, _ = await door.house.phone("two")
    sid = other.publish_audio("b", Source(2), "")
    offer = await _answer(ann)
    assert offer.sdp.count("m=audio") == 1
    assert sid in offer.sdp
    assert ann.peers[1].sinks["s0"].inputs == {Source(2): 1.0}


async def test_publishing_goes_over_the_clients_own_connection(door: Door) -> None:
    ann = await door.join("ann", single=False, connect=False)
    await _answer(ann)
    await door.connect(ann)
    await _publish(ann)
    assert ann.peers[0].offers
    (track,) = door.house.rooms.get_participant("r", "ann").tracks
    assert track.mid == "3"


async def test_a_track_the_client_has_no_codec_for_is_refused_by_name(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    sid = seat.publish_audio("tel", Source(1), "")
    ann = await door.join("ann", single=False, connect=False)
    await _answer(ann)
    await door.connect(ann)
    await _answer(ann, payload_types="13")
    refusal = await ann.last("subscription_response")
    assert (refusal.track_sid, refusal.err) == (sid, models.SE_CODEC_UNSUPPORTED)


async def test_a_client_that_does_not_answer_starts_anew(door: Door) -> None:
    ann = await door.join("ann", single=False, connect=False)
    await door.house.time.pass_(15)
    assert (await ann.last("leave")).action == rtc.LeaveRequest.RECONNECT


async def test_a_publish_only_client_counts_as_connected_by_its_own_connection(door: Door) -> None:
    ann = await door.join("ann", single=False, connect=False, grants={"can_subscribe": False})
    assert not (await ann.last("join")).subscriber_primary
    ann.peers[0].event(Connected())
    info = door.house.rooms.get_participant("r", "ann")
    assert info.state is ParticipantState.ACTIVE


# ── messages ─────────────────────────────────────────────────────────────────


async def test_data_goes_to_the_others_on_the_same_kind_of_channel(door: Door) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    _, phone = await door.house.phone("tel")
    ann.peer.event(DataReceived("_lossy", _user(b"hi", sequence=3)))
    ((label, payload),) = bob.peer.sent
    packet = models.DataPacket.FromString(payload)
    assert (label, packet.kind, packet.user.payload) == ("_lossy", models.DataPacket.LOSSY, b"hi")
    assert packet.participant_identity == packet.user.participant_identity == "ann"
    assert packet.participant_sid == (await ann.last("join")).participant.sid
    assert ann.peer.sent == [], "never back to the sender"
    assert phone.data == [UserData(b"hi")]


async def test_data_for_somebody_goes_to_nobody_else(door: Door) -> None:
    ann, bob, cid = [await door.join(name) for name in ("ann", "bob", "cid")]
    ann.peer.event(DataReceived("_reliable", _user(b"x", destination_identities=["cid"])))
    assert bob.peer.sent == []
    assert len(cid.peer.sent) == 1


async def test_reliable_messages_sent_again_are_dropped_and_keep_their_number(door: Door) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    for sequence in (1, 2, 2, 1, 3):
        ann.peer.event(DataReceived("_reliable", _user(b"x", sequence=sequence)))
    numbers = [models.DataPacket.FromString(payload).sequence for _, payload in bob.peer.sent]
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize(
    "packet",
    [
        b"\xff\xff",
        b"",
        models.DataPacket(speaker=models.ActiveSpeakerUpdate()).SerializeToString(),
        models.DataPacket(transcription=models.Transcription()).SerializeToString(),
    ],
)
async def test_what_may_not_be_forwarded_is_dropped(door: Door, packet: bytes) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    ann.peer.event(DataReceived("_reliable", packet))
    assert bob.peer.sent == []


async def test_who_may_not_send_data_does_not(door: Door) -> None:
    ann = await door.join("ann", grants={"can_publish_data": False})
    bob = await door.join("bob")
    ann.peer.event(DataReceived("_reliable", _user(b"x")))
    assert bob.peer.sent == []


async def test_an_agent_may_speak_for_somebody_else(door: Door) -> None:
    agent = await door.join("agent", claims={"kind": "agent"})
    bob = await door.join("bob")
    packet = models.DataPacket(
        participant_identity="tel", stream_header=models.DataStream.Header(stream_id="s")
    )
    agent.peer.event(DataReceived("_reliable", packet.SerializeToString()))
    (_, payload) = bob.peer.sent[0]
    assert models.DataPacket.FromString(payload).participant_identity == "tel"


async def test_rpc_and_streams_pass_untouched(door: Door) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    rpc = models.RpcRequest(id="1", method="m", payload="p", response_timeout_ms=5, version=1)
    chunk = models.DataStream.Chunk(stream_id="s", chunk_index=4, content=b"\x00\xff")
    for packet in (models.DataPacket(rpc_request=rpc), models.DataPacket(stream_chunk=chunk)):
        ann.peer.event(DataReceived("_reliable", packet.SerializeToString()))
    first, second = (models.DataPacket.FromString(payload) for _, payload in bob.peer.sent)
    assert first.rpc_request == rpc
    assert second.stream_chunk == chunk


async def test_metrics_go_only_to_those_who_may_see_them(door: Door) -> None:
    ann = await door.join("ann")
    bob = await door.join("bob")
    boss = await door.join("boss", grants={"can_subscribe_metrics": True})
    packet = models.DataPacket()
    packet.metrics.SetInParent()
    ann.peer.event(DataReceived("_reliable", packet.SerializeToString()))
    assert bob.peer.sent == []
    assert len(boss.peer.sent) == 1


async def test_who_was_joined_but_not_connected_gets_reliable_messages_afterwards(
    door: Door,
) -> None:
    ann = await door.join("ann")
    bob = await door.join("bob", connect=False)
    ann.peer.event(DataReceived("_reliable", _user(b"early", sequence=1)))
    ann.peer.event(DataReceived("_lossy", _user(b"lost")))
    bob.peer.event(Connected())
    ann.peer.event(DataReceived("_reliable", _user(b"next", sequence=2)))
    assert bob.peer.sent == [], "its channel is not open yet"
    bob.peer.event(ChannelOpened("_reliable"))
    got = [models.DataPacket.FromString(payload).user.payload for _, payload in bob.peer.sent]
    assert got == [b"early", b"next"]


async def test_a_phones_digit_reaches_the_client(door: Door) -> None:
    ann = await door.join("ann")
    seat, _ = await door.house.phone("tel")
    seat.send_dtmf(5, "5")
    ((label, payload),) = ann.peer.sent
    packet = models.DataPacket.FromString(payload)
    assert (label, packet.sip_dtmf.code, packet.sip_dtmf.digit) == ("_reliable", 5, "5")
    assert packet.participant_identity == "tel"


async def test_the_clients_digit_reaches_the_phone(door: Door) -> None:
    ann = await door.join("ann")
    _, phone = await door.house.phone("tel")
    packet = models.DataPacket(sip_dtmf=models.SipDTMF(code=11, digit="#"))
    ann.peer.event(DataReceived("_reliable", packet.SerializeToString()))
    assert phone.data == [Dtmf(11, "#")]


# ── facts ────────────────────────────────────────────────────────────────────


async def test_own_attributes_are_told_acknowledged_and_put_into_a_fresh_token(door: Door) -> None:
    bob = await door.join("bob")
    ann = await door.join("ann", grants={"can_update_own_metadata": True})
    update = rtc.UpdateParticipantMetadata(attributes={"a": "1"}, request_id=9)
    ann.say(update_metadata=update)
    response = await ann.last("request_response")
    assert (response.request_id, response.reason) == (9, rtc.RequestResponse.OK)
    assert dict((await bob.last("update")).participants[0].attributes) == {"a": "1"}
    tokens = TokenVerifier({"devkey": "secret"}, door.house.time)
    claims = tokens.verify(await ann.last("refresh_token"))
    assert claims.attributes == {"a": "1"}
    assert claims.video is not None
    assert (claims.video.room, claims.video.room_join) == ("r", True)


async def test_facts_that_may_not_be_changed_or_are_too_long_are_refused(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(update_metadata=rtc.UpdateParticipantMetadata(name="x", request_id=1))
    assert (await ann.last("request_response")).reason == rtc.RequestResponse.NOT_ALLOWED
    bob = await door.join("bob", grants={"can_update_own_metadata": True})
    bob.say(update_metadata=rtc.UpdateParticipantMetadata(name="x" * 257, request_id=2))
    assert (await bob.last("request_response")).reason == rtc.RequestResponse.LIMIT_EXCEEDED


async def test_a_token_is_refreshed_every_five_minutes(door: Door) -> None:
    ann = await door.join("ann")
    await ann.listen()
    await door.house.time.pass_(300)
    assert "refresh_token" in await ann.kinds()


async def test_pings_are_answered_in_both_forms(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(ping=5)
    ann.say(ping_req=rtc.Ping(timestamp=7, rtt=1))
    assert (await ann.last("pong_resp")).last_ping_timestamp == 7
    assert await ann.last("pong") > 1_000_000_000_000


async def test_speakers_are_told_to_listeners_and_to_themselves(door: Door) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    await _publish(ann)
    await bob.offer(*_SPARE)
    source = ann.peer.receive("3")
    ann.peer.event(LevelChanged(source, 0.5, True))
    for client in (ann, bob):
        (speaker,) = (await client.last("speakers_changed")).speakers
        assert (speaker.level, speaker.active) == (0.5, True)
    await ann.offer(*_SPARE, ("3", "inactive", ""))
    (speaker,) = (await bob.last("speakers_changed")).speakers
    assert (speaker.level, speaker.active) == (0.0, False)


async def test_a_phones_level_is_told_to_its_listeners(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    seat.publish_audio("tel", Source(1), "")
    ann = await door.join("ann")
    seat.level_changed(0.25, active=True)
    assert "speakers_changed" not in await ann.kinds(), "it does not receive the track yet"
    await ann.offer(*_SPARE)
    (speaker,) = (await ann.last("speakers_changed")).speakers
    assert (speaker.sid, speaker.level) == (seat.participant_sid, 0.25)


async def test_what_we_do_not_do_is_refused_with_the_request_in_it(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(publish_data_track_request=rtc.PublishDataTrackRequest(pub_handle=4, name="n"))
    refusal = await ann.last("request_response")
    assert refusal.reason == rtc.RequestResponse.NOT_ALLOWED
    assert refusal.publish_data_track.pub_handle == 4
    ann.say(get_data_blob_request=rtc.GetDataBlobRequest(request_id=8))
    assert (await ann.last("request_response")).request_id == 8


# ── leaving, losing, coming back ─────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (Reason.CLIENT_INITIATED, Reason.CLIENT_INITIATED),
        (Reason.AGENT_ERROR, Reason.AGENT_ERROR),
        (Reason.ROOM_DELETED, Reason.CLIENT_INITIATED),
    ],
)
async def test_a_client_leaves_for_a_reason_of_its_own(
    door: Door, said: Reason, told: Reason
) -> None:
    bob, ann = await door.join("bob"), await door.join("ann")
    ann.say(leave=rtc.LeaveRequest(reason=wire_number(said)))
    (info,) = (await bob.last("update")).participants
    assert (info.state, info.disconnect_reason) == (models.ParticipantInfo.DISCONNECTED, told)
    assert ann.peer.closed
    assert ann.link.closed_for is not None


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f"])
async def test_garbage_ends_the_session_with_a_reason(door: Door, garbage: bytes) -> None:
    ann = await door.join("ann")
    ann.link.receive(garbage)
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.DISCONNECT)
    ann.link.receive(garbage)


async def test_unknown_messages_are_ignored(door: Door) -> None:
    ann = await door.join("ann")
    await ann.listen()
    ann.link.receive(b"\xfa\x3e\x02\x08\x01")
    ann.link.receive(b"")
    ann.say(trickle=rtc.TrickleRequest(candidateInit="not json"))
    ann.say(trickle=rtc.TrickleRequest(candidateInit="[1]"))
    ann.say(update_layers=rtc.UpdateVideoLayers(track_sid="x"))
    ann.say(track_setting=rtc.UpdateTrackSettings(track_sids=["x"], disabled=True))
    assert await ann.kinds() == []
    assert ann.peer.candidates == []


async def test_candidates_go_to_the_peer(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(trickle=rtc.TrickleRequest(candidateInit='{"candidate":"candidate:1 1 udp"}'))
    assert ann.peer.candidates == ["candidate:1 1 udp"]


async def test_a_participant_outlives_its_socket_while_media_flow(door: Door) -> None:
    ann = await door.join("ann")
    ann.link.lost()
    await door.house.time.pass_(200)
    assert len(door.house.rooms.participants("r")) == 1
    ann.peer.event(Disconnected())
    await door.house.time.pass_(4.9)
    assert len(door.house.rooms.participants("r")) == 1
    await door.house.time.pass_(0.2)
    assert door.house.rooms.participants("r") == ()
    assert ann.peer.closed


async def test_a_client_whose_media_stop_is_asked_to_resume_and_may_return(door: Door) -> None:
    bob, ann = await door.join("bob"), await door.join("ann")
    ann.peer.event(Disconnected())
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (Reason.CONNECTION_TIMEOUT, rtc.LeaveRequest.RESUME)
    assert ann.link.closed_for is None, "a closed socket would make it a new session"
    quality = (await bob.last("connection_quality")).updates[0].quality
    assert quality == models.ConnectionQuality.LOST
    await door.house.time.pass_(4)
    ann.peer.event(Connected())
    await door.house.time.pass_(60)
    assert len(door.house.rooms.participants("r")) == 2
    quality = (await bob.last("connection_quality")).updates[0].quality
    assert quality == models.ConnectionQuality.EXCELLENT


async def test_a_client_that_died_is_gone_after_the_time_to_return(door: Door) -> None:
    bob, ann = await door.join("bob"), await door.join("ann")
    ann.peer.event(Disconnected())
    await door.house.time.pass_(5)
    (info,) = (await bob.last("update")).participants
    assert info.disconnect_reason == Reason.CONNECTION_TIMEOUT
    assert ann.peer.closed


async def test_a_peer_that_failed_starts_the_session_anew(door: Door) -> None:
    ann = await door.join("ann")
    ann.peer.event(Failed("data channel overflow"))
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)


async def _resume(door: Door, client: Client, *, single: bool = True, **request: Any) -> Client:
    sid = (await client.last("join")).participant.sid
    again = await door.join(
        single=single, reconnect=True, participant_sid=sid, connect=False, **request
    )
    again.peers = client.peers
    return again


async def test_a_resumed_client_is_told_how_things_are_and_keeps_its_tracks(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    seat.hear(Ears().sink)
    ann = await door.join("ann")
    sid = await _publish(ann)
    ann.peer.event(DataReceived("_reliable", _user(b"x", sequence=41)))
    ann.link.lost()
    again = await _resume(door, ann)
    first, second, third, fourth, fifth = await again.listen()
    assert first.reconnect.last_message_seq == 41
    assert first.reconnect.server_info.version
    assert {p.identity for p in second.update.participants} == {"tel", "ann"}
    assert third.room_update.room.name == "r"
    assert fourth.track_subscribed.track_sid == sid
    assert fifth.refresh_token
    published = rtc.TrackPublishedResponse(cid="c1", track=models.TrackInfo(sid=sid))
    again.say(sync_state=rtc.SyncState(publish_tracks=[published]))
    await again.offer(*_SPARE, ("3", "sendonly", "c1"))
    (track,) = door.house.rooms.get_participant("r", "ann").tracks
    assert track.sid == sid
    assert len(door.engine.peers) == 1, "the same peer, with an ICE restart"


async def test_the_old_socket_has_no_say_after_a_resume(door: Door) -> None:
    ann = await door.join("ann")
    again = await _resume(door, ann)
    assert ann.link.closed_for is not None
    ann.say(leave=rtc.LeaveRequest())
    ann.link.lost()
    assert len(door.house.rooms.participants("r")) == 1
    again.say(ping=1)
    assert "pong" in await again.kinds()


async def test_resuming_with_two_connections_restarts_ice_on_ours(door: Door) -> None:
    ann = await door.join("ann", single=False, connect=False)
    await _answer(ann)
    await door.connect(ann)
    ann.link.lost()
    again = await _resume(door, ann, single=False)
    offer = await _answer(again, ufrag="new")
    assert "a=ice-ufrag:u1" in offer.sdp
    assert [answer[0] for answer in ann.peers[1].answers] == ["cli", "new"]


async def test_changes_while_no_socket_is_there_are_made_up_for(door: Door) -> None:
    ann = await door.join("ann")
    ann.link.lost()
    seat, _ = await door.house.phone("tel")
    sid = seat.publish_audio("tel", Source(1), "")
    await door.house.time.pass_(20)
    again = await _resume(door, ann)
    answer = await again.offer(*_SPARE)
    assert dict(answer.mid_to_track_id) == {"0": sid}


async def test_missed_reliable_messages_are_sent_again(door: Door) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    for sequence in (1, 2, 3):
        ann.peer.event(DataReceived("_reliable", _user(b"x", sequence=sequence)))
    bob.peer.sent.clear()
    again = await _resume(door, bob, identity="bob")
    ann_sid = (await ann.last("join")).participant.sid
    state = rtc.DataChannelReceiveState(publisher_sid=ann_sid, last_seq=1)
    again.say(sync_state=rtc.SyncState(datachannel_receive_states=[state]))
    numbers = [models.DataPacket.FromString(payload).sequence for _, payload in bob.peer.sent]
    assert numbers == [2, 3]


async def test_a_resume_with_a_track_that_is_not_known_starts_anew(door: Door) -> None:
    ann = await door.join("ann")
    again = await _resume(door, ann)
    published = rtc.TrackPublishedResponse(cid="c", track=models.TrackInfo(sid="TR_other"))
    again.say(sync_state=rtc.SyncState(publish_tracks=[published]))
    leave = await again.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)


@pytest.mark.parametrize(
    "change", [{"participant_sid": "PA_other"}, {"identity": "nobody"}, {"single": False}]
)
async def test_who_wants_back_what_is_not_there_starts_anew(
    door: Door, change: dict[str, Any]
) -> None:
    ann = await door.join("ann")
    sid = (await ann.last("join")).participant.sid
    request = {"reconnect": True, "participant_sid": sid, "connect": False, **change}
    again = await door.join(**request)
    leave = await again.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
    assert again.link.closed_for is not None
    assert len(door.house.rooms.participants("r")) == 1


async def test_deleting_the_room_sends_clients_away_and_lets_nothing_remain(door: Door) -> None:
    ann = await door.join("ann")
    bob = await door.join("bob", single=False, connect=False)
    await door.house.rooms.delete("r")
    for client in (ann, bob):
        assert (await client.last("leave")).reason == Reason.ROOM_DELETED
        assert await client.link.next() is None
    assert all(peer.closed for peer in door.engine.peers)
    await settle()
    assert len(door.house.rooms.tasks) == 0
    assert door.house.time.pending == 0


@pytest.mark.parametrize(
    ("scenario", "reason", "action"),
    [
        ({"server_leave": True}, Reason.SERVER_SHUTDOWN, rtc.LeaveRequest.DISCONNECT),
        ({"migration": True}, Reason.MIGRATION, rtc.LeaveRequest.RESUME),
        (
            {"leave_request_full_reconnect": True},
            Reason.STATE_MISMATCH,
            rtc.LeaveRequest.RECONNECT,
        ),
    ],
)
async def test_faults_are_simulated_on_request(
    door: Door, scenario: dict[str, Any], reason: Reason, action: int
) -> None:
    ann = await door.join("ann")
    ann.say(simulate=rtc.SimulateScenario(**scenario))
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (reason, action)
