"""What PJSIP asks of the other end beyond a call: reliable ringing, timers, new offers, TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from interop.clients import NEWEST, Client, joined, token_for
from interop.inbound_desk import NUMBER, ROOM, Desk, desk
from interop.peer_process import free_port
from interop.pjsua import Pjsua, PjsuaWishes, needs_pjsua, pjsua
from interop.recordings import has_heard, write_tone
from interop.server import outward_address
from unit.sip_io.certificates import Authority

pytestmark = [pytest.mark.interop, needs_pjsua]

OURS, THEIRS = 440, 1000


@asynccontextmanager
async def phone_and_person(
    folder: Path, wishes: PjsuaWishes, **settings: Any
) -> AsyncIterator[tuple[Desk, Pjsua, Client]]:
    """A server that can be called, PJSIP, and a person who says a tone in the room."""
    voice = folder / "voice.wav"
    write_tone(voice, THEIRS, -20, 60, rate=16_000)
    async with (
        desk(folder, **settings) as front,
        pjsua(folder / "phone", voice, wishes, outward_address()) as phone,
        joined(front.server, NEWEST, "person", token=token_for("person", room=ROOM)) as person,
    ):
        await person.publish(OURS)
        yield front, phone, person


async def call_out(
    front: Desk, phone: Pjsua, media: api.SIPMediaConfig | None = None, **wishes: Any
) -> None:
    """We call the phone, until it has answered."""
    await front.lk.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(
            trunk=api.SIPOutboundConfig(hostname=phone.address, **wishes),
            sip_number="+15105550111",
            sip_call_to="phone",
            room_name=ROOM,
            participant_identity="phone",
            wait_until_answered=True,
            media=media,
        )
    )


async def hear_each_other(phone: Pjsua, person: Client) -> str:
    """The phone's track, once its tone was heard, and the person's by the phone."""
    sid = str((await person.next("heard"))["sid"])
    await person.until_heard(sid, THEIRS)
    await has_heard(phone.heard, OURS)
    return sid


# ── reliable ringing and session timers ──────────────────────────────────────


async def test_ringing_that_must_be_acknowledged_is(tmp_path: Path) -> None:
    wishes = PjsuaWishes(reliable=True, answer=180)
    async with phone_and_person(tmp_path, wishes) as (front, phone, person):
        calling = asyncio.ensure_future(call_out(front, phone))
        await phone.is_called()
        acknowledged = await phone.told.next("transaction", direction="in", method="PRACK")
        assert acknowledged["code"] == 200
        await phone.answer(200)
        await calling
        await hear_each_other(phone, person)
        await phone.hang_up()
        await phone.is_over()


async def test_a_caller_who_wants_reliable_ringing_gets_it(tmp_path: Path) -> None:
    async with phone_and_person(tmp_path, PjsuaWishes(reliable=True)) as (front, phone, person):
        await phone.dial(f"sip:{NUMBER}@{front.address}")
        acknowledged = await phone.told.next("transaction", direction="out", method="PRACK")
        assert acknowledged["code"] == 200
        await phone.is_up()
        await hear_each_other(phone, person)
        await phone.hang_up()
        await phone.is_over()


@pytest.mark.parametrize("direction", ["called", "calling"])
async def test_who_requires_a_session_timer_gets_one(tmp_path: Path, direction: str) -> None:
    async with phone_and_person(tmp_path, PjsuaWishes(refresh=90)) as (front, phone, person):
        if direction == "called":
            await call_out(front, phone)
            await phone.is_called()
        else:
            await phone.dial(f"sip:{NUMBER}@{front.address}")
        await phone.is_up()
        await hear_each_other(phone, person)
        await phone.do("refresh")
        done = await phone.told.next("transaction", direction="out", method="UPDATE")
        assert done["code"] == 200
        await phone.hang_up()
        await phone.is_over()
    answers = [part for part in phone.trace().split("SIP/2.0 200 OK") if "INVITE" in part[:900]]
    assert any("session-expires: 90" in answer[:1500].lower() for answer in answers)


# ── new offers ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["reinvite", "update"])
async def test_a_phone_changes_its_codec_during_a_call(tmp_path: Path, method: str) -> None:
    async with phone_and_person(tmp_path, PjsuaWishes(("PCMU",))) as (front, phone, person):
        await phone.dial(f"sip:{NUMBER}@{front.address}")
        await phone.is_up()
        sid = await hear_each_other(phone, person)
        phone.told.all_told("media")
        await phone.do("offer_anew", codecs=["G722"], method=method)
        await phone.told.next("media", status=1)
        assert (await phone.do("look"))["codec"] == "G722"
        await person.until_heard(sid, THEIRS)
        await phone.hang_up()
        await phone.is_over()


# ── TLS ──────────────────────────────────────────────────────────────────────

_ENCRYPTED = api.SIPMediaConfig(encryption=api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE)


@pytest.mark.parametrize("direction", ["called", "calling"])
async def test_a_call_over_tls_with_encrypted_sound(tmp_path: Path, direction: str) -> None:
    address, port = outward_address(), free_port()
    authority = Authority(tmp_path)
    ours, theirs = (authority.sign(name, f"IP:{address}") for name in ("ours", "theirs"))
    settings = {
        "sip__tls__port": port,
        "sip__tls__certs": [{"cert_file": ours[0], "key_file": ours[1]}],
        "sip__tls__ca_file": authority.file,
    }
    wishes = replace(
        PjsuaWishes(transport="tls", srtp="required"),
        certificate=theirs,
        authority=authority.file,
    )
    async with phone_and_person(tmp_path, wishes, **settings) as (front, phone, person):
        if direction == "called":
            await call_out(front, phone, _ENCRYPTED, transport=api.SIPTransport.SIP_TRANSPORT_TLS)
        else:
            await phone.dial(f"sip:{NUMBER}@{address}:{port};transport=tls")
        await phone.is_up()
        assert (await phone.told.next("media", status=1))["secured"]
        await hear_each_other(phone, person)
        await phone.hang_up()
        await phone.is_over()
