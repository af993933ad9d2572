//! Takes the noise out of a voice: `RNNoise` (Valin 2018), a small recurrent network that gives
//! each of 22 bands a gain every 10 ms, and a comb filter that follows the pitch.
//!
//! It hears and speaks 48 kHz; sound at another rate is resampled there and back.

use nnnoiseless::DenoiseState;

use crate::resample::{Resampler, UnsupportedRate};

/// The network's own rate and frame: 10 ms.
const INNER_RATE: u32 = 48_000;
const FRAME: usize = DenoiseState::FRAME_SIZE;

/// What resampling there and back delays, in samples of the stream.
const RESAMPLING: f64 = 24.0;
/// Overlapping frames: what was heard in this one is finished with the next.
const FRAME_MS: f64 = 10.0;

/// Suppresses the noise in one stream.
///
/// What comes out is [`Self::delay_ms`] behind what went in: 13 ms at a phone's 8 kHz, 11.5 at 16.
/// Pieces that are no multiple of 10 ms cost 10 ms more, from the first such piece on.
pub struct Denoiser {
    sample_rate: u32,
    network: Box<DenoiseState<'static>>,
    /// To 48 kHz and back; none for what is at that rate already.
    resampling: Option<(Resampler, Resampler)>,
    /// Sound at 48 kHz that does not fill a frame yet.
    waiting: Vec<i16>,
    /// Clean sound at the stream's rate that nobody took yet.
    clean: Vec<i16>,
}

impl std::fmt::Debug for Denoiser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Denoiser").finish_non_exhaustive()
    }
}

impl Denoiser {
    /// For sound at 8,000, 16,000, 24,000, 32,000 or 48,000 samples a second.
    pub fn new(sample_rate: u32) -> Result<Self, UnsupportedRate> {
        let resampling = if sample_rate == INNER_RATE {
            None
        } else {
            let up = Resampler::new(sample_rate, INNER_RATE)?;
            Some((up, Resampler::new(INNER_RATE, sample_rate)?))
        };
        let network = DenoiseState::new();
        Ok(Self { sample_rate, network, resampling, waiting: Vec::new(), clean: Vec::new() })
    }

    /// How far what comes out is behind what went in, in milliseconds, for pieces of whole tens.
    #[must_use]
    pub fn delay_ms(&self) -> f64 {
        let resampling = if self.resampling.is_some() { RESAMPLING } else { 0.0 };
        FRAME_MS + resampling * 1_000.0 / f64::from(self.sample_rate)
    }

    /// Replaces a piece of the stream by as much of the clean one.
    pub fn process(&mut self, samples: &mut [i16]) {
        self.take(samples);
        let whole = self.waiting.len() / FRAME * FRAME;
        let mut noisy = std::mem::take(&mut self.waiting);
        for frame in noisy[..whole].as_chunks_mut::<FRAME>().0 {
            self.frame(frame);
        }
        self.give(&noisy[..whole]);
        noisy.drain(..whole);
        self.waiting = noisy;
        if self.clean.len() < samples.len() {
            // The piece ended within a frame, whose end comes with a later piece. Once is enough:
            // from now on there is always the rest of a frame in store.
            let store = self.sample_rate as usize / 100;
            self.clean.splice(..0, std::iter::repeat_n(0, store));
        }
        let count = samples.len().min(self.clean.len());
        samples[..count].copy_from_slice(&self.clean[..count]);
        self.clean.drain(..count);
    }

    fn take(&mut self, samples: &[i16]) {
        match &mut self.resampling {
            None => self.waiting.extend_from_slice(samples),
            Some((up, _)) => {
                let start = self.waiting.len();
                self.waiting.resize(start + up.output_size(samples.len()), 0);
                up.process(samples, &mut self.waiting[start..]);
            }
        }
    }

    fn give(&mut self, frames: &[i16]) {
        match &mut self.resampling {
            None => self.clean.extend_from_slice(frames),
            Some((_, down)) => {
                let start = self.clean.len();
                self.clean.resize(start + down.output_size(frames.len()), 0);
                down.process(frames, &mut self.clean[start..]);
            }
        }
    }

