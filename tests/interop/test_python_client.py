"""What an official Python client learns of its room, and how it leaves and returns."""

from __future__ import annotations

import asyncio
import itertools
import math
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from livekit import api, rtc
from livekit.rtc.participant import PublishDataTrackError

from interop.datagrams import Address, MediaPath, needs_private_network, server_behind
from interop.hearing import CLIENT_RATE, Voice, Window, listen, steady_stretch, windows
from interop.server import KEY, SECRET, Server
from switchroom.base.records import replace
from switchroom.media import PeerStats, Tone
from switchroom.rooms.data import DispatchEnded, Dtmf, UserData
from switchroom.rooms.local import LocalParticipantSpec, Seat
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.session.session import Session

pytestmark = pytest.mark.interop

ROOM = "meeting"
MODES = pytest.mark.parametrize("single", [True, False], ids=["one-connection", "two-connections"])


class Phone:
    """A participant in the server's process that plays a tone."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[UserData | Dtmf] = asyncio.Queue()
        self.seat: Seat

    async def close(self, reason: DisconnectReason) -> None:
        return

    def on_dispatch_ended(self, news: DispatchEnded) -> None:
        return

    def on_data(self, data: UserData | Dtmf) -> None:
        self.heard.put_nowait(data)


@asynccontextmanager
async def phone(server: Server, hz: float, identity: str = "phone") -> AsyncIterator[Phone]:
    """A phone that is in the room, sounds, and leaves at the end."""
    assert server.app is not None
    there = Phone()
    there.seat = server.app.rooms.join_local(LocalParticipantSpec(ROOM, identity), there)
    player = server.app.engine.play(Tone(segments=(((hz,), 1.0),), level_dbov=-20))
    there.seat.publish_audio("phone", player.source, "audio/PCMU")
    try:
        yield there
    finally:
        there.seat.leave(DisconnectReason.CLIENT_INITIATED)
        player.stop()


class Client:
    """A client and a queue for each kind of event that a test waits for."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self._queues: dict[str, asyncio.Queue[tuple[Any, ...]]] = {}

    @property
    def me(self) -> rtc.LocalParticipant:
        return self.room.local_participant

    def watch(self, *names: str) -> None:
        """Keep these events from now on."""
        for name in names:
            queue = self._queues[name] = asyncio.Queue()
            self.room.on(cast("Any", name), lambda *facts, queue=queue: queue.put_nowait(facts))

    async def next(self, name: str) -> tuple[Any, ...]:
        """The facts of the next event of that name; `watch` it first."""
        return await asyncio.wait_for(self._queues[name].get(), 90)

    def none(self, name: str) -> bool:
        """Whether no event of that name waits."""
        return self._queues[name].empty()


@asynccontextmanager
async def client(
    server: Server,
    identity: str,
    *watched: str,
    single: bool = True,
    auto_subscribe: bool = True,
    **grants: Any,
) -> AsyncIterator[Client]:
    """A client that has joined, with all rights unless `grants` says otherwise."""
    joined = Client()
    joined.watch("disconnected", *watched)
    options = rtc.RoomOptions(single_peer_connection=single, auto_subscribe=auto_subscribe)
    video = api.VideoGrants(
        **{"room_join": True, "room": ROOM, "can_update_own_metadata": True, **grants}
    )
    token = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(video).to_jwt()
    await joined.room.connect(server.ws_url, token, options)
    try:
        yield joined
    finally:
        await joined.room.disconnect()


async def until_heard(track: rtc.Track, hz: float) -> None:
    """Until a second and a half of a track held the tone for the most part.

    A busy machine may need a moment.
    """
    async with asyncio.timeout(90):
        heard: list[Window] = []
        while len(steady_stretch(heard, hz)) < 8:
            heard = windows(await listen(track, 1.5), CLIENT_RATE)


# ── sound that comes and goes ────────────────────────────────────────────────


@MODES
async def test_every_one_of_many_short_calls_is_heard(server: Server, single: bool) -> None:
    async with client(server, "agent", "track_subscribed", single=single) as agent:
        for number in range(10):
            hz = 400 + 100 * number
            async with phone(server, hz) as there:
                track, _, participant = await agent.next("track_subscribed")
                assert participant.sid == there.seat.participant_sid
                await until_heard(track, hz)


