"""Phones that are not ours call the server: sound, keys, PIN, hold, endings, and a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from livekit import api, rtc

from interop.baresip import Baresip, baresip, write_tone
from interop.hearing import CLIENT_RATE, Voice, listen, steady_stretch, windows
from interop.inbound_desk import NUMBER, ROOM, Desk, desk, lay_rule, lay_trunk
from interop.recordings import has_heard
from interop.server import Server, outward_address, server_process
from interop.test_crash import answer_is_on_disk, kill, recorded
from switchroom.phonenet.client import PhoneNetwork
from switchroom.phonenet.events import Answered, Dials, Ended, Noted, Rejected
from switchroom.phonenet.orders import CallOrder
from switchroom.telephony.calls.termination import Cause

pytestmark = pytest.mark.interop

LEVEL = -20.0
PATIENCE = 120.0


@dataclass
class Person:
    """An official client in the room, who says 440 Hz."""

    room: rtc.Room = field(default_factory=rtc.Room)
    tracks: asyncio.Queue[rtc.Track] = field(default_factory=asyncio.Queue)
    keys: list[str] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    phones: list[rtc.RemoteParticipant] = field(default_factory=list)
    gone: list[rtc.RemoteParticipant] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    voice: Voice = field(default_factory=lambda: Voice(440, LEVEL))

    def __post_init__(self) -> None:
        def hears_key(event: rtc.SipDTMF) -> None:
            self.keys.append(event.digit)

        def sees_change(changes: dict[str, str], _: rtc.Participant) -> None:
            if "sip.callStatus" in changes:
                self.statuses.append(changes["sip.callStatus"])

        self._on("track_subscribed", lambda track, *_: self.tracks.put_nowait(track))
        self._on("sip_dtmf_received", hears_key)
        self._on("participant_connected", self.phones.append)
        self._on("participant_disconnected", self.gone.append)
        self._on("participant_attributes_changed", sees_change)

    def _on(self, name: Any, act: Callable[..., object]) -> None:
        def told(*facts: Any) -> None:
            act(*facts)
            asyncio.get_running_loop().create_task(self._tell())

        self.room.on(name, told)

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def leaves(self) -> None:
        """Before the room ends, under which LiveKit's library may crash."""
        self.voice.source.clear_queue()
        await self.room.disconnect()

    async def until(self, satisfied: Callable[[], object]) -> None:
        """Wait, event by event."""
        async with self.news:
            await self.news.wait_for(satisfied)


@asynccontextmanager
async def person_in(server: Server, *, speaks: bool = True) -> AsyncIterator[Person]:
    """Somebody is in the room, and publishes a tone."""
    person = Person()
    await person.room.connect(server.ws_url, server.token("person", ROOM))
    try:
        async with person.voice.speaking():
            if speaks:
                await person.room.local_participant.publish_track(person.voice.track)
            yield person
    finally:
        await person.room.disconnect()


@asynccontextmanager
async def phone(folder: Path, port: int = 5090) -> AsyncIterator[Baresip]:
    """baresip, which says 1000 Hz."""
    voice = folder / f"voice-{port}.wav"
    write_tone(voice, 1000, LEVEL, 60)
    async with baresip(folder / f"phone-{port}", outward_address(), port, voice) as running:
        yield running


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Desk]:
    """A server that can be called."""
    async with asyncio.timeout(PATIENCE), desk(tmp_path) as running:
        yield running


async def test_a_caller_and_a_client_hear_each_other_and_the_caller_hangs_up(
    front: Desk, tmp_path: Path
) -> None:
    async with phone(tmp_path) as caller, person_in(front.server) as person:
        caller.dial(NUMBER, front.address)
        await caller.is_up()
        heard = await listen(await person.tracks.get(), 5)
        await has_heard(caller.sound, 440, tenths=40)
        await person.until(lambda: "active" in person.statuses)
        (seen,) = person.phones
        assert seen.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP
        assert seen.attributes["sip.trunkID"] == front.trunk_id
        assert seen.attributes["sip.ruleID"] == front.rule_id
        assert seen.attributes["sip.trunkPhoneNumber"] == NUMBER
        caller.hang_up()
        await person.until(lambda: person.gone)
        assert person.gone[0].disconnect_reason == rtc.DisconnectReason.CLIENT_INITIATED
        await caller.is_over()
    assert len(steady_stretch(windows(heard, CLIENT_RATE), 1000)) >= 40