    fn frame(&mut self, samples: &mut [i16; FRAME]) {
        let noisy = samples.map(f32::from);
        let mut clean = [0.0; FRAME];
        self.network.process_frame(&mut clean, &noisy);
        // A float converted with `as` saturates.
        *samples = clean.map(|sample| sample.round() as i16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level;

    /// Syllables of a voice at 130 Hz, with formants as of an "a".
    fn voice(rate: u32, seconds: usize) -> Vec<i16> {
        let rate = f64::from(rate);
        let formant = |hz: f64, at: f64, width: f64| (-((hz - at) / width).powi(2)).exp();
        let loudness = |hz: f64| {
            0.2 + formant(hz, 700.0, 200.0)
                + 0.5 * formant(hz, 1_200.0, 250.0)
                + 0.2 * formant(hz, 2_600.0, 300.0)
        };
        let mut angle = 0.0;
        (0..seconds * rate as usize)
            .map(|at| {
                let time = at as f64 / rate;
                let pitch = 130.0 * (1.0 + 0.1 * (time * 5.0).sin());
                angle += std::f64::consts::TAU * pitch / rate;
                let harmonics = (1..24).map(f64::from);
                let wave = harmonics.map(|n| loudness(n * pitch) / n.sqrt() * (n * angle).sin());
                let syllable = (0.5 - (time * 20.0).cos()).clamp(0.0, 1.0);
                (2_500.0 * syllable * wave.sum::<f64>()) as i16
            })
            .collect()
    }

    /// As a fan makes it: the louder the lower.
    fn rumble(count: usize, loudness: f64) -> Vec<i16> {
        let mut random = switchroom_netem::Random::new(48);
        let mut low = 0.0;
        let sample = |_| {
            let white = random.below(65_536) as f64 - 32_768.0;
            low = 0.9 * low + 0.1 * white;
            ((low + 0.1 * white) * loudness) as i16
        };
        (0..count).map(sample).collect()
    }

    fn denoised(rate: u32, samples: &[i16], piece: usize) -> Vec<i16> {
        let mut denoiser = Denoiser::new(rate).unwrap();
        let mut samples = samples.to_vec();
        for piece in samples.chunks_mut(piece) {
            denoiser.process(piece);
        }
        samples
    }

    fn decibels(samples: &[i16]) -> f64 {
        -f64::from(level::of_samples(samples))
    }

    #[test]
    fn the_noise_of_a_fan_is_twenty_decibels_less() {
        for rate in [8_000, 16_000] {
            let noise = rumble(rate as usize * 3, 0.1);
            let clean = denoised(rate, &noise, rate as usize / 50);
            let second = rate as usize..;
            let change = decibels(&clean[second.clone()]) - decibels(&noise[second]);
            assert!(change <= -20.0, "{rate} Hz: {change} dB");
        }
    }

    #[test]
    fn a_voice_keeps_its_level_and_comes_as_late_as_said() {
        for rate in [8_000, 16_000, 48_000] {
            let sound = voice(rate, 3);
            let clean = denoised(rate, &sound, rate as usize / 50);
            let change = decibels(&clean[rate as usize..]) - decibels(&sound[rate as usize..]);
            assert!(change.abs() <= 1.0, "{rate} Hz: {change} dB");
            let delay = Denoiser::new(rate).unwrap().delay_ms() / 1_000.0 * f64::from(rate);
            let at = |delay: usize| -> f64 {
                let later = clean[rate as usize + delay..].iter();
                later.zip(&sound[rate as usize..]).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
            };
            let fitting = (0..rate as usize / 40).max_by(|&a, &b| at(a).total_cmp(&at(b))).unwrap();
            assert!((fitting as f64 - delay).abs() <= 2.0, "{rate} Hz: {fitting}, {delay} said");
        }
    }

    #[test]
    fn pieces_of_any_size_come_out_whole_at_most_ten_milliseconds_later() {
        let sound = voice(8_000, 1);
        let whole = denoised(8_000, &sound, 160);
        assert_eq!(denoised(8_000, &sound, 80), whole);
        assert_eq!(denoised(8_000, &sound, 480), whole);
        for size in [1, 7, 33, 100] {
            let odd = denoised(8_000, &sound, size);
            assert_eq!(odd[80..], whole[..whole.len() - 80], "pieces of {size}");
        }
    }

    #[test]
    fn silence_stays_silence_and_the_loudest_sound_is_taken() {
        assert_eq!(denoised(8_000, &[0; 1_600], 160), [0; 1_600]);
        let square: Vec<i16> =
            (0..1_600).map(|at| if at % 40 < 20 { i16::MIN } else { i16::MAX }).collect();
        denoised(8_000, &square, 160);
        Denoiser::new(16_000).unwrap().process(&mut []);
        assert_eq!(Denoiser::new(44_100).unwrap_err(), UnsupportedRate(44_100));
    }
}
