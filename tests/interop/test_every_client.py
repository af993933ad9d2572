"""The table of clients and what works: a test is a row, a client in one of its modes a column.

In each row the client of the column is `ben`; `anna` is the newest Python client. A row tries all
its columns at the same time. What is proven is
proven by content: tones that are recognised, numbers that are counted, texts that are compared.
`test_browser_client.py` has the same rows for livekit-client in Chromium.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from livekit import api, rtc

from interop.cable import cable_to
from interop.clients import (
    FAMILIES,
    KINDS,
    NEWEST,
    ROOM,
    Client,
    Kind,
    joined,
    payload_of,
    token_for,
)
from interop.columns import beside_each_other
from interop.datagrams import needs_private_network, server_behind
from interop.hearing import longest_gap
from interop.json_program import Refused
from interop.server import Server

pytestmark = pytest.mark.interop

REASONS = rtc.DisconnectReason
NO_GAP = 0.5
"""Seconds of silence that a busy machine makes by itself."""
CHECK_INTERVAL = 3.5
"""Seconds between two checks of libwebrtc's connectivity, and NO_GAP."""
ALL_RIGHTS = {
    "can_publish": True,
    "can_subscribe": True,
    "can_publish_data": True,
    "can_update_metadata": True,
}


@asynccontextmanager
async def two(server: Server, kind: Kind, url: str = "") -> AsyncIterator[tuple[Client, Client]]:
    """Anna, and ben, who is the client to be looked at."""
    async with (
        joined(server, NEWEST, "anna") as anna,
        joined(server, kind, "ben", url=url) as ben,
    ):
        await anna.next("came", who="ben")
        yield anna, ben


async def permit(server: Server, identity: str, **changed: bool) -> None:
    """Replace the rights of a participant: all, but for those named."""
    async with server.api() as service:
        rights: Any = {**ALL_RIGHTS, **changed}
        permission = api.ParticipantPermission(**rights)
        await service.room.update_participant(
            api.UpdateParticipantRequest(room=ROOM, identity=identity, permission=permission)
        )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.label)
def test_is_here(kind: Kind) -> None:
    if not kind.is_here:
        pytest.skip(f"{kind.name} {kind.version} is missing: tools/set-up peers")


# ── sound ────────────────────────────────────────────────────────────────────


@beside_each_other(KINDS)
async def test_publishes_and_subscribes(server: Server, kind: Kind) -> None:
    async with two(server, kind) as (anna, ben):
        low, high = await anna.publish(440), await ben.publish(1000)
        await asyncio.gather(ben.next("heard", sid=low), anna.next("heard", sid=high))
        await asyncio.gather(ben.until_heard(low, 440), anna.until_heard(high, 1000))
        await asyncio.gather(anna.next("wanted", sid=low), ben.next("wanted", sid=high))


@beside_each_other(KINDS)
async def test_hears_who_was_there_before(server: Server, kind: Kind) -> None:
    async with joined(server, NEWEST, "anna") as anna:
        sid = await anna.publish(440)
        async with joined(server, kind, "ben") as ben:
            await ben.next("heard", sid=sid, who="anna")
            await ben.until_heard(sid, 440)


@beside_each_other(KINDS, at_once=2)  # seven voices each
async def test_tells_several_tracks_of_one_participant_apart(server: Server, kind: Kind) -> None:
    tones = (400, 700, 1000, 1300, 1600)
    async with two(server, kind) as (anna, ben):
        sids = [await anna.publish(hz, f"voice {hz}") for hz in tones]
        names = [(await ben.next("heard", sid=sid))["name"] for sid in sids]
        assert names == [f"voice {hz}" for hz in tones]
        for sid, hz in zip(sids, tones, strict=True):
            await ben.until_heard(sid, hz)
        back = [await ben.publish(hz) for hz in tones[:2]]
        for sid, hz in zip(back, tones, strict=False):
            await anna.next("heard", sid=sid)
            await anna.until_heard(sid, hz)


