//! Hides lost speech: the last period of the voice goes on, fading, until sound comes again.
//!
//! The method is that of ITU-T G.711 appendix I (repeat the pitch period, overlap, attenuate),
//! but without its 3.75 ms of delay: the beginning is joined to what was already played.

/// Pitch is searched between 66 and 200 Hz, as in appendix I …
const SHORTEST_PERIOD_US: u32 = 5_000;
const LONGEST_PERIOD_US: u32 = 15_000;
/// … by comparing this much of the past with what came a period before.
const COMPARED_US: u32 = 20_000;
/// The repeated period keeps its loudness so long, and is silent at the end of this.
const FULL_US: u32 = 10_000;
const SILENT_US: u32 = 60_000;
/// Length of the cross-fade back to real sound.
const REJOIN_US: u32 = 5_000;

/// Conceals losses in one stream of linear samples.
#[derive(Clone, Debug)]
pub struct Concealer {
    sizes: Sizes,
    /// The last samples played, real or made up, oldest first.
    past: Vec<i16>,
    /// The period that is repeated, while something is missing.
    period: Vec<i16>,
    /// Samples made up since the last real one; 0 while all is well.
    made_up: usize,
    /// Difference between the last real sample and the one the period says, faded out.
    step: f32,
}

#[derive(Clone, Copy, Debug)]
struct Sizes {
    shortest: usize,
    longest: usize,
    compared: usize,
    full: usize,
    silent: usize,
    rejoin: usize,
}

impl Concealer {
    /// For sound at this rate; G.711's is 8,000.
    #[must_use]
    pub fn new(sample_rate: u32) -> Self {
        let samples =
            |us: u32| (u64::from(us) * u64::from(sample_rate) / 1_000_000).max(1) as usize;
        let sizes = Sizes {
            shortest: samples(SHORTEST_PERIOD_US),
            longest: samples(LONGEST_PERIOD_US),
            compared: samples(COMPARED_US),
            full: samples(FULL_US),
            silent: samples(SILENT_US),
            rejoin: samples(REJOIN_US),
        };
        let past = vec![0; sizes.longest + sizes.compared];
        let period = Vec::with_capacity(sizes.longest);
        Self { sizes, past, period, made_up: 0, step: 0.0 }
    }

    /// Takes note of real sound. After a loss its beginning is blended with what was made up.
    pub fn good(&mut self, samples: &mut [i16]) {
        if self.made_up > 0 {
            let count = self.sizes.rejoin.min(samples.len());
            for (at, sample) in samples[..count].iter_mut().enumerate() {
                let real = (at + 1) as f32 / (count + 1) as f32;
                let made_up = f32::from(self.next_made_up());
                *sample = (f32::from(*sample) * real + made_up * (1.0 - real)) as i16;
            }
            self.made_up = 0;
        }
        self.remember(samples);
    }

    /// Fills a frame that did not arrive. Silence after 60 ms without real sound.
    pub fn conceal(&mut self, samples: &mut [i16]) {
        if self.made_up == 0 {
            self.choose_period();
        }
        for sample in samples.iter_mut() {
            *sample = self.next_made_up();
        }
        self.remember(samples);
    }

    /// The last samples played, real or made up.
    pub(crate) fn newest<const COUNT: usize>(&self) -> &[i16; COUNT] {
        self.past.last_chunk().unwrap_or(&[0; COUNT])
    }

    fn remember(&mut self, samples: &[i16]) {
        let size = self.past.len();
        let kept = size.saturating_sub(samples.len());
        self.past.copy_within(size - kept.., 0);
        self.past[kept..].copy_from_slice(&samples[samples.len() - (size - kept)..]);
    }

    fn choose_period(&mut self) {
        let length = self.pitch();
        let (past, end) = (&self.past, self.past.len());
        self.period.clear();
        self.period.extend_from_slice(&past[end - length..]);
        // The end of the period runs into what came before its beginning, so that it can follow
        // itself without a step.
        let overlap = length / 4;
        for at in 0..overlap {
            let weight = (at + 1) as f32 / overlap as f32;
            let (own, before) = (past[end - overlap + at], past[end - length - overlap + at]);
            self.period[length - overlap + at] =
                (f32::from(own) * (1.0 - weight) + f32::from(before) * weight) as i16;
        }
        self.step = f32::from(past[end - 1]) - f32::from(past[end - length - 1]);
    }

    /// The lag at which the past is most like itself.
    fn pitch(&self) -> usize {
        let Sizes { shortest, longest, compared, .. } = self.sizes;
        let end = self.past.len();
        let recent = &self.past[end - compared..];
        let likeness = |lag: usize| {
            let earlier = &self.past[end - compared - lag..end - lag];
            let (mut product, mut energy) = (0_i64, 1_i64);
            for (&now, &then) in recent.iter().zip(earlier) {
                product += i64::from(i32::from(now) * i32::from(then));
                energy += i64::from(i32::from(then) * i32::from(then));
            }
            product as f64 / (energy as f64).sqrt()
        };
        let lags = shortest..=longest;
        lags.map(|lag| (lag, likeness(lag)))
            .fold((longest, f64::MIN), |best, next| if next.1 > best.1 { next } else { best })
            .0
    }

