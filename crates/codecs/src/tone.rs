//! Tones that a network plays: dial tone, ringing, busy, test tones, beeps.

use std::f64::consts::{SQRT_2, TAU};

/// Most frequencies sounding at the same moment.
pub const MAX_FREQUENCIES: usize = 4;

/// Length of the ramp at both ends of a sounding segment, in seconds: long enough to make no
/// click, short enough not to be heard.
const RAMP: f64 = 0.002;

/// A part of a cadence.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// What sounds together, in Hz; empty for a pause.
    pub frequencies: Vec<f64>,
    /// In seconds.
    pub duration: f64,
}

/// Why a tone cannot be played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InvalidTone {
    /// There is no segment, or none with a length.
    Empty,
    /// A duration is negative, not a number, or longer than a day.
    Duration,
    /// A frequency is not positive or not below half of the sampling rate.
    Frequency,
    /// More than [`MAX_FREQUENCIES`] at the same moment.
    TooMany,
}

impl std::fmt::Display for InvalidTone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "tone has no segment with a length",
            Self::Duration => "tone has a segment with an impossible length",
            Self::Frequency => "tone has a frequency outside the band",
            Self::TooMany => "tone has more than four frequencies at once",
        })
    }
}

impl std::error::Error for InvalidTone {}

/// Produces the samples of a cadence, in pieces of any size.
#[derive(Clone, Debug)]
pub struct ToneGenerator {
    parts: Vec<Part>,
    repeat: bool,
    current: usize,
    /// Samples of the current part already given out.
    position: u64,
    oscillators: Vec<Oscillator>,
    ramp: u64,
}

#[derive(Clone, Debug)]
struct Part {
    steps: Vec<f64>,
    amplitude: f64,
    samples: u64,
}

/// A sine by recurrence: one multiplication a sample, exact to 1e-7 over a day in 64 bits.
#[derive(Clone, Copy, Debug)]
struct Oscillator {
    twice_cosine: f64,
    last: f64,
    before: f64,
}

impl ToneGenerator {
    /// `level` is that of each frequency in dBov, where the loudest sine is -3.01 (RFC 6464);
    /// values above that are taken as that. Frequencies sounding together are added, saturating.
    pub fn new(
        sample_rate: u32,
        segments: &[Segment],
        level: f64,
        repeat: bool,
    ) -> Result<Self, InvalidTone> {
        let amplitude = (32_768.0 * SQRT_2 * 10_f64.powf(level / 20.0)).clamp(0.0, 32_767.0);
        let rate = f64::from(sample_rate);
        let parts: Vec<Part> = segments
            .iter()
            .map(|segment| Part::new(segment, rate, amplitude))
            .collect::<Result<_, _>>()?;
        if parts.iter().all(|part| part.samples == 0) {
            return Err(InvalidTone::Empty);
        }
        let mut generator = Self {
            parts,
            repeat,
            current: 0,
            position: 0,
            oscillators: Vec::with_capacity(MAX_FREQUENCIES),
            ramp: (RAMP * rate) as u64,
        };
        generator.start_part();
        Ok(generator)
    }

    /// Writes the next samples and returns how many: fewer than asked for only when a tone that
    /// is not repeated has come to its end. What is left of the frame is silence.
    pub fn fill(&mut self, frame: &mut [i16]) -> usize {
        let mut written = 0;
        while written < frame.len() && self.current < self.parts.len() {
            let left = self.parts[self.current].samples - self.position;
            let count = left.min((frame.len() - written) as u64) as usize;
            self.sound(&mut frame[written..written + count]);
            written += count;
            if self.position == self.parts[self.current].samples {
                self.next_part();
            }
        }
        frame[written..].fill(0);
        written
    }

    fn sound(&mut self, frame: &mut [i16]) {
        let part = &self.parts[self.current];
        for sample in frame {
            let sum: f64 = self.oscillators.iter_mut().map(Oscillator::next).sum();
            let from_edge = (self.position + 1).min(part.samples - self.position);
            let ramp = (from_edge as f64 / (self.ramp + 1) as f64).min(1.0);
            // A float converted with `as` saturates.
            *sample = (sum * part.amplitude * ramp).round() as i16;
            self.position += 1;
        }
    }

    fn next_part(&mut self) {
        self.current += 1;
        if self.repeat && self.current == self.parts.len() {
            self.current = 0;
        }
        self.start_part();
    }

    fn start_part(&mut self) {
        self.position = 0;
        self.oscillators.clear();
        if let Some(part) = self.parts.get(self.current) {
            self.oscillators.extend(part.steps.iter().map(|&step| Oscillator::new(step)));
        }
    }
}

impl Part {
    fn new(segment: &Segment, rate: f64, amplitude: f64) -> Result<Self, InvalidTone> {
        if !(0.0..=86_400.0).contains(&segment.duration) {
            return Err(InvalidTone::Duration);
        }
        if segment.frequencies.len() > MAX_FREQUENCIES {
            return Err(InvalidTone::TooMany);
        }
        let in_band = |&hz: &f64| hz > 0.0 && hz < rate / 2.0;
        if !segment.frequencies.iter().all(in_band) {
            return Err(InvalidTone::Frequency);
        }
        let steps = segment.frequencies.iter().map(|hz| TAU * hz / rate).collect();
        Ok(Self { steps, amplitude, samples: (segment.duration * rate).round() as u64 })
    }
}

