//! Counts of everything, for people and for tests that look for leaks.

use std::time::Duration;

use crate::audio::AudioCodec;
use crate::peer::PeerCounters;

/// What exists, and the counters of each leg.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Legs that are open.
    pub legs: Vec<LegStats>,
    /// WebRTC clients that are open.
    pub peers: Vec<PeerStats>,
    /// Players that were not stopped.
    pub players: usize,
    /// Sources that are open.
    pub sources: usize,
    /// Sinks that are open.
    pub sinks: usize,
    /// Datagrams at the WebRTC port that were for none of the clients.
    pub unknown_datagrams: u64,
}

/// Counters of one WebRTC client.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PeerStats {
    /// Its number.
    pub peer: u64,
    /// Its totals; zero once its connection has ended.
    pub counters: PeerCounters,
}

/// Counters of one leg.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LegStats {
    /// Its number.
    pub leg: u64,
    /// What came from the phone.
    pub received: LegCounters,
    /// RTP packets sent to it.
    pub packets_out: u64,
    /// Their payload bytes.
    pub bytes_out: u64,
    /// Packets among them that we made because none came from the source.
    pub filled_out: u64,
    /// Our packets that the phone reports as lost (RTCP).
    pub lost_out: i32,
    /// Their jitter as the phone reports it, in milliseconds.
    pub jitter_out_ms: Option<f64>,
    /// What the phone spoke last.
    pub codec_in: Option<AudioCodec>,
    /// What it is sent.
    pub codec_out: Option<AudioCodec>,
    /// What the jitter buffer adds by intent where the phone's sound is decoded.
    pub buffer_delay: Option<Duration>,
    /// Milliseconds of the phone's sound that were made up because they did not come in time, where
    /// it is decoded.
    pub concealed_ms: u64,
    /// Round trip by RTCP.
    pub round_trip: Option<Duration>,
    /// Since the last RTP packet came from the phone.
    pub last_packet_age: Option<Duration>,
}

/// What came on the ports of a leg.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LegCounters {
    /// RTP packets from the phone.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Packets that were sent to us and never came.
    pub lost: i64,
    /// Interarrival jitter (RFC 3550 §6.4.1) in milliseconds.
    pub jitter_ms: f64,
    /// Datagrams from addresses other than the phone's.
    pub strangers: u64,
    /// Datagrams that were neither RTP nor RTCP.
    pub malformed: u64,
    /// Datagrams that another key protects, or that came twice (SRTP).
    pub not_authentic: u64,
    /// RTP packets of payload types that were not negotiated.
    pub unknown_payload_type: u64,
}