    fn next_made_up(&mut self) -> i16 {
        let Sizes { full, silent, .. } = self.sizes;
        let at = self.made_up;
        self.made_up = at.saturating_add(1);
        if at >= silent || self.period.is_empty() {
            return 0;
        }
        let overlap = (self.period.len() / 4).max(1);
        let step = self.step * (1.0 - (at + 1) as f32 / overlap as f32).max(0.0);
        let loudness = ((silent - at) as f32 / (silent - full) as f32).min(1.0);
        // A float converted with `as` saturates.
        ((f32::from(self.period[at % self.period.len()]) + step) * loudness) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level;

    /// A voice: harmonics of a pitch that glides slowly.
    fn voice(hz: f64, samples: usize) -> Vec<i16> {
        let mut angle = 0.0;
        (0..samples)
            .map(|at| {
                let pitch = hz * (1.0 + 0.02 * (at as f64 / 4_000.0).sin());
                angle += std::f64::consts::TAU * pitch / 8_000.0;
                let wave = (1..6).map(|n| (f64::from(n) * angle).sin() / f64::from(n));
                (5_000.0 * wave.sum::<f64>()) as i16
            })
            .collect()
    }

    fn largest_step(samples: &[i16]) -> u16 {
        samples.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap()
    }

    fn error_energy(a: &[i16], b: &[i16]) -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2)).sum()
    }

    /// Plays `sound` with the given frames of 20 ms lost.
    fn play(sound: &[i16], lost: impl Fn(usize) -> bool) -> Vec<i16> {
        let mut concealer = Concealer::new(8_000);
        let mut played = sound.to_vec();
        for (number, frame) in played.chunks_exact_mut(160).enumerate() {
            if lost(number) {
                frame.fill(1_234);
                concealer.conceal(frame);
            } else {
                concealer.good(frame);
            }
        }
        played
    }

    #[test]
    fn without_loss_nothing_is_changed() {
        let sound = voice(120.0, 8_000);
        assert_eq!(play(&sound, |_| false), sound);
    }

    #[test]
    fn a_lost_frame_of_a_voice_is_nearly_as_it_was() {
        for hz in [70.0, 120.0, 190.0] {
            let sound = voice(hz, 8_000);
            let played = play(&sound, |number| number == 20);
            let lost = 20 * 160..21 * 160;
            let error = error_energy(&played[lost.clone()], &sound[lost.clone()]);
            let silence = error_energy(&[0; 160], &sound[lost]);
            assert!(error < silence / 5.0, "{hz} Hz: {}", error / silence);
        }
    }

    #[test]
    fn no_click_where_sound_stops_or_comes_back() {
        let sound = voice(120.0, 8_000);
        let played = play(&sound, |number| number % 7 == 5);
        let allowed = largest_step(&sound) + largest_step(&sound) / 4;
        assert!(largest_step(&played) <= allowed, "{} {allowed}", largest_step(&played));
    }

    #[test]
    fn a_growing_voice_goes_on_from_where_it_stopped() {
        // Ends at a peak, a third louder than the one before.
        let sample = |at: i32| {
            let periods = f64::from(at - 800) / 80.0;
            (20_000.0 * 1.33_f64.powf(periods) * (std::f64::consts::TAU * periods).cos()) as i16
        };
        let mut sound: Vec<i16> = (0..800).map(sample).collect();
        sound.extend([0; 160]);
        let played = play(&sound, |number| number == 5);
        let step = played[800].abs_diff(played[799]);
        assert!(step < 1_000, "{step}");
    }

    #[test]
    fn sound_that_comes_back_in_another_phase_is_blended_in() {
        let step = std::f64::consts::TAU / 80.0;
        let mut sound: Vec<i16> =
            (0..1_600).map(|at| (10_000.0 * (step * f64::from(at)).cos()) as i16).collect();
        let allowed = 3 * largest_step(&sound);
        for sample in &mut sound[960..] {
            *sample = -*sample;
        }
        let played = play(&sound, |number| number == 5);
        assert!(largest_step(&played) < allowed, "{} {allowed}", largest_step(&played));
    }

    #[test]
    fn a_long_loss_fades_to_silence_within_60_ms() {
        let played = play(&voice(120.0, 8_000), |number| number >= 20);
        let levels: Vec<u8> = played[20 * 160..].chunks(160).map(level::of_samples).collect();
        assert!(levels[0] < levels[1] && levels[1] < levels[2]);
        assert_eq!(levels[3..], vec![level::SILENCE; levels.len() - 3]);
    }

    #[test]
    fn loss_before_any_sound_is_silence() {
        let mut frame = [7; 160];
        Concealer::new(8_000).conceal(&mut frame);
        assert_eq!(frame, [0; 160]);
    }

    #[test]
    fn frames_of_any_size_and_loudness_are_taken() {
        let mut random = switchroom_netem::Random::new(13);
        for rate in [8_000, 16_000, 48_000, 1] {
            let mut concealer = Concealer::new(rate);
            for _ in 0..200 {
                let size = random.below(1_500) as usize;
                let extreme = |_| if random.chance(0.5) { i16::MIN } else { i16::MAX };
                let mut frame: Vec<i16> = (0..size).map(extreme).collect();
                if random.chance(0.5) {
                    concealer.good(&mut frame);
                } else {
                    concealer.conceal(&mut frame);
                }
            }
        }
    }
}
