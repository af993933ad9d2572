//! What goes out.

use std::fmt;

use super::keys::{Purpose, Sealing, SessionKeys};
use super::{ENCRYPTED, RTCP_CLEAR, SrtpError, Suite, word};
use crate::{Header, SequenceUnwrapper};

/// Protects the packets of one stream of ours.
pub struct SrtpSender {
    suite: Suite,
    rtp: SessionKeys,
    rtcp: SessionKeys,
    sequence: SequenceUnwrapper,
    next_report: u32,
}

impl fmt::Debug for SrtpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpSender({:?})", self.suite)
    }
}

impl SrtpSender {
    /// `key` is the master key followed by the master salt.
    pub fn new(suite: Suite, key: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self {
            suite,
            rtp: SessionKeys::derive(suite, key, Purpose::Rtp)?,
            rtcp: SessionKeys::derive(suite, key, Purpose::Rtcp)?,
            sequence: SequenceUnwrapper::default(),
            next_report: 0,
        })
    }

    /// Another key for the same stream: packets go on being counted (RFC 3711 §3.3.1).
    pub fn rekey(&mut self, suite: Suite, key: &[u8]) -> Result<(), SrtpError> {
        *self = Self { sequence: self.sequence, ..Self::new(suite, key)? };
        Ok(())
    }

    /// Protects the RTP packet at `packet[start..]`, which has neither contributors nor extension.
    pub fn protect(&mut self, packet: &mut Vec<u8>, start: usize) -> Result<(), SrtpError> {
        let header = packet.get(start..).and_then(|bytes| bytes.first_chunk::<{ Header::SIZE }>());
        let header = header.ok_or(SrtpError::Malformed)?;
        let sequence = u16::from_be_bytes([header[2], header[3]]);
        let ssrc = word(header, 8).ok_or(SrtpError::Malformed)?;
        // The unwrapper begins one cycle up, the roll-over counter at zero.
        let index = self.sequence.unwrap(sequence).checked_sub(0x1_0000);
        let index = index.ok_or(SrtpError::Replayed)?;
        let roll_over = ((index >> 16) as u32).to_be_bytes();
        let tag_size = self.suite.rtp_tag_size();
        let clear = Header::SIZE;
        let sealing =
            Sealing { start, clear, ssrc, index, trailer: &roll_over, sent_trailer: &[], tag_size };
        self.rtp.seal(packet, &sealing)
    }

    /// Protects the RTCP packet at `packet[start..]`.
    pub fn protect_report(&mut self, packet: &mut Vec<u8>, start: usize) -> Result<(), SrtpError> {
        let ssrc = packet.get(start..).and_then(|bytes| word(bytes, 4));
        let ssrc = ssrc.ok_or(SrtpError::Malformed)?;
        let index = self.next_report;
        self.next_report = (index + 1) & !ENCRYPTED;
        let sent_trailer = &(index | ENCRYPTED).to_be_bytes();
        let (index, clear, tag_size) = (u64::from(index), RTCP_CLEAR, self.suite.rtcp_tag_size());
        let sealing = Sealing { start, clear, ssrc, index, trailer: &[], sent_trailer, tag_size };
        self.rtcp.seal(packet, &sealing)
    }
}