async def test_it_rings_until_somebody_can_be_heard(front: Desk, tmp_path: Path) -> None:
    async with phone(tmp_path) as caller, person_in(front.server, speaks=False) as person:
        caller.dial(NUMBER, front.address)
        await person.until(lambda: person.phones)
        await caller.peer.says("CALL_RINGING")
        assert not any("CALL_ESTABLISHED" in line for line in caller.log)
        voice = Voice(440, LEVEL)
        await person.room.local_participant.publish_track(voice.track)
        await caller.is_up()


async def test_a_deleted_room_hangs_up_on_the_caller(front: Desk, tmp_path: Path) -> None:
    async with phone(tmp_path) as caller, person_in(front.server) as person:
        caller.dial(NUMBER, front.address)
        await caller.is_up()
        await person.until(lambda: "active" in person.statuses)
        await person.leaves()
        await front.lk.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        await caller.is_over()


async def test_keys_go_both_ways(front: Desk, tmp_path: Path) -> None:
    async with phone(tmp_path) as caller, person_in(front.server) as person:
        caller.dial(NUMBER, front.address)
        await caller.is_up()
        await person.until(lambda: "active" in person.statuses)
        for key in "5#":
            caller.press(key)
        await person.until(lambda: person.keys == ["5", "#"])
        await person.room.local_participant.publish_dtmf(code=7, digit="7")
        await caller.is_sent("7")


async def test_the_room_sees_that_a_caller_holds_and_resumes(front: Desk, tmp_path: Path) -> None:
    async with phone(tmp_path) as caller, person_in(front.server) as person:
        caller.dial(NUMBER, front.address)
        await caller.is_up()
        track = await person.tracks.get()
        await person.until(lambda: "active" in person.statuses)
        (seen,) = person.phones
        caller.hold()
        await person.until(lambda: seen.attributes.get("sip.hold") == "true")
        held = windows(await listen(track, 2), CLIENT_RATE)
        caller.resume()
        await person.until(lambda: not seen.attributes.get("sip.hold"))
        heard = windows(await listen(track, 4), CLIENT_RATE)
        caller.hang_up()
        await person.until(lambda: person.gone)
    assert len(steady_stretch(held, 1000)) < 10, "who holds is silent"
    assert len(steady_stretch(heard, 1000)) >= 10


async def test_two_phones_that_call_one_room_hear_each_other(front: Desk, tmp_path: Path) -> None:
    async with phone(tmp_path, 5090) as one, phone(tmp_path, 5290) as other:
        one.dial(NUMBER, front.address)
        await one.peer.says("CALL_RINGING")
        other.dial(NUMBER, front.address)
        await one.is_up()
        await other.is_up()
        participants = await _phones_in_room(front.lk, 2)
        assert {p.identity for p in participants} == {"sip_phone", "sip_phone_2"}
        one.press("1")
        await other.is_sent("1")
        await has_heard(one.sound, 1000)
        await has_heard(other.sound, 1000)
        one.hang_up()
        await one.is_over()
        other.hang_up()
        await other.is_over()


async def _phones_in_room(lk: api.LiveKitAPI, count: int) -> list[api.ParticipantInfo]:
    listed = await lk.room.list_participants(api.ListParticipantsRequest(room=ROOM))
    assert len(listed.participants) == count
    return list(listed.participants)


# ── the PIN ──────────────────────────────────────────────────────────────────


async def test_a_pin_is_typed_and_leads_into_the_room(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        desk(tmp_path, pin="1234") as front,
        phone(tmp_path) as caller,
        person_in(front.server) as person,
    ):
        caller.dial(NUMBER, front.address)
        await caller.is_up()
        assert not person.phones
        for key in "99#1234#":
            caller.press(key)
        await person.until(lambda: person.phones)
        heard = await listen(await person.tracks.get(), 3)
        await has_heard(caller.sound, 440, tenths=10)
        caller.hang_up()
        await caller.is_over()
    assert len(steady_stretch(windows(heard, CLIENT_RATE), 1000)) >= 15


