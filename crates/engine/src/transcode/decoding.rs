//! Opus packets of one source as samples, one after another as they come.

use switchroom_codecs::opus::{OpusDecoder, announces_silence, packet_samples};

use super::linear::{FRAME, Linear, LinearFrame, RATES, scale};
use crate::graph::Frame;

/// Ticks of the Opus clock in one of 8 kHz.
pub(super) const OPUS_TICKS: u32 = 6;
/// Ticks of 8 kHz of the longest Opus packet, 120 ms.
const LONGEST: usize = 960;
/// A gap longer than this (in ticks) is a pause, not loss.
const MAX_CONCEALED: u32 = 480;
/// Opus makes up sound in steps of 2.5 ms.
const STEP: usize = 20;
/// Samples in a tick at the highest rate.
const MAX_SCALE: usize = scale(RATES[2]);

#[derive(Debug)]
pub(super) struct Decoding {
    decoder: OpusDecoder,
    rate: u32,
    stream: u64,
    newest: u64,
    /// The Opus timestamp that follows the newest packet.
    expected: u32,
    /// The same on the clock of what is made.
    clock: u32,
    sequence: u64,
    pending: Vec<i16>,
    marker: bool,
}

impl Decoding {
    pub(super) fn new(frame: &Frame<'_>, rate: u32) -> Option<Self> {
        Some(Self {
            decoder: OpusDecoder::new(rate).ok()?,
            rate,
            stream: frame.stream,
            newest: frame.sequence.wrapping_sub(1),
            expected: frame.timestamp,
            clock: frame.timestamp / OPUS_TICKS,
            sequence: 0,
            pending: Vec::with_capacity(LONGEST * scale(rate)),
            marker: true,
        })
    }

    pub(super) fn decode(&mut self, frame: &Frame<'_>, linear: &mut Linear) {
        let Some(count) = packet_samples(frame.payload, self.rate) else { return };
        let gap = frame.timestamp.wrapping_sub(self.expected).cast_signed();
        if frame.stream != self.stream {
            (self.stream, self.marker) = (frame.stream, true);
        } else if frame.sequence <= self.newest {
            return; // overtaken: its time is over
        } else {
            self.bridge(frame, gap);
        }
        self.newest = frame.sequence;
        let ticks = (count / scale(self.rate)) as u32;
        self.expected = frame.timestamp.wrapping_add(ticks * OPUS_TICKS);
        let mut samples = [0; LONGEST * MAX_SCALE];
        let pause = announces_silence(frame.payload);
        match self.decoder.decode(frame.payload, &mut samples) {
            // A breath of comfort noise now and then, and nothing between, would be heard as ticking.
            Ok(count) if !pause => self.pending.extend_from_slice(&samples[..count]),
            Ok(_) | Err(_) => self.pending.resize(self.pending.len() + count, 0),
        }
        self.cut(linear, pause);
    }

    /// What lies between the last packet and this one: loss is concealed, a pause is let pass.
    fn bridge(&mut self, frame: &Frame<'_>, gap: i32) {
        let lost = frame.sequence > self.newest + 1;
        let missing = u32::try_from(gap).unwrap_or(0) / OPUS_TICKS;
        if lost && (1..=MAX_CONCEALED).contains(&missing) {
            let scale = scale(self.rate);
            let missing = (missing as usize).next_multiple_of(STEP) * scale;
            let mut samples = [0; MAX_CONCEALED as usize * MAX_SCALE];
            let samples = &mut samples[..missing];
            // Only the packet just before this one may be recovered from it.
            let (earlier, latest) = samples.split_at_mut(missing.saturating_sub(FRAME * scale));
            let concealed = self.decoder.conceal(earlier);
            if concealed.and_then(|()| self.decoder.recover(frame.payload, latest)).is_ok() {
                self.pending.extend_from_slice(samples);
                return;
            }
        }
        if gap != 0 {
            // The frame that was begun ends here; time goes on.
            let begun = self.pending.len() / scale(self.rate);
            self.clock = self.clock.wrapping_add(begun as u32);
            self.clock = self.clock.wrapping_add_signed(gap / OPUS_TICKS.cast_signed());
            self.pending.clear();
            self.marker = true;
        }
    }

    fn cut(&mut self, linear: &mut Linear, pause: bool) {
        let size = FRAME * scale(self.rate);
        let whole = self.pending.len() / size * size;
        for start in (0..whole).step_by(size) {
            linear.frames.push(LinearFrame {
                stream: self.stream,
                sequence: self.sequence,
                timestamp: self.clock,
                marker: std::mem::take(&mut self.marker),
                pause,
                keep: true,
                start,
                end: start + size,
            });
            self.sequence += 1;
            self.clock = self.clock.wrapping_add(FRAME as u32);
        }
        linear.samples.extend(self.pending.drain(..whole));
    }
}
