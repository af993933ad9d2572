"""Calls between people in a room and phones that are not ours, in both directions.

Each phone of `phones.py` says a tone and so does the person in the room: what either hears is
recognised. Which phone proves what is told in docs/interop.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from livekit import api

from interop.clients import NEWEST, Client, joined, token_for
from interop.dispatching import trunk_to
from interop.inbound_desk import NUMBER, ROOM, Desk, desk, lay_rule
from interop.linphonec import Linphonec
from interop.phones import (
    ASTERISK,
    BARESIP,
    EACH_PHONE,
    LINPHONEC,
    PJSIP,
    Phone,
    PhoneKind,
    Wishes,
    each_of,
)
from interop.pjsua import Pjsua, needs_pjsua, pjsua
from interop.recordings import has_heard, write_tone

pytestmark = pytest.mark.interop

OURS = 440
"""The tone of the person in the room, in Hz."""
THEIRS = 1000
COLLEAGUES = 700
"""The tone of who takes the phone's place."""
WIDE = 5000
"""A tone that no telephone of 8 kHz carries."""
GUARDED = "+15105550177"
"""A number whose trunk wants a password."""
CODES = {key: code for code, key in enumerate("0123456789*#")}


class Meeting:
    """A person in a room, and a phone that is or will be there."""

    def __init__(self, front: Desk, phone: Phone, person: Client, ours: int) -> None:
        self.front = front
        self.phone = phone
        self.person = person
        self._ours = ours
        self._track = ""
        self._identity = ""

    @property
    def host(self) -> str:
        """The address that the server and the phone are at."""
        return self.front.address.rpartition(":")[0]

    async def call_out(self, to: str = "phone", **wishes: Any) -> api.SIPParticipantInfo:
        """We call the phone, until it has answered."""
        if "sip_trunk_id" not in wishes:
            wishes["trunk"] = api.SIPOutboundConfig(
                hostname=self.phone.address, transport=wishes.pop("transport", 0)
            )
        wishes.setdefault("sip_number", "+15105550111")
        request = api.CreateSIPParticipantRequest(
            sip_call_to=to,
            room_name=ROOM,
            participant_identity="phone",
            wait_until_answered=True,
            **wishes,
        )
        return await self.front.lk.sip.create_sip_participant(request)

    async def call_in(self) -> None:
        """The phone calls us, until we have answered."""
        await self.phone.dial(NUMBER, self.front.address)

    async def hear_each_other(self, theirs: int = THEIRS) -> None:
        """The call is up; the person has heard the phone's tone, and the phone the person's."""
        await self.phone.is_up()
        heard = await self.person.next("heard")
        self._track, self._identity = heard["sid"], heard["who"]
        await self.person.until_heard(self._track, theirs)
        await has_heard(self.phone.heard, self._ours)

    async def is_heard(self, theirs: int = THEIRS) -> None:
        """The person hears the phone's tone, for the most part of a second."""
        await self.person.until_heard(self._track, theirs)

    async def phone_in_room(self) -> tuple[str, str, str]:
        """Which participant the phone is: its sid, its call and its track."""
        wanted = api.RoomParticipantIdentity(room=ROOM, identity=self._identity)
        seen = await self.front.lk.room.get_participant(wanted)
        return seen.sid, seen.attributes["sip.callID"], seen.tracks[0].sid

    async def press_keys(self) -> None:
        """Both ways."""
        await self.phone.press("12#")
        for key in "12#":
            assert (await self.person.next("digit"))["digit"] == key
        for key in "70*":
            await self.person.do("press", code=CODES[key], digit=key)
        await self.phone.is_sent("70*")

    async def hold_and_resume(self) -> None:
        """By the phone: nothing of it is heard in between."""
        await self.phone.hold()
        await self.person.until_silent(self._track, THEIRS)
        await self.phone.resume()
        await self.person.until_heard(self._track, THEIRS)

    async def phone_hangs_up(self) -> None:
        """The room sees it leave."""
        await self.phone.hang_up()
        await self.person.next("left")
        await self.phone.is_over()

    async def room_ends(self, phone: Phone | None = None) -> None:
        """The room is deleted: the phone, or who took its place, is hung up on.

        The person leaves before it ends: under that one LiveKit's library may crash.
        """
        await self.person.do("leave")
        await self.front.lk.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        await (phone or self.phone).is_over()