@beside_each_other(FAMILIES)
async def test_hears_what_it_asks_for_and_nothing_else(server: Server, kind: Kind) -> None:
    async with (
        joined(server, NEWEST, "anna") as anna,
        joined(server, kind, "ben", automatic=False) as ben,
    ):
        low, high = await anna.publish(440, "low"), await anna.publish(1000, "high")
        await ben.next("published", sid=high)
        for _ in range(2):
            await ben.do("subscribe", sid=high, wanted=True)
            await ben.next("heard", sid=high)
            await ben.until_heard(high, 1000)
            await ben.do("subscribe", sid=high, wanted=False)
            await ben.next("unheard", sid=high)
        assert ben.told("heard", sid=low) is None


@beside_each_other(FAMILIES)
async def test_a_track_that_it_disables_stops_and_begins_again(server: Server, kind: Kind) -> None:
    async with two(server, kind) as (anna, ben):
        sid = await anna.publish(440)
        await ben.next("heard", sid=sid)
        await ben.until_heard(sid, 440)
        for enabled in (False, True):
            await ben.do("enable", sid=sid, enabled=enabled)
            await (ben.until_heard if enabled else ben.until_silent)(sid, 440)


@beside_each_other(FAMILIES)
async def test_the_api_can_subscribe_it_and_unsubscribe_it(server: Server, kind: Kind) -> None:
    async with server.api() as service, two(server, kind) as (anna, ben):
        sid = await anna.publish(440)
        await ben.next("heard", sid=sid)
        for wanted in (False, True):
            update = api.UpdateSubscriptionsRequest(
                room=ROOM, identity="ben", track_sids=[sid], subscribe=wanted
            )
            await service.room.update_subscriptions(update)
            if not wanted:
                await ben.until_silent(sid, 440)
        await ben.next("heard", sid=sid)
        await ben.until_heard(sid, 440)


@beside_each_other(FAMILIES)
async def test_decides_who_hears_which_of_its_tracks(server: Server, kind: Kind) -> None:
    async with two(server, kind) as (anna, ben):
        low, high = await ben.publish(440, "low"), await ben.publish(1000, "high")
        for sid in (low, high):
            await anna.next("heard", sid=sid)
        await ben.do("admit", everybody=False, permitted={"anna": [high]})
        await anna.until_silent(low, 440)
        await anna.until_heard(high, 1000)
        await ben.do("admit", everybody=True, permitted={})
        await anna.next("heard", sid=low)
        await anna.until_heard(low, 440)


@beside_each_other(KINDS)
async def test_mutes_and_is_muted(server: Server, kind: Kind) -> None:
    async with server.api() as service, two(server, kind) as (anna, ben):
        sid, other = await ben.publish(440), await anna.publish(1000)
        await anna.next("heard", sid=sid)
        for muted in (True, False):
            await ben.do("mute", sid=sid, muted=muted)
            await anna.next("muted" if muted else "unmuted", sid=sid)
        await anna.until_heard(sid, 440)
        await anna.do("mute", sid=other, muted=True)
        await ben.next("muted", sid=other, who="anna")
        mute = api.MuteRoomTrackRequest(room=ROOM, identity="ben", track_sid=sid, muted=True)
        assert (await service.room.mute_published_track(mute)).track.muted
        await anna.next("muted", sid=sid)
        await ben.next("muted", sid=sid)
        await anna.until_silent(sid, 440)


@beside_each_other(FAMILIES)
async def test_knows_who_speaks(server: Server, kind: Kind) -> None:
    async with two(server, kind) as (anna, ben):
        sid = await anna.publish(440)
        await ben.next("speakers", who=["anna"])
        await anna.do("unpublish", sid=sid)
        await ben.next("speakers", who=[])


# ── messages ─────────────────────────────────────────────────────────────────


@beside_each_other(KINDS)
async def test_sends_and_gets_reliable_and_lossy_data(server: Server, kind: Kind) -> None:
    numbered = [str(number).rjust(14_000) for number in range(30)]
    async with two(server, kind) as (anna, ben):
        for sender, receiver in ((anna, ben), (ben, anna)):
            for text in numbered:
                await sender.send(text, topic="t")
            arrived = [await receiver.next("data") for _ in numbered]
            assert [payload_of(event).decode() for event in arrived] == numbered
            first = arrived[0]
            assert (first["topic"], first["who"], first["reliable"]) == ("t", sender.identity, True)
            await sender.send("quick", reliable=False, to=(receiver.identity,))
            assert payload_of(await receiver.next("data", reliable=False)) == b"quick"


