//! WebRTC peers: one `Peer` per client connection, all of them behind one UDP port.
//!
//! [`PeerTable`] is the door: datagrams, time and commands go in; datagrams, RTP packets and events
//! come out in a [`PeersOutput`]. Inside it
//!
//! * `demux` finds the peer that a datagram belongs to (RFC 5764 §5.1.2, RFC 8445 §7.3),
//! * `paths` hides a client's changing address from str0m and sends to the newest proven one,
//! * `connection` drives one str0m `Rtc` (RTP mode, ICE-lite) and watches whether the client lives,
//! * `negotiation` and `offer` turn offers into answers, or serve a client that answers ours,
//! * `sender` numbers what we send per section, `receiver` names what we receive,
//! * `channels` queues data messages until SCTP takes them.
//!
//! Nothing in here reads a clock or opens a socket.

mod channels;
mod connection;
mod demux;
mod identity;
mod negotiation;
mod offer;
mod paths;
mod receiver;
mod sender;
mod table;

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::audio::{AudioCodec, AudioLevel};

pub use channels::ChannelLabel;
pub use connection::Peer;
pub use identity::Identity;
pub use negotiation::{LocalTransport, RemoteTransport};
pub use sender::OutgoingRtp;
pub use table::PeerTable;

/// Header extension id of `urn:ietf:params:rtp-hdrext:ssrc-audio-level` in what we offer.
pub const AUDIO_LEVEL_EXTENSION: u8 = 1;
/// Header extension id of `urn:ietf:params:rtp-hdrext:sdes:mid` in what we offer.
pub const MID_EXTENSION: u8 = 4;

/// Number of a peer, chosen by the caller and unique among the peers of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// Who writes the offers of a peer connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerKind {
    /// The client offers, we answer: publisher and single connections.
    Answerer,
    /// We offer, the client answers: the subscriber connection of two-connection clients.
    Offerer,
}

/// Name of a media section (RFC 5888), 1 to 16 letters, digits or underscores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mid(str0m::media::Mid);

impl Mid {
    /// Longer names and other characters would be rewritten silently by str0m, and the answer
    /// would name a section that the client never offered.
    ///
    /// # Errors
    /// [`PeerError::BadMid`] if the text is not such a name.
    pub fn parse(text: &str) -> Result<Self, PeerError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if text.is_empty() || text.len() > 16 || !text.bytes().all(legal) {
            return Err(PeerError::BadMid(text.chars().take(64).collect()));
        }
        Ok(Self(text.into()))
    }

    pub(crate) const fn new(mid: str0m::media::Mid) -> Self {
        Self(mid)
    }

    pub(crate) const fn inner(self) -> str0m::media::Mid {
        self.0
    }
}

impl fmt::Display for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One RTP packet that a client sent.
#[derive(Debug, Clone)]
pub struct IncomingRtp {
    /// The section it belongs to.
    pub mid: Mid,
    /// What its payload is.
    pub codec: AudioCodec,
    /// The sender's stream; sequence and timestamp start anew with another one.
    pub ssrc: u32,
    /// Sequence number extended by the number of times that it wrapped.
    pub sequence: u64,
    /// In ticks of the codec's RTP clock.
    pub timestamp: u32,
    /// First packet after silence (RFC 3551 §4.1).
    pub marker: bool,
    /// Absent if the client did not negotiate the extension.
    pub level: Option<AudioLevel>,
    /// Shared, so that forwarding it copies nothing.
    pub payload: Arc<[u8]>,
}

/// A datagram to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The socket of ours.
    pub local: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// The datagram.
    pub bytes: Vec<u8>,
}

/// What a peer tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// Media and data flow, for the first time or again after `Disconnected`.
    Connected,
    /// Nothing was heard of the client for a while. It may come back; until then nothing is sent.
    Disconnected,
    /// The client closed the connection. The peer is gone.
    Closed,
    /// The connection broke for good, with the reason. The peer is gone.
    Failed(String),
    /// A data channel can be written to.
    ChannelOpened(ChannelLabel),
    /// A message arrived.
    DataReceived(ChannelLabel, Message),
    /// The first packet of a section, or the first one in another codec.
    MediaStarted(Mid, AudioCodec),
}

