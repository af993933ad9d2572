//! What a source says, in the form that each of its listeners takes.
//!
//! Each form is made once for all listeners, packet by packet, with no clock and next to no delay:
//! one G.711 law from the other by table, Opus from 8 kHz samples by one shared encoder, G.711 from
//! Opus by one decoder that runs at 8 kHz.

use std::sync::Arc;

use switchroom_codecs::g711::{self, Law};
use switchroom_codecs::opus::{
    MAX_PACKET, OpusDecoder, OpusEncoder, OpusEncoderConfig, packet_samples,
};

use crate::audio::{AudioCodec, AudioLevel};
use crate::graph::Frame;
use crate::stream::CLOCK_RATE;

/// Samples at 8 kHz of what is made here: 20 ms.
pub(crate) const FRAME: usize = 160;
/// Samples at 8 kHz of the longest Opus packet, 120 ms.
const LONGEST: usize = 960;
/// Ticks of the Opus clock in one of 8 kHz.
const OPUS_TICKS: u32 = 6;
/// A gap longer than this (in samples at 8 kHz) is a pause, not loss.
const MAX_CONCEALED: u32 = 480;

/// Opus makes up sound in steps of 2.5 ms.
const STEP: usize = 20;

/// 8 kHz samples of a source that makes its own sound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Samples<'a> {
    pub(crate) stream: u64,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) frame: &'a [i16; FRAME],
}

/// What a source gives its listeners.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sound<'a> {
    /// A packet as it came.
    Packet(&'a Frame<'a>),
    /// Sound that was never encoded.
    Samples(&'a Samples<'a>),
}

/// The forms of the present packet.
#[derive(Debug, Default)]
pub(crate) struct Transcoder {
    linear: Linear,
    forms: [Form; AudioCodec::ALL.len()],
    decoding: Option<Box<Decoding>>,
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
    start: usize,
    end: usize,
    shared: Option<Arc<[u8]>>,
}

/// The present packet as samples at 8 kHz, in frames.
#[derive(Debug, Default)]
struct Linear {
    made: bool,
    frames: Vec<LinearFrame>,
    samples: Vec<i16>,
}

#[derive(Debug, Clone, Copy)]
struct LinearFrame {
    stream: u64,
    sequence: u64,
    timestamp: u32,
    marker: bool,
    start: usize,
    end: usize,
}

#[derive(Debug)]
struct Decoding {
    decoder: OpusDecoder,
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

#[derive(Debug)]
struct Encoding {
    encoder: OpusEncoder,
    stream: u64,
    newest: Option<u64>,
    /// The 8 kHz timestamp that follows `pending`.
    expected: u32,
    sequence: u64,
    pending: Vec<i16>,
    marker: bool,
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
            start,
            end: self.bytes.len(),
            shared: None,
        });
    }
}

impl Transcoder {
    /// Another packet: what was made of the last one is of no use any more.
    pub(crate) fn begin(&mut self) {
        self.linear.made = false;
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
                (None, _) => {} // G.722 is only ever passed through
            }
        }
        &mut self.forms[at]
    }

    fn other_law(&mut self, frame: &Frame<'_>, law: Law) {
        let Some(from) = frame.codec.law() else { return };
        let form = &mut self.forms[law_codec(law) as usize];
        form.push(&LinearFrame::of(frame), |bytes| {
            let start = bytes.len();
            bytes.extend_from_slice(frame.payload);
            g711::transcode(from, law, &mut bytes[start..]);
        });
    }

    fn encode_law(&mut self, sound: &Sound<'_>, law: Law, at: usize) {
        self.make_linear(sound);
        let Self { linear, forms, .. } = self;
        for frame in &linear.frames {
            let samples = &linear.samples[frame.start..frame.end];
            forms[at].push(frame, |bytes| law.encode_onto(samples, bytes));
        }
    }

    fn encode_opus(&mut self, sound: &Sound<'_>) {
        self.make_linear(sound);
        let Self { linear, forms, encoding, .. } = self;
        if encoding.is_none() {
            *encoding = Encoding::new().map(Box::new);
        }
        let Some(encoding) = encoding else { return };
        for frame in &linear.frames {
            let samples = &linear.samples[frame.start..frame.end];
            encoding.encode(frame, samples, &mut forms[AudioCodec::Opus as usize]);
        }
    }

    fn make_linear(&mut self, sound: &Sound<'_>) {
        if std::mem::replace(&mut self.linear.made, true) {
            return;
        }
        let linear = &mut self.linear;
        linear.frames.clear();
        linear.samples.clear();
        match sound {
            Sound::Samples(samples) => {
                linear.samples.extend_from_slice(samples.frame);
                linear.frames.push(LinearFrame {
                    stream: samples.stream,
                    sequence: samples.sequence,
                    timestamp: samples.timestamp,
                    marker: samples.sequence == 0,
                    start: 0,
                    end: FRAME,
                });
            }
            Sound::Packet(frame) => match frame.codec.law() {
                Some(law) => {
                    linear.samples.resize(frame.payload.len(), 0);
                    law.decode(frame.payload, &mut linear.samples);
                    linear.frames.push(LinearFrame::of(frame));
                }
                None if frame.codec == AudioCodec::Opus => self.decode_opus(frame),
                None => {}
            },
        }
    }

    fn decode_opus(&mut self, frame: &Frame<'_>) {
        if self.decoding.is_none() {
            self.decoding = Decoding::new(frame).map(Box::new);
        }
        if let Some(decoding) = &mut self.decoding {
            decoding.decode(frame, &mut self.linear);
        }
    }
}

