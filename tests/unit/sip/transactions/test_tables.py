"""Every cell of the four tables, against what the RFCs' figures say.

The expectations are written from RFC 3261 figures 5 to 8 and RFC 6026 section 7, not from the code.
A pair that is not named here must be no cell: the machine counts it and stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from switchroom.sip.transactions import (
    invite_client,
    invite_server,
    non_invite_client,
    non_invite_server,
)
from switchroom.sip.transactions.machine import Input, State, Table

Expected = Mapping[tuple[str, str], tuple[str, str]]
"""(state, input) → (next state, effects in order)."""

INVITE_CLIENT: Expected = {
    ("calling", "timer A"): ("calling", "resend, back off A"),
    ("calling", "timer B"): ("terminated", "report timeout"),
    ("calling", "abandon"): ("terminated", "report timeout"),
    # RFC 3263 section 4.3: another target is tried, this one is heard for a while.
    ("calling", "quiet"): ("calling", "stop timers, start B"),
    ("calling", "transport error"): ("terminated", "report transport error"),
    ("calling", "1xx"): ("proceeding", "stop timers, deliver"),
    ("calling", "2xx"): ("accepted", "stop timers, start M, deliver"),
    ("calling", "300-699"): ("completed", "stop timers, send ack, deliver, start D"),
    ("proceeding", "1xx"): ("proceeding", "deliver"),
    ("proceeding", "2xx"): ("accepted", "start M, deliver"),
    ("proceeding", "300-699"): ("completed", "send ack, deliver, start D"),
    ("proceeding", "abandon"): ("terminated", "report timeout"),
    ("completed", "300-699"): ("completed", "resend"),
    ("completed", "transport error"): ("terminated", "report transport error"),
    ("completed", "timer D"): ("terminated", ""),
    ("accepted", "2xx"): ("accepted", "deliver"),
    ("accepted", "timer M"): ("terminated", ""),
}

NON_INVITE_CLIENT: Expected = {
    ("trying", "timer E"): ("trying", "resend, back off E"),
    ("trying", "timer F"): ("terminated", "report timeout"),
    ("trying", "transport error"): ("terminated", "report transport error"),
    ("trying", "1xx"): ("proceeding", "deliver"),
    ("trying", "200-699"): ("completed", "stop timers, deliver, start K"),
    ("proceeding", "timer E"): ("proceeding", "resend, slow E"),
    ("proceeding", "timer F"): ("terminated", "report timeout"),
    ("proceeding", "transport error"): ("terminated", "report transport error"),
    ("proceeding", "1xx"): ("proceeding", "deliver"),
    ("proceeding", "200-699"): ("completed", "stop timers, deliver, start K"),
    ("completed", "timer K"): ("terminated", ""),
}

INVITE_SERVER: Expected = {
    ("proceeding", "request"): ("proceeding", "resend"),
    ("proceeding", "timer trying"): ("proceeding", "send 100"),
    ("proceeding", "1xx"): ("proceeding", "stop timers, send"),
    ("proceeding", "2xx"): ("accepted", "stop timers, send, start L"),
    ("proceeding", "300-699"): ("completed", "stop timers, send, start G, start H"),
    ("proceeding", "transport error"): ("proceeding", "report transport error"),
    ("completed", "request"): ("completed", "resend"),
    ("completed", "timer G"): ("completed", "resend, back off G"),
    ("completed", "timer H"): ("terminated", "report timeout"),
    ("completed", "ack"): ("confirmed", "stop timers, start I"),
    ("completed", "transport error"): ("completed", "report transport error"),
    ("confirmed", "ack"): ("confirmed", ""),
    ("confirmed", "request"): ("confirmed", ""),
    ("confirmed", "timer I"): ("terminated", ""),
    ("accepted", "request"): ("accepted", ""),
    ("accepted", "2xx"): ("accepted", "send"),
    ("accepted", "ack"): ("accepted", "deliver"),
    ("accepted", "timer L"): ("terminated", ""),
    ("accepted", "transport error"): ("accepted", "report transport error"),
}

NON_INVITE_SERVER: Expected = {
    ("trying", "request"): ("trying", ""),
    ("trying", "timer trying"): ("proceeding", "send 100"),
    ("trying", "200-699"): ("completed", "stop timers, send, start J"),
    ("proceeding", "request"): ("proceeding", "resend"),
    ("proceeding", "200-699"): ("completed", "stop timers, send, start J"),
    ("proceeding", "transport error"): ("terminated", "report transport error"),
    ("completed", "request"): ("completed", "resend"),
    ("completed", "timer J"): ("terminated", ""),
    ("completed", "transport error"): ("terminated", "report transport error"),
}

MACHINES = [
    pytest.param(invite_client, INVITE_CLIENT, id="invite client"),
    pytest.param(non_invite_client, NON_INVITE_CLIENT, id="non-invite client"),
    pytest.param(invite_server, INVITE_SERVER, id="invite server"),
    pytest.param(non_invite_server, NON_INVITE_SERVER, id="non-invite server"),
]


def in_words(table: Table) -> dict[tuple[str, str], tuple[str, str]]:
    return {
        (state.value, event.value): (after.value, ", ".join(effects))
        for (state, event), (after, effects) in table.items()
    }


@pytest.mark.parametrize(("machine", "expected"), MACHINES)
def test_every_pair_of_state_and_input_is_as_the_figures_say(
    machine: object, expected: Expected
) -> None:
    table: Table = machine.TABLE  # type: ignore[attr-defined]
    words = in_words(table)
    for state in State:
        for event in Input:
            pair = (state.value, event.value)
            assert words.get(pair) == expected.get(pair), pair


@pytest.mark.parametrize(("machine", "expected"), MACHINES)
def test_no_machine_leaves_its_own_states_and_none_comes_back_from_terminated(
    machine: object, expected: Expected
) -> None:
    states = {state.value for state in machine.STATES}  # type: ignore[attr-defined]
    for (state, _), (after, _) in expected.items():
        assert state in states
        assert after in states
        assert state != State.TERMINATED.value
    reachable = {after for after, _ in expected.values()}
    assert "terminated" in reachable
