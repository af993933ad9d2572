//! One source on a clock of ours: packets go in as they come, 20 ms come out at each tick.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use switchroom_codecs::conceal::Concealer;
use switchroom_codecs::g722::{self, G722Decoder};
use switchroom_codecs::level;
use switchroom_codecs::opus::{OpusDecoder, packet_samples};
use switchroom_codecs::resample::Resampler;
use switchroom_rtp::{JitterBuffer, Taken};

use crate::audio::AudioCodec;
use crate::comfort::ComfortNoise;
use crate::stream::CLOCK_RATE;
use crate::transcode::Sound;

/// The delay that the jitter buffer may add by intent: what lies before us may be a mobile network.
const MAX_DELAY: Duration = Duration::from_millis(100);
/// Packets taken in one tick: enough for the shortest there are.
const MAX_TAKEN: usize = 16;
/// Buffers kept for packets to come.
const MAX_SPARE: usize = 8;
/// Ticks without a packet after which concealment has faded to silence.
const FADED: u32 = 4;
/// The same after which nothing is left of it in any codec, and silence costs nothing.
const STILL: u32 = 16;
/// In dB below the overload point: the sound of a pause, and of no part of a word.
const QUIET: u8 = 45;
/// Milliseconds of the longest packet.
const LONGEST_MS: u32 = 120;
/// Samples of the longest packet at the highest rate.
const LONGEST: usize = (48 * LONGEST_MS) as usize;

#[derive(Debug)]
pub(crate) struct Playout {
    rate: u32,
    /// Mixes that take from here.
    pub(crate) users: usize,
    stream: Option<(u64, AudioCodec)>,
    jitter: JitterBuffer<Held>,
    decoder: Decoder,
    /// For what comes at 8 kHz, and for what comes at 16.
    narrow: Raising,
    wide: Option<Box<Raising>>,
    noise: Option<Box<ComfortNoise>>,
    /// Decoded and not yet played.
    ready: VecDeque<i16>,
    frame: Vec<i16>,
    /// Samples of the last packet: as much is missing when one is lost.
    last: usize,
    /// Ticks in a row for which there was no packet.
    starved: u32,
    /// Samples made up since the beginning, while the source was sounding.
    made_up: u64,
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
enum Held {
    Encoded(AudioCodec, Vec<u8>),
    Linear(u32, Box<[i16]>),
    Noise(Box<ComfortNoise>),
}

impl Held {
    /// Whether nobody would miss it. What cannot be told without being decoded is taken to be as
    /// loud as what was played last.
    fn is_quiet(&self, last: &[i16]) -> bool {
        let level = match self {
            Self::Encoded(codec, bytes) => match codec.law() {
                Some(law) => level::of_g711(law, bytes),
                None => level::of_samples(last),
            },
            Self::Linear(_, samples) => level::of_samples(samples),
            Self::Noise(_) => level::SILENCE,
        };
        level >= QUIET
    }
}

/// What was decoded last, and so conceals what is lost.
#[derive(Debug)]
enum Decoder {
    /// By table, or not at all.
    None {
        rate: u32,
    },
    G722(Box<G722Decoder>),
    Opus(OpusDecoder),
}

/// Hides losses at one rate, and raises or lowers it to the one of the playout.
#[derive(Debug)]
struct Raising {
    concealer: Concealer,
    resampler: Option<Resampler>,
}

impl Playout {
    /// At `rate` samples a second, for one user.
    pub(crate) fn new(rate: u32) -> Self {
        let size = (rate / 50) as usize;
        Self {
            rate,
            users: 1,
            stream: None,
            jitter: JitterBuffer::new(CLOCK_RATE, MAX_DELAY),
            decoder: Decoder::None { rate: CLOCK_RATE },
            narrow: Raising::new(CLOCK_RATE, rate),
            wide: None,
            noise: None,
            ready: VecDeque::with_capacity(2 * size),
            frame: vec![0; size],
            last: size,
            starved: FADED,
            made_up: 0,
            spare: Vec::new(),
        }
    }

    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// Whether there is something of the source to be heard yet, were it the last of its fading.
    pub(crate) fn rings(&self) -> bool {
        self.starved < FADED || self.ticks_held() > 0
    }