@asynccontextmanager
async def meeting(
    folder: Path,
    kind: PhoneKind,
    wishes: Wishes,
    *,
    ours: int = OURS,
    speaks: bool = True,
    **settings: Any,
) -> AsyncIterator[Meeting]:
    """A server that can be called, a person who says a tone in the room, and the phone."""
    async with (
        desk(folder, **settings) as front,
        kind.start(folder / kind.name, front.address, wishes) as phone,
        joined(front.server, NEWEST, "person", token=token_for("person", room=ROOM)) as person,
    ):
        if speaks:
            await person.publish(ours)
        yield Meeting(front, phone, person, ours)


# ── a whole call ─────────────────────────────────────────────────────────────


@EACH_PHONE
async def test_a_phone_that_is_called_hears_is_heard_and_keys_go_both_ways(
    tmp_path: Path, kind: PhoneKind
) -> None:
    async with meeting(tmp_path, kind, Wishes()) as call:
        await call.call_out()
        await call.hear_each_other()
        await call.press_keys()
        await call.phone_hangs_up()


@EACH_PHONE
async def test_a_phone_that_calls_hears_is_heard_and_keys_go_both_ways(
    tmp_path: Path, kind: PhoneKind
) -> None:
    async with meeting(tmp_path, kind, Wishes()) as call:
        await call.call_in()
        await call.hear_each_other()
        await call.press_keys()
        await call.room_ends()


@each_of(BARESIP, PJSIP)
@pytest.mark.parametrize("direction", ["called", "calling"])
async def test_a_phone_holds_the_call_and_takes_it_back(
    tmp_path: Path, kind: PhoneKind, direction: str
) -> None:
    async with meeting(tmp_path, kind, Wishes()) as call:
        await (call.call_out() if direction == "called" else call.call_in())
        await call.hear_each_other()
        await call.hold_and_resume()
        await call.room_ends()


@each_of(LINPHONEC)
@pytest.mark.parametrize("direction", ["called", "calling"])
async def test_music_that_a_phone_plays_on_hold_is_heard(
    tmp_path: Path, kind: PhoneKind, direction: str
) -> None:
    async with meeting(tmp_path, kind, Wishes()) as call:
        await (call.call_out() if direction == "called" else call.call_in())
        await call.hear_each_other()
        await call.phone.hold()
        await call.is_heard()
        await call.phone.resume()
        await call.is_heard()
        await call.room_ends()


# ── wideband ─────────────────────────────────────────────────────────────────


@each_of(BARESIP, LINPHONEC, PJSIP)
@pytest.mark.parametrize("direction", ["called", "calling"])
async def test_what_a_wideband_phone_says_is_heard_in_full(
    tmp_path: Path, kind: PhoneKind, direction: str
) -> None:
    async with meeting(tmp_path, kind, Wishes(codec="G722", hz=WIDE), ours=WIDE) as call:
        await (call.call_out() if direction == "called" else call.call_in())
        await call.hear_each_other(theirs=WIDE)
        await call.press_keys()
        await call.room_ends()


@each_of(BARESIP, LINPHONEC)
@pytest.mark.parametrize("direction", ["called", "calling"])
async def test_a_phone_that_speaks_opus_is_heard_in_full(
    tmp_path: Path, kind: PhoneKind, direction: str
) -> None:
    wishes = Wishes(codec="opus", hz=WIDE)
    async with meeting(tmp_path, kind, wishes, ours=WIDE, sip__codecs={"opus": True}) as call:
        await (call.call_out() if direction == "called" else call.call_in())
        await call.hear_each_other(theirs=WIDE)
        await call.room_ends()


@each_of(ASTERISK)
async def test_an_exchange_hears_a_wideband_room_in_full(tmp_path: Path, kind: PhoneKind) -> None:
    async with meeting(tmp_path, kind, Wishes(codec="G722"), ours=WIDE) as call:
        await call.call_out()
        await call.hear_each_other()
        await call.phone_hangs_up()


# ── encryption ───────────────────────────────────────────────────────────────


@EACH_PHONE
@pytest.mark.parametrize("direction", ["called", "calling"])
async def test_a_phone_that_requires_encryption_is_heard(
    tmp_path: Path, kind: PhoneKind, direction: str
) -> None:
    async with meeting(tmp_path, kind, Wishes(srtp="required")) as call:
        if direction == "called":
            media = api.SIPMediaConfig(encryption=api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE)
            await call.call_out(media=media)
        else:
            await call.call_in()
        await call.hear_each_other()
        await call.press_keys()
        await call.room_ends()