impl Oscillator {
    fn new(step: f64) -> Self {
        Self { twice_cosine: 2.0 * step.cos(), last: 0.0, before: -step.sin() }
    }

    fn next(&mut self) -> f64 {
        let value = self.last;
        self.last = self.twice_cosine * value - self.before;
        self.before = value;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level;

    fn tone(frequencies: &[f64], duration: f64) -> Segment {
        Segment { frequencies: frequencies.to_vec(), duration }
    }

    fn play(rate: u32, segments: &[Segment], level: f64, repeat: bool, count: usize) -> Vec<i16> {
        let mut samples = vec![7; count];
        let mut generator = ToneGenerator::new(rate, segments, level, repeat).unwrap();
        let _ = generator.fill(&mut samples);
        samples
    }

    /// The share of the energy at `hz`, by correlation with a sine and a cosine.
    fn purity(samples: &[i16], rate: f64, hz: f64) -> f64 {
        let (mut sine, mut cosine, mut energy) = (0.0, 0.0, 0.0);
        for (at, &sample) in samples.iter().enumerate() {
            let (value, angle) = (f64::from(sample), TAU * hz * at as f64 / rate);
            sine += value * angle.sin();
            cosine += value * angle.cos();
            energy += value * value;
        }
        2.0 * (sine * sine + cosine * cosine) / (energy * samples.len() as f64)
    }

    #[test]
    fn a_tone_has_its_frequency_and_level_at_each_rate() {
        for rate in [8_000, 16_000, 24_000, 48_000] {
            let samples = play(rate, &[tone(&[440.0], 1.0)], -20.0, false, rate as usize);
            let middle = &samples[100..rate as usize - 100];
            assert!(purity(middle, f64::from(rate), 440.0) > 0.999);
            assert_eq!(level::of_samples(middle), 20);
        }
    }

    #[test]
    fn two_frequencies_carry_half_of_the_energy_each() {
        let samples = play(8_000, &[tone(&[350.0, 440.0], 1.0)], -16.0, false, 8_000);
        for hz in [350.0, 440.0] {
            assert!((purity(&samples, 8_000.0, hz) - 0.5).abs() < 0.01);
        }
        assert_eq!(level::of_samples(&samples), 13);
    }

    #[test]
    fn a_cadence_sounds_and_pauses_and_repeats() {
        let busy = [tone(&[480.0, 620.0], 0.5), tone(&[], 0.5)];
        let samples = play(8_000, &busy, -24.0, true, 16_000);
        for half_second in 0..4 {
            let part = &samples[half_second * 4_000..][..4_000];
            assert_eq!(level::of_samples(part) == level::SILENCE, half_second % 2 == 1);
        }
    }

    #[test]
    fn a_tone_in_pieces_is_the_tone_at_once() {
        let cadence = [tone(&[440.0], 0.1), tone(&[], 0.05)];
        let whole = play(8_000, &cadence, -10.0, true, 4_000);
        let mut generator = ToneGenerator::new(8_000, &cadence, -10.0, true).unwrap();
        let mut pieces = vec![0; 4_000];
        for piece in pieces.chunks_mut(37) {
            assert_eq!(generator.fill(piece), piece.len());
        }
        assert_eq!(pieces, whole);
    }

    #[test]
    fn a_tone_that_is_over_leaves_silence_and_says_so() {
        let mut generator =
            ToneGenerator::new(8_000, &[tone(&[440.0], 0.01)], -10.0, false).unwrap();
        let mut frame = [7; 160];
        assert_eq!(generator.fill(&mut frame), 80);
        assert_eq!(frame[80..], [0; 80]);
        assert_eq!(generator.fill(&mut frame), 0);
        assert_eq!(frame, [0; 160]);
    }

    #[test]
    fn both_ends_of_a_tone_are_ramped() {
        let samples = play(8_000, &[tone(&[1_900.0], 0.1)], -3.0, false, 800);
        let peak = |part: &[i16]| part.iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!(peak(&samples[..4]) < 12_000 && peak(&samples[796..]) < 12_000);
        assert!(peak(&samples[100..700]) > 30_000);
    }

    #[test]
    fn the_loudest_chord_saturates_instead_of_wrapping() {
        let samples = play(8_000, &[tone(&[400.0, 401.0], 0.1)], 0.0, false, 800);
        assert!(samples.windows(2).all(|pair| pair[0].abs_diff(pair[1]) < 32_000));
        assert!(samples.contains(&i16::MAX));
    }

    #[test]
    fn impossible_tones_are_refused() {
        let refuse =
            |segment: Segment| ToneGenerator::new(8_000, &[segment], -10.0, true).unwrap_err();
        assert_eq!(refuse(tone(&[440.0], 0.0)), InvalidTone::Empty);
        assert_eq!(refuse(tone(&[440.0], f64::NAN)), InvalidTone::Duration);
        assert_eq!(refuse(tone(&[440.0], f64::INFINITY)), InvalidTone::Duration);
        assert_eq!(refuse(tone(&[4_000.0], 1.0)), InvalidTone::Frequency);
        assert_eq!(refuse(tone(&[f64::NAN], 1.0)), InvalidTone::Frequency);
        assert_eq!(refuse(tone(&[1.0; 5], 1.0)), InvalidTone::TooMany);
        assert!(ToneGenerator::new(8_000, &[], -10.0, true).is_err());
    }
}
