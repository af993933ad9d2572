"""The four machines at work: what is sent when, to the millisecond, on virtual time."""

from __future__ import annotations

import pytest

from switchroom.sip.flows import Flow
from switchroom.sip.message import Request, Response
from switchroom.sip.timers import TimerQueue, Timing
from switchroom.sip.transactions.client import ClientTransaction
from switchroom.sip.transactions.invite_client import InviteClientTransaction
from switchroom.sip.transactions.invite_server import InviteServerTransaction
from switchroom.sip.transactions.machine import Failure, Input, State, Transaction
from switchroom.sip.transactions.non_invite_client import NonInviteClientTransaction
from switchroom.sip.transactions.non_invite_server import NonInviteServerTransaction
from switchroom.sip.transactions.server import ServerTransaction
from unit.sip.wire import THEM, US, a_call_to_us, reply


class Host:
    """Host and user of one transaction; notes everything with its time."""

    def __init__(self) -> None:
        self.timing = Timing()
        self.timers = TimerQueue()
        self.now = 0.0
        self.sent: list[tuple[float, str]] = []
        self.told: list[str] = []
        self.ended: list[Transaction] = []

    def send(self, flow: Flow, data: bytes, call_id: str) -> None:
        self.sent.append((round(self.now, 3), data.split(b"\r\n")[0].decode()))

    def terminated(self, transaction: Transaction) -> None:
        self.ended.append(transaction)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        self.told.append(str(response.status))

    def on_failure(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        self.told.append(failure.value)

    def on_ack(self, transaction: ServerTransaction, ack: Request, now: float) -> None:
        self.told.append("ACK")

    def on_server_failure(
        self, transaction: ServerTransaction, failure: Failure, now: float
    ) -> None:
        self.told.append(failure.value)

    def run(self, until: float) -> None:
        while (deadline := self.timers.deadline()) is not None and deadline <= until:
            self.now = deadline
            self.timers.run_due(deadline)
        self.now = until

    def times(self, start: str = "") -> list[float]:
        return [at for at, line in self.sent if line.startswith(start)]


def flow(transport: str) -> Flow:
    return Flow(transport, US, THEM, US)


def request(method: str) -> Request:
    return a_call_to_us(method=method, body=b"")


def client(host: Host, method: str, transport: str = "udp") -> ClientTransaction:
    kind = InviteClientTransaction if method == "INVITE" else NonInviteClientTransaction
    transaction = kind(host, flow(transport), request(method), host)
    transaction.start(0.0)
    return transaction


def server(host: Host, method: str, transport: str = "udp") -> ServerTransaction:
    kind = InviteServerTransaction if method == "INVITE" else NonInviteServerTransaction
    transaction = kind(host, flow(transport), request(method), host, "ours")
    transaction.start(0.0)
    return transaction


def answer(transaction: ClientTransaction, status: int, now: float) -> None:
    transaction.receive(reply(transaction.request, status), now)


# ── INVITE client ──


def test_an_invite_is_sent_at_0_and_then_doubling_from_half_a_second() -> None:
    host = Host()
    client(host, "INVITE")
    host.run(32)
    assert host.times() == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert host.told == ["timeout"]
    assert len(host.ended) == 1
    assert len(host.timers) == 0


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_the_timers_of_a_transaction_take_one_place_in_the_queue(method: str) -> None:
    host = Host()
    client(host, method)
    assert len(host.timers) == 1
    host.run(1)
    assert len(host.timers) == 1


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_woken_late_a_transaction_does_once_each_what_was_due_and_in_order(method: str) -> None:
    host = Host()
    client(host, method)
    host.run(31.4)
    sent = len(host.sent)
    host.now = 40
    host.timers.run_due(40)
    assert len(host.sent) == sent + 1
    assert host.told == ["timeout"]
    assert len(host.ended) == 1
    assert len(host.timers) == 0


def test_over_tcp_an_invite_is_sent_once_and_given_up_after_32_seconds() -> None:
    host = Host()
    client(host, "INVITE", "tcp")
    host.run(31.9)
    assert host.told == []
    host.run(32)
    assert host.times() == [0]
    assert host.told == ["timeout"]


def test_a_provisional_response_stops_all_timers_of_an_invite() -> None:
    host = Host()
    transaction = client(host, "INVITE")
    host.run(0.6)
    answer(transaction, 180, host.now)
    host.run(10_000)
    assert host.times() == [0, 0.5]
    assert transaction.state is State.PROCEEDING


def test_each_repeated_failure_gets_its_ack_for_32_seconds() -> None:
    host = Host()
    transaction = client(host, "INVITE")
    answer(transaction, 486, 0.0)
    for at in (0.5, 1.5):
        host.run(at)
        answer(transaction, 486, at)
    assert host.times("ACK") == [0, 0.5, 1.5]
    assert host.told == ["486"]
    host.run(31.9)
    assert transaction.state is State.COMPLETED
    host.run(32)
    assert transaction.over


def test_over_tcp_a_failed_invite_ends_at_once() -> None:
    host = Host()
    transaction = client(host, "INVITE", "tcp")
    answer(transaction, 486, 0.0)
    assert transaction.over
    assert host.times("ACK") == [0]
    assert len(host.timers) == 0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_each_2xx_reaches_the_user_for_32_seconds(transport: str) -> None:
    """RFC 6026 section 7.2, timer M."""
    host = Host()
    transaction = client(host, "INVITE", transport)
    for at in (1, 2, 31):
        host.run(at)
        answer(transaction, 200, at)
    assert host.told == ["200"] * 3
    host.run(33)
    assert transaction.over


# ── non-INVITE client ──


def test_another_request_doubles_up_to_four_seconds() -> None:
    host = Host()
    client(host, "BYE")
    host.run(32)
    assert host.times() == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert host.told == ["timeout"]
    assert len(host.timers) == 0


def test_a_provisional_response_slows_it_to_every_four_seconds() -> None:
    host = Host()
    transaction = client(host, "BYE")
    host.run(0.6)
    answer(transaction, 100, host.now)
    host.run(100)
    assert host.times() == [0, 0.5, 1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]
    assert host.told == ["100", "timeout"]


def test_a_final_response_is_told_once_and_kept_for_five_seconds() -> None:
    host = Host()
    transaction = client(host, "BYE")
    answer(transaction, 200, 0.0)
    answer(transaction, 200, 0.0)
    assert host.told == ["200"]
    assert transaction.ignored == 1
    host.run(4.9)
    assert transaction.state is State.COMPLETED
    host.run(5)
    assert transaction.over


# ── INVITE server ──


def test_100_is_sent_after_200_ms_unless_the_user_was_quicker() -> None:
    host = Host()
    transaction = server(host, "INVITE")
    host.run(1)
    assert host.sent == [(0.2, "SIP/2.0 100 Trying")]
    quick = Host()
    transaction = server(quick, "INVITE")
    transaction.respond(transaction.response(180), 0.1)
    quick.run(1)
    assert len(quick.sent) == 1


def test_a_failure_is_repeated_doubling_up_to_four_seconds_until_its_ack() -> None:
    host = Host()
    transaction = server(host, "INVITE")
    transaction.respond(transaction.response(486), 0.0)
    host.run(20)
    assert host.times() == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5]
    assert isinstance(transaction, InviteServerTransaction)
    transaction.acknowledged(request("ACK"), 20)
    transaction.repeated(20)
    host.run(24.9)
    assert transaction.state is State.CONFIRMED
    host.run(25)
    assert transaction.over
    assert len(host.sent) == 8