    /// Whether what is played now is anything at all.
    pub(crate) fn sounds(&self) -> bool {
        self.rings() || self.noise.is_some()
    }

    /// The source is not heard for a while: its silence has no sound.
    pub(crate) fn hush(&mut self) {
        self.noise = None;
    }

    /// How many ticks it takes to play what was received.
    pub(crate) fn ticks_held(&self) -> usize {
        (self.ready.len() + self.jitter.len() * self.last).div_ceil(self.frame.len())
    }

    /// What the jitter buffer adds by intent.
    pub(crate) fn delay(&self) -> Duration {
        self.jitter.delay()
    }

    /// Milliseconds that were made up.
    pub(crate) fn concealed_ms(&self) -> u64 {
        self.made_up * 1_000 / u64::from(self.rate)
    }

    /// What [`Self::tick`] played.
    pub(crate) fn frame(&self) -> &[i16] {
        &self.frame
    }

    pub(crate) fn frame_mut(&mut self) -> &mut [i16] {
        &mut self.frame
    }

    /// Takes what the source says.
    pub(crate) fn insert(&mut self, now: Instant, sound: &Sound<'_>) {
        match sound {
            Sound::Packet(frame) => {
                let Some(ticks) = ticks(frame.codec, frame.payload) else { return };
                self.follow(frame.stream, frame.codec);
                let mut bytes = self.spare.pop().unwrap_or_default();
                bytes.clear();
                bytes.extend_from_slice(frame.payload);
                let held = Held::Encoded(frame.codec, bytes);
                self.jitter.insert(now, frame.sequence as u16, frame.timestamp, ticks, held);
            }
            Sound::Samples(sound) => {
                self.follow(sound.stream, AudioCodec::Pcmu);
                let held = Held::Linear(sound.rate, Box::from(sound.frame));
                let ticks = sound.frame.len() as u32 * CLOCK_RATE / sound.rate;
                self.jitter.insert(now, sound.sequence as u16, sound.timestamp, ticks, held);
            }
        }
    }

    /// Takes what the source says of its silence, at its place among the packets of `stream`.
    pub(crate) fn insert_noise(
        &mut self,
        now: Instant,
        (stream, sequence, timestamp): (u64, u64, u32),
        noise: ComfortNoise,
    ) {
        // Noise before the first word, or after another codec's, has nothing to wait for.
        match self.stream {
            Some((current, _)) if current == stream => {
                let held = Held::Noise(Box::new(noise));
                self.jitter.insert(now, sequence as u16, timestamp, CLOCK_RATE / 50, held);
            }
            _ => self.noise = Some(Box::new(noise)),
        }
    }