@EACH_PHONE
@pytest.mark.parametrize("srtp", ["none", "required"])
async def test_allowed_encryption_reaches_phones_with_it_and_without(
    tmp_path: Path, kind: PhoneKind, srtp: str
) -> None:
    """What has no SRTP refuses the offer of it (488 and the like), and is called in the clear."""
    async with meeting(tmp_path, kind, Wishes(srtp=srtp)) as call:
        media = api.SIPMediaConfig(encryption=api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW)
        await call.call_out(media=media)
        await call.hear_each_other()
        await call.room_ends()


# ── endings ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code"), [(486, "resource_exhausted"), (603, "permission_denied")]
)
@needs_pjsua
async def test_a_phone_that_refuses_is_quoted(tmp_path: Path, status: int, code: str) -> None:
    async with meeting(tmp_path, PJSIP, Wishes(answers=False)) as call:
        calling = asyncio.ensure_future(call.call_out())
        await call.phone.is_called()
        await cast("Pjsua", call.phone).answer(status)
        with pytest.raises(api.SipCallError) as refusal:
            await calling
    assert (refusal.value.code, refusal.value.sip_status_code) == (code, status)


@each_of(ASTERISK)
async def test_an_exchange_whose_extension_is_busy_is_quoted(
    tmp_path: Path, kind: PhoneKind
) -> None:
    async with meeting(tmp_path, kind, Wishes()) as call:
        with pytest.raises(api.SipCallError) as refusal:
            await call.call_out(to="busy")
    assert refusal.value.sip_status_code == 486


@each_of(BARESIP, LINPHONEC, PJSIP)
async def test_a_phone_that_gives_up_ringing_is_told_that_its_call_was_cancelled(
    tmp_path: Path, kind: PhoneKind
) -> None:
    """Nobody in the room can be heard, so that we ring for ever."""
    async with meeting(tmp_path, kind, Wishes(), speaks=False) as call:
        await call.call_in()
        await call.person.next("came")
        await call.phone.hang_up()
        await call.person.next("left")
        await call.phone.is_over()


# ── transports and logins ────────────────────────────────────────────────────


@each_of(LINPHONEC, PJSIP, ASTERISK)
async def test_a_phone_on_tcp_calls_and_is_heard(tmp_path: Path, kind: PhoneKind) -> None:
    async with meeting(tmp_path, kind, Wishes(transport="tcp")) as call:
        await call.call_in()
        await call.hear_each_other()
        await call.phone_hangs_up()


@each_of(PJSIP, ASTERISK)
async def test_a_phone_on_tcp_is_called_and_heard(tmp_path: Path, kind: PhoneKind) -> None:
    async with meeting(tmp_path, kind, Wishes(transport="tcp")) as call:
        await call.call_out(transport=api.SIPTransport.SIP_TRANSPORT_TCP)
        await call.hear_each_other()
        await call.phone_hangs_up()


@EACH_PHONE
async def test_a_phone_that_knows_the_password_is_let_in(tmp_path: Path, kind: PhoneKind) -> None:
    wishes = Wishes(login="ann", password="secret")
    async with meeting(tmp_path, kind, wishes) as call:
        trunk_id = await lay_trunk_with_password(call.front.lk)
        await lay_rule(call.front.lk, trunk_id, name="login")
        await call.phone.dial(GUARDED, call.front.address)
        await call.hear_each_other()
        await call.room_ends()


async def lay_trunk_with_password(lk: api.LiveKitAPI) -> str:
    trunk = api.SIPInboundTrunkInfo(
        name="login", numbers=[GUARDED], auth_username="ann", auth_password="secret"
    )
    made = await lk.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=trunk))
    return made.sip_trunk_id


# ── transfers ────────────────────────────────────────────────────────────────


@each_of(BARESIP, LINPHONEC, PJSIP)
async def test_a_phone_that_is_sent_elsewhere_goes_there(tmp_path: Path, kind: PhoneKind) -> None:
    async with (
        meeting(tmp_path, kind, Wishes()) as call,
        pjsua(tmp_path / "other", tmp_path / f"{kind.name}.wav", address=call.host) as other,
    ):
        await call.call_out()
        await call.hear_each_other()
        request = api.TransferSIPParticipantRequest(
            room_name=ROOM, participant_identity="phone", transfer_to=f"sip:other@{other.address}"
        )
        transferring = asyncio.ensure_future(call.front.lk.sip.transfer_sip_participant(request))
        await other.is_called()
        await other.is_up()
        await transferring
        await call.person.next("left")
        await other.hang_up()