/// A data message of a client, counted as waiting until the last copy of it is dropped.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Arc<[u8]>,
    _share: Arc<Share>,
}

impl Message {
    /// Takes a message into the account of what waits, unless that would exceed `limit` bytes.
    pub(crate) fn received(bytes: &[u8], waiting: &Waiting, limit: usize) -> Option<Self> {
        let size = bytes.len();
        let before = waiting.0.fetch_add(size, Ordering::Relaxed);
        let share = Share { waiting: waiting.0.clone(), size };
        (before + size <= limit).then(|| Self { bytes: bytes.into(), _share: Arc::new(share) })
    }
}

impl Deref for Message {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Message {}

/// Bytes of a client's messages that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

#[derive(Debug)]
struct Share {
    waiting: Arc<AtomicUsize>,
    size: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.size, Ordering::Relaxed);
    }
}

/// Why a command was refused. The peer lives on unless an event says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerError {
    /// No peer of this number, or not any more.
    Gone,
    /// The command belongs to the other kind of peer.
    WrongKind,
    /// A peer of this number exists.
    Duplicate,
    /// Not a name that a media section can have.
    BadMid(String),
    /// No such media section.
    UnknownMid(String),
    /// The offer cannot be answered, with the reason.
    BadOffer(String),
    /// The answer cannot be used, with the reason.
    BadAnswer(String),
    /// Not an SSRC that a new stream can have.
    BadSsrc(u32),
    /// A data message of so many bytes.
    TooLarge(usize),
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the peer is gone"),
            Self::WrongKind => f.write_str("not a command for this kind of peer"),
            Self::Duplicate => f.write_str("a peer of this number exists"),
            Self::BadMid(mid) => write!(f, "not a usable mid: {mid:?}"),
            Self::UnknownMid(mid) => write!(f, "no media section {mid:?}"),
            Self::BadOffer(reason) => write!(f, "bad offer: {reason}"),
            Self::BadAnswer(reason) => write!(f, "bad answer: {reason}"),
            Self::BadSsrc(ssrc) => write!(f, "SSRC {ssrc} is zero or in use"),
            Self::TooLarge(bytes) => write!(f, "a data message of {bytes} bytes is too large"),
        }
    }
}

impl std::error::Error for PeerError {}

/// Totals of a peer since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerCounters {
    /// Datagrams received and given to the peer.
    pub packets_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Datagrams sent.
    pub packets_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// RTP packets received from the client.
    pub rtp_in: u64,
    /// RTP packets sent to the client.
    pub rtp_out: u64,
    /// RTP packets of the client that never arrived.
    pub lost_in: u64,
    /// RTP packets of ours that the client reports as lost.
    pub lost_out: u64,
    /// Datagrams and packets that were dropped: malformed, unauthenticated, late or undeliverable.
    pub dropped: u64,
    /// Lossy data messages dropped because the channel was full or not open.
    pub data_dropped: u64,
    /// Round trip, measured by RTCP.
    pub round_trip: Option<Duration>,
}

/// What one peer produced in one call.
#[derive(Debug, Default)]
pub struct PeerOutput {
    /// Datagrams to send, in order.
    pub transmits: Vec<Transmit>,
    /// Packets that the client sent.
    pub rtp: Vec<IncomingRtp>,
    /// News, in order.
    pub events: Vec<PeerEvent>,
    /// Addresses from which the client proved to be reachable.
    pub(crate) learned: Vec<SocketAddr>,
    /// Addresses that were given up for newer ones.
    pub(crate) forgotten: Vec<SocketAddr>,
}

/// What the peers of a table produced.
#[derive(Debug, Default)]
pub struct PeersOutput {
    /// Datagrams to send, in order.
    pub transmits: Vec<Transmit>,
    /// Packets that clients sent.
    pub rtp: Vec<(PeerId, IncomingRtp)>,
    /// News, in order.
    pub events: Vec<(PeerId, PeerEvent)>,
}
