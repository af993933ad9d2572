"""A call that has ended is freed at once, with all its parts: it waits for no cyclic collector.

The server collects cycles seldom. Parts that hold each other would pile up until then.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from scenarios.carrier import answer_sdp
from scenarios.house import NUMBER, House
from scenarios.inbound_house import answered, called, comes, open_house, silence_players
from switchroom.media import Leg, Player
from switchroom.telephony.calls.call_books import CallBooks
from switchroom.telephony.calls.call_runner import CallRunner
from switchroom.telephony.calls.phone_seat import PhoneSeat
from switchroom.telephony.calls.phone_sound import PhoneSound
from switchroom.telephony.calls.transfer_desk import TransferDesk
from switchroom.telephony.routing.transfer_request import TransferRequest

PARTS = (Leg, Player, CallRunner, CallBooks, PhoneSeat, PhoneSound, TransferDesk)
"""What a call is made of, runner and desk and all."""
ELSEWHERE = "tel:+15105550142"


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Alive:
    """The parts of calls that were made in a scenario and are not freed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._made: list[weakref.ref[Any]] = []
        for part in PARTS:
            monkeypatch.setattr(part, "__init__", self._noting(part.__init__))

    def _noting(self, init: Callable[..., None]) -> Callable[..., None]:
        def noting(part: Any, *args: Any, **kwargs: Any) -> None:
            self._made.append(weakref.ref(part))
            init(part, *args, **kwargs)

        return noting

    @property
    def made(self) -> set[str]:
        """Names of the parts that still are there."""
        return {type(part).__name__ for ref in self._made if (part := ref()) is not None}


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> Alive:
    return Alive(monkeypatch)


def forget(house: House) -> None:
    """What the scenario's own people hold."""
    house.carrier.calls.clear()
    house.engine.legs.clear()
    house.engine.players.clear()
    house.forget_requests()


async def is_over(house: House) -> None:
    """The call has ended, and so have what it still wrote and its room."""
    await house.calm()
    await asyncio.sleep(60)
    assert not house.telephony.running.all
    forget(house)


async def answer_to(request: asyncio.Task[Any]) -> None:
    """Wait for it, and look at it: a fault that nobody has looked at is logged, and so held."""
    await asyncio.wait((request,))
    request.exception()


# ── calls that we place ──────────────────────────────────────────────────────


async def _up(house: House, **wishes: Any) -> None:
    house.call(**{"play_dialtone": True, **wishes})
    await house.calm()
    house.carrier.call.says(183, body=answer_sdp())
    house.carrier.call.answers()
    await house.calm()


async def we_hang_up(house: House) -> None:
    await _up(house)
    await house.rooms.delete("room")


async def it_hangs_up(house: House) -> None:
    await _up(house, wait_until_answered=True)
    house.carrier.call.hangs_up()


async def it_is_busy(house: House) -> None:
    waiting = house.call(wait_until_answered=True)
    await house.calm()
    house.carrier.call.refuses(486, "Busy Here")
    await answer_to(waiting)


async def it_rings_in_vain(house: House) -> None:
    house.call(play_dialtone=True)
    await house.calm()
    house.carrier.call.says(180)
    await house.rooms.delete("room")


async def the_request_is_given_up(house: House) -> None:
    waiting = house.call(wait_until_answered=True)
    await house.calm()
    waiting.cancel()


async def it_is_pressed_keys(house: House) -> None:
    await _up(house, dtmf="12w3")
    house.carrier.call.hangs_up()


async def it_is_played_keys(house: House) -> None:
    """It takes no telephone events, and hangs up before the last tone."""
    house.call(dtmf="12w3")
    await house.calm()
    house.carrier.call.answers(answer_sdp("0"))
    await house.calm()
    house.carrier.call.hangs_up()


async def it_says_no_codec_of_ours(house: House) -> None:
    house.call()
    await house.calm()
    house.carrier.call.answers(answer_sdp("18"))


async def it_is_transferred(house: House) -> None:
    await _up(house)
    request = _transfer(house)
    await house.calm()
    house.carrier.call.answers_refer(202)
    house.carrier.call.notifies(200, over=True)
    await answer_to(request)


async def its_transfer_fails(house: House) -> None:
    await _up(house)
    request = _transfer(house)
    await house.calm()
    house.carrier.call.answers_refer(603, "Decline")
    await answer_to(request)
    await house.rooms.delete("room")


async def it_hangs_up_while_it_is_transferred(house: House) -> None:
    await _up(house)
    request = _transfer(house)
    await house.calm()
    house.carrier.call.hangs_up()
    await answer_to(request)


def _transfer(house: House) -> asyncio.Task[Any]:
    request = TransferRequest(
        room_name="room",
        participant_identity=f"sip_{NUMBER}",
        transfer_to=ELSEWHERE,
        play_dialtone=True,
    )
    return asyncio.ensure_future(house.telephony.transfer(request))


@pytest.mark.parametrize(
    "goes",
    [
        *(we_hang_up, it_hangs_up, it_is_busy, it_rings_in_vain, the_request_is_given_up),
        *(
            it_is_pressed_keys,
            it_is_played_keys,
            it_says_no_codec_of_ours,
            it_is_transferred,
            its_transfer_fails,
        ),
        it_hangs_up_while_it_is_transferred,
    ],
)
async def test_a_call_that_we_placed_is_freed(
    house: House, alive: Alive, goes: Callable[[House], Awaitable[None]]
) -> None:
    await goes(house)
    await is_over(house)
    assert alive.made == set()


# ── calls that come in ───────────────────────────────────────────────────────


async def comes_and_hangs_up(house: House) -> None:
    caller = await answered(house)
    caller.hangs_up()


async def comes_and_is_hung_up(house: House) -> None:
    await answered(house)
    await house.rooms.delete("room")


async def comes_and_gives_up(house: House) -> None:
    caller = await called(house)
    caller.gives_up()


async def comes_and_never_acknowledges(house: House) -> None:
    caller = await called(house)
    await comes(house)
    await house.calm()
    caller.never_acknowledges()


@pytest.mark.parametrize(
    "goes",
    [comes_and_hangs_up, comes_and_is_hung_up, comes_and_gives_up, comes_and_never_acknowledges],
)
async def test_a_call_that_came_in_is_freed(
    alive: Alive, goes: Callable[[House], Awaitable[None]]
) -> None:
    async with open_house() as house:
        await goes(house)
        silence_players(house)
        await is_over(house)
        assert alive.made == set()
