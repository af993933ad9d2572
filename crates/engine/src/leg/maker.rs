//! Packets that we encode for a phone whose codec remembers what went before: G.722 and Opus.
//!
//! One encoder goes through everything that is made for the phone, so that it hears no seam. Where
//! packets of others were passed through and then fail, Opus lets the phone itself make something up.

use switchroom_codecs::conceal::Concealer;
use switchroom_codecs::g722::G722Encoder;
use switchroom_codecs::opus::{MAX_PACKET, OpusEncoder, OpusEncoderConfig};

use crate::audio::AudioCodec;

/// Milliseconds for which a phone is let make something up.
const LEFT_TO_PHONE_MS: u32 = 60;
/// Samples of the longest packet: 60 ms at 24 kHz.
const MOST_SAMPLES: usize = 1_440;

#[derive(Debug)]
pub(crate) struct Maker {
    codec: AudioCodec,
    redundant: bool,
    encoder: Encoder,
    rate: u32,
    concealer: Concealer,
    /// The first octet of the last packet that was passed through, if that was the last one.
    passed: Option<u8>,
    filled_ms: u32,
    samples: Vec<i16>,
    payload: Vec<u8>,
}

#[derive(Debug)]
enum Encoder {
    G722(Box<G722Encoder>),
    Opus(OpusEncoder),
}

impl Maker {
    /// None for G.711, which needs none.
    pub(crate) fn new(codec: AudioCodec, redundant: bool) -> Option<Self> {
        let (encoder, rate) = match codec {
            AudioCodec::Pcmu | AudioCodec::Pcma => return None,
            AudioCodec::G722 => (Encoder::G722(Box::default()), 16_000),
            AudioCodec::Opus => {
                let config = OpusEncoderConfig::speech(24_000);
                let config = OpusEncoderConfig { in_band_fec: redundant, ..config };
                (Encoder::Opus(OpusEncoder::new(config).ok()?), 24_000)
            }
        };
        Some(Self {
            codec,
            redundant,
            encoder,
            rate,
            concealer: Concealer::new(rate),
            passed: None,
            filled_ms: 0,
            samples: Vec::with_capacity(MOST_SAMPLES),
            payload: Vec::with_capacity(MAX_PACKET),
        })
    }

    pub(crate) fn makes(&self, codec: AudioCodec, redundant: bool) -> bool {
        (self.codec, self.redundant) == (codec, redundant)
    }

    /// A packet of somebody else was sent.
    pub(crate) fn pass(&mut self, payload: &[u8]) {
        self.passed = payload.first().copied();
        self.filled_ms = 0;
    }

    /// Samples as a packet; empty if they have no length that the codec has.
    pub(crate) fn speak(&mut self, samples: &[i16]) -> &[u8] {
        self.go_on();
        self.filled_ms = 0;
        self.samples.clear();
        self.samples.extend_from_slice(samples);
        self.concealer.good(&mut self.samples);
        self.encode()
    }

    /// A packet of so many milliseconds where nothing came.
    pub(crate) fn fill(&mut self, ms: u32) -> &[u8] {
        self.filled_ms = self.filled_ms.saturating_add(ms);
        if let (Some(first), AudioCodec::Opus) = (self.passed, self.codec)
            && self.filled_ms <= LEFT_TO_PHONE_MS
        {
            self.payload.clear();
            self.payload.push(nothing_of_20_ms(first));
            return &self.payload;
        }
        self.go_on();
        self.samples.clear();
        self.samples.resize((self.rate / 1_000 * ms) as usize, 0);
        self.concealer.conceal(&mut self.samples);
        self.encode()
    }

    /// After packets of others nothing of what was said before goes on.
    fn go_on(&mut self) {
        if self.passed.take().is_some() {
            self.concealer = Concealer::new(self.rate);
        }
    }