    /// Plays 20 ms.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.starved >= STILL && self.ticks_held() == 0 && self.noise.is_none() {
            self.frame.fill(0);
            return;
        }
        for _ in 0..MAX_TAKEN {
            if self.ready.len() >= self.frame.len() {
                break;
            }
            let last = &self.frame;
            match self.jitter.take(now, |held| held.is_quiet(last)) {
                Taken::Packet(held) => {
                    self.starved = 0;
                    self.play(held);
                }
                Taken::Lost => self.conceal(self.last, true),
                Taken::Nothing => {
                    self.starved = self.starved.saturating_add(1);
                    let missing = self.frame.len() - self.ready.len();
                    if self.noise.is_some() {
                        self.play_noise(missing);
                    } else {
                        self.conceal(missing, false);
                    }
                    break;
                }
            }
        }
        let count = self.frame.len().min(self.ready.len());
        for (sample, played) in self.frame.iter_mut().zip(self.ready.drain(..count)) {
            *sample = played;
        }
        self.frame[count..].fill(0);
    }

    /// Another numbering starts a new buffer; what is ready is still played.
    fn follow(&mut self, stream: u64, codec: AudioCodec) {
        if self.stream != Some((stream, codec)) {
            self.stream = Some((stream, codec));
            self.jitter.restart(codec.clock_rate());
        }
    }

    fn play(&mut self, held: Held) {
        let before = self.ready.len();
        if !matches!(held, Held::Noise(_)) {
            self.noise = None;
        }
        match held {
            Held::Linear(rate, mut samples) => self.play_linear(rate, &mut samples),
            Held::Encoded(codec, bytes) => {
                match codec {
                    AudioCodec::Opus => self.play_opus(&bytes),
                    AudioCodec::G722 => self.play_g722(&bytes),
                    AudioCodec::Pcmu | AudioCodec::Pcma => {
                        let Some(law) = codec.law() else { return };
                        let mut samples = [0; (CLOCK_RATE / 1_000 * LONGEST_MS) as usize];
                        let count = bytes.len().min(samples.len());
                        law.decode(&bytes, &mut samples[..count]);
                        self.play_linear(CLOCK_RATE, &mut samples[..count]);
                    }
                }
                if self.spare.len() < MAX_SPARE {
                    self.spare.push(bytes);
                }
            }
            Held::Noise(noise) => {
                match &mut self.noise {
                    Some(before) => before.change(&noise),
                    none => *none = Some(noise),
                }
                return self.play_noise(self.frame.len());
            }
        }
        self.last = (self.ready.len() - before).max(1);
    }

    fn play_linear(&mut self, rate: u32, samples: &mut [i16]) {
        self.decoder = Decoder::None { rate };
        let (raising, ready) = self.raising(rate);
        raising.concealer.good(samples);
        raising.raise(samples, ready);
    }

    fn play_g722(&mut self, packet: &[u8]) {
        if !matches!(self.decoder, Decoder::G722(_)) {
            self.decoder = Decoder::G722(Box::default());
        }
        let mut samples = [0; LONGEST];
        let Decoder::G722(decoder) = &mut self.decoder else { return };
        let count = decoder.decode(packet, &mut samples);
        let (raising, ready) = self.raising(g722::SAMPLE_RATE);
        raising.raise(&samples[..count], ready);
    }

    fn play_opus(&mut self, packet: &[u8]) {
        if !matches!(self.decoder, Decoder::Opus(_)) {
            let Ok(decoder) = OpusDecoder::new(self.rate) else { return };
            self.decoder = Decoder::Opus(decoder);
        }
        let Decoder::Opus(decoder) = &mut self.decoder else { return };
        let mut samples = [0; LONGEST];
        if let Ok(count) = decoder.decode(packet, &mut samples) {
            self.ready.extend(&samples[..count]);
        }
    }

    fn play_noise(&mut self, missing: usize) {
        let Some(noise) = &mut self.noise else { return };
        let mut samples = [0; LONGEST];
        let count = missing * CLOCK_RATE as usize / self.rate as usize;
        let samples = &mut samples[..count];
        noise.fill(samples);
        self.decoder = Decoder::None { rate: CLOCK_RATE };
        self.narrow.concealer.good(samples);
        self.narrow.raise(samples, &mut self.ready);
    }

    /// Makes up so many samples. The packet after one that was `lost` may have a copy of it; where
    /// nothing is due, the copy in the next one is of what was played.
    fn conceal(&mut self, missing: usize, lost: bool) {
        if self.starved < FADED {
            self.made_up += missing as u64;
        }
        let mut samples = [0; LONGEST];
        let missing = missing.min(LONGEST);
        let rate = match &mut self.decoder {
            Decoder::Opus(decoder) => {
                // In steps of 2.5 ms, rounded up: what is too much is played next.
                let step = (self.rate / 400) as usize;
                let count = missing.next_multiple_of(step).min(samples.len());
                let next = match self.jitter.peek().filter(|_| lost) {
                    Some(Held::Encoded(AudioCodec::Opus, next)) => &next[..],
                    _ => &[],
                };
                if decoder.recover(next, &mut samples[..count]).is_ok() {
                    self.ready.extend(&samples[..count]);
                }
                return;
            }
            Decoder::G722(decoder) => {
                let rate = g722::SAMPLE_RATE;
                let count = missing * rate as usize / self.rate as usize;
                decoder.conceal(&mut samples[..count.next_multiple_of(2)]);
                rate
            }
            Decoder::None { rate } => *rate,
        };
        let count = missing * rate as usize / self.rate as usize;
        let concealed = matches!(self.decoder, Decoder::G722(_));
        let (raising, ready) = self.raising(rate);
        if !concealed {
            raising.concealer.conceal(&mut samples[..count]);
        }
        raising.raise(&samples[..count], ready);
    }

    fn raising(&mut self, rate: u32) -> (&mut Raising, &mut VecDeque<i16>) {
        if rate == CLOCK_RATE {
            return (&mut self.narrow, &mut self.ready);
        }
        let to = self.rate;
        let wide = self.wide.get_or_insert_with(|| Box::new(Raising::new(rate, to)));
        (wide, &mut self.ready)
    }
}