@MODES
async def test_calls_that_end_at_once_leave_the_next_one_audible(
    server: Server, single: bool
) -> None:
    async with client(server, "agent", "track_subscribed", single=single) as agent:
        for number in range(20):
            async with phone(server, 300):
                if number % 3:
                    await agent.room.local_participant.set_attributes({"at": str(number)})
        async with phone(server, 1500) as there:
            while True:
                track, _, participant = await agent.next("track_subscribed")
                if participant.sid == there.seat.participant_sid:
                    break
            await until_heard(track, 1500)


@MODES
async def test_a_publisher_learns_that_a_phone_listens_only_when_it_does(
    server: Server, single: bool
) -> None:
    assert server.app is not None
    async with phone(server, 700) as there, client(server, "agent", single=single) as agent:
        publication = await agent.me.publish_track(Voice(440, -20).track)
        subscribed = asyncio.ensure_future(publication.wait_for_subscription())
        await agent.me.set_attributes({"one": "round trip"})
        assert not subscribed.done()
        leg = server.app.engine.open_leg("127.0.0.1", lambda _: None)
        there.seat.hear(leg.sink)
        await asyncio.wait_for(subscribed, 90)
        leg.close()


@MODES
async def test_unpublished_tracks_are_gone_and_others_take_their_place(
    server: Server, single: bool
) -> None:
    events = ("track_subscribed", "track_unpublished")
    async with (
        client(server, "ben", *events, single=single) as ben,
        client(server, "anna", single=single) as anna,
    ):
        for hz in (440.0, 880.0):
            voice = Voice(hz, -20)
            publication = await anna.me.publish_track(voice.track)
            async with voice.speaking():
                track, _, _ = await ben.next("track_subscribed")
                await until_heard(track, hz)
            await anna.me.unpublish_track(publication.sid)
            assert (await ben.next("track_unpublished"))[0].sid == publication.sid


async def test_a_publisher_pauses_in_silence_and_repeats_itself_unless_it_does_not_want_to(
    server: Server,
) -> None:
    quiet = await packets_of(server, rtc.TrackPublishOptions(), loud=False)
    assert quiet.rtp_in < 60
    going_on = await packets_of(server, rtc.TrackPublishOptions(dtx=False, red=False), loud=False)
    assert going_on.rtp_in > 80
    twice = await packets_of(server, rtc.TrackPublishOptions(dtx=False), loud=True)
    once = await packets_of(server, rtc.TrackPublishOptions(dtx=False, red=False), loud=True)
    assert twice.bytes_in / twice.rtp_in > 1.4 * once.bytes_in / once.rtp_in


