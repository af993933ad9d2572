"""The carrier with a SIP session in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from switchroom.phonenet import carrier as carrier_module, events
from switchroom.phonenet.carrier import Carrier, Login
from switchroom.phonenet.directory import Directory, Phone
from switchroom.phonenet.media_port import UdpMediaPort
from switchroom.phonenet.messages import MessageFolder
from switchroom.phonenet.orders import CallOrder, OrderError
from switchroom.phonenet.phones import PHONES
from switchroom.phonenet.script import PhoneCall
from switchroom.sdp.codecs import PCMU, telephone_event
from switchroom.sdp.offer_answer import LocalMedia, answer, offer
from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import (
    Acknowledged,
    Answered,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    InviteSession,
    OutgoingInvite,
    Provisional,
    SessionEvent,
    SipFailure,
)
from switchroom.sip.message import Request

OFFER = offer(LocalMedia("127.0.0.1", 9, (PCMU,), 1)).serialise()


class Session:
    """Takes down what the carrier does with it."""

    call_id = "x@test"
    remote = "127.0.0.1:5060"
    replaces: str | None = None

    def __init__(self) -> None:
        self.done: list[str] = []
        self.headers: dict[str, str] = {}
        self.over = asyncio.Event()

    def ring(self, status: int = 180, headers: object = (), body: bytes = b"") -> None:
        self.done.append(str(status))

    def answer(self, body: bytes, headers: object = ()) -> None:
        self.done.append("200")

    def reject(
        self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.done.append(str(status))
        self.headers = dict(headers)
        self.over.set()

    def bye(self, headers: object = ()) -> None:
        self.done.append("BYE")
        self.over.set()

    def cancel(self, headers: object = ()) -> None:
        self.done.append("CANCEL")
        self.over.set()

    def respond_offer(self, offer_id: int, status: int, reason: str, body: bytes = b"") -> None:
        self.done.append(f"{offer_id}:{status}")

    def offer(self, body: bytes) -> None: ...

    def refer(self, refer_to: str, headers: object = ()) -> int:
        raise AssertionError("simulated phones do not transfer")

    def respond_refer(self, refer_id: int, status: int, reason: str = "") -> None:
        self.done.append(f"REFER {status}")

    def notify_refer(self, refer_id: int, status: int, reason: str = "") -> None:
        raise AssertionError("simulated phones take no transfer on")

    def snapshot(self) -> DialogSnapshot | None:
        return None


def invite(number: str, caller: str = '"Ann" <sip:ann@192.0.2.1>', body: bytes = OFFER) -> Request:
    fields = (
        ("From", f"{caller};tag=1"),
        ("To", f"<sip:{number}@127.0.0.1>"),
        ("Call-ID", "x@test"),
        ("X-Ticket", "7"),
        ("Subject", "no"),
    )
    return Request("INVITE", f"sip:{number}@127.0.0.1", fields, body)


class World:
    """Whom the phones call: takes their INVITEs and says what the test wants."""

    def __init__(self) -> None:
        self.invites: list[OutgoingInvite] = []
        self.session = Session()
        self.called = asyncio.Event()
        self.says: Callable[[SessionEvent], None]

    def invite(
        self, invite: OutgoingInvite, on_event: Callable[[SessionEvent], None]
    ) -> InviteSession:
        self.invites.append(invite)
        self.says = on_event
        self.called.set()
        return self.session

    def advertised_address_towards(self, host: str) -> str:
        return "127.0.0.1"


class Office:
    """A carrier and everything it reported."""

    def __init__(self, *phones: Phone, login: Login | None = None) -> None:
        self.told: list[events.Event] = []
        self.world = World()
        self.carrier = Carrier(
            Directory([*PHONES, *phones]),
            login or Login(),
            lambda _host: UdpMediaPort.open("127.0.0.1"),
            self.told.append,
            MessageFolder(Path("nowhere")),
            line=self.world,
        )

    def take(self, request: Request) -> tuple[Session, Callable[[SessionEvent], None]]:
        session = Session()
        return session, self.carrier.incoming(session, request, "192.0.2.1:5060")

    def ended(self) -> events.Ended:
        (found,) = [event for event in self.told if isinstance(event, events.Ended)]
        return found


async def test_a_call_is_reported_with_who_calls_and_its_own_headers() -> None:
    office = Office()
    session, _ = office.take(invite("+12025550111"))
    await session.over.wait()
    called = office.told[0]
    assert isinstance(called, events.Called)
    assert (called.caller, called.caller_name, called.number) == ("ann", "Ann", "+12025550111")
    assert called.headers == {"X-Ticket": "7"}
    assert session.done == ["486"]
    await office.carrier.aclose()


@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("486", 486),
        ("699", 699),
        ("399", 404),
        ("700", 404),
        ("4860", 404),
        ("٤٨٦", 404),
        ("x", 404),
    ],
)
async def test_a_number_of_three_digits_is_a_status(number: str, status: int) -> None:
    office = Office()
    session, _ = office.take(invite(number))
    await session.over.wait()
    assert session.done == [str(status)]
    await office.carrier.aclose()


@pytest.mark.parametrize("user", ["%2B12025550111", "+12025550111;phone-context=x", "12025550111"])
async def test_a_number_is_dialled_with_escapes_and_parameters_too(user: str) -> None:
    office = Office()
    session, _ = office.take(invite(user))
    await session.over.wait()
    assert session.done == ["486"]
    await office.carrier.aclose()


@pytest.mark.parametrize("number", ["401", "407", "+12025550117"])
async def test_a_locked_number_challenges_and_is_no_call(number: str) -> None:
    office = Office()
    session, _ = office.take(invite(number))
    assert session.done == ["407"]
    assert session.headers["Proxy-Authenticate"].startswith("Digest realm=")
    assert office.told == []
    await office.carrier.aclose()


async def test_the_end_by_cancel_is_the_callers() -> None:
    office = Office()
    _, tell = office.take(invite("+12025550110"))
    tell(Failed(SipFailure(FailureKind.CANCELLED)))
    assert (office.ended().by, office.ended().reason) == ("caller", "gave up")
    await office.carrier.aclose()
    assert office.carrier.running == 0


@pytest.mark.parametrize("kind", [Failed, DialogEnded])
async def test_a_broken_dialog_is_the_networks_end(
    kind: Callable[[SipFailure], SessionEvent],
) -> None:
    office = Office()
    _, tell = office.take(invite("+12025550110"))
    tell(kind(SipFailure(FailureKind.TIMED_OUT, reason="no ACK")))
    assert (office.ended().by, office.ended().reason) == ("network", "timed_out: no ACK")
    await office.carrier.aclose()


async def test_a_phone_that_hung_up_is_not_ended_twice() -> None:
    async def curt(call: PhoneCall) -> None:
        await call.answer()
        await call.hang_up()

    office = Office(Phone("1", "Curt", curt))
    session, tell = office.take(invite("1"))
    await session.over.wait()
    tell(Acknowledged(0, b""))
    tell(DialogEnded())
    assert session.done == ["200", "BYE"]
    assert office.ended().by == "phone"
    await office.carrier.aclose()


async def test_a_full_network_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier_module, "_MOST_CALLS", 2)
    office = Office()
    sessions = [office.take(invite("+12025550110"))[0] for _ in range(3)]
    assert sessions[2].done == ["486"]
    assert office.carrier.running == 2
    await office.carrier.aclose()
    assert [session.done[-1] for session in sessions[:2]] == ["480", "480"]
    assert office.carrier.running == 0


async def test_a_closing_network_hangs_up_where_somebody_talks() -> None:
    answered = asyncio.Event()

    async def chatty(call: PhoneCall) -> None:
        await call.answer()
        answered.set()
        await call.listen()

    office = Office(Phone("1", "Chatty", chatty))
    session, _ = office.take(invite("1"))
    await answered.wait()
    await office.carrier.aclose()
    assert session.done == ["200", "BYE"]
    assert office.ended().by == "network"


# ── phones that dial ─────────────────────────────────────────────────────────

ORDER = CallOrder("+15550000000", "127.0.0.1:5060", as_="echo", headers={"X-Ticket": "7"})


def answer_to(invite: OutgoingInvite) -> bytes:
    return answer(LocalMedia("127.0.0.1", 9, (PCMU, telephone_event()), 2), invite.body)[
        0
    ].serialise()


async def test_a_phone_dials_with_its_number_and_name_and_the_orders_headers() -> None:
    office = Office()
    office.carrier.place(ORDER)
    await office.world.called.wait()
    (invite,) = office.world.invites
    assert str(invite.from_) == "Echo <sip:+12025550101@127.0.0.1>"
    assert str(invite.request_uri) == str(invite.to.uri) == "sip:+15550000000@127.0.0.1:5060"
    assert invite.headers == (("X-Ticket", "7"),)
    assert invite.body
    dials = office.told[0]
    assert isinstance(dials, events.Dials)
    assert (dials.name, dials.number, dials.to) == ("Echo", "+15550000000", "127.0.0.1:5060")
    await office.carrier.aclose()
    assert office.world.session.done == ["CANCEL"]


async def test_a_phone_that_dialled_talks_once_it_is_answered_until_the_callee_hangs_up() -> None:
    office = Office()
    office.carrier.place(ORDER)
    await office.world.called.wait()
    office.world.says(Provisional(180, "Ringing", Headers(), b""))
    office.world.says(Answered(200, "OK", Headers(), answer_to(office.world.invites[0])))
    office.world.says(ByeReceived(Headers()))
    assert [event.kind for event in office.told] == ["dials", "ringing", "answered", "ended"]
    assert office.ended().by == "callee"
    await office.carrier.aclose()


async def test_a_phone_that_is_refused_says_by_which_status() -> None:
    office = Office()
    office.carrier.place(ORDER)
    await office.world.called.wait()
    office.world.says(Failed(SipFailure(FailureKind.REJECTED, 404, "No Trunk")))
    assert office.told[1] == events.Rejected(call="c1", status=404, reason="No Trunk")
    assert office.ended().reason == "refused (404)"
    await office.carrier.aclose()


async def test_an_answer_that_cannot_be_used_is_hung_up_on() -> None:
    office = Office()
    office.carrier.place(ORDER)
    await office.world.called.wait()
    office.world.says(Answered(200, "OK", Headers(), b"nonsense"))
    assert office.world.session.done == ["BYE"]
    assert office.ended().by == "network"
    await office.carrier.aclose()


@pytest.mark.parametrize("name", ["nobody", "+19999"])
async def test_nobody_dials_as_a_phone_that_is_not_there(name: str) -> None:
    office = Office()
    with pytest.raises(OrderError, match="there is no phone"):
        office.carrier.place(replace(ORDER, as_=name))
    assert not office.told