    fn encode(&mut self) -> &[u8] {
        self.payload.clear();
        match &mut self.encoder {
            Encoder::G722(encoder) => encoder.encode_onto(&self.samples, &mut self.payload),
            Encoder::Opus(encoder) => {
                self.payload.resize(MAX_PACKET, 0);
                let size = encoder.encode(&self.samples, &mut self.payload).unwrap_or(0);
                self.payload.truncate(size);
            }
        }
        &self.payload
    }
}

/// A packet of Opus with nothing in it, for which a decoder makes something up (RFC 6716 §2.1.9 and
/// §3.1), in the mode and band of the packet that began so.
fn nothing_of_20_ms(first: u8) -> u8 {
    let config = first >> 3;
    let config = match config {
        0..=11 => config & !3 | 1,
        12..=15 => config & !1 | 1,
        _ => config | 3,
    };
    config << 3 | first & 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchroom_codecs::g722::G722Decoder;
    use switchroom_codecs::level;
    use switchroom_codecs::opus::{OpusDecoder, packet_samples};
    use switchroom_codecs::tone::{Segment, ToneGenerator};

    fn tone(rate: u32) -> ToneGenerator {
        let segment = Segment { frequencies: vec![500.0], duration: 60.0 };
        ToneGenerator::new(rate, &[segment], -20.0, false).unwrap()
    }

    /// Levels of 20 ms frames: ten of a tone, then five of filling.
    fn levels(codec: AudioCodec, mut decode: impl FnMut(&[u8]) -> Vec<i16>) -> Vec<u8> {
        let mut maker = Maker::new(codec, false).unwrap();
        let mut tone = tone(maker.rate);
        let mut frame = vec![0; (maker.rate / 50) as usize];
        let mut levels = Vec::new();
        for at in 0..15 {
            let payload = if at < 10 {
                tone.fill(&mut frame);
                maker.speak(&frame)
            } else {
                maker.fill(20)
            };
            levels.push(level::of_samples(&decode(payload)));
        }
        levels
    }

    #[test]
    fn what_was_said_fades_in_the_codec_of_the_phone() {
        let mut decoder = G722Decoder::new();
        let g722 = levels(AudioCodec::G722, |payload| {
            assert_eq!(payload.len(), 160);
            let mut samples = vec![0; 320];
            decoder.decode(payload, &mut samples);
            samples
        });
        let mut decoder = OpusDecoder::new(24_000).unwrap();
        let opus = levels(AudioCodec::Opus, |payload| {
            let mut samples = vec![0; 480];
            assert_eq!(decoder.decode(payload, &mut samples), Ok(480));
            samples
        });
        for levels in [g722, opus] {
            assert!(levels[5..10].iter().all(|level| level.abs_diff(20) <= 2), "{levels:?}");
            assert!(levels[10] < 26 && levels[14] > 50, "{levels:?}");
        }
    }

    #[test]
    fn after_packets_of_others_the_phone_conceals_60_ms_and_then_there_is_silence() {
        let mut source = OpusEncoder::new(OpusEncoderConfig::speech(48_000)).unwrap();
        let mut maker = Maker::new(AudioCodec::Opus, true).unwrap();
        let mut decoder = OpusDecoder::new(24_000).unwrap();
        let (mut tone, mut frame) = (tone(48_000), vec![0; 960]);
        let (mut packet, mut samples) = ([0; MAX_PACKET], vec![0; 480]);
        for _ in 0..10 {
            tone.fill(&mut frame);
            let size = source.encode(&frame, &mut packet).unwrap();
            maker.pass(&packet[..size]);
            decoder.decode(&packet[..size], &mut samples).unwrap();
        }
        for at in 0..6 {
            let payload = maker.fill(20);
            assert_eq!(packet_samples(payload, 48_000), Some(960));
            assert_eq!(payload.len() == 1, at < 3);
            decoder.decode(payload, &mut samples).unwrap();
        }
        assert!(level::of_samples(&samples) > 60);
    }

    #[test]
    fn an_empty_packet_lasts_20_ms_in_every_mode() {
        for first in 0..=255 {
            assert_eq!(packet_samples(&[nothing_of_20_ms(first)], 48_000), Some(960), "{first}");
        }
    }
}
