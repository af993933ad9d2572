from __future__ import annotations

import pytest

from switchroom.rooms.info import ParticipantKind as Kind
from switchroom.rooms.local import Companion
from switchroom.telephony.inbound.company import can_be_heard


def somebody(
    kind: Kind, *, publishes: bool = True, sounds: bool = True, **attributes: str
) -> Companion:
    named = {f"sip.{name}": value for name, value in attributes.items()}
    return Companion("x", kind, named, publishes, sounds)


@pytest.mark.parametrize(
    ("other", "heard"),
    [
        (somebody(Kind.AGENT), True),
        (somebody(Kind.STANDARD, sounds=False), True),
        (somebody(Kind.STANDARD, publishes=False, sounds=False), False),
        (somebody(Kind.SIP, sounds=False, ruleID="SDR_1"), True),
        (somebody(Kind.SIP, publishes=False, sounds=False, ruleID="SDR_1"), True),
        (somebody(Kind.SIP, sounds=False, callStatus="dialing"), False),
        (somebody(Kind.SIP, sounds=True, callStatus="active"), True),
        (somebody(Kind.SIP, sounds=True, callStatus="dialing"), True),
    ],
)
def test_who_counts_as_somebody_to_talk_to(other: Companion, heard: bool) -> None:
    assert can_be_heard([other]) is heard


def test_one_is_enough_and_nobody_is_not() -> None:
    silent = somebody(Kind.STANDARD, publishes=False)
    assert can_be_heard([silent, somebody(Kind.AGENT)])
    assert not can_be_heard([])