impl LinearFrame {
    /// A packet of G.711, one octet a sample.
    fn of(frame: &Frame<'_>) -> Self {
        Self {
            stream: frame.stream,
            sequence: frame.sequence,
            timestamp: frame.timestamp,
            marker: frame.marker,
            start: 0,
            end: frame.payload.len(),
        }
    }
}

impl Decoding {
    fn new(frame: &Frame<'_>) -> Option<Self> {
        Some(Self {
            decoder: OpusDecoder::new(CLOCK_RATE).ok()?,
            stream: frame.stream,
            newest: frame.sequence.wrapping_sub(1),
            expected: frame.timestamp,
            clock: frame.timestamp / OPUS_TICKS,
            sequence: 0,
            pending: Vec::with_capacity(LONGEST),
            marker: true,
        })
    }

    fn decode(&mut self, frame: &Frame<'_>, linear: &mut Linear) {
        let Some(count) = packet_samples(frame.payload, CLOCK_RATE) else { return };
        let gap = frame.timestamp.wrapping_sub(self.expected).cast_signed();
        if frame.stream != self.stream {
            (self.stream, self.marker) = (frame.stream, true);
        } else if frame.sequence <= self.newest {
            return; // overtaken: its time is over
        } else {
            self.bridge(frame, gap);
        }
        self.newest = frame.sequence;
        self.expected = frame.timestamp.wrapping_add(count as u32 * OPUS_TICKS);
        let mut samples = [0; LONGEST];
        match self.decoder.decode(frame.payload, &mut samples) {
            Ok(count) => self.pending.extend_from_slice(&samples[..count]),
            Err(_) => self.pending.resize(self.pending.len() + count, 0),
        }
        self.cut(linear);
    }

    /// What lies between the last packet and this one: loss is concealed, a pause is let pass.
    fn bridge(&mut self, frame: &Frame<'_>, gap: i32) {
        let lost = frame.sequence > self.newest + 1;
        let missing = u32::try_from(gap).unwrap_or(0) / OPUS_TICKS;
        if lost && (1..=MAX_CONCEALED).contains(&missing) {
            let missing = (missing as usize).next_multiple_of(STEP);
            let mut samples = [0; MAX_CONCEALED as usize];
            let samples = &mut samples[..missing];
            // Only the packet just before this one may be recovered from it.
            let (earlier, latest) = samples.split_at_mut(missing.saturating_sub(FRAME));
            let concealed = self.decoder.conceal(earlier);
            if concealed.and_then(|()| self.decoder.recover(frame.payload, latest)).is_ok() {
                self.pending.extend_from_slice(samples);
                return;
            }
        }
        if gap != 0 {
            // The frame that was begun ends here; time goes on.
            self.clock = self.clock.wrapping_add(self.pending.len() as u32);
            self.clock = self.clock.wrapping_add_signed(gap / OPUS_TICKS.cast_signed());
            self.pending.clear();
            self.marker = true;
        }
    }

    fn cut(&mut self, linear: &mut Linear) {
        let whole = self.pending.len() / FRAME * FRAME;
        for start in (0..whole).step_by(FRAME) {
            linear.frames.push(LinearFrame {
                stream: self.stream,
                sequence: self.sequence,
                timestamp: self.clock,
                marker: std::mem::take(&mut self.marker),
                start,
                end: start + FRAME,
            });
            self.sequence += 1;
            self.clock = self.clock.wrapping_add(FRAME as u32);
        }
        linear.samples.extend(self.pending.drain(..whole));
    }
}

impl Encoding {
    fn new() -> Option<Self> {
        Some(Self {
            encoder: OpusEncoder::new(OpusEncoderConfig::speech(CLOCK_RATE)).ok()?,
            stream: 0,
            newest: None,
            expected: 0,
            sequence: 0,
            pending: Vec::with_capacity(2 * FRAME),
            marker: true,
        })
    }

    fn encode(&mut self, frame: &LinearFrame, samples: &[i16], form: &mut Form) {
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
        let begun = self.pending.len() as u32;
        self.expected = frame.timestamp.wrapping_add(samples.len() as u32);
        self.pending.extend_from_slice(samples);
        let mut timestamp = frame.timestamp.wrapping_sub(begun);
        let whole = self.pending.len() / FRAME * FRAME;
        for chunk in self.pending[..whole].as_chunks::<FRAME>().0 {
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

/// The codec of this curve.
pub(crate) const fn law_codec(law: Law) -> AudioCodec {
    match law {
        Law::Mu => AudioCodec::Pcmu,
        Law::A => AudioCodec::Pcma,
    }
}
