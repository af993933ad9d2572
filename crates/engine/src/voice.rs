//! A phone's sound made even: decoded behind a jitter buffer, with what was lost made up for.
//!
//! Needed only where a phone is not passed through: for listeners that take another codec, for noise
//! suppression, for keys told by their tones, and for the levels of codecs that have to be decoded.

use std::time::Instant;

use switchroom_codecs::denoise::Denoiser;
use switchroom_codecs::keys::{HeardKey, KeyDetector};
use switchroom_rtp::digits::ReceivedDigit;

use crate::audio::{AudioCodec, AudioLevel};
use crate::comfort::ComfortNoise;
use crate::graph::{Frame, new_stream};
use crate::playout::Playout;
use crate::transcode::{FRAME, Samples, Sound};

/// Ticks without a listener after which the voice is let go.
const MAX_IDLE: u32 = 100;

/// What is done to a phone's sound before anybody hears it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Processing {
    pub(crate) denoise: bool,
    pub(crate) detect_tones: bool,
}

/// What a source that is a phone has beside others.
#[derive(Debug, Default)]
pub(crate) struct PhoneSide {
    pub(crate) processing: Processing,
    /// It says what its silence sounds like: then words and silence go through one buffer, so that
    /// no word is cut where they meet.
    pub(crate) comforts: bool,
    pub(crate) voice: Option<Box<Voice>>,
    /// Milliseconds made up by voices that were let go.
    concealed_ms: u64,
}

impl PhoneSide {
    /// Whether everybody hears the voice and nobody the packets.
    pub(crate) fn is_whole(&self) -> bool {
        self.processing.denoise || self.comforts
    }

    /// Whether there has to be a voice even if nobody listens to it.
    pub(crate) fn needs_voice(&self, codec: AudioCodec) -> bool {
        self.is_whole() || self.processing.detect_tones || codec.law().is_none()
    }

    /// The voice for this codec; another one if the codec is of another rate.
    pub(crate) fn voice_for(&mut self, codec: AudioCodec, streams_made: &mut u64) -> &mut Voice {
        let rate = Voice::rate_of(codec);
        if self.voice.as_ref().is_some_and(|voice| voice.rate != rate) {
            self.let_go();
        }
        let voice =
            self.voice.get_or_insert_with(|| Box::new(Voice::new(rate, new_stream(streams_made))));
        voice.codec = codec;
        voice
    }

    pub(crate) fn let_go(&mut self) {
        self.concealed_ms = self.concealed_ms();
        self.voice = None;
    }

    pub(crate) fn concealed_ms(&self) -> u64 {
        let current = self.voice.as_ref().map_or(0, |voice| voice.playout.concealed_ms());
        self.concealed_ms + current
    }
}

#[derive(Debug)]
pub(crate) struct Voice {
    pub(crate) playout: Playout,
    rate: u32,
    /// What the phone speaks at present.
    pub(crate) codec: AudioCodec,
    stream: u64,
    sequence: u64,
    ticks: u32,
    sounding: bool,
    idle: u32,
    denoiser: Option<Box<Denoiser>>,
    detector: Option<Box<KeyDetector>>,
    /// Of what was played last.
    pub(crate) level: Option<AudioLevel>,
}

impl Voice {
    fn new(rate: u32, stream: u64) -> Self {
        Self {
            playout: Playout::new(rate),
            rate,
            codec: AudioCodec::Pcmu,
            stream,
            sequence: 0,
            ticks: 0,
            sounding: false,
            idle: 0,
            denoiser: None,
            detector: None,
            level: None,
        }
    }

    fn rate_of(codec: AudioCodec) -> u32 {
        match codec {
            AudioCodec::Pcmu | AudioCodec::Pcma => 8_000,
            AudioCodec::G722 | AudioCodec::Opus => 16_000,
        }
    }

    pub(crate) fn insert(&mut self, now: Instant, frame: &Frame<'_>) {
        self.playout.insert(now, &Sound::Packet(frame));
    }

    pub(crate) fn insert_noise(
        &mut self,
        now: Instant,
        place: (u64, u64, u32),
        noise: ComfortNoise,
    ) {
        self.playout.insert_noise(now, place, noise);
    }

    /// The next 20 ms; none while there is nothing to hear. A key that has been let go is told.
    pub(crate) fn tick(
        &mut self,
        now: Instant,
        processing: Processing,
    ) -> (Option<Samples<'_>>, Option<ReceivedDigit>) {
        self.playout.tick(now);
        self.ticks = self.ticks.wrapping_add(1);
        let key = self.detect(processing.detect_tones);
        let sounds = self.playout.sounds();
        let began = sounds && !self.sounding;
        if !sounds && !std::mem::replace(&mut self.sounding, sounds) {
            self.level = None;
            return (None, key);
        }
        self.sounding = sounds;
        self.denoise(processing.denoise);
        let frame = self.playout.frame();
        self.level = Some(AudioLevel::of_samples(frame));
        let sequence = self.sequence;
        self.sequence += 1;
        let samples = Samples {
            stream: self.stream,
            sequence,
            timestamp: self.ticks.wrapping_mul(FRAME as u32),
            rate: self.rate,
            marker: began,
            pause: !sounds,
            frame,
        };
        (Some(samples), key)
    }

    /// Notes whether anybody needed what was played; true if nobody has for long.
    pub(crate) fn is_idle(&mut self, needed: bool) -> bool {
        self.idle = if needed { 0 } else { self.idle + 1 };
        self.idle >= MAX_IDLE
    }

    fn detect(&mut self, wanted: bool) -> Option<ReceivedDigit> {
        if !wanted {
            self.detector = None;
            return None;
        }
        let rate = self.rate;
        let detector = self.detector.get_or_insert_with(|| Box::new(KeyDetector::new(rate)));
        let HeardKey { digit, duration_ms } = detector.hear(self.playout.frame())?;
        Some(ReceivedDigit { digit, duration_ms })
    }

    fn denoise(&mut self, wanted: bool) {
        if !wanted {
            self.denoiser = None;
            return;
        }
        if self.denoiser.is_none() {
            self.denoiser = Denoiser::new(self.rate).ok().map(Box::new);
        }
        if let Some(denoiser) = &mut self.denoiser {
            denoiser.process(self.playout.frame_mut());
        }
    }
}