async def packets_of(server: Server, options: rtc.TrackPublishOptions, *, loud: bool) -> PeerStats:
    """What the server gets of a client while it publishes three seconds of a tone or of silence.

    They begin when something of the track has arrived: a busy machine connects late.
    """
    assert server.app is not None
    wave = (round(3_000 * math.sin(math.tau * n / 120)) for n in range(CLIENT_RATE // 50))
    frame = array("h", wave).tobytes() if loud else bytes(CLIENT_RATE // 25)
    engine = server.app.engine
    async with client(server, "anna") as anna:
        source = rtc.AudioSource(CLIENT_RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("voice", source)
        await anna.me.publish_track(track, options)

        async def publish(frames: int) -> PeerStats:
            for _ in range(frames):
                await source.capture_frame(rtc.AudioFrame(frame, CLIENT_RATE, 1, CLIENT_RATE // 50))
            await source.wait_for_playout()
            (peer,) = (await engine.stats()).peers
            return peer

        async with asyncio.timeout(90):
            while not (before := await publish(10)).rtp_in:
                pass
        after = await publish(150)
        source.clear_queue()
        return replace(
            after,
            rtp_in=after.rtp_in - before.rtp_in,
            bytes_in=after.bytes_in - before.bytes_in,
        )


# ── what is told ─────────────────────────────────────────────────────────────


async def test_a_rooms_metadata_and_counts_are_told(server: Server) -> None:
    async with server.api() as service, client(server, "anna", "room_metadata_changed") as anna:
        request = api.UpdateRoomMetadataRequest(room=ROOM, metadata="m")
        await service.room.update_room_metadata(request)
        assert await anna.next("room_metadata_changed") == ("", "m")
        (room,) = (await service.room.list_rooms(api.ListRoomsRequest(names=[ROOM]))).rooms
        assert (room.num_participants, room.sid) == (1, await anna.room.sid)


async def test_a_data_track_is_refused_by_name(server: Server) -> None:
    async with client(server, "anna") as anna:
        with pytest.raises(PublishDataTrackError, match="unauthorized"):
            await anna.me.publish_data_track(name="points")


@needs_private_network
@pytest.mark.usefixtures("front")
async def test_how_well_a_client_is_connected_follows_what_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count()
    carry = MediaPath.datagram_received

    def lose(path: MediaPath, data: bytes, addr: Address) -> None:
        if next(numbers) % 4:
            carry(path, data, addr)

    async with (
        server_behind(tmp_path) as (server, _),
        client(server, "ben", "connection_quality_changed") as ben,
        client(server, "anna") as anna,
    ):
        voice = Voice(440, -20)
        await anna.me.publish_track(voice.track)
        async with voice.speaking():
            monkeypatch.setattr(MediaPath, "datagram_received", lose)
            await until_quality(ben, "anna", rtc.ConnectionQuality.QUALITY_POOR)
            monkeypatch.setattr(MediaPath, "datagram_received", carry)
            await until_quality(ben, "anna", rtc.ConnectionQuality.QUALITY_EXCELLENT)


async def until_quality(watcher: Client, identity: str, wanted: int) -> None:
    async with asyncio.timeout(180):
        while True:
            who, quality = await watcher.next("connection_quality_changed")
            if (who.identity, quality) == (identity, wanted):
                return


async def test_a_phone_and_the_server_can_be_told_things_and_tell_things(server: Server) -> None:
    async with (
        server.api() as service,
        phone(server, 700) as there,
        client(server, "anna", "sip_dtmf_received", "data_received") as anna,
    ):
        there.seat.send_dtmf(5, "5")
        (digit,) = await anna.next("sip_dtmf_received")
        assert (digit.digit, digit.code, digit.participant.identity) == ("5", 5, "phone")
        await anna.me.publish_dtmf(code=11, digit="#")
        assert await there.heard.get() == Dtmf(11, "#")
        await anna.me.publish_data("hello", topic="t", destination_identities=["phone"])
        assert await there.heard.get() == UserData(b"hello", "t")
        data = api.SendDataRequest(room=ROOM, data=b"from the server", topic="s")
        await service.room.send_data(data)
        (packet,) = await anna.next("data_received")
        assert (packet.data, packet.topic, packet.participant) == (b"from the server", "s", None)


# ── leaving and returning ────────────────────────────────────────────────────


@MODES
async def test_a_client_whose_session_is_lost_comes_back_and_is_heard_again(
    server: Server, single: bool
) -> None:
    assert server.app is not None
    async with (
        client(server, "ben", "track_subscribed", single=single) as ben,
        client(server, "anna", "reconnecting", "reconnected", single=single) as anna,
    ):
        voice = Voice(440, -20)
        await anna.me.publish_track(voice.track)
        async with voice.speaking():
            track, _, _ = await ben.next("track_subscribed")
            await until_heard(track, 440)
            lost = server.app.rooms.find(ROOM, "anna")
            assert lost is not None
            assert isinstance(lost.member, Session)
            lost.member.failed("the test says so")
            await anna.next("reconnected")
            again, _, who = await ben.next("track_subscribed")
            assert who.sid != lost.sid
            await until_heard(again, 440)


@pytest.mark.parametrize(
    ("secret", "grants"),
    [
        (SECRET, {"room_join": False}),
        (SECRET, {"room": "x" * 257}),
        ("another-secret-that-is-long-enough-too", {}),
    ],
    ids=["no-grant", "long-room", "wrong-secret"],
)
async def test_who_may_not_come_in_is_told_so(
    server: Server, secret: str, grants: dict[str, Any]
) -> None:
    video = api.VideoGrants(**{"room_join": True, "room": ROOM, **grants})
    token = api.AccessToken(KEY, secret).with_identity("anna").with_grants(video).to_jwt()
    with pytest.raises(rtc.ConnectError):
        await rtc.Room().connect(server.ws_url, token)
    assert server.app is not None
    assert server.app.rooms.list() == ()