async def test_who_types_wrong_pins_is_let_go(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        desk(tmp_path, pin="1234", sip__inbound__pin_tries=2) as front,
        PhoneNetwork() as network,
    ):
        network.place(CallOrder(NUMBER, front.local, as_="listener", press="1#2#"))
        await network.expect(Answered)
        ended = await network.expect(Ended)
        assert (ended.by, ended.reason) == ("callee", "hung up")
        assert ended.heard.audible_seconds > 2, "the prompts were heard"


# ── simulated phones ─────────────────────────────────────────────────────────


async def test_a_simulated_phone_calls_in_and_is_answered(front: Desk) -> None:
    async with PhoneNetwork() as network, person_in(front.server) as person:
        network.place(CallOrder(NUMBER, front.local, as_="ada", headers={"X-Ticket": "7"}))
        dials = await network.expect(Dials)
        await network.expect(Answered)
        await person.until(lambda: "active" in person.statuses)
        await person.leaves()
        await front.lk.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        ended = await network.expect(Ended, call=dials.call)
        assert ended.by == "callee"


async def test_an_unwanted_call_is_told_so_at_once(front: Desk) -> None:
    async with PhoneNetwork() as network:
        network.place(CallOrder("+19995550000", front.local))
        rejected = await network.expect(Rejected)
        assert (rejected.status, rejected.reason) == (404, "Does not match any SIP Trunks")


async def test_a_trunk_with_a_password_lets_in_who_knows_it(front: Desk) -> None:
    trunk_id = await lay_trunk_with_password(front.lk)
    await lay_rule(front.lk, trunk_id, name="login")
    async with PhoneNetwork() as network, person_in(front.server):
        network.place(CallOrder("+15105550177", front.local, username="ann", password="wrong"))
        assert (await network.expect(Rejected)).status == 407
        network.place(CallOrder("+15105550177", front.local, username="ann", password="secret"))
        await network.expect(Answered)


async def lay_trunk_with_password(lk: api.LiveKitAPI) -> str:
    trunk = api.SIPInboundTrunkInfo(
        name="login", numbers=["+15105550177"], auth_username="ann", auth_password="secret"
    )
    made = await lk.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=trunk))
    return made.sip_trunk_id


async def test_nobody_at_home_is_forwarded_to_a_phone(tmp_path: Path) -> None:
    """The fallback number is a phone of the network that calls: its keys come back to it."""
    async with PhoneNetwork() as network:
        settings: dict[str, Any] = {
            "sip__inbound__fallback": "+12025550105",
            "sip__inbound__fallback_after": 0.5,
        }
        async with asyncio.timeout(PATIENCE), desk(tmp_path, **settings) as front:
            trunk = api.SIPOutboundTrunkInfo(
                name="t", address=network.address, numbers=["+15105550100"]
            )
            request = api.CreateSIPOutboundTrunkRequest(trunk=trunk)
            await front.lk.sip.create_outbound_trunk(request)
            network.place(CallOrder(NUMBER, front.local, as_="listener", press="42#"))
            noted = await network.expect(Noted)
            assert noted.note == "digits: 42"
            await network.expect(Ended)
            await network.expect(Ended)


# ── a crash ──────────────────────────────────────────────────────────────────


async def test_after_a_crash_the_caller_gets_its_bye_and_the_record_an_end(tmp_path: Path) -> None:
    port, settings = 17880, {"rtc__udp_port": 17882, "sip__port": 15060}
    async with asyncio.timeout(PATIENCE), PhoneNetwork() as network:
        async with server_process(tmp_path, port, **settings) as server, server.api() as lk:
            await lay_rule(lk, await lay_trunk(lk))
            async with person_in(server) as person:
                network.place(CallOrder(NUMBER, "127.0.0.1:15060", as_="listener"))
                await network.expect(Answered)
                await person.until(lambda: "active" in person.statuses)
                call_id = person.phones[0].attributes["sip.callID"]
                await answer_is_on_disk(tmp_path)
                await kill(server)
        async with server_process(tmp_path, port, **settings):
            ended = await network.expect(Ended)
            assert (ended.by, ended.reason) == ("callee", "hung up")
    record = await recorded(tmp_path, call_id)
    assert record.termination is not None
    assert record.termination.cause is Cause.SERVER_RESTART
