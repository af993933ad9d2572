"""Phone scripts on a virtual clock (VirtualLoop): minutes of talk pass in no time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from switchroom.phonenet import events, phones
from switchroom.phonenet.line import LineCodecs
from switchroom.phonenet.script import PhoneCall, Script, melody, tone
from switchroom.sdp.codecs import PCMA, PCMU, Codec
from switchroom.sdp.description import SessionDescription
from switchroom.sdp.offer_answer import LocalMedia, accept_answer, answer, offer
from unit.phonenet.virtual_call import (
    Caller,
    Wire,
    after,
    hang_up,
    kinds,
    play_out,
    until_answered,
    virtually,
)

# ── ringing and answering ────────────────────────────────────────────────────


def test_a_phone_rings_for_its_time_and_then_answers() -> None:
    async def phone(call: PhoneCall) -> None:
        await call.ring(seconds=7)
        await call.answer()
        await call.wait(5)

    caller = play_out(phone)
    assert caller.signals == ["180", "200", "BYE"]
    assert caller.times_of(events.Answered) == [7.0]
    ended = caller.only(events.Ended)
    assert (ended.by, ended.ring_seconds, ended.talk_seconds) == ("phone", 7.0, 5.0)
    assert caller.wire.closed


def test_nobody_home_rings_until_the_caller_gives_up() -> None:
    caller = play_out(phones.nobody_home, after(90), hang_up)
    assert caller.signals == ["180"]
    ended = caller.only(events.Ended)
    assert (ended.by, ended.ring_seconds, ended.talk_seconds) == ("caller", 90.0, 0.0)


@pytest.mark.parametrize(
    ("phone", "signals"),
    [
        (phones.busy, ["486"]),
        (phones.declines, ["180", "603"]),
        (phones.not_in_service, ["404"]),
        (phones.unavailable, ["180", "480"]),
        (phones.carrier_error, ["503"]),
        (phones.forbidden, ["403"]),
        (phones.no_common_codec, ["488"]),
        (phones.refusing(606), ["606"]),
    ],
)
def test_phones_that_refuse_say_so_and_nothing_more(phone: Script, signals: list[str]) -> None:
    caller = play_out(phone)
    assert caller.signals == signals
    assert caller.only(events.Rejected).status == int(signals[-1])
    assert kinds(caller)[-1] == "ended"


def test_a_script_that_returns_without_an_answer_is_unavailable() -> None:
    async def phone(call: PhoneCall) -> None:
        await call.ring(seconds=1)

    assert play_out(phone).signals == ["180", "480"]


def test_a_broken_script_ends_its_own_call_and_is_reported() -> None:
    async def before(call: PhoneCall) -> None:
        raise ZeroDivisionError("oops")

    async def after_answer(call: PhoneCall) -> None:
        await call.answer()
        raise ZeroDivisionError("oops")

    assert play_out(before).signals == ["500"]
    caller = play_out(after_answer)
    assert caller.signals == ["200", "BYE"]
    assert caller.only(events.Failed).error == "ZeroDivisionError: oops"


def test_what_a_script_cannot_mean_is_its_error() -> None:
    async def twice(call: PhoneCall) -> None:
        await call.answer()
        await call.answer()

    async def odd_status(call: PhoneCall) -> None:
        await call.reject(200)

    async def odd_codec(call: PhoneCall) -> None:
        await call.answer(codecs=["G729"])

    for script in (twice, odd_status, odd_codec):
        assert "failed" in kinds(play_out(script))


def test_words_that_need_a_call_end_a_script_that_has_none() -> None:
    async def phone(call: PhoneCall) -> None:
        await call.answer()
        await call.hang_up()
        await call.play(melody())

    caller = play_out(phone)
    assert caller.signals == ["200", "BYE"]
    assert "failed" not in kinds(caller)


# ── talking and listening ────────────────────────────────────────────────────


def test_a_person_talks_and_listens_until_the_caller_hangs_up() -> None:
    async def talk(caller: Caller) -> None:
        assert caller.line is not None
        await asyncio.sleep(5)
        caller.say(tone(440, -20), 10)
        await asyncio.sleep(10)
        heard = caller.line.ear.heard()
        assert heard.level_dbov == pytest.approx(-20, abs=1)
        assert heard.audible_seconds == pytest.approx(15, abs=0.5)

    caller = play_out(phones.ada, until_answered, talk, hang_up)
    heard = caller.only(events.Ended).heard
    assert heard.tone_hz == pytest.approx(440, abs=1)
    assert heard.level_dbov == pytest.approx(-20, abs=0.1)
    assert heard.gaps == 0
    assert [event.sound for _, event in caller.told if isinstance(event, events.Plays)] == [
        "melody",
        "tone 1000 Hz",
    ]


def test_a_sound_without_end_is_played_for_the_time_given() -> None:
    async def phone(call: PhoneCall) -> None:
        await call.answer()
        await call.play(tone(1000), seconds=3)
        await call.hang_up()

    caller = play_out(phone)
    assert caller.only(events.Ended).talk_seconds == pytest.approx(3, abs=0.05)
    assert caller.line is not None
    heard = caller.line.ear.heard()
    assert heard.tone_hz == pytest.approx(1000, abs=1)
    assert (heard.audible_seconds, heard.gaps) == (3.0, 0)


def test_listening_ends_when_the_tone_comes() -> None:
    heard = []

    async def phone(call: PhoneCall) -> None:
        await call.answer()
        heard.append(await call.listen(until=tone(440)))

    async def beep(caller: Caller) -> None:
        await asyncio.sleep(4)
        caller.say(tone(440), 1)

    caller = play_out(phone, until_answered, beep)
    assert heard[0].matched
    assert caller.only(events.Ended).talk_seconds == pytest.approx(4.3, abs=0.1)


def test_listening_ends_by_itself_when_no_tone_comes() -> None:
    heard = []

    async def phone(call: PhoneCall) -> None:
        await call.answer()
        heard.append(await call.listen(until=tone(440)))
        heard.append(await call.listen(seconds=3))

    async def wrong_tone(caller: Caller) -> None:
        caller.say(tone(1000), 60)

    caller = play_out(phone, until_answered, wrong_tone)
    assert [h.matched for h in heard] == [False, False]
    assert caller.only(events.Ended).talk_seconds == pytest.approx(13, abs=0.01)
    assert heard[1].tone_hz == pytest.approx(1000, abs=1)
    assert len(caller.times_of(events.Listened)) == 2


def test_changes_of_what_is_heard_are_told_once_each() -> None:
    async def sounds(caller: Caller) -> None:
        for sound in (tone(440), tone(1000)):
            caller.say(sound, 2)
            await asyncio.sleep(3)

    caller = play_out(phones.listener, until_answered, sounds, hang_up)
    hears = [event for _, event in caller.told if isinstance(event, events.Hears)]
    assert [(h.what, h.tone_hz and round(h.tone_hz)) for h in hears] == [
        ("tone", 440),
        ("silence", None),
        ("tone", 1000),
        ("silence", None),
    ]


def test_an_echo_comes_back_as_it_went_out() -> None:
    async def shout(caller: Caller) -> None:
        caller.say(tone(700, -15), 2)
        await asyncio.sleep(3)
        assert caller.line is not None
        heard = caller.line.ear.heard()
        assert heard.tone_hz == pytest.approx(700, abs=1)
        assert heard.level_dbov == pytest.approx(-15, abs=0.1)

    play_out(phones.echo, until_answered, shout, hang_up)


def test_an_echo_may_end_by_itself() -> None:
    async def phone(call: PhoneCall) -> None:
        await call.answer()
        await call.echo(seconds=2)
        await call.wait(2)

    async def shout(caller: Caller) -> None:
        caller.say(tone(700, -15), 10)

    caller = play_out(phone, until_answered, shout)
    assert caller.line is not None
    assert caller.line.ear.heard().audible_seconds == pytest.approx(2, abs=0.1)


def test_a_call_full_of_changes_is_not_told_without_end() -> None:
    async def sirens(caller: Caller) -> None:
        for turn in range(250):
            caller.say(tone(440 if turn % 2 else 880), 1)
            await asyncio.sleep(1)

    caller = play_out(phones.listener, until_answered, sirens, hang_up)
    assert len(caller.times_of(events.Hears)) == 200


def test_a_vanished_phone_sends_nothing_but_is_still_in_the_call() -> None:
    async def notice(caller: Caller) -> None:
        assert caller.line is not None
        await asyncio.sleep(2.5)
        before = caller.line.received
        await asyncio.sleep(60)
        assert caller.line.received == before

    caller = play_out(phones.vanisher, until_answered, notice, hang_up)
    assert caller.signals == ["200"]


# ── digits ───────────────────────────────────────────────────────────────────


def test_digits_are_collected_and_pressed_back() -> None:
    async def type_digits(caller: Caller) -> None:
        assert caller.line is not None
        await asyncio.sleep(1)
        caller.line.press("12w34#")

    caller = play_out(phones.digit_reader, until_answered, type_digits)
    assert caller.only(events.Noted).note == "digits: 1234"
    assert caller.digits == "1234"
    assert caller.only(events.Ended).digits == "1234#"
    assert caller.signals == ["200", "BYE"]


@pytest.mark.parametrize(
    ("pressed", "count", "collected"), [("123456", 4, "1234"), ("12#", 4, "12"), ("12", 4, "12")]
)
def test_collecting_ends_by_count_by_key_or_by_patience(
    pressed: str, count: int, collected: str
) -> None:
    got = []

    async def phone(call: PhoneCall) -> None:
        await call.answer()
        got.append(await call.collect(count=count, seconds=5))

    async def type_digits(caller: Caller) -> None:
        assert caller.line is not None
        caller.line.press(pressed)

    play_out(phone, until_answered, type_digits)
    assert got[0] == collected


def test_a_caller_without_telephone_events_cannot_be_pressed_at() -> None:
    async def phone(call: PhoneCall) -> None:
        await call.answer()
        await call.press("1")

    async def main() -> Caller:
        caller = Caller(phone)
        plain = LocalMedia("192.0.2.9", 5000, (PCMU,), 1)
        caller.offer = offer(plain)
        caller.dial()
        await caller.task
        return caller

    assert "telephone-events" in virtually(main).only(events.Failed).error


# ── media negotiation ────────────────────────────────────────────────────────


def test_an_offer_without_a_common_codec_is_refused() -> None:
    async def main() -> Caller:
        caller = Caller(phones.listener, codecs=(Codec("G729", 18, 8000),))
        caller.dial()
        await caller.task
        return caller

    caller = virtually(main)
    assert caller.signals == ["488"]
    assert caller.wire.closed


def test_an_unreadable_offer_is_refused() -> None:
    async def main() -> Caller:
        caller = Caller(phones.listener)
        caller.dial(b"not a description")
        await caller.task
        return caller

    assert virtually(main).signals == ["400"]


def test_a_phone_that_speaks_alaw_only_is_answered_in_it() -> None:
    caller = play_out(phones.alaw_phone, until_answered, after(2), hang_up)
    assert caller.only(events.Answered).codec == "PCMA"
    assert caller.line is not None
    assert caller.line.ear.heard().tone_hz == pytest.approx(1000, abs=1)


def test_early_media_is_heard_before_the_answer_and_repeated_in_it() -> None:
    caller = play_out(phones.early_talker, until_answered, after(2), hang_up)
    assert caller.signals == ["183", "200"]
    assert caller.times_of(events.Answered) == [pytest.approx(2.0, abs=0.05)]
    assert caller.line is not None
    assert caller.line.ear.heard().audible_seconds == pytest.approx(4, abs=0.2)


def test_an_invite_without_an_offer_gets_ours_and_starts_with_the_ack() -> None:
    async def main() -> Caller:
        caller = Caller(phones.listener)
        caller.dial(b"")
        await caller.answered.wait()
        assert "answered" not in kinds(caller)
        theirs, _ = answer(caller.local, caller._bodies[0])
        caller.call.acknowledged(theirs.serialise())
        await asyncio.sleep(1)
        caller.hangs_up()
        await caller.task
        return caller

    caller = virtually(main)
    assert caller.only(events.Answered).media == "192.0.2.9:5000"
    assert caller.only(events.Ended).packets_sent > 40


def test_an_ack_after_the_end_starts_nothing() -> None:
    async def main() -> Caller:
        caller = Caller(phones.listener)
        caller.dial(b"")
        await caller.answered.wait()
        theirs, _ = answer(caller.local, caller._bodies[0])
        caller.hangs_up()
        caller.call.acknowledged(theirs.serialise())
        await caller.task
        return caller

    assert virtually(main).wire.phone is None


def test_an_ack_with_a_useless_answer_ends_the_call() -> None:
    async def main() -> Caller:
        caller = Caller(phones.listener)
        caller.dial(b"")
        await caller.answered.wait()
        caller.call.acknowledged(b"")
        await caller.task
        return caller

    caller = virtually(main)
    assert caller.signals == ["200", "BYE"]
    assert "answer" in caller.only(events.Ended).reason


def test_a_held_phone_keeps_quiet_until_it_is_resumed() -> None:
    async def hold(caller: Caller) -> None:
        held = offer(LocalMedia("192.0.2.9", 5000, (PCMU,), 1, 2, direction="sendonly"))
        caller.call.offered(3, held.serialise())
        assert caller.line is not None
        before = caller.line.received
        await asyncio.sleep(5)
        assert caller.line.received == before
        caller.call.offered(4, caller.offer.serialise())
        await asyncio.sleep(1)
        assert caller.line.received > before

    caller = play_out(phones.test_tone, until_answered, after(1), hold, hang_up)
    assert caller.signals == ["180", "200", "3:200", "4:200"]
    assert [e.direction for _, e in caller.told if isinstance(e, events.Held)] == [
        "recvonly",
        "sendrecv",
    ]
    versions = [SessionDescription.parse(body).origin.version for body in caller._bodies]
    assert versions == ["1", "2", "3"]


def test_a_later_offer_may_change_the_codec() -> None:
    async def change(caller: Caller) -> None:
        caller.offer = offer(LocalMedia("192.0.2.9", 5000, (PCMA,), 1, 2))
        caller.call.offered(3, caller.offer.serialise())
        assert caller.line is not None
        caller.line.codecs = LineCodecs.of(accept_answer(caller.offer, caller._bodies[-1]))
        assert caller.line.codecs.law.name == "PCMA"
        before = caller.line.received
        await asyncio.sleep(1)
        assert caller.line.received == pytest.approx(before + 50, abs=2)

    play_out(phones.test_tone, until_answered, after(1), change, hang_up)


def test_a_later_offer_that_cannot_be_taken_changes_nothing() -> None:
    async def bad_offer(caller: Caller) -> None:
        caller.call.offered(3, b"v=0\r\nm=video 4000 RTP/AVP 31\r\n")
        await asyncio.sleep(1)

    caller = play_out(phones.listener, until_answered, bad_offer, hang_up)
    assert caller.signals == ["200", "3:488"]


# ── the end ──────────────────────────────────────────────────────────────────


def test_a_caller_who_hangs_up_cancels_the_script_where_it_waits() -> None:
    reached: list[str] = []

    async def phone(call: PhoneCall) -> None:
        await call.answer()
        try:
            await call.listen()
            reached.append("never")
        finally:
            reached.append("tidied")

    caller = play_out(phone, until_answered, after(3), hang_up)
    assert reached == ["tidied"]
    assert kinds(caller).count("ended") == 1
    assert caller.signals == ["200"]


def test_a_caller_who_gives_up_while_the_phone_picks_up_leaves_no_port_open() -> None:
    async def main() -> Caller:
        caller = Caller(phones.listener)
        opened = caller.wire

        async def slow() -> Wire:
            caller.hangs_up()
            return opened

        setattr(caller, "_open_port", slow)  # noqa: B010
        caller.dial()
        await caller.task
        return caller

    caller = virtually(main)
    assert caller.wire.closed
    assert caller.signals == []


def test_what_comes_after_the_end_changes_nothing() -> None:
    async def late(caller: Caller) -> None:
        caller.hangs_up()
        caller.hangs_up()
        caller.call.acknowledged(b"late")
        caller.call.offered(5, caller.offer.serialise())
        caller.call.leave("network", "late")

    caller = play_out(phones.listener, until_answered, late)
    assert caller.signals == ["200", "5:491"]
    assert kinds(caller).count("ended") == 1


def test_a_network_that_stops_hangs_up() -> None:
    async def main() -> Caller:
        caller = Caller(phones.listener)
        caller.dial()
        await caller.answered.wait()
        caller.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller.task
        return caller

    caller = virtually(main)
    assert caller.signals == ["200", "BYE"]
    assert caller.only(events.Ended).by == "network"


def test_lost_packets_are_heard_as_gaps_and_counted() -> None:
    async def lossy(caller: Caller) -> None:
        assert caller.line is not None
        assert caller.wire.phone is not None
        caller.say(tone(440), 10)
        await asyncio.sleep(2)
        caller.wire.caller = None
        for _ in range(3):
            caller.line.next_packet()
        caller.wire.caller = caller.line
        await asyncio.sleep(2)

    caller = play_out(phones.listener, until_answered, lossy, hang_up)
    ended = caller.only(events.Ended)
    assert ended.lost == 3
    assert (ended.heard.gaps, ended.heard.longest_gap_ms) == (1, 60)


@pytest.fixture(autouse=True)
def no_real_time() -> Iterator[None]:
    """Every test here runs on the virtual loop; none may be left set."""
    yield
    assert asyncio.events._get_running_loop() is None
