//! What phones say: a voice-like sound with pauses, or tone bursts whose beginning can be timed.

use std::f64::consts::TAU;
use std::sync::Arc;

use switchroom_codecs::g711::Law;
use switchroom_codecs::level;
use switchroom_codecs::opus::{MAX_PACKET, OpusDecoder, OpusEncoder, OpusEncoderConfig};

/// Samples of a packet: 20 ms at 8 kHz.
pub(crate) const FRAME: usize = 160;
const NARROW_RATE: u32 = 8_000;
/// What agents' speech synthesisers make, and what the official clients let Opus have for it.
const WIDE_RATE: u32 = 24_000;
const WIDE_BITRATE: u32 = 48_000;
/// Packets of a sound before it begins again.
const SPEECH_FRAMES: usize = 500;
/// A burst every half a second …
const BURST_PERIOD: usize = 25;
/// … of a tenth of one.
const BURST_FRAMES: usize = 5;
/// Louder than -45 dBov counts as audible.
pub(crate) const AUDIBLE: u8 = 45;

/// What a phone plays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Play {
    Speech,
    Bursts,
    /// Without a pause.
    Tone,
    Silence,
}

/// The sounds, encoded once for all phones.
pub(crate) struct Sounds {
    speech: Vec<Frame>,
    tone: Vec<Frame>,
    silence: Frame,
    /// The same in Opus, for agents.
    wide: Wide,
}

/// Sounds in Opus.
struct Wide {
    speech: Vec<OpusFrame>,
    bursts: Vec<OpusFrame>,
    tone: Vec<OpusFrame>,
    silence: Vec<OpusFrame>,
}

/// One packet's payload in Opus.
pub(crate) struct OpusFrame {
    pub(crate) payload: Arc<[u8]>,
    pub(crate) audible: bool,
    pub(crate) burst_begins: bool,
}

/// One packet's payload.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) payload: [u8; FRAME],
    pub(crate) audible: bool,
}

/// A frame to send, and whether a burst begins with it.
pub(crate) struct NextFrame<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) burst_begins: bool,
}

impl Sounds {
    pub(crate) fn new() -> Self {
        Self {
            speech: frames(&speech(NARROW_RATE, 12)),
            tone: frames(&tone(NARROW_RATE)),
            silence: Frame { payload: [Law::Mu.silence(); FRAME], audible: false },
            wide: Wide::new(),
        }
    }

    /// What an agent says at this position.
    pub(crate) fn packet(&self, play: Play, position: usize) -> &OpusFrame {
        let frames = match play {
            Play::Speech => &self.wide.speech,
            Play::Bursts => &self.wide.bursts,
            Play::Tone => &self.wide.tone,
            Play::Silence => &self.wide.silence,
        };
        &frames[position % frames.len()]
    }

    /// The frame at a position of a sound that repeats; phones start at positions of their own.
    pub(crate) fn frame(&self, play: Play, position: usize) -> NextFrame<'_> {
        match play {
            Play::Speech => {
                let frame = &self.speech[position % self.speech.len()];
                NextFrame { frame, burst_begins: false }
            }
            Play::Bursts => {
                let position = position % BURST_PERIOD;
                let frame = self.tone.get(position).unwrap_or(&self.silence);
                NextFrame { frame, burst_begins: position == 0 }
            }
            Play::Tone => {
                let frame = &self.tone[position % self.tone.len()];
                NextFrame { frame, burst_begins: false }
            }
            Play::Silence => NextFrame { frame: &self.silence, burst_begins: false },
        }
    }
}

impl Wide {
    fn new() -> Self {
        let tone = tone(WIDE_RATE);
        let mut bursts = tone.clone();
        let period = BURST_PERIOD * (WIDE_RATE / 50) as usize;
        bursts.resize(period, 0.0);
        Self {
            speech: opus(&speech(WIDE_RATE, 60)),
            bursts: opus(&bursts),
            tone: opus(&tone),
            silence: opus(&vec![0.0; period]),
        }
    }
}

