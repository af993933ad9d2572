//! SRTP and SRTCP (RFC 3711, RFC 6188, RFC 7714) with keys that both ends know already.
//!
//! One [`SrtpSender`] protects what goes out, one [`SrtpReceiver`] opens what comes in; roll-over
//! counters and replay windows are inside. Nothing is kept of a packet that is not authentic.

mod keys;
mod receiver;
mod sender;
mod suite;
#[cfg(test)]
mod tests;

use std::fmt;

pub use receiver::SrtpReceiver;
pub use sender::SrtpSender;
pub use suite::Suite;

/// Why a packet was not opened, or a key not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SrtpError {
    /// The key has not the length that the suite asks for.
    BadKey,
    /// Too short for what its headers say.
    Malformed,
    /// It was opened before, or is too old to tell.
    Replayed,
    /// Another key, or damaged on the way.
    NotAuthentic,
}

impl fmt::Display for SrtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadKey => "key has not the length of the suite",
            Self::Malformed => "packet is shorter than its headers say",
            Self::Replayed => "packet came twice or is too old",
            Self::NotAuthentic => "packet is protected by another key or damaged",
        })
    }
}

impl std::error::Error for SrtpError {}

/// The top bit of the index of SRTCP: the packet is encrypted (RFC 3711 §3.4).
const ENCRYPTED: u32 = 1 << 31;
/// Octets of an RTCP packet that stay readable: its header and the sender's SSRC.
const RTCP_CLEAR: usize = 8;
/// Octets of the index of SRTCP.
const INDEX_SIZE: usize = 4;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}
