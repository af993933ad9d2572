//! What comes in.

use std::fmt;

use super::keys::{Purpose, SessionKeys};
use super::{ENCRYPTED, INDEX_SIZE, RTCP_CLEAR, SrtpError, Suite, word};
use crate::SequenceUnwrapper;
use crate::header::header_size;

/// Streams of one sender that are told apart: a phone has one, and one more after each restart.
const MAX_STREAMS: usize = 4;

/// Opens the packets of a far end.
pub struct SrtpReceiver {
    suite: Suite,
    rtp: SessionKeys,
    rtcp: SessionKeys,
    mki_size: usize,
    streams: Vec<Stream>,
    reports: Vec<(u32, Window)>,
}

/// What is known of one SSRC.
#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    sequence: SequenceUnwrapper,
    window: Window,
}

/// Which of the last packets were opened (RFC 3711 §3.3.2).
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    newest: u64,
    /// Bit n: index `newest - n` was opened.
    opened: u128,
}

impl fmt::Debug for SrtpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpReceiver({:?}, {:?})", self.suite, self.streams)
    }
}

impl SrtpReceiver {
    /// `key` is the master key followed by the master salt; `mki_size` counts the octets of the
    /// master key identifier, which is not looked at: there is one key.
    pub fn new(suite: Suite, key: &[u8], mki_size: usize) -> Result<Self, SrtpError> {
        Ok(Self {
            suite,
            rtp: SessionKeys::derive(suite, key, Purpose::Rtp)?,
            rtcp: SessionKeys::derive(suite, key, Purpose::Rtcp)?,
            mki_size,
            streams: Vec::with_capacity(1),
            reports: Vec::with_capacity(1),
        })
    }

    /// Another key for the same streams: their roll-over counters go on (RFC 3711 §3.3.1).
    pub fn rekeyed(&self, suite: Suite, key: &[u8], mki_size: usize) -> Result<Self, SrtpError> {
        let mut rekeyed = Self::new(suite, key, mki_size)?;
        let kept = |stream: &Stream| Stream { window: Window::default(), ..*stream };
        rekeyed.streams = self.streams.iter().map(kept).collect();
        Ok(rekeyed)
    }

    /// Opens an RTP packet in place: what is left is what was protected.
    pub fn open(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let clear = header_size(packet).map_err(|_| SrtpError::Malformed)?;
        let ssrc = word(packet, 8).ok_or(SrtpError::Malformed)?;
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let known = self.streams.iter().position(|stream| stream.ssrc == ssrc);
        let mut stream = known.map_or_else(|| Stream::new(ssrc), |at| self.streams[at]);
        let (index, size) = self.open_as(packet, clear, &stream, sequence)?;
        packet.truncate(size);
        if stream.window.opened == 0 {
            stream.sequence = SequenceUnwrapper::default();
        }
        stream.sequence.follow(index + 0x1_0000);
        stream.window.note(index);
        match known {
            Some(at) => self.streams[at] = stream,
            None => remember(&mut self.streams, stream),
        }
        Ok(())
    }

    /// Opens an RTCP packet in place.
    pub fn open_report(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let ssrc = word(packet, 4).ok_or(SrtpError::Malformed)?;
        let known = self.reports.iter().position(|(known, _)| *known == ssrc);
        let mut window = known.map_or_else(Window::default, |at| self.reports[at].1);
        let tag_size = self.suite.rtcp_tag_size();
        let (index, size) = if self.suite.is_aead() {
            self.open_galois_report(packet, ssrc, &window)?
        } else {
            let tag_at = before(packet.len(), tag_size)?;
            let index_at = before(tag_at, self.mki_size + INDEX_SIZE)?;
            if index_at < RTCP_CLEAR {
                return Err(SrtpError::Malformed);
            }
            let word = word(packet, index_at).ok_or(SrtpError::Malformed)?;
            let index = u64::from(word & !ENCRYPTED);
            window.check(index)?;
            if !self.rtcp.verify(&packet[..index_at + INDEX_SIZE], &[], &packet[tag_at..]) {
                return Err(SrtpError::NotAuthentic);
            }
            if word & ENCRYPTED != 0 {
                self.rtcp.apply(ssrc, index, &mut packet[RTCP_CLEAR..index_at])?;
            }
            (index, index_at)
        };
        packet.truncate(size);
        window.note(index);
        match known {
            Some(at) => self.reports[at].1 = window,
            None => remember(&mut self.reports, (ssrc, window)),
        }
        Ok(())
    }

