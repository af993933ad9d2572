//! What the engine tells.

use std::net::SocketAddr;

use crate::peer::{LocalTransport, PeerError, PeerEvent};
use crate::stats::{LegStats, Stats};

/// One piece of news.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Of a leg.
    Leg {
        /// The leg.
        leg: u64,
        /// What happened.
        event: LegEvent,
    },
    /// Of a WebRTC client.
    Peer {
        /// The client.
        peer: u64,
        /// What happened.
        event: PeerEvent,
    },
    /// The answer to a command with a `request`.
    PeerReply {
        /// The client.
        peer: u64,
        /// That of the command.
        request: u64,
        /// What was asked for, or why not.
        result: Result<PeerReply, PeerError>,
    },
    /// A player came to its end by itself.
    PlayerFinished {
        /// The player.
        player: u64,
    },
    /// A source began or ceased to be heard, or became louder or softer.
    Level {
        /// The leg or peer that the source belongs to.
        owner: u64,
        /// The source.
        source: u64,
        /// 0.0 to 1.0 in eighths.
        level: f32,
        /// Whether somebody speaks.
        active: bool,
    },
    /// The media thread has ended by a fault of ours: nothing works any more.
    EngineFailed {
        /// What broke.
        reason: String,
    },
    /// The answer to [`crate::command::Command::LegStats`]; none if there is no such leg.
    LegStats {
        /// That of the command.
        request: u64,
        /// The counts.
        stats: Option<Box<LegStats>>,
    },
    /// The answer to [`crate::command::Command::Stats`].
    Stats {
        /// That of the command.
        request: u64,
        /// The counts.
        stats: Box<Stats>,
    },
}

/// News of a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEvent {
    /// The phone's first packets came, or it moved; RTP now goes to where they came from.
    MediaStarted(SocketAddr),
    /// Nothing came for the time set by `media_timeout`. Told once for each silence.
    MediaTimedOut,
    /// A key was pressed and let go.
    DigitReceived {
        /// `0-9 * # a-d`.
        digit: char,
        /// How long, in milliseconds.
        duration_ms: u32,
    },
    /// All digits that were to be sent have been.
    DigitsSent,
    /// The answer to [`crate::command::Command::PlayOut`].
    PlayedOut,
}

/// What a command about a WebRTC client gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerReply {
    /// The answer to the client's offer.
    Answer(String),
    /// Our side of the transport.
    Transport(LocalTransport),
    /// It is done.
    Done,
}