@each_of(BARESIP, LINPHONEC, PJSIP, ASTERISK)
async def test_a_phone_may_have_us_call_somebody_on_its_trunk(
    tmp_path: Path, kind: PhoneKind
) -> None:
    """Itself, as it is the only one there: baresip takes calls to no name but its own."""
    wishes = Wishes(user="+15105550123")
    async with meeting(tmp_path, kind, wishes, sip__allow_refer=True) as call:
        trunk = await trunk_to(call.front.lk, call.phone.address)
        await call.call_out(to=wishes.user, sip_trunk_id=trunk)
        await call.hear_each_other()
        await call.phone.transfer(f"sip:{wishes.user}@{call.phone.address}")
        if kind is LINPHONEC:
            itself = cast("Linphonec", call.phone)
            await itself.is_called(2)
            await itself.answer(2)
        second = await call.person.next("heard")
        assert second["who"] != "phone"
        await call.person.until_heard(second["sid"], THEIRS)
        await call.room_ends()


@each_of(PJSIP)
async def test_a_phone_that_asks_unbidden_is_declined(tmp_path: Path, kind: PhoneKind) -> None:
    async with meeting(tmp_path, kind, Wishes()) as call:
        trunk = await trunk_to(call.front.lk, call.phone.address)
        await call.call_out(to="+15105550123", sip_trunk_id=trunk)
        await call.hear_each_other()
        await call.phone.transfer(f"sip:+15105550199@{call.phone.address}")
        refused = await cast("Pjsua", call.phone).told.next("transaction", method="REFER")
        assert refused["code"] == 405
        await call.is_heard()
        await call.room_ends()


@needs_pjsua
async def test_two_phones_of_a_room_are_joined_and_leave_it(tmp_path: Path) -> None:
    """An attended transfer by us: one phone calls the other in our place (Replaces)."""
    async with (
        meeting(tmp_path, PJSIP, Wishes()) as call,
        pjsua(tmp_path / "other", tmp_path / "pjsip.wav", address=call.host) as other,
    ):
        await call.call_out()
        await call.hear_each_other()
        second = await call.front.lk.sip.create_sip_participant(
            api.CreateSIPParticipantRequest(
                trunk=api.SIPOutboundConfig(hostname=other.address),
                sip_number="+15105550111",
                sip_call_to="other",
                room_name=ROOM,
                participant_identity="other",
                wait_until_answered=True,
            )
        )
        request = api.TransferSIPParticipantRequest(
            room_name=ROOM,
            participant_identity="phone",
            transfer_to=f"call:{second.sip_call_id}",
        )
        await call.front.lk.sip.transfer_sip_participant(request)
        await other.told.next("asked_to_replace")
        await call.person.next("left", who="phone")
        await call.person.next("left", who="other")


@needs_pjsua
@pytest.mark.parametrize("direction", ["called", "calling"])
async def test_a_phone_hands_its_call_to_a_colleague_whom_it_has_asked(
    tmp_path: Path, direction: str
) -> None:
    """An attended transfer by the phone: a call with Replaces takes the place of its own."""
    voice = tmp_path / "colleague.wav"
    write_tone(voice, COLLEAGUES, -20, 60)
    # PJSIP sends its colleague to whom it called or who called it, not to their Contact; a From
    # has no port.
    port = 5060 if direction == "called" else 0
    async with (
        meeting(tmp_path, PJSIP, Wishes(), sip__allow_replaces=True, port=port) as call,
        pjsua(tmp_path / "colleague", voice, address=call.host) as colleague,
    ):
        if direction == "called":
            # Who is to replace a call has to be admitted: an inbound trunk takes this number.
            await call.call_out(sip_number=NUMBER)
        else:
            await call.call_in()
        await call.hear_each_other()
        phone, before = cast("Pjsua", call.phone), await call.phone_in_room()
        ours = phone.call
        await call.phone.dial("colleague", colleague.address)
        await colleague.is_called()
        await call.phone.is_up()
        await phone.do("transfer_to_call", other=ours)
        await phone.told.next("over", call=ours)
        colleague.call = (await colleague.told.next("state", state="CALLING"))["call"]
        await colleague.is_up()
        await call.is_heard(COLLEAGUES)
        await has_heard(colleague.heard, OURS)
        assert await call.phone_in_room() == before
        assert call.person.told("left") is None
        await call.room_ends(cast("Phone", colleague))