@beside_each_other(KINDS)
async def test_streams_texts_and_bytes_of_more_than_a_message_holds(
    server: Server, kind: Kind
) -> None:
    text = "".join(f"{number:06d}ü" for number in range(30_000))
    content = base64.b64encode(bytes(range(256)) * 6_000).decode()
    async with two(server, kind) as (anna, ben):
        for sender, receiver in ((anna, ben), (ben, anna)):
            await receiver.do("read", topic="notes")
            await sender.do(
                "send_text", text=text, topic="notes", attributes={"a": "b"}, to=[receiver.identity]
            )
            told = await receiver.next("text", who=sender.identity, topic="notes")
            assert told["content"] == text
            assert told["attributes"] == {"a": "b"}
            await sender.do("send_bytes", payload=content, topic="notes", name="n", to=[])
            told = await receiver.next("bytes", who=sender.identity, topic="notes")
            assert told["content"] == content


@beside_each_other(KINDS)
async def test_calls_and_is_called(server: Server, kind: Kind) -> None:
    async with two(server, kind) as (anna, ben):
        for caller, callee in ((anna, ben), (ben, anna)):
            await callee.do("serve", method="turn")
            call = {"to": callee.identity, "method": "turn", "patience": 60.0}
            for payload in ("abc", "x" * 10_000 + "y"):
                told = await caller.do("call", payload=payload, **call)
                assert told == {"answer": f"{caller.identity}:{payload[::-1]}"}
            told = await caller.do("call", payload="fail", **call)
            assert told == {"code": 2000, "message": "as you wish", "data": "data"}
            call["method"] = "none"
            told = await caller.do("call", payload="", **call)
            assert told["code"] == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD


@beside_each_other(FAMILIES)
async def test_what_agents_say_passes_through(server: Server, kind: Kind) -> None:
    """Transcripts in both forms, session events, state: from an agent to whoever is there."""
    said = {"lk.segment_id": "SG_1", "lk.transcribed_track_id": "TR_x"}
    agent = token_for("agent", kind="agent", agent=True)
    async with (
        joined(server, kind, "ben") as ben,
        joined(server, kind, "agent", token=agent) as speaker,
    ):
        for topic in ("lk.transcription", "lk.agent.session"):
            await ben.do("read", topic=topic)
        await speaker.do(
            "send_text", text="hello", topic="lk.transcription", attributes=said, to=[]
        )
        told = await ben.next("text", topic="lk.transcription")
        assert (told["content"], told["who"], told["attributes"]) == ("hello", "agent", said)
        event = base64.b64encode(b"event").decode()
        await speaker.do("send_bytes", payload=event, topic="lk.agent.session", name="e", to=[])
        assert (await ben.next("bytes", topic="lk.agent.session"))["content"] == event
        await speaker.do("describe", attributes={"lk.agent.state": "listening"})
        told = await ben.next("attributes", who="agent")
        assert told["changed"] == {"lk.agent.state": "listening"}
        await speaker.do("transcribe", identity="agent", sid="TR_x", text="said")
        if kind.name == "python":  # the Node package has no event for it
            assert (await ben.next("transcription"))["texts"] == ["said"]
        await speaker.do("press", code=11, digit="#")
        assert (await ben.next("digit", who="agent"))["digit"] == "#"


# ── facts and rights ─────────────────────────────────────────────────────────


@beside_each_other(KINDS)
async def test_changes_facts_and_sees_those_of_others(server: Server, kind: Kind) -> None:
    async with server.api() as service, two(server, kind) as (anna, ben):
        for person, other in ((anna, ben), (ben, anna)):
            await person.do("describe", attributes={"lang": "de", "mood": "good"})
            told = await other.next("attributes", who=person.identity)
            assert told["changed"] == {"lang": "de", "mood": "good"}
            await person.do("describe", attributes={"mood": ""}, metadata="m", name="N")
            await other.next("metadata", who=person.identity, now="m")
            await other.next("name", who=person.identity, now="N")
            seen = (await other.do("look"))[person.identity]
            facts = (seen["name"], seen["metadata"], seen["attributes"])
            assert facts == ("N", "m", {"lang": "de"})
        request = api.UpdateRoomMetadataRequest(room=ROOM, metadata="of the room")
        await service.room.update_room_metadata(request)
        await ben.next("room_metadata", now="of the room")


