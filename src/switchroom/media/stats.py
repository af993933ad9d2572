"""Counts of everything that exists in the engine."""

from __future__ import annotations

from typing import Any

from switchroom.base.records import record


@record
class LegStats:
    """Counters of one leg since it was opened."""

    leg: int
    packets_in: int
    """RTP packets from the phone."""
    bytes_in: int
    """Their payload bytes."""
    lost_in: int
    """Packets that the phone sent and that never came."""
    jitter_ms: float
    """Interarrival jitter (RFC 3550 §6.4.1)."""
    strangers: int
    """Datagrams from addresses other than the phone's."""
    malformed: int
    """Datagrams that were neither RTP nor RTCP."""
    unknown_payload_type: int
    """RTP packets of payload types that were not negotiated."""
    not_authentic: int
    """Datagrams that another key protects, or that came twice (SRTP)."""
    packets_out: int
    bytes_out: int
    """Their payload bytes."""
    filled_out: int
    """Packets among them that the engine made because none came from the source."""
    lost_out: int
    """Our packets that the phone reports as lost (RTCP)."""
    jitter_out_ms: float | None
    """Their jitter as the phone reports it (RTCP)."""
    codec_in: str | None
    """What the phone spoke last: ``PCMU``, ``PCMA``, ``G722`` or ``opus``."""
    codec_out: str | None
    """What it is sent; none on hold."""
    buffer_delay: float | None
    """Seconds that the jitter buffer adds by intent, where the phone's sound is decoded."""
    concealed_ms: int
    """Of the phone's sound made up because it did not come in time, where it is decoded."""
    round_trip: float | None
    """Seconds, by RTCP."""
    last_packet_age: float | None
    """Seconds since the last packet of the phone."""


@record
class PeerStats:
    """Counters of one peer since it was opened."""

    peer: int
    packets_in: int
    """Datagrams."""
    bytes_in: int
    packets_out: int
    bytes_out: int
    rtp_in: int
    rtp_out: int
    lost_in: int
    """RTP packets that the client sent and that never came."""
    lost_out: int
    """RTP packets of ours that the client reports as lost."""
    dropped: int
    """Datagrams and packets that were malformed, not authentic, late or undeliverable."""
    data_dropped: int
    """Lossy data messages for which there was no room."""
    round_trip: float | None
    """Seconds, by RTCP."""


@record
class EngineStats:
    """What is open, and the counters of each leg and peer."""

    legs: tuple[LegStats, ...]
    peers: tuple[PeerStats, ...]
    players: int
    sources: int
    sinks: int
    unknown_datagrams: int
    """Datagrams on the WebRTC port that belong to no peer."""


def engine_stats(counts: dict[str, Any]) -> EngineStats:
    """From the compiled engine's dictionary."""
    return EngineStats(
        legs=tuple(LegStats(**leg) for leg in counts["legs"]),
        peers=tuple(PeerStats(**peer) for peer in counts["peers"]),
        players=counts["players"],
        sources=counts["sources"],
        sinks=counts["sinks"],
        unknown_datagrams=counts["unknown_datagrams"],
    )
