//! Comfort noise, RFC 3389: what a phone says its silence sounds like.

/// Reflection coefficients that are used; more add nothing that is heard.
const MAX_ORDER: usize = 12;

/// A filter with a coefficient of one would ring for ever.
const STEEPEST: f32 = 0.95;

/// Makes noise of one level and colour, at 8 kHz.
#[derive(Debug, Clone)]
pub(crate) struct ComfortNoise {
    reflections: [f32; MAX_ORDER],
    state: [f32; MAX_ORDER + 1],
    amplitude: f32,
    random: u32,
}

impl ComfortNoise {
    /// Of a payload: the level (§3.1), then the reflection coefficients (§3.2). None if it is empty.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let (level, colours) = payload.split_first()?;
        let mut reflections = [0.0; MAX_ORDER];
        for (reflection, colour) in reflections.iter_mut().zip(colours) {
            let k = (f32::from(*colour) - 127.0) * 258.0 / 32_768.0;
            *reflection = k.clamp(-STEEPEST, STEEPEST);
        }
        // The filter adds what its poles resonate: so much less goes in.
        let left: f32 = reflections.iter().map(|k| 1.0 - k * k).product();
        let level = f32::from(level & 0x7F);
        let loudness = 32_768.0 * 10.0_f32.powf(-level / 20.0);
        // The mean square of the noise that goes in is a third.
        let amplitude = loudness * (3.0 * left).sqrt();
        Some(Self { reflections, state: [0.0; MAX_ORDER + 1], amplitude, random: 0x2545_F491 })
    }

    /// Goes on with another level and colour.
    pub(crate) fn change(&mut self, other: &Self) {
        *self = Self { state: self.state, random: self.random, ..other.clone() };
    }

    /// The next samples.
    pub(crate) fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            // Marsaglia's generator: good enough for noise.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 17;
            self.random ^= self.random << 5;
            let white = self.random as f32 / (u32::MAX / 2) as f32 - 1.0;
            *sample = self.filter(white * self.amplitude) as i16;
        }
    }

    /// An all-pole lattice: stable, whatever the coefficients, as each is below one.
    fn filter(&mut self, input: f32) -> f32 {
        let mut forward = input;
        for at in (0..MAX_ORDER).rev() {
            let k = self.reflections[at];
            forward += k * self.state[at];
            self.state[at + 1] = self.state[at] - k * forward;
        }
        self.state[0] = forward;
        forward
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchroom_codecs::level;

    fn second(payload: &[u8]) -> Vec<i16> {
        let mut samples = vec![0; 8_000];
        ComfortNoise::parse(payload).unwrap().fill(&mut samples);
        samples
    }

    #[test]
    fn noise_has_the_level_that_the_phone_says_whatever_its_colour() {
        for level in [20, 40, 60] {
            for colours in [&[][..], &[160], &[60, 140], &[230, 40, 150, 127, 120, 110]] {
                let heard = level::of_samples(&second(&[&[level], colours].concat()));
                assert!(heard.abs_diff(level) <= 2, "{level} {colours:?}: {heard}");
            }
        }
    }

    #[test]
    fn a_colour_makes_neighbours_alike() {
        let likeness = |samples: &[i16]| {
            let pairs = samples.windows(2);
            pairs.map(|pair| f64::from(pair[0]) * f64::from(pair[1])).sum::<f64>()
        };
        assert!(likeness(&second(&[30, 230])) > 10.0 * likeness(&second(&[30])).abs());
    }

    #[test]
    fn any_payload_is_noise_that_ends_nowhere() {
        let mut random = crate::random::Random::new(3_389);
        for size in 1..40 {
            let payload: Vec<u8> = (0..size).map(|_| random.next_u32() as u8).collect();
            let mut noise = ComfortNoise::parse(&payload).unwrap();
            let mut samples = [0; 160];
            (0..200).for_each(|_| noise.fill(&mut samples));
            assert!(samples.iter().any(|sample| *sample != samples[0]) || payload[0] & 0x7F > 85);
        }
        assert!(ComfortNoise::parse(&[]).is_none());
    }
}