def test_a_failure_never_acknowledged_is_given_up_after_32_seconds() -> None:
    host = Host()
    transaction = server(host, "INVITE")
    transaction.respond(transaction.response(486), 0.0)
    host.run(100)
    assert host.told == ["timeout"]
    assert host.times()[-1] == 31.5


def test_a_repeated_invite_gets_the_last_response_again_but_not_the_2xx() -> None:
    host = Host()
    transaction = server(host, "INVITE")
    transaction.repeated(0.0)
    transaction.respond(transaction.response(180), 0.0)
    transaction.repeated(0.1)
    transaction.respond(transaction.response(200), 0.1)
    transaction.repeated(0.2)
    assert [line[8:11] for _, line in host.sent] == ["180", "180", "200"]
    # Timer L: 64*T1, and up to a quarter of a second in which others are forgotten as well.
    host.run(32.1)
    assert not transaction.over
    host.run(32.25)
    assert transaction.over


def test_over_tcp_a_failure_is_sent_once_but_waits_for_its_ack() -> None:
    host = Host()
    transaction = server(host, "INVITE", "tcp")
    transaction.respond(transaction.response(486), 0.0)
    host.run(31)
    assert host.times() == [0]
    assert isinstance(transaction, InviteServerTransaction)
    transaction.acknowledged(request("ACK"), 31)
    assert transaction.over


def test_a_transport_error_is_told_and_the_invite_server_stays() -> None:
    """RFC 6026 section 7.1."""
    host = Host()
    transaction = server(host, "INVITE")
    transaction.respond(transaction.response(180), 0.0)
    transaction.transport_failed("gone", 0.1)
    assert host.told == ["transport"]
    assert transaction.error == "gone"
    assert transaction.state is State.PROCEEDING


# ── non-INVITE server ──


def test_the_answer_is_repeated_for_32_seconds_when_the_request_is() -> None:
    host = Host()
    transaction = server(host, "BYE")
    transaction.repeated(0.0)
    transaction.respond(transaction.response(200), 0.0)
    transaction.respond(transaction.response(500), 0.0)
    transaction.repeated(0.5)
    assert [line[8:11] for _, line in host.sent] == ["200", "200"]
    assert transaction.ignored == 1
    host.run(31.9)
    assert not transaction.over
    host.run(32)
    assert transaction.over


def test_over_tcp_an_answered_request_ends_at_once() -> None:
    host = Host()
    transaction = server(host, "BYE", "tcp")
    transaction.respond(transaction.response(200), 0.0)
    assert transaction.over
    assert len(host.timers) == 0


def test_a_slow_answer_gets_a_100_ahead_after_three_and_a_half_seconds() -> None:
    host = Host()
    transaction = server(host, "BYE")
    host.run(10)
    assert host.sent == [(3.5, "SIP/2.0 100 Trying")]
    transaction.repeated(10)
    assert len(host.sent) == 2


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_inputs_without_a_cell_are_counted_and_change_nothing(method: str) -> None:
    for make in (client, server):
        host = Host()
        transaction = make(host, method)
        before = (transaction.state, len(host.sent))
        inputs = [event for event in Input if (transaction.state, event) not in transaction.table]
        for event in inputs:
            transaction.feed(event, 0.0)
        assert (transaction.state, len(host.sent)) == before
        assert transaction.ignored == len(inputs)
        assert host.told == []


def test_responses_are_matched_by_branch_and_method_and_acks_by_the_invite() -> None:
    host = Host()
    transaction = client(host, "INVITE")
    assert transaction.key == (transaction.request.branch, "INVITE")
    answer(transaction, 486, 0.0)
    ack = host.sent[-1][1]
    assert ack == "ACK sip:alice@192.0.2.1 SIP/2.0"
