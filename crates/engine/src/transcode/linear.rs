//! A source's sound as samples.
//!
//! Samples are at 8, 16 or 24 kHz. Times are counted in ticks of 8 kHz at every rate, so that they
//! wrap at the same moment.

use switchroom_codecs::resample::Resampler;

use super::Samples;
use crate::graph::Frame;

/// The rates at which sound is made linear.
pub(crate) const RATES: [u32; 3] = [8_000, 16_000, 24_000];
/// Ticks of 8 kHz in 20 ms, and samples of the lowest rate.
pub(crate) const FRAME: usize = 160;

/// Samples in a tick at this rate.
pub(super) const fn scale(rate: u32) -> usize {
    (rate / RATES[0]) as usize
}

/// The present packet at one rate, in frames.
#[derive(Debug, Default)]
pub(crate) struct Linear {
    pub(super) made: bool,
    pub(crate) frames: Vec<LinearFrame>,
    pub(crate) samples: Vec<i16>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct LinearFrame {
    pub(crate) stream: u64,
    pub(crate) sequence: u64,
    /// In ticks of 8 kHz.
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) pause: bool,
    pub(crate) keep: bool,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Linear {
    pub(super) fn begin(&mut self) {
        self.made = true;
        self.frames.clear();
        self.samples.clear();
    }

    pub(super) fn copy(&mut self, samples: &Samples<'_>) {
        self.samples.extend_from_slice(samples.frame);
        self.frames.push(LinearFrame {
            stream: samples.stream,
            sequence: samples.sequence,
            timestamp: samples.timestamp,
            marker: samples.marker,
            pause: samples.pause,
            keep: false,
            start: 0,
            end: samples.frame.len(),
        });
    }

    pub(super) fn resample(&mut self, from: &Self, resampler: &mut Resampler) {
        for frame in &from.frames {
            let samples = &from.samples[frame.start..frame.end];
            let start = self.samples.len();
            self.samples.resize(start + resampler.output_size(samples.len()), 0);
            resampler.process(samples, &mut self.samples[start..]);
            self.frames.push(LinearFrame { start, end: self.samples.len(), ..*frame });
        }
    }
}

impl LinearFrame {
    /// 20 ms of a mix.
    pub(crate) fn mixed(stream: u64, sequence: u64, size: usize) -> Self {
        Self {
            stream,
            sequence,
            timestamp: (sequence as u32).wrapping_mul(FRAME as u32),
            marker: sequence == 0,
            pause: false,
            keep: false,
            start: 0,
            end: size,
        }
    }

    /// A packet of G.711 or G.722, one octet a tick, at this rate.
    pub(super) fn of(frame: &Frame<'_>, rate: u32) -> Self {
        Self {
            stream: frame.stream,
            sequence: frame.sequence,
            timestamp: frame.timestamp,
            marker: frame.marker,
            pause: frame.pause,
            keep: frame.keep,
            start: 0,
            end: frame.payload.len() * scale(rate),
        }
    }
}
