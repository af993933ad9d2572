//! One source on a mixer's clock: packets go in as they come, 20 ms come out at each tick.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use switchroom_codecs::conceal::Concealer;
use switchroom_codecs::opus::{OpusDecoder, packet_samples};
use switchroom_codecs::resample::Resampler;
use switchroom_rtp::{JitterBuffer, Taken};

use crate::audio::AudioCodec;
use crate::stream::CLOCK_RATE;
use crate::transcode::Sound;

/// The delay that the jitter buffer may add by intent.
const MAX_DELAY: Duration = Duration::from_millis(40);
/// Packets taken in one tick: enough for the shortest there are.
const MAX_TAKEN: usize = 16;
/// Buffers kept for packets to come.
const MAX_SPARE: usize = 8;
/// Ticks without a packet after which concealment has faded to silence.
const FADED: u32 = 4;
/// Milliseconds of the longest packet.
const LONGEST_MS: u32 = 120;

#[derive(Debug)]
pub(crate) struct Playout {
    rate: u32,
    /// Mixes that take from here.
    pub(crate) users: usize,
    stream: Option<(u64, AudioCodec)>,
    jitter: JitterBuffer<Held>,
    /// For what comes at 8 kHz: hides losses, and raises the rate.
    narrow: Narrow,
    opus: Option<OpusDecoder>,
    /// Decoded and not yet played.
    ready: VecDeque<i16>,
    frame: Vec<i16>,
    /// Samples of the last packet: as much is missing when one is lost.
    last: usize,
    /// Ticks in a row for which there was no packet.
    starved: u32,
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
enum Held {
    Encoded(AudioCodec, Vec<u8>),
    Linear(Box<[i16]>),
}

#[derive(Debug)]
struct Narrow {
    concealer: Concealer,
    resampler: Option<Resampler>,
}

impl Playout {
    /// At `rate` samples a second, for one user.
    pub(crate) fn new(rate: u32) -> Self {
        let resampler =
            if rate == CLOCK_RATE { None } else { Resampler::new(CLOCK_RATE, rate).ok() };
        let size = (rate / 50) as usize;
        Self {
            rate,
            users: 1,
            stream: None,
            jitter: JitterBuffer::new(CLOCK_RATE, MAX_DELAY),
            narrow: Narrow { concealer: Concealer::new(CLOCK_RATE), resampler },
            opus: None,
            ready: VecDeque::with_capacity(2 * size),
            frame: vec![0; size],
            last: size,
            starved: FADED,
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

    /// How many ticks it takes to play what was received.
    pub(crate) fn ticks_held(&self) -> usize {
        (self.ready.len() + self.jitter.len() * self.last).div_ceil(self.frame.len())
    }

    /// What [`Self::tick`] played.
    pub(crate) fn frame(&self) -> &[i16] {
        &self.frame
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
                let held = Held::Linear(Box::from(&sound.frame[..]));
                let ticks = sound.frame.len() as u32;
                self.jitter.insert(now, sound.sequence as u16, sound.timestamp, ticks, held);
            }
        }
    }

    /// Plays 20 ms.
    pub(crate) fn tick(&mut self, now: Instant) {
        for _ in 0..MAX_TAKEN {
            if self.ready.len() >= self.frame.len() {
                break;
            }
            match self.jitter.take(now) {
                Taken::Packet(held) => {
                    self.starved = 0;
                    self.play(held);
                }
                Taken::Lost => self.conceal(self.last),
                Taken::Nothing => {
                    self.starved = self.starved.saturating_add(1);
                    self.conceal(self.frame.len() - self.ready.len());
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
        match held {
            Held::Linear(mut samples) => self.play_narrow(&mut samples),
            Held::Encoded(codec, bytes) => {
                match codec.law() {
                    Some(law) => {
                        let mut samples = [0; (CLOCK_RATE / 1_000 * LONGEST_MS) as usize];
                        let count = bytes.len().min(samples.len());
                        law.decode(&bytes, &mut samples[..count]);
                        self.play_narrow(&mut samples[..count]);
                    }
                    None if codec == AudioCodec::Opus => self.play_opus(&bytes),
                    None => {}
                }
                if self.spare.len() < MAX_SPARE {
                    self.spare.push(bytes);
                }
            }
        }
        self.last = (self.ready.len() - before).max(1);
    }

    fn play_narrow(&mut self, samples: &mut [i16]) {
        self.opus = None;
        self.narrow.concealer.good(samples);
        self.narrow.raise(samples, &mut self.ready);
    }

    fn play_opus(&mut self, packet: &[u8]) {
        if self.opus.is_none() {
            self.opus = OpusDecoder::new(self.rate).ok();
        }
        let Some(decoder) = &mut self.opus else { return };
        let mut samples = [0; (48 * LONGEST_MS) as usize];
        if let Ok(count) = decoder.decode(packet, &mut samples) {
            self.ready.extend(&samples[..count]);
        }
    }

    fn conceal(&mut self, missing: usize) {
        let mut samples = [0; (48 * LONGEST_MS) as usize];
        if let Some(decoder) = &mut self.opus {
            // In steps of 2.5 ms, rounded up: what is too much is played next.
            let step = (self.rate / 400) as usize;
            let count = missing.next_multiple_of(step).min(samples.len());
            let next = match self.jitter.peek() {
                Some(Held::Encoded(AudioCodec::Opus, next)) => &next[..],
                _ => &[],
            };
            if decoder.recover(next, &mut samples[..count]).is_ok() {
                self.ready.extend(&samples[..count]);
            }
            return;
        }
        let count = missing.min(samples.len()) * CLOCK_RATE as usize / self.rate as usize;
        self.narrow.concealer.conceal(&mut samples[..count]);
        self.narrow.raise(&samples[..count], &mut self.ready);
    }
}

impl Narrow {
    fn raise(&mut self, samples: &[i16], ready: &mut VecDeque<i16>) {
        let Some(resampler) = &mut self.resampler else {
            ready.extend(samples);
            return;
        };
        let mut raised = [0; (48 * LONGEST_MS) as usize];
        let count = resampler.process(samples, &mut raised);
        ready.extend(&raised[..count]);
    }
}

/// How long a packet lasts on its codec's clock; none if it cannot be played.
fn ticks(codec: AudioCodec, payload: &[u8]) -> Option<u32> {
    match codec {
        AudioCodec::Opus => packet_samples(payload, codec.clock_rate()).map(|count| count as u32),
        AudioCodec::Pcmu | AudioCodec::Pcma => Some(payload.len() as u32),
        AudioCodec::G722 => None,
    }
}