/// Encodes a sound. What a packet carries is judged by what it decodes to: Opus looks ahead, so
/// that a word begins in a later packet than its first sample.
fn opus(samples: &[f64]) -> Vec<OpusFrame> {
    let config =
        OpusEncoderConfig { sample_rate: WIDE_RATE, bitrate: WIDE_BITRATE, in_band_fec: false };
    let (Ok(mut encoder), Ok(mut decoder)) =
        (OpusEncoder::new(config), OpusDecoder::new(NARROW_RATE))
    else {
        return Vec::new();
    };
    let (mut packet, mut heard) = ([0; MAX_PACKET], [0; FRAME]);
    let mut was_audible = false;
    let mut encode = |chunk: &[f64]| {
        let linear: Vec<i16> = chunk.iter().map(|&sample| sample as i16).collect();
        let size = encoder.encode(&linear, &mut packet).unwrap_or(0);
        let _ = decoder.decode(&packet[..size], &mut heard);
        let audible = level::of_samples(&heard) <= AUDIBLE;
        let burst_begins = audible && !std::mem::replace(&mut was_audible, audible);
        OpusFrame { payload: packet[..size].into(), audible, burst_begins }
    };
    samples.chunks_exact((WIDE_RATE / 50) as usize).map(&mut encode).collect()
}

fn tone(rate: u32) -> Vec<f64> {
    let wave = |at| (TAU * 1_000.0 * (at as f64 + 0.5) / f64::from(rate)).sin();
    (0..BURST_FRAMES * (rate / 50) as usize).map(|at| 8_000.0 * wave(at)).collect()
}

fn frames(samples: &[f64]) -> Vec<Frame> {
    let frame = |chunk: &[f64]| {
        let linear: Vec<i16> = chunk.iter().map(|&sample| sample as i16).collect();
        let mut payload = [0; FRAME];
        Law::Mu.encode(&linear, &mut payload);
        Frame { payload, audible: level::of_samples(&linear) <= AUDIBLE }
    };
    samples.chunks_exact(FRAME).map(frame).collect()
}

/// Syllables of a gliding pitch with harmonics below the n-th, in words, with pauses between them: the rhythm of
/// speech, about two thirds of it audible.
fn speech(rate: u32, harmonics: u32) -> Vec<f64> {
    let scale = (rate / NARROW_RATE) as usize;
    let total = SPEECH_FRAMES * FRAME * scale;
    let (mut samples, mut angle, mut syllable) = (Vec::with_capacity(total), 0.0_f64, 0_usize);
    while samples.len() < total {
        let length = scale * (1_200 + 200 * (syllable * 7 % 5));
        let pitch = 110.0 + 12.0 * (syllable * 3 % 7) as f64;
        for at in 0..length {
            let progress = at as f64 / length as f64;
            let envelope = (progress * TAU / 2.0).sin().sqrt();
            angle += TAU * pitch * (1.05 - 0.1 * progress) / f64::from(rate);
            let wave = (1..harmonics).map(|n| (angle * f64::from(n)).sin() / f64::from(n));
            samples.push(5_000.0 * envelope * wave.sum::<f64>());
        }
        syllable += 1;
        let pause = match syllable % 12 {
            0 => 6_400,
            4 | 8 => 2_400,
            _ => 240,
        };
        samples.extend(std::iter::repeat_n(0.0, scale * pause));
    }
    samples.truncate(total);
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_is_audible_for_about_two_thirds_of_the_time() {
        let sounds = Sounds::new();
        let audible = sounds.speech.iter().filter(|frame| frame.audible).count();
        assert!((300..380).contains(&audible), "{audible} of 500");
    }

    #[test]
    fn a_burst_begins_twice_a_second_and_is_audible_from_its_first_packet() {
        let sounds = Sounds::new();
        let frames: Vec<_> = (0..100).map(|at| sounds.frame(Play::Bursts, at)).collect();
        let begins: Vec<usize> = (0..100).filter(|&at| frames[at].burst_begins).collect();
        assert_eq!(begins, [0, 25, 50, 75]);
        assert!(frames[25].frame.audible && !frames[24].frame.audible);
        assert!(level::of_g711(Law::Mu, &frames[25].frame.payload) < 20);
    }
}
