//! From one sampling rate to another: a polyphase low-pass filter, 1.5 ms long on each side.
//!
//! Opus decodes to the rate that is wanted, so this serves files, recorders and taps.

use std::f64::consts::{PI, TAU};
use std::fmt;

/// Length of the filter in samples of the lower rate: 1.2 kHz from pass to stop at 8 kHz, so that
/// the telephone band (to 3.4 kHz) is whole and what folds back into it is 60 dB down.
const LENGTH: usize = 24;
/// Shape of the Kaiser window for a stop band 60 dB down.
const KAISER_BETA: f64 = 5.65;

const RATES: [u32; 5] = [8_000, 16_000, 24_000, 32_000, 48_000];
const FILE_RATES: [u32; 3] = [11_025, 22_050, 44_100];

/// A rate this module does not convert.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnsupportedRate(pub u32);

impl fmt::Display for UnsupportedRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz is none of 8,000, 16,000, 24,000, 32,000 and 48,000", self.0)
    }
}

impl std::error::Error for UnsupportedRate {}

/// Converts one stream; keeps what it needs of the past between calls.
#[derive(Clone, Debug)]
pub struct Resampler {
    /// Output samples for each `down` input samples.
    up: usize,
    down: usize,
    /// Filters for each of `up` positions between two input samples, last tap first.
    phases: Vec<f32>,
    taps: usize,
    /// The last `taps - 1` input samples, followed by the input at hand.
    window: Vec<f32>,
    /// Position of the next output sample, in steps of 1/`up` input samples from the first new one.
    position: usize,
}

impl Resampler {
    /// Both rates are one of 8,000, 16,000, 24,000, 32,000 and 48,000.
    pub fn new(from: u32, to: u32) -> Result<Self, UnsupportedRate> {
        match [from, to].into_iter().find(|rate| !RATES.contains(rate)) {
            Some(rate) => Err(UnsupportedRate(rate)),
            None => Ok(Self::between(from, to)),
        }
    }

    /// The same from what files have: the rates of compact discs, 11,025, 22,050 and 44,100, too.
    pub fn from_file(from: u32, to: u32) -> Result<Self, UnsupportedRate> {
        if FILE_RATES.contains(&from) && RATES.contains(&to) {
            return Ok(Self::between(from, to));
        }
        Self::new(from, to)
    }

    fn between(from: u32, to: u32) -> Self {
        let common = greatest_common_divisor(from, to);
        let (up, down) = ((to / common) as usize, (from / common) as usize);
        let taps = (LENGTH * up.max(down)).div_ceil(up);
        let phases = filter(up, down, taps);
        Self { up, down, phases, taps, window: vec![0.0; taps - 1], position: 0 }
    }

    /// Samples that [`Self::process`] will write for so many of input.
    #[must_use]
    pub fn output_size(&self, input: usize) -> usize {
        (input * self.up).saturating_sub(self.position).div_ceil(self.down)
    }

    /// Converts a piece of any size and returns how many samples were written: those of
    /// [`Self::output_size`], or the length of `output` if that is less; what does not fit is lost.
    pub fn process(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        let size = self.output_size(input.len());
        self.window.extend(input.iter().map(|&sample| f32::from(sample)));
        for (at, sample) in output.iter_mut().take(size).enumerate() {
            let position = self.position + at * self.down;
            let newest = position / self.up;
            let phase = &self.phases[position % self.up * self.taps..][..self.taps];
            let sum: f32 = dot(phase, &self.window[newest..newest + self.taps]);
            // A float converted with `as` saturates.
            *sample = sum.round() as i16;
        }
        self.position = self.position + size * self.down - input.len() * self.up;
        self.window.drain(..input.len());
        size.min(output.len())
    }
}

/// Eight sums side by side, which the compiler turns into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// A windowed sine at `up` times the input rate, cut into its phases.
fn filter(up: usize, down: usize, taps: usize) -> Vec<f32> {
    let size = taps * up;
    let middle = (size - 1) as f64 / 2.0;
    let cutoff = 0.5 / up.max(down) as f64; // half of the lower rate
    let tap = |at: usize| {
        let x = at as f64 - middle;
        let ideal = if x == 0.0 { 2.0 * cutoff } else { (TAU * cutoff * x).sin() / (PI * x) };
        ideal * kaiser(x / (middle + 1.0))
    };
    let prototype: Vec<f64> = (0..size).map(tap).collect();
    let mut phases = Vec::with_capacity(size);
    for phase in 0..up {
        let own: Vec<f64> = (0..taps).map(|tap| prototype[phase + tap * up]).collect();
        // Each phase passes silence as silence and a constant as itself: no whine at the rate.
        let sum: f64 = own.iter().sum();
        phases.extend(own.iter().rev().map(|tap| (tap / sum) as f32));
    }
    phases
}

