"""Whatever happens, in whichever order: a call ends once, and everybody is told once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest

from switchroom.rooms.reasons import DisconnectReason
from switchroom.sdp.codecs import PCMA, PCMU, telephone_event
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import (
    Acknowledged,
    Answered,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    InfoReceived,
    OfferReceived,
    Provisional,
    ReferAnswered,
    ReferNotified,
    SipFailure,
)
from switchroom.telephony.calls import call_events as do
from switchroom.telephony.calls.call import CallPlan, Machine, Phase, Wire
from switchroom.telephony.calls.leg_description import LegDescription
from switchroom.telephony.calls.transfer import TransferAbandoned, TransferPlan, TransferWanted
from switchroom.telephony.inbound import inbound_events as desk, reception
from switchroom.telephony.inbound.fallback import Forward, Redirect, Refuse
from switchroom.telephony.outbound import dial_events as dial, dialling

_WALKS = 1000
_LEG = LegDescription.offering(("192.0.2.1", 10000), (PCMU, PCMA, telephone_event()), 42)
_GUEST = do.Guest("room", "phone", attributes={"sip.callStatus": "ringing"})
_PLAN = CallPlan(max_duration=600.0, first_silence=30.0, silence=15.0, allow_refer=True)
_NONE = Headers()


def _sdp(codecs: str = "0 101", direction: str = "sendrecv") -> bytes:
    return (
        "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
        f"m=audio 4000 RTP/AVP {codecs}\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    ).encode()


_BODIES = (_sdp(), _sdp("0"), _sdp("18"), _sdp(direction="sendonly"), b"", b"no SDP")


def _events(fate: random.Random, now: float) -> tuple[Callable[[], object], ...]:
    """All that can happen; each is made when it is chosen."""
    until = now + fate.random() * 30
    body, number = fate.choice(_BODIES), fate.choice((1, 1, 2))
    failure = SipFailure(fate.choice(list(FailureKind)), fate.choice((None, 486, 488, 503)))
    transfer = TransferPlan("STR_1", "tel:1", "tel:1", until, play_dialtone=fate.random() < 0.5)
    news, over = fate.choice((None, 100, 200, 486)), fate.random() < 0.3
    return (
        do.Joined, lambda: do.JoinRefused("full"), do.AnswerStored, do.MediaStarted, do.MediaLost,
        do.DigitsPlayed, lambda: do.DigitFromPhone(fate.choice("12#")), do.Stopping, do.Abandoned,
        lambda: do.DigitsFromRoom("5"), lambda: do.RoomClosed(DisconnectReason.ROOM_DELETED),
        do.DeadlineReached, do.EndWanted, lambda: do.TakenOver(body), TransferAbandoned,
        lambda: TransferWanted(transfer), lambda: ReferAnswered(number, 202, "", _NONE),
        lambda: ReferAnswered(number, 603, "", _NONE),
        lambda: ReferNotified(number, news, "", over, _NONE), lambda: Failed(failure),
        lambda: Answered(200, "", _NONE, body),
        lambda: Provisional(fate.choice((100, 180, 183)), "", _NONE, body),
        lambda: ByeReceived(_NONE), DialogEnded, lambda: OfferReceived(1, body, _NONE),
        lambda: Acknowledged(fate.choice((0, 1)), body), dial.DialStored,
        lambda: InfoReceived("application/dtmf", _NONE, b"5"), lambda: dial.DialStored("disk full"),
        lambda: dial.Undialable("bad"), lambda: dial.WaiterJoined(until), desk.SomebodyHeard,
        desk.NobodyComes, desk.SoundPlayed, lambda: desk.ForwardFailed("busy"), desk.PinRefused,
        lambda: desk.PinAccepted(_GUEST),
    )  # fmt: skip


#: A call that goes well, whichever it is: a walk follows it for a while, and loses its way.
_WELL: tuple[object, ...] = (
    do.Joined(), dial.DialStored(), Provisional(180, "", _NONE, b""), desk.SomebodyHeard(),
    Answered(200, "", _NONE, _sdp()), Acknowledged(0, _sdp()), do.MediaStarted(),
    do.DigitsPlayed(), do.DigitFromPhone("1"), do.DigitFromPhone("#"), desk.PinAccepted(_GUEST),
    desk.SoundPlayed(), do.Joined(), TransferWanted(TransferPlan("STR_1", "tel:1", "tel:1", 30.0)),
    ReferAnswered(1, 202, "", _NONE),
)  # fmt: skip


def _outbound(fate: random.Random) -> tuple[Machine, Sequence[object]]:
    plan = dialling.DialPlan(
        _PLAN, _GUEST, (PCMU,),
        ringing_timeout=30.0,
        digits=fate.choice(("", "12")),
        play_dialtone=fate.random() < 0.5,
        durable_dial=fate.random() < 0.5,
        answer_by=fate.choice((None, 20.0)),
        early_media=fate.random() < 0.5,
    )  # fmt: skip
    return dialling.begin(plan, _LEG, 0.0)


def _inbound(fate: random.Random) -> tuple[Machine, Sequence[object]]:
    plan = reception.ReceptionPlan(
        _PLAN,
        fate.choice((_GUEST, None)),
        fate.choice(list(reception.AnswerWhen)),
        fallback=fate.choice((None, Forward("1"), Redirect("sip:a@b"), Refuse(480))),
    )
    late = fate.random() < 0.3
    leg, media = (_LEG, None) if late else _LEG.answering_first(_sdp())
    return reception.begin(plan, leg, media, 0.0)


class _Walk:
    """One call, from its first step until nothing more can happen."""

    def __init__(self, machine: Machine, commands: Sequence[object]) -> None:
        self.machine = machine
        self.commands = list(commands)
        self.now = 0.0

    def step(self, event: object) -> None:
        self.machine, commands = self.machine.step(event, self.now)
        self.commands += commands

    def is_possible(self, event: object) -> bool:
        if isinstance(event, do.Joined | do.JoinRefused):
            return self.machine.call.joining
        return not isinstance(event, do.DeadlineReached) or self.machine.deadline is not None

    def wander(self, fate: random.Random) -> None:
        well = iter(_WELL)
        for _ in range(fate.randrange(30)):
            goes_well = fate.random() < 0.85
            event = next(well, None) if goes_well else fate.choice(_events(fate, self.now))()
            if self.is_possible(event):
                due = self.machine.deadline
                if isinstance(event, do.DeadlineReached) and due is not None:
                    self.now = max(self.now, due)
                self.step(event)

    def run_out(self) -> None:
        """Nobody does anything any more; what was asked for is answered."""
        for _ in range(30):
            due = self.machine.deadline
            if due is None:
                break
            self.now = max(self.now, due)
            self.step(do.DeadlineReached())
        if self.machine.call.joining:
            self.step(do.Joined())
        call = self.machine.call
        if call.phase is Phase.ENDED and call.wire not in (Wire.IDLE, Wire.CLOSED):
            self.step(DialogEnded())

    @property
    def told(self) -> Counter[str]:
        return Counter(type(command).__name__ for command in self.commands)

    def shown(self) -> Iterator[do.CallStatus]:
        return (c.status for c in self.commands if isinstance(c, do.SetStatus))


@pytest.mark.parametrize("begin", [_outbound, _inbound])
def test_every_call_ends_once_and_leaves_nothing_behind(
    begin: Callable[[random.Random], tuple[Machine, Sequence[object]]],
) -> None:
    for seed in range(_WALKS):
        fate = random.Random(seed)
        walk = _Walk(*begin(fate))
        walk.wander(fate)
        walk.run_out()
        call, told = walk.machine.call, walk.told
        assert call.phase is Phase.ENDED, seed
        assert walk.machine.finished, seed
        assert (told["StoreEnd"], told["CloseLeg"]) == (1, 1), seed
        assert told["LeaveRoom"] <= 1, seed
        assert told["Bye"] + told["Cancel"] + told["Reject"] <= 1, seed
        assert told["ReportActive"] + told["ReportEnded"] == (begin is _outbound), seed
        assert told["Refer"] == told["ReportTransfer"], seed
        assert call.termination is not None, seed
        assert call.termination.was_active is (do.CallStatus.ACTIVE in walk.shown()), seed
