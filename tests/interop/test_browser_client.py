"""livekit-client in Chromium, unmodified, in a room with the Python client and with itself."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from livekit import api, rtc
from playwright.async_api import Browser

from interop.browser import Tab, chromium, needs_browser, page_server, tab
from interop.cable import cable_to
from interop.datagrams import MediaPath, needs_private_network, server_behind
from interop.hearing import CLIENT_RATE, Voice, listen, steady_stretch, windows
from interop.server import KEY, SECRET, Server, server_here
from interop.turns import takes_turns

pytestmark = [
    pytest.mark.interop,
    pytest.mark.asyncio(loop_scope="module"),
    needs_browser,
    takes_turns,
]

RECONNECTS = {"signalReconnecting", "reconnecting"}
LOSSY = 1  # DataPacket_Kind of the protocol
MODES = {"one connection": True, "two connections": False}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One server for all of it: each test has a room of its own."""
    async with server_here(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address() -> AsyncIterator[str]:
    with page_server() as url:
        yield url


@dataclass
class Meeting:
    """A room for one test, and the ways into it."""

    server: Server
    browser: Browser
    address: str
    name: str
    single: bool
    """Which mode the browser's clients use."""

    def token(self, identity: str, **grants: Any) -> str:
        rights = {"room_join": True, "room": self.name, "can_update_own_metadata": True, **grants}
        video = api.VideoGrants(**rights)
        return api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(video).to_jwt()

    @asynccontextmanager
    async def tab(
        self, identity: str = "anna", url: str = "", **connect_options: object
    ) -> AsyncIterator[Tab]:
        """A page whose client has joined; it leaves at the end."""
        async with tab(self.browser, self.address) as opened, asyncio.timeout(180):
            url = url or self.server.ws_url
            await opened.join(url, self.token(identity), single=self.single, **connect_options)
            yield opened
            await opened.js("room.disconnect()")

    @asynccontextmanager
    async def python(self, identity: str = "ben") -> AsyncIterator[Python]:
        """The Python client in the same room."""
        client = Python()
        await client.room.connect(self.server.ws_url, self.token(identity))
        try:
            yield client
        finally:
            client.hush()
            await client.room.disconnect()

    def identity(self, identity: str = "anna") -> api.RoomParticipantIdentity:
        return api.RoomParticipantIdentity(room=self.name, identity=identity)


class Python:
    """A Python client with a queue for each kind of event."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self._speaking: list[asyncio.Task[None]] = []
        self._voices: list[Voice] = []
        self._reading: list[asyncio.Task[None]] = []
        self._queues: dict[str, asyncio.Queue[tuple[Any, ...]]] = {}
        for name in (
            "data_received",
            "active_speakers_changed",
            "participant_attributes_changed",
            "participant_disconnected",
            "participant_metadata_changed",
            "track_muted",
            "track_subscribed",
            "track_unmuted",
            "track_unsubscribed",
            "track_unpublished",
        ):
            queue = self._queues[name] = asyncio.Queue()
            self.room.on(cast("Any", name), lambda *facts, queue=queue: queue.put_nowait(facts))

    @property
    def me(self) -> rtc.LocalParticipant:
        return self.room.local_participant

    async def next(self, name: str) -> tuple[Any, ...]:
        return await asyncio.wait_for(self._queues[name].get(), 90)

    def none(self, name: str) -> bool:
        """Whether no event of that name waits."""
        return self._queues[name].empty()

    async def publish_tone(self, hz: float) -> str:
        """Begin to play a sine; the sid of its track."""
        voice = Voice(hz, -20)
        publication = await self.me.publish_track(voice.track)
        self._voices.append(voice)
        self._speaking.append(asyncio.create_task(voice.speak()))
        return publication.sid

    def hush(self) -> None:
        """Sound no more."""
        for task in self._speaking:
            task.cancel()
        for voice in self._voices:
            voice.source.clear_queue()

    def expect_streams(self, topic: str) -> tuple[asyncio.Queue[str], asyncio.Queue[bytes]]:
        """The contents of the text and the byte streams of a topic."""
        texts: asyncio.Queue[str] = asyncio.Queue()
        contents: asyncio.Queue[bytes] = asyncio.Queue()

        async def read_text(reader: rtc.TextStreamReader) -> None:
            texts.put_nowait(await reader.read_all())

        async def read_bytes(reader: rtc.ByteStreamReader) -> None:
            contents.put_nowait(b"".join([chunk async for chunk in reader]))

        def begin(reading: Coroutine[Any, Any, None]) -> None:
            self._reading.append(asyncio.create_task(reading))

        self.room.register_text_stream_handler(topic, lambda reader, _: begin(read_text(reader)))
        self.room.register_byte_stream_handler(topic, lambda reader, _: begin(read_bytes(reader)))
        return texts, contents

    async def hears(self, hz: float, track: rtc.Track | None = None) -> rtc.Track:
        """Wait for the tone in the next track that is subscribed to, or in the one given."""
        sounding: rtc.Track = track or (await self.next("track_subscribed"))[0]
        for _ in range(LISTENING):
            if holds(await listen(sounding, STRETCH), hz):
                return sounding
        raise AssertionError(f"{sounding.sid} does not sound at {hz} Hz")

    async def hears_nothing(self, track: rtc.Track) -> None:
        """Wait until a track is silent."""
        for _ in range(LISTENING):
            if silent(await listen(track, STRETCH)):
                return
        raise AssertionError(f"{track.sid} does not fall silent")


def in_both_modes(
    test: Callable[[Meeting], Awaitable[None]],
) -> Callable[..., Coroutine[Any, Any, None]]:
    """Run a test in the mode that the SDK chooses itself and in the older one, at the same time."""

    async def both(
        server: Server, browser: Browser, address: str, request: pytest.FixtureRequest
    ) -> None:
        name = request.node.name
        runs = [
            test(Meeting(server, browser, address, f"{name}, {mode}", single))
            for mode, single in MODES.items()
        ]
        ended = await asyncio.gather(*runs, return_exceptions=True)
        errors = []
        for mode, error in zip(MODES, ended, strict=True):
            if isinstance(error, Exception):
                error.add_note(f"with {mode}")
                errors.append(error)
        if errors:
            raise ExceptionGroup(name, errors)

    both.__doc__ = test.__doc__
    return both


# A busy machine makes sound stumble, so a tone is waited for. It has come when it is there for half
# a second without a break.
LISTENING = 30
STRETCH = 0.7  # seconds


def holds(samples: Sequence[int], hz: float) -> bool:
    return len(steady_stretch(windows(samples, CLIENT_RATE), hz)) >= 3


def silent(samples: Sequence[int]) -> bool:
    return all(window.level_dbov < -60 for window in windows(samples, CLIENT_RATE))


def share_of(samples: Sequence[int], hz: float) -> float:
    """How much of the sound is this tone, breaks or not."""
    found = windows(samples, CLIENT_RATE)
    return sum(abs(w.tone_hz - hz) <= 10 and w.level_dbov > -50 for w in found) / len(found)


async def hears(client: Tab, hz: float, sid: str = "") -> str:
    """Wait for the tone in the next track that is subscribed to, or in the one given; its sid."""
    sid = sid or (await client.next("trackSubscribed"))[0]["sid"]
    for _ in range(LISTENING):
        if holds(await client.listen(sid, STRETCH), hz):
            return sid
    raise AssertionError(f"{sid} does not sound at {hz} Hz")


async def subscribed_to(client: Tab, identity: str) -> str:
    """Wait until a track of somebody's is subscribed to, whether that is told or not; its sid.

    After a full reconnect livekit-client may keep `trackSubscribed` to itself: what comes before it
    takes the reconnect for over waits in its `bufferedEvents`, and nobody empties them any more.
    """
    found = await client.page.wait_for_function("subscribedTo", arg=identity, polling=100)
    return str(await found.json_value())


async def hears_nothing(client: Tab, sid: str) -> None:
    """Wait until a track is silent."""
    for _ in range(LISTENING):
        if silent(await client.listen(sid, STRETCH)):
            return
    raise AssertionError(f"{sid} does not fall silent")


# ── sound ────────────────────────────────────────────────────────────────────


@in_both_modes
async def test_browser_and_python_hear_each_other(meeting: Meeting) -> None:
    async with meeting.python() as ben, meeting.tab() as anna:
        sid = await ben.publish_tone(1000)
        await anna.publish_tone(440)
        heard, _ = await asyncio.gather(hears(anna, 1000), ben.hears(440))
        assert heard == sid
        assert await anna.js("[...room.remoteParticipants.keys()]") == ["ben"]
        assert await ben.room.sid == await anna.js("room.getSid()")


@in_both_modes
async def test_who_comes_late_hears_what_is_there(meeting: Meeting) -> None:
    async with meeting.tab("anna") as anna, meeting.python() as ben:
        await asyncio.gather(anna.publish_tone(440), ben.publish_tone(1000))
        async with meeting.tab("carl") as carl:
            first, second = [(await carl.next("trackSubscribed"))[2] for _ in range(2)]
            assert {first["identity"], second["identity"]} == {"anna", "ben"}
            for identity, hz in (("anna", 440), ("ben", 1000)):
                sid = await carl.js(f"[...participant('{identity}').trackPublications.keys()][0]")
                await hears(carl, hz, sid)


@in_both_modes
async def test_a_track_is_heard_when_it_is_asked_for(meeting: Meeting) -> None:
    publication = "[...participant('ben').trackPublications.values()][0]"
    async with meeting.python() as ben:
        await ben.publish_tone(700)
        async with meeting.tab(autoSubscribe=False) as anna:
            assert not await anna.js(f"{publication}.isSubscribed")
            for _ in range(2):
                await anna.js(f"{publication}.setSubscribed(true)")
                await hears(anna, 700)
                await anna.js(f"{publication}.setSubscribed(false)")
                await anna.next("trackUnsubscribed")


@in_both_modes
async def test_each_of_several_tracks_is_heard_for_itself(meeting: Meeting) -> None:
    tones = [400.0, 700.0, 1000.0, 1300.0]
    async with meeting.python() as ben, meeting.tab() as anna:
        theirs = {await ben.publish_tone(hz): hz for hz in tones}
        mine = {await anna.publish_tone(hz, source="unknown"): hz for hz in tones}
        subscribed = [(await anna.next("trackSubscribed"))[0]["sid"] for _ in tones]
        assert set(subscribed) == set(theirs)
        await asyncio.gather(*(hears(anna, hz, sid) for sid, hz in theirs.items()))
        tracks = [(await ben.next("track_subscribed"))[0] for _ in tones]
        await asyncio.gather(*(ben.hears(mine[track.sid], track) for track in tracks))


@in_both_modes
async def test_unpublished_tracks_are_gone_and_others_take_their_place(meeting: Meeting) -> None:
    async with meeting.python() as ben, meeting.tab() as anna:
        for hz in (440, 880):
            sid = await anna.publish_tone(hz)
            await ben.hears(hz)
            await anna.js("room.localParticipant.unpublishTrack(localTrack(sid))", sid=sid)
            assert (await ben.next("track_unpublished"))[0].sid == sid
        for hz in (440, 880):
            sid = await ben.publish_tone(hz)
            await hears(anna, hz)
            await ben.me.unpublish_track(sid)
            assert (await anna.next("trackUnpublished"))[0]["sid"] == sid


@in_both_modes
async def test_muting_is_seen_and_heard(meeting: Meeting) -> None:
    async with meeting.python() as ben, meeting.tab() as anna:
        sid = await anna.publish_tone(440)
        track = await ben.hears(440)
        await anna.js("localTrack(sid).mute()", sid=sid)
        assert (await ben.next("track_muted"))[1].sid == sid
        await ben.hears_nothing(track)
        await anna.js("localTrack(sid).unmute()", sid=sid)
        assert (await ben.next("track_unmuted"))[1].sid == sid
        await ben.hears(440, track)


@in_both_modes
async def test_the_server_mutes_a_browser(meeting: Meeting) -> None:
    async with meeting.server.api() as service, meeting.python() as ben, meeting.tab() as anna:
        sid = await anna.publish_tone(440)
        track = await ben.hears(440)
        mute = api.MuteRoomTrackRequest(
            room=meeting.name, identity="anna", track_sid=sid, muted=True
        )
        assert (await service.room.mute_published_track(mute)).track.muted
        assert (await anna.next("trackMuted"))[0] | {"mimeType": ""} == {
            "sid": sid,
            "name": "tone-440",
            "source": "microphone",
            "isMuted": True,
            "mimeType": "",
        }
        assert (await ben.next("track_muted"))[1].sid == sid
        await ben.hears_nothing(track)


@in_both_modes
async def test_a_track_that_is_disabled_is_silent_until_it_is_enabled(meeting: Meeting) -> None:
    async with meeting.python() as ben, meeting.tab() as anna:
        await ben.publish_tone(1000)
        sid = await hears(anna, 1000)
        await anna.js("publication(sid).setEnabled(false)", sid=sid)
        await hears_nothing(anna, sid)
        await anna.js("publication(sid).setEnabled(true)", sid=sid)
        await hears(anna, 1000, sid)


@in_both_modes
async def test_who_speaks_is_told(meeting: Meeting) -> None:
    async with meeting.python() as ben, meeting.tab() as anna:
        await ben.publish_tone(1000)
        while not (speakers := (await anna.next("activeSpeakersChanged"))[0]):
            pass
        assert [speaker["identity"] for speaker in speakers] == ["ben"]
        assert speakers[0]["audioLevel"] > 0
        await anna.publish_tone(440)
        # The Python client takes each change for the whole list.
        while [s.identity for s in (await ben.next("active_speakers_changed"))[0]] != ["anna"]:
            pass
        ben.hush()
        while [s["identity"] for s in (await anna.next("activeSpeakersChanged"))[0]] != ["anna"]:
            pass


# ── what is told ─────────────────────────────────────────────────────────────


@in_both_modes
async def test_messages_arrive_whole_and_in_order(meeting: Meeting) -> None:
    sent = [bytes([n]) * 14_000 for n in range(50)]
    send = "room.localParticipant.publishData(bytesOf(data), options)"
    async with meeting.python() as ben, meeting.tab() as anna:
        for message in sent:
            await ben.me.publish_data(message, reliable=True, topic="whole")
        arrived = [await anna.next("dataReceived") for _ in sent]
        assert [base64.b64decode(facts[0]) for facts in arrived] == sent
        assert {(facts[1]["identity"], facts[3]) for facts in arrived} == {("ben", "whole")}
        for message in sent:
            await anna.js(send, data=base64.b64encode(message).decode(), options={"reliable": True})
        packets = [(await ben.next("data_received"))[0] for _ in sent]
        assert [packet.data for packet in packets] == sent
        assert {packet.participant.identity for packet in packets} == {"anna"}
        quick = base64.b64encode(b"quick").decode()
        to_ben = {"reliable": False, "topic": "t", "destinationIdentities": ["ben"]}
        await anna.js(send, data=quick, options=to_ben)
        (packet,) = await ben.next("data_received")
        assert (packet.data, packet.topic, packet.kind) == (
            b"quick",
            "t",
            rtc.DataPacketKind.KIND_LOSSY,
        )
        await ben.me.publish_data(b"quick", reliable=False, topic="t")
        payload, _, kind, topic, *_ = await anna.next("dataReceived")
        assert (payload, kind, topic) == (quick, LOSSY, "t")


@in_both_modes
async def test_the_server_tells_a_browser_things(meeting: Meeting) -> None:
    async with meeting.server.api() as service, meeting.tab() as anna:
        data = api.SendDataRequest(room=meeting.name, data=b"from the server", topic="s")
        await service.room.send_data(data)
        payload, sender, _, topic, *_ = await anna.next("dataReceived")
        assert (base64.b64decode(payload), sender, topic) == (b"from the server", None, "s")
        metadata = api.UpdateRoomMetadataRequest(room=meeting.name, metadata="m")
        await service.room.update_room_metadata(metadata)
        assert await anna.next("roomMetadataChanged") == ["m"]


@in_both_modes
async def test_text_and_bytes_stream_both_ways(meeting: Meeting) -> None:
    text, content = "ü" * 100_000, random.Random(4).randbytes(200_000)
    async with meeting.python() as ben, meeting.tab() as anna:
        await anna.expect_streams("notes")
        texts, contents = ben.expect_streams("notes")
        await ben.me.send_text(text, topic="notes", attributes={"a": "b"})
        arrived = await anna.next("stream:notes")
        assert (arrived["from"], arrived["attributes"]) == ("ben", {"a": "b"})
        assert arrived["content"] == text
        writer = await ben.me.stream_bytes("file", topic="notes", total_size=len(content))
        await writer.write(content)
        await writer.aclose()
        assert base64.b64decode((await anna.next("stream:notes"))["content"]) == content
        await anna.js("room.localParticipant.sendText(text, {topic: 'notes'})", text=text)
        assert await asyncio.wait_for(texts.get(), 90) == text
        sent = base64.b64encode(content).decode()
        await anna.js("sendBytes(bytesOf(sent), {topic: 'notes', name: 'file'})", sent=sent)
        assert await asyncio.wait_for(contents.get(), 90) == content


@in_both_modes
async def test_browser_and_python_call_each_other(meeting: Meeting) -> None:
    payload = "x" * 40_000
    call = "room.localParticipant.performRpc({destinationIdentity: 'ben', method, payload})"
    async with meeting.python() as ben, meeting.tab() as anna:
        await anna.js("room.registerRpcMethod('double', async ({payload}) => payload + payload)")
        ben.me.register_rpc_method("triple", _triple)
        doubled = await ben.me.perform_rpc(
            destination_identity="anna", method="double", payload=payload
        )
        assert doubled == payload * 2
        assert await anna.js(call, method="triple", payload=payload) == payload * 3
        with pytest.raises(rtc.RpcError) as refused:
            await ben.me.perform_rpc(destination_identity="anna", method="none", payload="")
        assert refused.value.code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD
        code = await anna.js(f"{call}.catch((error) => error.code)", method="none", payload="")
        assert code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD


async def _triple(call: rtc.RpcInvocationData) -> str:
    return call.payload * 3


@in_both_modes
async def test_facts_are_changed_and_told(meeting: Meeting) -> None:
    async with meeting.python() as ben, meeting.tab() as anna:
        await anna.js("room.localParticipant.setAttributes({lang: 'de', mood: 'good'})")
        changed, who = await ben.next("participant_attributes_changed")
        assert (changed, who.identity) == ({"lang": "de", "mood": "good"}, "anna")
        await anna.js("room.localParticipant.setAttributes({mood: ''})")
        await ben.next("participant_attributes_changed")
        assert ben.room.remote_participants["anna"].attributes == {"lang": "de"}
        await anna.js("room.localParticipant.setName('Anna')")
        await anna.js("room.localParticipant.setMetadata('m')")
        await ben.next("participant_metadata_changed")
        seen = ben.room.remote_participants["anna"]
        assert (seen.name, seen.metadata) == ("Anna", "m")
        await ben.me.set_attributes({"lk.agent.state": "thinking"})
        while (await anna.next("participantAttributesChanged"))[1]["identity"] != "ben":
            pass
        await ben.me.set_name("Ben")
        await ben.me.set_metadata("of ben")
        while (await anna.next("participantMetadataChanged"))[1]["identity"] != "ben":
            pass
        seen_by_anna = await anna.js("tell(participant('ben'))")
        assert seen_by_anna | {"name": "Ben", "metadata": "of ben"} == seen_by_anna
        assert seen_by_anna["attributes"] == {"lk.agent.state": "thinking"}


@in_both_modes
async def test_permissions_change_while_a_browser_is_in_the_room(meeting: Meeting) -> None:
    permission = api.ParticipantPermission(can_subscribe=True)
    update = api.UpdateParticipantRequest(room=meeting.name, identity="anna", permission=permission)
    attributes = "room.localParticipant.setAttributes({late: '1'})"
    async with meeting.server.api() as service, meeting.python() as ben, meeting.tab() as anna:
        sid = await anna.publish_tone(440)
        await ben.hears(440)
        await service.room.update_participant(update)
        await anna.next("participantPermissionsChanged")
        assert (await ben.next("track_unpublished"))[0].sid == sid
        assert not await anna.js("room.localParticipant.permissions.canPublish")
        assert await anna.js(f"{attributes}.catch((error) => error.reasonName)") == "NOT_ALLOWED"
        permission.can_publish = permission.can_publish_data = True
        permission.can_update_metadata = True
        permission.can_subscribe = False
        update.permission.CopyFrom(permission)
        await ben.publish_tone(1000)
        heard = await hears(anna, 1000)
        await service.room.update_participant(update)
        assert (await anna.next("trackUnsubscribed"))[0]["sid"] == heard
        await anna.js(attributes)
        await anna.publish_tone(880)
        await ben.hears(880)
        update.permission.can_subscribe = True
        await service.room.update_participant(update)
        await hears(anna, 1000)


# ── leaving and returning ────────────────────────────────────────────────────


@in_both_modes
async def test_a_killed_socket_is_resumed_and_nobody_hears_it(meeting: Meeting) -> None:
    async with (
        cable_to(meeting.server.url) as cable,
        meeting.python() as ben,
        meeting.tab(url=cable.ws_url) as anna,
    ):
        await anna.publish_tone(440)
        track = await ben.hears(440)
        await ben.publish_tone(1000)
        sid = await hears(anna, 1000)
        recording = asyncio.gather(anna.listen(sid, 3), listen(track, 3))
        cable.cut()
        await ben.me.set_attributes({"changed": "meanwhile"})
        await ben.me.publish_data("meanwhile", topic="t")
        await anna.next("signalReconnecting")
        await anna.next("reconnected")
        assert await anna.js("participant('ben').attributes") == {"changed": "meanwhile"}
        assert (await anna.next("dataReceived"))[3] == "t"
        await anna.js("room.localParticipant.publishData(bytesOf(''), {reliable: true})")
        await ben.next("data_received")
        heard_by_anna, heard_by_ben = await recording
        assert "reconnecting" not in await anna.news()
        assert ben.none("participant_disconnected")
    assert share_of(heard_by_anna, 1000) > 0.8
    assert share_of(heard_by_ben, 440) > 0.8


@asynccontextmanager
async def one_in_each_mode(
    tmp_path: Path, browser: Browser, address: str
) -> AsyncIterator[tuple[Tab, Tab, MediaPath]]:
    """Two browsers in a room, one in each mode, whose media take a path that can move."""
    async with server_behind(tmp_path) as (server, path):
        meeting = Meeting(server, browser, address, "elsewhere", single=True)
        older = replace(meeting, single=False)
        async with meeting.tab("anna") as anna, older.tab("carl") as carl:
            yield anna, carl, path


@needs_private_network
@pytest.mark.usefixtures("front")
async def test_media_go_on_when_their_path_moves(
    tmp_path: Path, browser: Browser, address: str
) -> None:
    async with one_in_each_mode(tmp_path, browser, address) as (anna, carl, path):
        await asyncio.gather(anna.publish_tone(440), carl.publish_tone(1000))
        at_carl, at_anna = await asyncio.gather(hears(carl, 440), hears(anna, 1000))
        path.move()
        await asyncio.gather(hears(carl, 440, at_carl), hears(anna, 1000, at_anna))
        for client in (anna, carl):
            assert not RECONNECTS & set(await client.news())


@needs_private_network
@pytest.mark.usefixtures("front")
async def test_what_was_said_while_the_path_was_broken_arrives_after_the_resume(
    tmp_path: Path, browser: Browser, address: str
) -> None:
    say = "room.localParticipant.publishData(bytesOf(''), {reliable: true})"
    async with one_in_each_mode(tmp_path, browser, address) as (anna, carl, path):
        await asyncio.gather(anna.publish_tone(440), carl.publish_tone(1000))
        at_carl, at_anna = await asyncio.gather(hears(carl, 440), hears(anna, 1000))
        path.block()
        await asyncio.gather(anna.js(say), carl.js(say))
        for event in ("signalReconnecting", "reconnected"):
            await asyncio.gather(anna.next(event), carl.next(event))
        await asyncio.gather(hears(carl, 440, at_carl), hears(anna, 1000, at_anna))
        for client in (anna, carl):
            await client.next("dataReceived")
            assert "reconnecting" not in await client.news()


@in_both_modes
async def test_a_client_whose_session_is_lost_comes_back_and_is_heard_again(
    meeting: Meeting,
) -> None:
    async with meeting.python() as ben, meeting.tab() as anna:
        await anna.publish_tone(440)
        await ben.hears(440)
        await ben.publish_tone(1000)
        await hears(anna, 1000)
        await anna.js("room.simulateScenario('full-reconnect')")
        await anna.next("reconnecting")
        await anna.next("reconnected")
        sid = await subscribed_to(anna, "ben")
        await asyncio.gather(ben.hears(440), hears(anna, 1000, sid))
        assert await anna.js("[...room.remoteParticipants.keys()]") == ["ben"]


@in_both_modes
async def test_each_ending_has_its_reason_on_both_sides(meeting: Meeting) -> None:
    reasons = rtc.DisconnectReason
    async with (
        meeting.server.api() as service,
        meeting.python() as ben,
        tab(meeting.browser, meeting.address) as anna,
        tab(meeting.browser, meeting.address) as double,
    ):

        async def join(client: Tab) -> None:
            await client.join(meeting.server.ws_url, meeting.token("anna"), single=meeting.single)

        async def left() -> int | None:
            reason: int | None = (await ben.next("participant_disconnected"))[0].disconnect_reason
            return reason

        await join(anna)
        await anna.js("room.disconnect()")
        assert await anna.next("disconnected") == [reasons.CLIENT_INITIATED]
        assert await left() == reasons.CLIENT_INITIATED
        await join(anna)
        await service.room.remove_participant(meeting.identity())
        assert await anna.next("disconnected") == [reasons.PARTICIPANT_REMOVED]
        assert await left() == reasons.PARTICIPANT_REMOVED
        await join(anna)
        await join(double)
        assert await anna.next("disconnected") == [reasons.DUPLICATE_IDENTITY]
        await service.room.delete_room(api.DeleteRoomRequest(room=meeting.name))
        assert await double.next("disconnected") == [reasons.ROOM_DELETED]


@in_both_modes
async def test_a_browser_that_vanishes_is_gone_for_the_others(meeting: Meeting) -> None:
    async with meeting.python() as ben:
        async with tab(meeting.browser, meeting.address) as anna:
            await anna.join(meeting.server.ws_url, meeting.token("anna"), single=meeting.single)
            await anna.publish_tone(440)
            await ben.hears(440)
        assert (await ben.next("participant_disconnected"))[0].identity == "anna"


@in_both_modes
async def test_who_may_not_come_in_is_told_so(meeting: Meeting) -> None:
    refused = "join(url, token, {singlePeerConnection: single}).catch(tellError)"
    async with tab(meeting.browser, meeting.address) as anna:
        for token, told in (
            (meeting.token("anna", room_join=False), "permissions denied"),
            (meeting.token("anna") + "x", "signature verification failed"),
        ):
            url = meeting.server.ws_url
            error = await anna.js(refused, url=url, token=token, single=meeting.single)
            assert error["status"] == 401
            assert error["message"].endswith(told)
