"""A media engine that records and obeys: its answers are shaped as str0m's are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from switchroom.media import (
    EngineStats,
    LocalTransport,
    PeerError,
    PeerKind,
    PeerStats,
    Source,
)

_REVERSED = {
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "sendrecv": "sendrecv",
    "inactive": "inactive",
}


class FakeSink:
    """What one mid of one peer is sent."""

    def __init__(self) -> None:
        self.inputs: dict[Any, float] = {}

    def set_inputs(self, inputs: Mapping[Any, float]) -> None:
        self.inputs = dict(inputs)


@dataclass(eq=False)
class FakePeer:
    """One peer: `event` tells its session what happened."""

    id: int
    kind: PeerKind
    event: Callable[[Any], None]
    sinks: dict[str, FakeSink] = field(default_factory=dict)
    offers: list[str] = field(default_factory=list)
    answers: list[tuple[str, str, str, str]] = field(default_factory=list)
    payload_types: dict[str, Mapping[str, int]] = field(default_factory=dict)
    candidates: list[str] = field(default_factory=list)
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    restarts: int = 0
    closed: bool = False
    refuse: bool = False

    async def accept_offer(self, sdp: str) -> str:
        self.offers.append(sdp)
        if self.refuse:
            raise PeerError("bad offer")
        return answer_to(sdp)

    async def describe(self) -> LocalTransport:
        return LocalTransport(f"u{self.restarts}", "p" * 22, "sha-256 AA:BB", ())

    def declare_sender(self, mid: str) -> int:
        return 1000 + len(self.payload_types) + len(mid)

    def renew_sender(self, mid: str) -> int:
        self.renewed.append(mid)
        return 2000 + len(self.renewed)

    async def apply_answer(self, ufrag: str, pwd: str, fingerprint: str, setup: str) -> None:
        self.answers.append((ufrag, pwd, fingerprint, setup))

    async def restart_ice(self) -> LocalTransport:
        self.restarts += 1
        return await self.describe()

    def set_sender_payload_types(self, mid: str, types: Mapping[str, int]) -> None:
        self.payload_types[mid] = types

    def add_remote_candidate(self, candidate: str) -> None:
        self.candidates.append(candidate)

    def receive(self, mid: str) -> Source:
        """The source of a section: peer and mid make its number."""
        return Source(1000 * (self.id + 1) + int(mid))

    def send(self, mid: str) -> FakeSink:
        return self.sinks.setdefault(mid, FakeSink())

    def send_data(self, label: str, payload: bytes) -> None:
        self.sent.append((label, payload))

    def close(self) -> None:
        self.closed = True


class FakeEngine:
    """Hands out peers and keeps them for the test to look at."""

    def __init__(self) -> None:
        self.peers: list[FakePeer] = []
        self.broken = False
        self.counted: dict[int, PeerStats] = {}
        self.may_open = asyncio.Event()
        self.may_open.set()

    async def open_peer(self, kind: PeerKind, on_event: Callable[[Any], None]) -> FakePeer:
        if self.broken:
            raise PeerError("no engine")
        await self.may_open.wait()
        self.peers.append(FakePeer(len(self.peers), kind, on_event))
        return self.peers[-1]

    def count(self, peer: FakePeer, **totals: Any) -> None:
        """What `stats` tells of a peer from now on: totals since it was opened, zero by default."""
        counts: Any = dict.fromkeys(PeerStats.__dataclass_fields__, 0)
        self.counted[peer.id] = PeerStats(**{**counts, "peer": peer.id, **totals})

    async def stats(self) -> EngineStats:
        return EngineStats((), tuple(self.counted.values()), 0, 0, 0, 0)


def answer_to(offer: str) -> str:
    """An answer with the offer's sections, sending wherever the offer lets it."""
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE"]
    for line in offer.split("\r\n"):
        if line.startswith("m="):
            kind, _, protocol, first, *_ = line[2:].split()
            lines += [f"m={kind} 9 {protocol} {first}", "c=IN IP4 0.0.0.0"]
            lines += ["a=ice-ufrag:srv", "a=ice-pwd:" + "x" * 22, "a=setup:passive"]
            if kind == "audio":
                lines += [f"a=rtpmap:{first} opus/48000/2", f"a=fmtp:{first} minptime=10"]
        elif line.startswith("a=mid:"):
            lines.append(line)
        elif line[2:] in _REVERSED:
            lines.append(f"a={_REVERSED[line[2:]]}")
            if _REVERSED[line[2:]] in ("sendonly", "sendrecv"):
                lines.append("a=msid:random random")
    return "\r\n".join(lines) + "\r\n"


def client_offer(*sections: tuple[str, str, str], data: bool = True) -> str:
    """A client's offer: (mid, direction, cid) of each audio section."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    for mid, direction, cid in sections:
        lines += ["m=audio 9 UDP/TLS/RTP/SAVPF 111 0", f"a=mid:{mid}", f"a={direction}"]
        lines += ["a=rtpmap:111 opus/48000/2", "a=ice-ufrag:cli", "a=ice-pwd:" + "y" * 22]
        if cid:
            lines.append(f"a=msid:- {cid}")
    if data:
        lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:dc"]
    return "\r\n".join(lines) + "\r\n"


def client_answer(offer: str, *, ufrag: str = "cli", payload_types: str = "111 0 8 9") -> str:
    """A client's answer to our subscriber offer."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    for line in offer.split("\r\n"):
        if line.startswith("m="):
            kind, _, protocol, first, *_ = line[2:].split()
            formats = payload_types if kind == "audio" else first
            lines += [f"m={kind} 9 {protocol} {formats}", f"a=ice-ufrag:{ufrag}"]
            lines += ["a=ice-pwd:" + "y" * 22, "a=fingerprint:sha-256 CC:DD", "a=setup:active"]
            if kind == "audio":
                lines += ["a=rtpmap:111 opus/48000/2", "a=rtpmap:0 PCMU/8000"]
                lines += ["a=rtpmap:8 PCMA/8000", "a=rtpmap:9 G722/8000"]
        elif line.startswith("a=mid:"):
            lines.append(line)
        elif line in ("a=sendonly", "a=inactive"):
            lines.append("a=recvonly" if line == "a=sendonly" else "a=inactive")
    return "\r\n".join(lines) + "\r\n"