impl Raising {
    fn new(from: u32, to: u32) -> Self {
        let resampler = if from == to { None } else { Resampler::new(from, to).ok() };
        Self { concealer: Concealer::new(from), resampler }
    }

    fn raise(&mut self, samples: &[i16], ready: &mut VecDeque<i16>) {
        let Some(resampler) = &mut self.resampler else {
            ready.extend(samples);
            return;
        };
        let mut raised = [0; LONGEST];
        let count = resampler.process(samples, &mut raised);
        ready.extend(&raised[..count]);
    }
}

/// How long a packet lasts on its codec's clock; none if it cannot be played.
fn ticks(codec: AudioCodec, payload: &[u8]) -> Option<u32> {
    match codec {
        AudioCodec::Opus => packet_samples(payload, codec.clock_rate()).map(|count| count as u32),
        AudioCodec::Pcmu | AudioCodec::Pcma | AudioCodec::G722 => Some(payload.len() as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Frame;
    use switchroom_codecs::opus::{MAX_PACKET, OpusEncoder, OpusEncoderConfig};
    use switchroom_codecs::tone::{Segment, ToneGenerator};

    const RATE: u32 = 16_000;
    const PACE: Duration = Duration::from_millis(20);

    /// Packets of a voice that rises, each with a copy of the one before.
    fn packets(count: u32) -> Vec<Vec<u8>> {
        let config = OpusEncoderConfig { in_band_fec: true, ..OpusEncoderConfig::speech(RATE) };
        let mut encoder = OpusEncoder::new(config).unwrap();
        let segments: Vec<Segment> = (0..count)
            .map(|n| Segment { frequencies: vec![200.0 + 30.0 * f64::from(n)], duration: 0.02 })
            .collect();
        let mut tone = ToneGenerator::new(RATE, &segments, -15.0, false).unwrap();
        let mut encode = |_| {
            let (mut samples, mut packet) = ([0; 320], vec![0; MAX_PACKET]);
            tone.fill(&mut samples);
            let size = encoder.encode(&samples, &mut packet).unwrap();
            packet.truncate(size);
            packet
        };
        (0..count).map(&mut encode).collect()
    }

    fn insert(playout: &mut Playout, now: Instant, number: u32, payload: &[u8]) {
        let frame = Frame {
            stream: 1,
            codec: AudioCodec::Opus,
            sequence: u64::from(number),
            timestamp: number * 960,
            marker: false,
            pause: false,
            keep: false,
            level: None,
            payload,
            shared: None,
        };
        playout.insert(now, &Sound::Packet(&frame));
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // the origin of a test's virtual time
    fn a_packet_that_is_not_due_yet_is_no_copy_of_what_is_missing() {
        let (start, packets) = (Instant::now(), packets(32));
        let mut playouts = [Playout::new(RATE), Playout::new(RATE)];
        for playout in &mut playouts {
            for number in 0..30 {
                let now = start + PACE * number;
                insert(playout, now, number, &packets[number as usize]);
                playout.tick(now);
            }
            // Something came 80 ms late: who begins to play anew keeps so much in hand.
            insert(playout, start + PACE * 29, 25, &packets[25]);
            playout.tick(start + PACE * 30);
        }
        let now = start + PACE * 31;
        // It holds a copy of number 29, which was played; its own time is not there for long.
        insert(&mut playouts[0], now, 30, &packets[30]);
        for tick in 0..3 {
            for playout in &mut playouts {
                playout.tick(now + PACE * tick);
            }
            assert_eq!(playouts[0].ticks_held(), 1);
            assert!(playouts[0].frame() == playouts[1].frame(), "tick {tick}");
        }
    }
}
