//! What a source says, in the form that each of its listeners takes.
//!
//! Each form is made once for all listeners, packet by packet, with no clock and next to no delay:
//! one G.711 law from the other by table, Opus by one shared encoder at the rate of the sound, G.711
//! from Opus by one decoder that runs at 8 kHz. Phones that take another codec get samples, at
//! the rate of their own encoder.

mod decoding;
mod encoding;
mod linear;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use switchroom_codecs::g711::{self, Law};
use switchroom_codecs::g722::G722Decoder;
use switchroom_codecs::resample::Resampler;

use crate::audio::{AudioCodec, AudioLevel};
use crate::graph::Frame;
use crate::stream::CLOCK_RATE;
use decoding::Decoding;
use encoding::Encoding;
pub(crate) use linear::{FRAME, Linear, LinearFrame, RATES};

/// Samples of a source that makes its own sound, or whose sound was made even: 20 ms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Samples<'a> {
    pub(crate) stream: u64,
    pub(crate) sequence: u64,
    /// In ticks of 8 kHz.
    pub(crate) timestamp: u32,
    /// One of [`RATES`].
    pub(crate) rate: u32,
    pub(crate) marker: bool,
    /// Nothing follows for a while.
    pub(crate) pause: bool,
    pub(crate) frame: &'a [i16],
}

/// What a source gives its listeners.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sound<'a> {
    /// A packet as it came.
    Packet(&'a Frame<'a>),
    /// Sound that was never encoded.
    Samples(&'a Samples<'a>),
}

impl Sound<'_> {
    /// The rate that loses nothing and invents nothing; of Opus, which has any, the lowest.
    pub(crate) fn rate(&self) -> u32 {
        match self {
            Self::Samples(samples) => samples.rate,
            Self::Packet(frame) if frame.codec == AudioCodec::G722 => 16_000,
            Self::Packet(_) => CLOCK_RATE,
        }
    }
}

/// The forms of the present packet.
#[derive(Debug, Default)]
pub(crate) struct Transcoder {
    linear: [Linear; RATES.len()],
    forms: [Form; AudioCodec::ALL.len()],
    opus: [Option<Box<Decoding>>; RATES.len()],
    g722: Option<Box<G722Decoder>>,
    resamplers: Vec<(u32, u32, Resampler)>,
    encoding: Option<Box<Encoding>>,
}

/// Packets made in one form.
#[derive(Debug, Default)]
pub(crate) struct Form {
    made: bool,
    packets: Vec<Made>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Made {
    stream: u64,
    sequence: u64,
    timestamp: u32,
    marker: bool,
    pause: bool,
    keep: bool,
    start: usize,
    end: usize,
    shared: Option<Arc<[u8]>>,
}

impl Form {
    /// The packets of this form, each with the buffer that its receivers may share.
    pub(crate) fn packets(
        &mut self,
        codec: AudioCodec,
        level: Option<AudioLevel>,
    ) -> impl Iterator<Item = (Frame<'_>, &mut Option<Arc<[u8]>>)> {
        let bytes = &self.bytes;
        self.packets.iter_mut().map(move |made| {
            let frame = Frame {
                stream: made.stream,
                codec,
                sequence: made.sequence,
                timestamp: made.timestamp,
                marker: made.marker,
                pause: made.pause,
                keep: made.keep,
                level,
                payload: &bytes[made.start..made.end],
                shared: None,
            };
            (frame, &mut made.shared)
        })
    }

    fn begin(&mut self) {
        self.made = true;
        self.packets.clear();
        self.bytes.clear();
    }

    fn push(&mut self, from: &LinearFrame, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.packets.push(Made {
            stream: from.stream,
            sequence: from.sequence,
            timestamp: from.timestamp,
            marker: from.marker,
            pause: from.pause,
            keep: from.keep,
            start,
            end: self.bytes.len(),
            shared: None,
        });
    }
}

impl Transcoder {
    /// Another packet: what was made of the last one is of no use any more.
    pub(crate) fn begin(&mut self) {
        self.linear.iter_mut().for_each(|linear| linear.made = false);
        self.forms.iter_mut().for_each(|form| form.made = false);
    }

    /// Lets go of what is costly while nobody listens.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }

