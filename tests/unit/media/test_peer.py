"""The Python side of WebRTC peers; connections themselves are tested with real clients."""

from __future__ import annotations

import pytest

from switchroom.media import Engine, EngineConfig, PeerError, PeerEvent, PeerKind


def ignore(_: PeerEvent) -> None:
    """For events that nobody waits for."""


async def test_our_end_is_described_with_every_address(engine: Engine) -> None:
    peer = await engine.open_peer(PeerKind.OFFERER, ignore)
    described = await peer.describe()
    [(ip, port)] = engine.rtc_addresses
    assert len(described.ice_ufrag) >= 4
    assert len(described.ice_pwd) >= 22
    assert described.fingerprint.startswith("sha-256 ")
    assert [f" {ip} {port} typ host" in line for line in described.candidates] == [True]
    restarted = await peer.restart_ice()
    assert restarted.ice_ufrag != described.ice_ufrag
    assert restarted.fingerprint == described.fingerprint
    peer.close()


async def test_behind_a_nat_clients_are_told_the_public_address() -> None:
    public = {"127.0.0.1": "203.0.113.9"}
    engine = Engine(EngineConfig(("127.0.0.1",), 0, (45_200, 45_299), public))
    await engine.start()
    peer = await engine.open_peer(PeerKind.OFFERER, ignore)
    [candidate] = (await peer.describe()).candidates
    [(_, port)] = engine.rtc_addresses
    assert f" 203.0.113.9 {port} typ host" in candidate
    assert "127.0.0.1" not in candidate
    await engine.stop()


async def test_a_section_gets_another_ssrc_each_time_it_is_renewed(engine: Engine) -> None:
    peer = await engine.open_peer(PeerKind.OFFERER, ignore)
    ssrcs = {peer.declare_sender("0"), peer.renew_sender("0"), peer.renew_sender("0")}
    assert len(ssrcs) == 3
    peer.renew_sender("unknown")
    assert (await peer.describe()).ice_ufrag
    peer.close()


@pytest.mark.parametrize(
    "offer", ["", "hello", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n"]
)
async def test_a_bad_offer_is_refused_and_the_peer_lives_on(engine: Engine, offer: str) -> None:
    peer = await engine.open_peer(PeerKind.ANSWERER, ignore)
    with pytest.raises(PeerError):
        await peer.accept_offer(offer)
    assert [stats.peer for stats in (await engine.stats()).peers] == [peer.id]
    peer.close()


async def test_commands_for_the_other_kind_are_refused(engine: Engine) -> None:
    answerer = await engine.open_peer(PeerKind.ANSWERER, ignore)
    with pytest.raises(PeerError, match="not a command for this kind of peer"):
        await answerer.describe()
    offerer = await engine.open_peer(PeerKind.OFFERER, ignore)
    with pytest.raises(PeerError, match="not a command for this kind of peer"):
        await offerer.accept_offer("v=0\r\n")
    with pytest.raises(PeerError):
        await offerer.apply_answer("u", "p", "sha-256 nonsense", "active")


async def test_a_section_has_one_source_and_one_sink_however_often_they_are_asked_for(
    engine: Engine,
) -> None:
    peer = await engine.open_peer(PeerKind.OFFERER, ignore)
    assert peer.receive("0") == peer.receive("0") != peer.receive("1")
    assert peer.send("a_1") == peer.send("a_1")
    stats = await engine.stats()
    assert (stats.sources, stats.sinks) == (2, 1)
    peer.close()
    stats = await engine.stats()
    assert (stats.peers, stats.sources, stats.sinks) == ((), 0, 0)


@pytest.mark.parametrize("mid", ["", "a-b", "seventeen_letters", "ä", "0\n"])
async def test_a_mid_that_would_be_rewritten_is_refused(engine: Engine, mid: str) -> None:
    peer = await engine.open_peer(PeerKind.OFFERER, ignore)
    for refuse in (peer.receive, peer.send, peer.declare_sender):
        with pytest.raises(PeerError, match="not a usable mid"):
            refuse(mid)
    peer.close()


async def test_the_ssrc_of_a_section_is_one_that_rtp_allows(engine: Engine) -> None:
    peer = await engine.open_peer(PeerKind.OFFERER, ignore)
    sources = {peer.declare_sender(str(number)) for number in range(20)}
    assert len(sources) == 20
    assert all(0 < ssrc < 2**32 for ssrc in sources)
    peer.set_sender_payload_types("3", {"opus": 111, "PCMU": 0, "red": 63})
    peer.add_remote_candidate("candidate:1 1 udp 1 host.local 9 typ host")
    await peer.describe()
    peer.close()


async def test_a_channel_that_does_not_exist_is_refused(engine: Engine) -> None:
    peer = await engine.open_peer(PeerKind.OFFERER, ignore)
    peer.send_data("_lossy", b"into the void")
    with pytest.raises(PeerError, match="there is no data channel 'chat'"):
        peer.send_data("chat", b"x")
    assert (await engine.stats()).peers[0].data_dropped == 1
    peer.close()