    /// Opens a packet under the roll-over counter that it should have, or another that is likely.
    fn open_as(
        &self,
        packet: &mut [u8],
        clear: usize,
        stream: &Stream,
        sequence: u16,
    ) -> Result<(u64, usize), SrtpError> {
        let likely = stream.likely(sequence).ok_or(SrtpError::Replayed)?;
        let mut result = Err(SrtpError::NotAuthentic);
        // A stream that was not heard yet may have turned over before its first packet arrived, and
        // a far end that changed its key may have begun to count anew.
        let others = [u64::from(sequence), 0x1_0000 + u64::from(sequence)];
        let tried = if stream.window.opened == 0 { &others[..] } else { &[] };
        // The library wipes what it could not open.
        let spare = if tried.is_empty() { Vec::new() } else { packet.to_vec() };
        for index in [likely].iter().chain(tried.iter().filter(|index| **index != likely)) {
            if *index != likely {
                packet.copy_from_slice(&spare);
            }
            result = self.open_at(packet, clear, stream, *index);
            if result != Err(SrtpError::NotAuthentic) {
                break;
            }
        }
        result
    }

    fn open_at(
        &self,
        packet: &mut [u8],
        clear: usize,
        stream: &Stream,
        index: u64,
    ) -> Result<(u64, usize), SrtpError> {
        stream.window.check(index)?;
        if self.suite.is_aead() {
            // RFC 7714 §8.2: the tag belongs to the cipher text, the key identifier follows.
            let end = before(packet.len(), self.mki_size)?;
            if end < clear {
                return Err(SrtpError::Malformed);
            }
            let (header, content) = packet[..end].split_at_mut(clear);
            let size = self.rtp.open((stream.ssrc, index), header, &[], content)?;
            return Ok((index, clear + size));
        }
        let tag_at = before(packet.len(), self.suite.rtp_tag_size())?;
        let end = before(tag_at, self.mki_size)?;
        if end < clear {
            return Err(SrtpError::Malformed);
        }
        let roll_over = ((index >> 16) as u32).to_be_bytes();
        if !self.rtp.verify(&packet[..end], &roll_over, &packet[tag_at..]) {
            return Err(SrtpError::NotAuthentic);
        }
        self.rtp.apply(stream.ssrc, index, &mut packet[clear..end])?;
        Ok((index, end))
    }

    /// RFC 7714 §9.2: header, cipher text and tag, index, key identifier.
    fn open_galois_report(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        window: &Window,
    ) -> Result<(u64, usize), SrtpError> {
        let index_at = before(packet.len(), self.mki_size + INDEX_SIZE)?;
        let tag_at = before(index_at, self.suite.rtcp_tag_size())?;
        if tag_at < RTCP_CLEAR {
            return Err(SrtpError::Malformed);
        }
        let word = word(packet, index_at).ok_or(SrtpError::Malformed)?;
        let index = u64::from(word & !ENCRYPTED);
        window.check(index)?;
        let trailer = word.to_be_bytes();
        // RFC 7714 §9.3: of a packet that is not encrypted everything is associated data.
        let clear = if word & ENCRYPTED == 0 { tag_at } else { RTCP_CLEAR };
        let (header, content) = packet[..index_at].split_at_mut(clear);
        let size = self.rtcp.open((ssrc, index), header, &trailer, content)?;
        Ok((index, clear + size))
    }
}

impl Stream {
    fn new(ssrc: u32) -> Self {
        Self { ssrc, sequence: SequenceUnwrapper::default(), window: Window::default() }
    }

    /// RFC 3711 §3.3.1: the index nearest to the newest one; none if it is before the first.
    fn likely(&self, sequence: u16) -> Option<u64> {
        let mut unwrapper = self.sequence;
        unwrapper.unwrap(sequence).checked_sub(0x1_0000)
    }
}

impl Window {
    fn check(&self, index: u64) -> Result<(), SrtpError> {
        if self.opened == 0 || index > self.newest {
            return Ok(());
        }
        let bit = u32::try_from(self.newest - index).ok().and_then(|n| 1_u128.checked_shl(n));
        match bit {
            Some(bit) if self.opened & bit == 0 => Ok(()),
            _ => Err(SrtpError::Replayed),
        }
    }

    fn note(&mut self, index: u64) {
        if self.opened == 0 || index > self.newest {
            let ahead = u32::try_from(index.saturating_sub(self.newest)).unwrap_or(u32::MAX);
            self.opened = self.opened.checked_shl(ahead).unwrap_or(0) | 1;
            self.newest = index;
        } else if let Ok(behind) = u32::try_from(self.newest - index) {
            self.opened |= 1_u128.checked_shl(behind).unwrap_or(0);
        }
    }
}

/// Keeps one more; the oldest goes if there are too many.
fn remember<T>(known: &mut Vec<T>, one: T) {
    if known.len() == MAX_STREAMS {
        known.remove(0);
    }
    known.push(one);
}

fn before(end: usize, size: usize) -> Result<usize, SrtpError> {
    end.checked_sub(size).ok_or(SrtpError::Malformed)
}
