//! Tones to send, and their recognition in what arrives.

use std::f64::consts::TAU;

use str0m::rtp::RtpPacket;
use switchroom_codecs::g711::Law;
use switchroom_codecs::opus::{OpusDecoder, OpusEncoder, OpusEncoderConfig};

/// A sine of this level, in dB below overload, as 20 ms frames at a rate.
pub struct Tone {
    hz: f64,
    peak: f64,
    rate: u32,
    at: u64,
}

impl Tone {
    pub fn new(hz: f64, dbov: f64, rate: u32) -> Self {
        let peak = 32_767.0 * 2.0_f64.sqrt() * 10.0_f64.powf(dbov / 20.0);
        Self { hz, peak, rate, at: 0 }
    }

    pub fn frame(&mut self) -> Vec<i16> {
        let size = self.rate as u64 / 50;
        let samples = (self.at..self.at + size)
            .map(|n| self.peak * (TAU * self.hz * n as f64 / self.rate as f64).sin());
        self.at += size;
        samples.map(|sample| sample.round() as i16).collect()
    }
}

/// A tone as a client would encode it.
pub struct OpusTone {
    tone: Tone,
    encoder: OpusEncoder,
}

impl OpusTone {
    pub fn new(hz: f64, dbov: f64) -> Self {
        let encoder = OpusEncoder::new(OpusEncoderConfig::speech(48_000)).unwrap();
        Self { tone: Tone::new(hz, dbov, 48_000), encoder }
    }

    pub fn packet(&mut self) -> Vec<u8> {
        let mut packet = vec![0; 1_275];
        let length = self.encoder.encode(&self.tone.frame(), &mut packet).unwrap();
        packet.truncate(length);
        packet
    }
}

pub fn mu_law(samples: &[i16]) -> Vec<u8> {
    let mut octets = Vec::new();
    Law::Mu.encode_onto(samples, &mut octets);
    octets
}

pub fn from_mu_law(octets: &[u8]) -> Vec<i16> {
    let mut samples = vec![0; octets.len()];
    Law::Mu.decode(octets, &mut samples);
    samples
}

/// What a client's packets sound like, at 8 kHz.
pub fn decoded(packets: &[RtpPacket]) -> Vec<i16> {
    let mut opus = OpusDecoder::new(8_000).unwrap();
    let mut sound = Vec::new();
    for packet in packets {
        match *packet.header.payload_type {
            0 => sound.extend(from_mu_law(&packet.payload)),
            111 => {
                let mut samples = vec![0; 960];
                let count = opus.decode(&packet.payload, &mut samples).unwrap();
                sound.extend(&samples[..count]);
            }
            other => panic!("payload type {other}"),
        }
    }
    sound
}

/// The level of one frequency in 8 kHz sound, in dB below overload (Goertzel's algorithm).
pub fn level_of(hz: f64, sound: &[i16]) -> f64 {
    let coefficient = 2.0 * (TAU * hz / 8_000.0).cos();
    let (mut s1, mut s2) = (0.0, 0.0);
    for sample in sound {
        let s0 = f64::from(*sample) / 32_768.0 + coefficient * s1 - s2;
        (s2, s1) = (s1, s0);
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    // The amplitude of the sine, then its mean square.
    let amplitude = 2.0 * power.max(1e-12).sqrt() / sound.len() as f64;
    20.0 * (amplitude / 2.0_f64.sqrt()).log10()
}