@beside_each_other(FAMILIES)
async def test_who_may_not_publish_any_more_is_silent_and_may_again(
    server: Server, kind: Kind
) -> None:
    async with two(server, kind) as (anna, ben):
        sid = await ben.publish(440)
        await anna.next("heard", sid=sid)
        ben.all_told("token")
        await permit(server, "ben", can_publish=False)
        await anna.next("unpublished", sid=sid)
        await ben.next("token")
        with pytest.raises(Refused):
            await ben.publish(700)
        await permit(server, "ben")
        await ben.next("token")
        again = await ben.publish(1000)
        await anna.next("heard", sid=again)
        await anna.until_heard(again, 1000)


@beside_each_other(FAMILIES)
async def test_who_may_not_subscribe_any_more_hears_nothing_and_may_again(
    server: Server, kind: Kind
) -> None:
    async with two(server, kind) as (anna, ben):
        sid = await anna.publish(440)
        await ben.next("heard", sid=sid)
        await permit(server, "ben", can_subscribe=False)
        await ben.until_silent(sid, 440)
        await permit(server, "ben")
        await ben.next("heard", sid=sid)
        await ben.until_heard(sid, 440)


@beside_each_other(FAMILIES)
async def test_who_may_not_send_data_or_change_facts_is_not_heard_of(
    server: Server, kind: Kind
) -> None:
    async with two(server, kind) as (anna, ben):
        ben.all_told("token")
        await permit(server, "ben", can_publish_data=False, can_update_metadata=False)
        await ben.next("token")
        await ben.send("not to be heard")
        with suppress(Refused):  # some packages tell that it was refused, others do not
            await ben.do("describe", attributes={"not": "to be seen"})
        await permit(server, "ben")
        await ben.next("token")
        await ben.send("heard")
        assert payload_of(await anna.next("data")) == b"heard"
        assert anna.told("attributes") is None
        await ben.do("describe", attributes={"seen": "yes"})
        assert (await anna.next("attributes"))["changed"] == {"seen": "yes"}


# ── leaving and returning ────────────────────────────────────────────────────


@beside_each_other(KINDS)
async def test_each_ending_has_its_reason_on_both_sides(server: Server, kind: Kind) -> None:
    async with server.api() as service, joined(server, NEWEST, "anna") as anna:
        async with joined(server, kind, "ben"):
            pass
        await anna.next("left", who="ben", reason=REASONS.CLIENT_INITIATED)
        async with joined(server, kind, "ben") as ben:
            identity = api.RoomParticipantIdentity(room=ROOM, identity="ben")
            await service.room.remove_participant(identity)
            await ben.next("disconnected", reason=REASONS.PARTICIPANT_REMOVED)
        await anna.next("left", who="ben", reason=REASONS.PARTICIPANT_REMOVED)
        async with joined(server, kind, "ben") as first, joined(server, kind, "ben") as second:
            await first.next("disconnected", reason=REASONS.DUPLICATE_IDENTITY)
            await service.room.delete_room(api.DeleteRoomRequest(room=ROOM))
            await second.next("disconnected", reason=REASONS.ROOM_DELETED)
        await anna.next("disconnected", reason=REASONS.ROOM_DELETED)