fn kaiser(x: f64) -> f64 {
    bessel(KAISER_BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel(KAISER_BETA)
}

/// The modified Bessel function of order zero, by its series.
fn bessel(x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..30 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(rate: u32, hz: f64) -> Vec<i16> {
        let step = TAU * hz / f64::from(rate);
        (0..rate).map(|at| (10_000.0 * (step * f64::from(at)).sin()) as i16).collect()
    }

    fn convert(from: u32, to: u32, samples: &[i16]) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut converted = vec![0; resampler.output_size(samples.len())];
        assert_eq!(resampler.process(samples, &mut converted), converted.len());
        converted
    }

    /// Amplitude at `hz`, and the root mean square of all the rest.
    fn analyse(samples: &[i16], rate: u32, hz: f64) -> (f64, f64) {
        let (mut sine, mut cosine, mut energy) = (0.0, 0.0, 0.0);
        for (at, &sample) in samples.iter().enumerate() {
            let (value, angle) = (f64::from(sample), TAU * hz * at as f64 / f64::from(rate));
            sine += value * angle.sin();
            cosine += value * angle.cos();
            energy += value * value;
        }
        let count = samples.len() as f64;
        let amplitude = 2.0 * (sine * sine + cosine * cosine).sqrt() / count;
        (amplitude, (energy / count - amplitude * amplitude / 2.0).max(0.0).sqrt())
    }

    #[test]
    fn a_tone_of_the_telephone_band_keeps_level_and_purity_between_all_rates() {
        for from in RATES {
            for to in RATES {
                for hz in [300.0, 1_000.0, 3_400.0] {
                    let converted = convert(from, to, &sine(from, hz));
                    assert_eq!(converted.len(), to as usize);
                    let half = &converted[to as usize / 2..];
                    let (amplitude, rest) = analyse(half, to, hz);
                    let decibels = 20.0 * (amplitude / 10_000.0).log10();
                    assert!(decibels.abs() < 0.3, "{from} to {to}, {hz} Hz: {decibels} dB");
                    assert!(rest < 12.0, "{from} to {to}, {hz} Hz: {rest} of 10,000");
                }
            }
        }
    }

    #[test]
    fn files_of_compact_disc_rates_keep_level_purity_and_length() {
        for from in FILE_RATES {
            for to in [8_000, 16_000] {
                let mut resampler = Resampler::from_file(from, to).unwrap();
                let samples = sine(from, 1_000.0);
                let mut converted = vec![0; resampler.output_size(samples.len())];
                resampler.process(&samples, &mut converted);
                assert_eq!(converted.len(), to as usize);
                let (amplitude, rest) = analyse(&converted[to as usize / 2..], to, 1_000.0);
                let decibels = 20.0 * (amplitude / 10_000.0).log10();
                assert!(decibels.abs() < 0.3 && rest < 12.0, "{from} to {to}: {decibels} {rest}");
            }
        }
        assert_eq!(Resampler::from_file(12_345, 8_000).err(), Some(UnsupportedRate(12_345)));
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_does_not_fold_back() {
        for (from, hz) in [(16_000, 5_000.0), (24_000, 6_000.0), (48_000, 7_000.0)] {
            let converted = convert(from, 8_000, &sine(from, hz));
            let loudest = converted[100..].iter().map(|s| s.unsigned_abs()).max().unwrap();
            assert!(loudest < 20, "{from} Hz, {hz} Hz: {loudest} of 10,000");
        }
    }

    #[test]
    fn pieces_of_any_size_give_what_the_whole_gives() {
        let mut random = switchroom_netem::Random::new(14);
        for (from, to) in [(8_000, 48_000), (48_000, 8_000), (16_000, 24_000), (24_000, 16_000)] {
            let samples = sine(from, 700.0);
            let whole = convert(from, to, &samples);
            let mut resampler = Resampler::new(from, to).unwrap();
            let (mut rest, mut joined, mut piece) = (&samples[..], Vec::new(), [0; 4_000]);
            while !rest.is_empty() {
                let (now, later) =
                    rest.split_at(1 + random.below(rest.len().min(600) as u64) as usize);
                let size = resampler.process(now, &mut piece);
                joined.extend_from_slice(&piece[..size]);
                rest = later;
            }
            assert_eq!(joined, whole);
        }
    }

    #[test]
    fn twenty_milliseconds_in_are_twenty_out_every_time() {
        for from in RATES {
            for to in RATES {
                let mut resampler = Resampler::new(from, to).unwrap();
                let (input, mut output) = (vec![0; from as usize / 50], vec![1; 960]);
                for _ in 0..10 {
                    assert_eq!(resampler.process(&input, &mut output), to as usize / 50);
                }
            }
        }
    }

    #[test]
    fn the_delay_is_a_millisecond_and_a_half() {
        let mut samples = [0; 800];
        samples[0] = 10_000;
        for to in [16_000, 48_000] {
            let converted = convert(8_000, to, &samples);
            let peak = (0..converted.len()).max_by_key(|&at| converted[at]).unwrap();
            let delay_ms = peak as f64 * 1_000.0 / f64::from(to);
            assert!((1.4..=1.6).contains(&delay_ms), "{delay_ms}");
        }
    }

    #[test]
    fn loud_sound_saturates_and_odd_rates_are_refused() {
        let square: Vec<i16> =
            (0..800).map(|at| if at / 8 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let converted = convert(8_000, 48_000, &square);
        assert!(converted.contains(&i16::MAX) && converted.contains(&i16::MIN));
        assert_eq!(Resampler::new(44_100, 8_000).err(), Some(UnsupportedRate(44_100)));
        assert_eq!(Resampler::new(8_000, 0).err(), Some(UnsupportedRate(0)));
    }

    #[test]
    fn an_output_too_small_loses_the_rest_and_goes_on_in_step() {
        let samples = sine(8_000, 700.0);
        let whole = convert(8_000, 16_000, &samples);
        let mut resampler = Resampler::new(8_000, 16_000).unwrap();
        assert_eq!(resampler.process(&samples[..160], &mut [0; 10]), 10);
        let mut output = [0; 320];
        assert_eq!(resampler.process(&samples[160..320], &mut output), 320);
        assert_eq!(output, whole[320..640]);
    }
}
