//! Samples of one source as Opus packets of 20 ms.

use switchroom_codecs::opus::{MAX_PACKET, OpusEncoder, OpusEncoderConfig};

use super::Form;
use super::decoding::OPUS_TICKS;
use super::linear::{FRAME, LinearFrame, scale};

#[derive(Debug)]
pub(super) struct Encoding {
    encoder: OpusEncoder,
    pub(super) rate: u32,
    stream: u64,
    newest: Option<u64>,
    /// The timestamp, in ticks of 8 kHz, that follows `pending`.
    expected: u32,
    sequence: u64,
    pending: Vec<i16>,
    marker: bool,
}

impl Encoding {
    pub(super) fn new(rate: u32) -> Option<Self> {
        Some(Self {
            encoder: OpusEncoder::new(OpusEncoderConfig::speech(rate)).ok()?,
            rate,
            stream: 0,
            newest: None,
            expected: 0,
            sequence: 0,
            pending: Vec::with_capacity(2 * FRAME * scale(rate)),
            marker: true,
        })
    }

    pub(super) fn encode(&mut self, frame: &LinearFrame, samples: &[i16], form: &mut Form) {
        let same = self.stream == frame.stream && self.newest.is_some();
        if same && self.newest.is_some_and(|newest| frame.sequence <= newest) {
            return; // overtaken: an encoder cannot go back
        }
        if !same || frame.timestamp != self.expected {
            let lost = self.newest.is_some_and(|newest| frame.sequence > newest + 1);
            let missing = frame.timestamp.wrapping_sub(self.expected) / FRAME as u32;
            if same && lost {
                self.sequence += u64::from(missing.clamp(1, 100)); // receivers conceal it
            }
            self.pending.clear();
        }
        self.stream = frame.stream;
        self.newest = Some(frame.sequence);
        self.marker |= frame.marker;
        let ticks = |samples: usize| (samples / scale(self.rate)) as u32;
        let begun = ticks(self.pending.len());
        self.expected = frame.timestamp.wrapping_add(ticks(samples.len()));
        self.pending.extend_from_slice(samples);
        let mut timestamp = frame.timestamp.wrapping_sub(begun);
        let size = FRAME * scale(self.rate);
        let whole = self.pending.len() / size * size;
        for chunk in self.pending[..whole].chunks_exact(size) {
            let mut packet = [0; MAX_PACKET];
            let size = self.encoder.encode(chunk, &mut packet).unwrap_or(0);
            let made = LinearFrame {
                sequence: self.sequence,
                timestamp: timestamp.wrapping_mul(OPUS_TICKS),
                marker: std::mem::take(&mut self.marker),
                ..*frame
            };
            form.push(&made, |bytes| bytes.extend_from_slice(&packet[..size]));
            self.sequence += 1;
            timestamp = timestamp.wrapping_add(FRAME as u32);
        }
        self.pending.drain(..whole);
    }
}