    /// The present packet in another form than it came in.
    pub(crate) fn form(&mut self, sound: &Sound<'_>, codec: AudioCodec) -> &mut Form {
        let at = codec as usize;
        if !self.forms[at].made {
            self.forms[at].begin();
            match (codec.law(), sound) {
                (Some(law), Sound::Packet(frame)) if frame.codec.law().is_some() => {
                    self.other_law(frame, law);
                }
                (Some(law), _) => self.encode_law(sound, law, at),
                (None, _) if codec == AudioCodec::Opus => self.encode_opus(sound),
                (None, _) => {} // phones encode G.722 themselves, and nobody else needs it made
            }
        }
        &mut self.forms[at]
    }

    /// The present packet as samples at one of [`RATES`].
    pub(crate) fn linear(&mut self, sound: &Sound<'_>, rate: u32) -> &Linear {
        let at = place(rate);
        if !self.linear[at].made {
            self.linear[at].begin();
            match sound {
                Sound::Packet(frame) if frame.codec == AudioCodec::Opus => {
                    self.decode_opus(frame, at);
                }
                _ if sound.rate() != rate => self.resample(sound, rate),
                Sound::Samples(samples) => self.linear[at].copy(samples),
                Sound::Packet(frame) => self.decode(frame, at),
            }
        }
        &self.linear[at]
    }

    fn other_law(&mut self, frame: &Frame<'_>, law: Law) {
        let Some(from) = frame.codec.law() else { return };
        let form = &mut self.forms[law_codec(law) as usize];
        form.push(&LinearFrame::of(frame, CLOCK_RATE), |bytes| {
            let start = bytes.len();
            bytes.extend_from_slice(frame.payload);
            g711::transcode(from, law, &mut bytes[start..]);
        });
    }

    fn encode_law(&mut self, sound: &Sound<'_>, law: Law, at: usize) {
        self.linear(sound, CLOCK_RATE);
        let Self { linear, forms, .. } = self;
        let linear = &linear[place(CLOCK_RATE)];
        for frame in &linear.frames {
            let samples = &linear.samples[frame.start..frame.end];
            forms[at].push(frame, |bytes| law.encode_onto(samples, bytes));
        }
    }

    fn encode_opus(&mut self, sound: &Sound<'_>) {
        let rate = sound.rate();
        self.linear(sound, rate);
        let Self { linear, forms, encoding, .. } = self;
        if encoding.as_ref().is_none_or(|encoding| encoding.rate != rate) {
            *encoding = Encoding::new(rate).map(Box::new);
        }
        let Some(encoding) = encoding else { return };
        let linear = &linear[place(rate)];
        for frame in &linear.frames {
            let samples = &linear.samples[frame.start..frame.end];
            encoding.encode(frame, samples, &mut forms[AudioCodec::Opus as usize]);
        }
    }

    fn resample(&mut self, sound: &Sound<'_>, rate: u32) {
        let from = sound.rate();
        self.linear(sound, from);
        let Self { linear, resamplers, .. } = self;
        if !resamplers.iter().any(|known| (known.0, known.1) == (from, rate)) {
            let Ok(resampler) = Resampler::new(from, rate) else { return };
            resamplers.push((from, rate, resampler));
        }
        let Some(resampler) =
            resamplers.iter_mut().find(|known| (known.0, known.1) == (from, rate))
        else {
            return;
        };
        let Ok([from, to]) = linear.get_disjoint_mut([place(from), place(rate)]) else { return };
        to.resample(from, &mut resampler.2);
    }

    fn decode_opus(&mut self, frame: &Frame<'_>, at: usize) {
        if self.opus[at].is_none() {
            self.opus[at] = Decoding::new(frame, RATES[at]).map(Box::new);
        }
        if let Some(decoding) = &mut self.opus[at] {
            decoding.decode(frame, &mut self.linear[at]);
        }
    }

    /// G.711 at 8 kHz, G.722 at 16.
    fn decode(&mut self, frame: &Frame<'_>, at: usize) {
        let linear = &mut self.linear[at];
        let made = LinearFrame::of(frame, RATES[at]);
        linear.samples.resize(made.end, 0);
        if let Some(law) = frame.codec.law() {
            law.decode(frame.payload, &mut linear.samples);
        } else {
            let decoder = self.g722.get_or_insert_default();
            decoder.decode(frame.payload, &mut linear.samples);
        }
        linear.frames.push(made);
    }
}

/// Where a rate is among [`RATES`].
fn place(rate: u32) -> usize {
    RATES.iter().position(|known| *known == rate).unwrap_or(0)
}

/// The codec of this curve.
pub(crate) const fn law_codec(law: Law) -> AudioCodec {
    match law {
        Law::Mu => AudioCodec::Pcmu,
        Law::A => AudioCodec::Pcma,
    }
}
