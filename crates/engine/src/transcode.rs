//! What a source says, in the form that each of its listeners takes.
//!
//! Each form is made once for all listeners, packet by packet, with no clock and next to no delay:
//! one G.711 law from the other by table, Opus from 8 kHz samples by one shared encoder, G.711 from
//! Opus by one decoder that runs at 8 kHz.

use std::sync::Arc;

use switchroom_codecs::g711::{self, Law};
use switchroom_codecs::opus::{
    MAX_PACKET, OpusDecoder, OpusEncoder, OpusEncoderConfig, announces_silence, packet_samples,
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
    pause: bool,
    keep: bool,
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
    pause: bool,
    keep: bool,
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
                    pause: false,
                    keep: false,
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
            pause: frame.pause,
            keep: frame.keep,
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

    fn cut(&mut self, linear: &mut Linear, pause: bool) {
        let whole = self.pending.len() / FRAME * FRAME;
        for start in (0..whole).step_by(FRAME) {
            linear.frames.push(LinearFrame {
                stream: self.stream,
                sequence: self.sequence,
                timestamp: self.clock,
                marker: std::mem::take(&mut self.marker),
                pause,
                keep: true,
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

#[cfg(test)]
mod tests {
    use super::*;
    use switchroom_codecs::level;
    use switchroom_codecs::tone::{Segment, ToneGenerator};

    const HZ: f64 = 500.0;

    fn tone() -> ToneGenerator {
        let segment = Segment { frequencies: vec![HZ], duration: 600.0 };
        ToneGenerator::new(8_000, &[segment], -20.0, false).unwrap()
    }

    /// A source's packets, one after another.
    struct Packets {
        codec: AudioCodec,
        tone: ToneGenerator,
        encoder: OpusEncoder,
        sequence: u64,
        timestamp: u32,
        payload: Vec<u8>,
    }

    impl Packets {
        fn new(codec: AudioCodec) -> Self {
            let encoder = OpusEncoder::new(OpusEncoderConfig::speech(8_000)).unwrap();
            // Close to the wrap of the timestamp.
            let (sequence, timestamp) = (70_000, u32::MAX - 20_000);
            Self { codec, tone: tone(), encoder, sequence, timestamp, payload: Vec::new() }
        }

        fn next(&mut self, samples: usize) -> Frame<'_> {
            let mut pcm = vec![0; samples];
            self.tone.fill(&mut pcm);
            self.payload.clear();
            if let Some(law) = self.codec.law() {
                law.encode_onto(&pcm, &mut self.payload);
            } else {
                let mut packet = [0; MAX_PACKET];
                let size = self.encoder.encode(&pcm, &mut packet).unwrap();
                self.payload.extend_from_slice(&packet[..size]);
            }
            let (sequence, timestamp) = (self.sequence, self.timestamp);
            self.sequence += 1;
            let ticks = samples as u32 * (self.codec.clock_rate() / 8_000);
            self.timestamp = timestamp.wrapping_add(ticks);
            Frame {
                stream: 3,
                codec: self.codec,
                sequence,
                timestamp,
                marker: false,
                pause: false,
                keep: false,
                level: None,
                payload: &self.payload,
                shared: None,
            }
        }
    }

    #[derive(Debug)]
    struct Heard {
        sequence: u64,
        timestamp: u32,
        marker: bool,
        payload: Vec<u8>,
    }

    fn take(transcoder: &mut Transcoder, frame: &Frame<'_>, codec: AudioCodec) -> Vec<Heard> {
        transcoder.begin();
        let form = transcoder.form(&Sound::Packet(frame), codec);
        form.packets(codec, None)
            .map(|(frame, _)| Heard {
                sequence: frame.sequence,
                timestamp: frame.timestamp,
                marker: frame.marker,
                payload: frame.payload.to_vec(),
            })
            .collect()
    }

    fn assert_continuous(heard: &[Heard], ticks: u32) {
        for pair in heard.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence + 1);
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), ticks);
        }
    }

    /// Levels (dB below overload) of 20 ms frames of G.711, the first ones left out.
    fn levels(heard: &[Heard], law: Law) -> Vec<u8> {
        heard.iter().skip(10).map(|packet| level::of_g711(law, &packet.payload)).collect()
    }

    #[test]
    fn opus_of_every_packet_length_becomes_g711_of_20_ms_at_its_level() {
        for samples in [20, 80, 160, 320, 480] {
            let mut packets = Packets::new(AudioCodec::Opus);
            let mut transcoder = Transcoder::default();
            let mut heard = Vec::new();
            for _ in 0..9_600 / samples {
                let frame = packets.next(samples);
                heard.append(&mut take(&mut transcoder, &frame, AudioCodec::Pcma));
            }
            assert_eq!(heard.len(), 60, "{samples}");
            assert_continuous(&heard, 160);
            assert!(heard[0].marker && !heard[1].marker);
            assert!(heard.iter().all(|packet| packet.payload.len() == 160));
            let levels = levels(&heard, Law::A);
            // At 2.5 ms Opus itself has few bits left for a tone.
            let expected = if samples == 20 { 19..=26 } else { 19..=21 };
            assert!(levels.iter().all(|level| expected.contains(level)), "{samples}: {levels:?}");
        }
    }

    #[test]
    fn lost_opus_is_concealed_and_the_stream_stays_whole() {
        let mut packets = Packets::new(AudioCodec::Opus);
        let mut transcoder = Transcoder::default();
        let mut heard = Vec::new();
        for n in 0..200 {
            let frame = packets.next(160);
            if n % 20 != 7 && n % 50 != 30 && n % 50 != 31 {
                heard.append(&mut take(&mut transcoder, &frame, AudioCodec::Pcmu));
            }
        }
        assert_eq!(heard.len(), 200);
        assert_continuous(&heard, 160);
        let levels = levels(&heard, Law::Mu);
        // A pure tone is the hardest for Opus to find back to; but there is never a hole.
        assert!(levels.iter().all(|level| (13..=36).contains(level)), "{levels:?}");
    }

    #[test]
    fn a_pause_of_opus_is_a_gap_in_time_and_not_in_number() {
        let mut packets = Packets::new(AudioCodec::Opus);
        let mut transcoder = Transcoder::default();
        let first = take(&mut transcoder, &packets.next(160), AudioCodec::Pcmu);
        packets.timestamp = packets.timestamp.wrapping_add(19 * 960); // DTX
        let second = take(&mut transcoder, &packets.next(160), AudioCodec::Pcmu);
        assert_eq!(second[0].sequence, first[0].sequence + 1);
        assert_eq!(second[0].timestamp.wrapping_sub(first[0].timestamp), 20 * 160);
        assert!(second[0].marker);
    }

    #[test]
    fn opus_that_was_overtaken_or_damaged_does_no_harm() {
        let mut packets = Packets::new(AudioCodec::Opus);
        let mut transcoder = Transcoder::default();
        let late = packets.next(160);
        let (late, payload) = ((late.sequence, late.timestamp), late.payload.to_vec());
        for _ in 0..5 {
            take(&mut transcoder, &packets.next(160), AudioCodec::Pcmu);
        }
        let again =
            Frame { sequence: late.0, timestamp: late.1, payload: &payload, ..packets.next(160) };
        assert!(take(&mut transcoder, &again, AudioCodec::Pcmu).is_empty());
        for damaged in [&[][..], &[0xFF], &[0x03, 0xFF], &[0x0B; 400]] {
            let frame = Frame { payload: damaged, ..packets.next(160) };
            take(&mut transcoder, &frame, AudioCodec::Pcmu);
        }
        let heard = take(&mut transcoder, &packets.next(160), AudioCodec::Pcmu);
        assert_eq!(heard.last().map(|packet| packet.payload.len()), Some(160));
    }

    #[test]
    fn g711_of_every_packet_length_becomes_opus_of_20_ms() {
        for samples in [80, 160, 240, 480] {
            let mut packets = Packets::new(AudioCodec::Pcmu);
            let mut transcoder = Transcoder::default();
            let mut heard = Vec::new();
            for _ in 0..9_600 / samples {
                let frame = packets.next(samples);
                heard.append(&mut take(&mut transcoder, &frame, AudioCodec::Opus));
            }
            assert_eq!(heard.len(), 60, "{samples}");
            assert_continuous(&heard, 960);
            let mut decoder = OpusDecoder::new(8_000).unwrap();
            for (n, packet) in heard.iter().enumerate() {
                let mut pcm = [0; LONGEST];
                assert_eq!(decoder.decode(&packet.payload, &mut pcm), Ok(160));
                let level = level::of_samples(&pcm[..160]);
                assert!(n < 10 || (18..=22).contains(&level), "{samples}: {level}");
            }
        }
    }

    #[test]
    fn lost_g711_is_a_gap_in_the_opus_made_of_it() {
        let mut packets = Packets::new(AudioCodec::Pcma);
        let mut transcoder = Transcoder::default();
        let before = take(&mut transcoder, &packets.next(160), AudioCodec::Opus);
        packets.next(160);
        packets.next(160);
        let after = take(&mut transcoder, &packets.next(160), AudioCodec::Opus);
        assert_eq!(after[0].sequence, before[0].sequence + 3);
        assert_eq!(after[0].timestamp.wrapping_sub(before[0].timestamp), 3 * 960);
    }

    #[test]
    fn each_form_is_made_once_for_all_who_take_it() {
        let mut packets = Packets::new(AudioCodec::Pcmu);
        let mut transcoder = Transcoder::default();
        let frame = packets.next(160);
        let sound = Sound::Packet(&frame);
        transcoder.begin();
        let shared = |transcoder: &mut Transcoder| {
            let form = transcoder.form(&sound, AudioCodec::Opus);
            let (frame, shared) = form.packets(AudioCodec::Opus, None).next().unwrap();
            Arc::clone(shared.get_or_insert_with(|| Arc::from(frame.payload)))
        };
        let (one, other) = (shared(&mut transcoder), shared(&mut transcoder));
        assert!(Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn g722_is_only_ever_passed_through() {
        let mut packets = Packets::new(AudioCodec::Pcmu);
        let frame = Frame { codec: AudioCodec::G722, ..packets.next(160) };
        let mut transcoder = Transcoder::default();
        assert!(take(&mut transcoder, &frame, AudioCodec::Pcmu).is_empty());
        let frame = packets.next(160);
        assert!(take(&mut transcoder, &frame, AudioCodec::G722).is_empty());
    }
}