@beside_each_other(KINDS, measures=True)
async def test_a_killed_socket_is_resumed_without_a_gap_and_without_a_message_lost_or_doubled(
    server: Server, kind: Kind
) -> None:
    async with cable_to(server.url) as cable, two(server, kind, cable.ws_url) as (anna, ben):
        low, high = await anna.publish(440), await ben.publish(1000)
        await asyncio.gather(ben.next("heard", sid=low), anna.next("heard", sid=high))
        await asyncio.gather(ben.until_heard(low, 440), anna.until_heard(high, 1000))
        listening = asyncio.gather(ben.listen(low, 8), anna.listen(high, 8))
        cable.cut()
        await count(anna, ben, "reconnected")
        at_ben, at_anna = await listening
        assert ben.told("disconnected") is None
        assert anna.told("left") is None
    assert longest_gap(at_ben, 440) <= NO_GAP
    assert longest_gap(at_anna, 1000) <= NO_GAP


async def count(anna: Client, ben: Client, until: str | int) -> None:
    """Each sends the other numbers, so many or until ben tells of an event.

    Every one arrives, once and in order.
    """
    sent: list[bytes] = []
    while len(sent) < until if isinstance(until, int) else ben.told(until) is None:
        sent.append(str(len(sent)).encode())
        await asyncio.gather(anna.send(sent[-1]), ben.send(sent[-1]))
        await asyncio.wait((asyncio.ensure_future(ben.told_more()),), timeout=0.05)
    for receiver in (anna, ben):
        arrived = [payload_of(await receiver.next("data")) for _ in sent]
        assert arrived == sent
        assert receiver.told("data") is None


@beside_each_other(FAMILIES, measures=True)
@needs_private_network
@pytest.mark.usefixtures("front")
async def test_media_go_on_when_their_path_moves(tmp_path: Path, kind: Kind) -> None:
    """A NAT forgot the client: its packets come from another address, and nobody tells us."""
    async with server_behind(tmp_path) as (server, path), two(server, kind) as (anna, ben):
        low, high = await anna.publish(440), await ben.publish(1000)
        await asyncio.gather(ben.next("heard", sid=low), anna.next("heard", sid=high))
        await asyncio.gather(ben.until_heard(low, 440), anna.until_heard(high, 1000))
        path.move()
        at_ben, at_anna = await asyncio.gather(ben.listen(low, 8), anna.listen(high, 8))
        assert longest_gap(at_ben, 440) <= CHECK_INTERVAL
        assert longest_gap(at_anna, 1000) <= CHECK_INTERVAL
        assert ben.told("reconnecting") is None
        await count(anna, ben, 20)


@beside_each_other(FAMILIES)
@needs_private_network
@pytest.mark.usefixtures("front")
async def test_media_cut_off_are_renewed_on_another_path(tmp_path: Path, kind: Kind) -> None:
    """What flowed never arrives again: the client restarts ICE, and nothing reliable is lost."""
    async with server_behind(tmp_path) as (server, path), two(server, kind) as (anna, ben):
        low, high = await anna.publish(440), await ben.publish(1000)
        await asyncio.gather(ben.next("heard", sid=low), anna.next("heard", sid=high))
        path.block()
        await count(anna, ben, "reconnected")
        await anna.next("reconnected")
        await ben.until_heard(low, 440)
        await anna.until_heard(high, 1000)
        assert ben.told("left") is None
        assert ben.told("disconnected") is None


@beside_each_other(FAMILIES)
@pytest.mark.parametrize("fault", ["migration", "disconnect_signal_on_resume", "node_failure"])
async def test_faults_that_are_simulated_are_overcome(
    server: Server, kind: Kind, fault: str
) -> None:
    async with two(server, kind) as (anna, ben):
        sid = await ben.publish(440)
        await anna.next("heard", sid=sid)
        await ben.do("simulate", scenario=fault)
        await ben.next("reconnected")
        if fault == "node_failure":
            sid = (await anna.next("heard", who="ben"))["sid"]
        await anna.until_heard(sid, 440)
        await count(anna, ben, 20)


@beside_each_other(KINDS)
async def test_a_session_that_is_lost_begins_anew_and_is_heard_again(
    server: Server, kind: Kind
) -> None:
    async with two(server, kind) as (anna, ben):
        sid = await ben.publish(440)
        await anna.next("heard", sid=sid)
        await ben.do("simulate", scenario="full_reconnect")
        await ben.next("reconnected")
        again = await anna.next("heard", who="ben")
        assert again["sid"] != sid
        await anna.until_heard(again["sid"], 440)
