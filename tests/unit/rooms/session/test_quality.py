"""How well a client is connected, from what was lost."""

from __future__ import annotations

import pytest
from livekit.protocol import models

from switchroom.media import Disconnected
from switchroom.rooms.info import ConnectionQuality
from switchroom.rooms.session.quality import INTERVAL, Counts, Gauge
from unit.rooms.clients import Client, Door

EXCELLENT, GOOD, POOR = (
    ConnectionQuality.EXCELLENT,
    ConnectionQuality.GOOD,
    ConnectionQuality.POOR,
)


@pytest.mark.parametrize(
    ("counts", "quality"),
    [
        (Counts(rtp_in=250, rtp_out=250), EXCELLENT),
        (Counts(rtp_in=245, lost_in=5), EXCELLENT),
        (Counts(rtp_in=235, lost_in=15), GOOD),
        (Counts(rtp_in=200, lost_in=50), POOR),
        (Counts(rtp_out=250, lost_out=15), GOOD),
        (Counts(rtp_out=250, lost_out=250), POOR),
        (Counts(rtp_out=20, lost_out=20), EXCELLENT),
        (Counts(lost_in=250), POOR),
        (Counts(round_trip=0.4), GOOD),
        (Counts(round_trip=0.7), POOR),
    ],
)
def test_loss_either_way_and_delay_are_what_counts(
    counts: Counts, quality: ConnectionQuality
) -> None:
    assert Gauge().judge(counts) is quality


def test_it_gets_worse_at_once_and_better_step_by_step() -> None:
    gauge = Gauge()
    assert gauge.judge(Counts(rtp_in=200, lost_in=50)) is POOR
    assert [gauge.judge(Counts(rtp_in=200 + n * 250, lost_in=50)) for n in (1, 2, 3)] == [
        GOOD,
        EXCELLENT,
        EXCELLENT,
    ]


def test_a_section_that_counts_from_zero_again_is_no_loss() -> None:
    gauge = Gauge()
    gauge.judge(Counts(rtp_out=1000, lost_out=5))
    assert gauge.judge(Counts(rtp_out=1250, lost_out=0)) is EXCELLENT


async def seen_by(client: Client, sid: str) -> list[int]:
    await client.listen()
    return [
        update.quality
        for message in client.heard
        for update in message.connection_quality.updates
        if update.participant_sid == sid
    ]


@pytest.mark.parametrize("single", [True, False])
async def test_everybody_is_told_whose_connection_got_worse_and_better(
    door: Door, single: bool
) -> None:
    ann, bob = await door.join("ann"), await door.join("bob", single=single)
    sid = door.house.rooms.get_participant("r", "bob").sid
    door.engine.count(bob.peers[-1], rtp_out=250, lost_out=50)
    await door.house.time.pass_(INTERVAL)
    door.engine.count(bob.peers[-1], rtp_out=500, lost_out=50)
    await door.house.time.pass_(INTERVAL)
    for client in (ann, bob):
        assert (await seen_by(client, sid))[-2:] == [models.POOR, models.GOOD]


async def test_a_lost_client_stays_lost_whatever_was_counted(door: Door) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    sid = door.house.rooms.get_participant("r", "bob").sid
    await door.house.time.pass_(INTERVAL - 1)
    bob.peer.event(Disconnected())
    await door.house.time.pass_(1)
    assert (await seen_by(ann, sid))[-1] == models.LOST


async def test_nothing_is_measured_when_nobody_is_there(door: Door) -> None:
    before = door.house.time.pending
    ann = await door.join("ann")
    ann.link.lost()
    await door.house.rooms.delete("r")
    await door.house.time.pass_(INTERVAL)
    assert door.house.time.pending == before
