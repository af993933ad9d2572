//! RTP, RTCP, SRTP, telephone events, redundant audio and the jitter buffer: bytes and time in,
//! packets out.
//!
//! Parsers borrow from the datagram and refuse what they do not understand; no input makes them
//! panic. Time is an argument everywhere.

pub mod digits;
pub mod redundancy;
pub mod rtcp;
pub mod srtp;

mod header;
mod jitter;
mod sequence;
mod statistics;

pub use header::{Header, Packet, ParseError, is_rtcp};
pub use jitter::{Inserted, JitterBuffer, JitterCounters, Taken};
pub use sequence::SequenceUnwrapper;
pub use statistics::{ReceiveStatistics, Totals};
