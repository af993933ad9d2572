//! How loud a frame is, as RFC 6464 puts it on the wire: -dBov, 0 the loudest, 127 silence.

use crate::g711::Law;

/// The level of digital silence, and of everything quieter than -127 dBov.
pub const SILENCE: u8 = 127;

/// The square of the overload point: 0 dBov is the loudest square wave (RFC 6464 appendix A), so
/// the loudest sine is -3.01 dBov.
const OVERLOAD_SQUARED: f64 = 32_768.0 * 32_768.0;

/// The level of linear samples, rounded to the nearest dB; [`SILENCE`] for an empty frame.
#[must_use]
pub fn of_samples(samples: &[i16]) -> u8 {
    let energy: u64 = samples.iter().map(|&sample| square(sample)).sum();
    from_energy(energy, samples.len())
}

/// The level of G.711 octets, without a decoded copy.
#[must_use]
pub fn of_g711(law: Law, octets: &[u8]) -> u8 {
    let table = law.decode_table();
    let energy: u64 = octets.iter().map(|&octet| square(table[usize::from(octet)])).sum();
    from_energy(energy, octets.len())
}

/// The 0.0 to 1.0 that clients are told for a level (`LiveKit`'s `SpeakerInfo.level`).
#[must_use]
pub fn to_linear(level: u8) -> f32 {
    if level >= SILENCE { 0.0 } else { 10_f32.powf(f32::from(level) / -20.0) }
}

fn square(sample: i16) -> u64 {
    u64::from(sample.unsigned_abs()) * u64::from(sample.unsigned_abs())
}

fn from_energy(energy: u64, count: usize) -> u8 {
    if energy == 0 {
        return SILENCE;
    }
    let mean = energy as f64 / count as f64;
    (-10.0 * (mean / OVERLOAD_SQUARED).log10()).round().clamp(0.0, f64::from(SILENCE)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(amplitude: f64) -> Vec<i16> {
        let step = std::f64::consts::TAU * 1000.0 / 8000.0;
        (0..160).map(|at| (amplitude * (step * f64::from(at) + 0.3).sin()) as i16).collect()
    }

    #[test]
    fn the_loudest_square_wave_is_zero_and_the_loudest_sine_three() {
        assert_eq!(of_samples(&[i16::MIN; 160]), 0);
        assert_eq!(of_samples(&sine(32_767.0)), 3);
    }

    #[test]
    fn a_tenth_of_the_amplitude_is_twenty_decibels() {
        assert_eq!(of_samples(&sine(3_276.7)), 23);
    }

    #[test]
    fn silence_and_nothing_are_the_lowest_level() {
        assert_eq!(of_samples(&[0; 160]), SILENCE);
        assert_eq!(of_samples(&[]), SILENCE);
        assert_eq!(of_g711(Law::Mu, &[0xFF; 160]), SILENCE);
        assert_eq!(of_samples(&[1; 160]), 90);
    }

    #[test]
    fn g711_has_the_level_of_what_it_decodes_to() {
        let samples = sine(10_000.0);
        for law in [Law::Mu, Law::A] {
            let mut octets = Vec::new();
            law.encode_onto(&samples, &mut octets);
            assert_eq!(of_g711(law, &octets), of_samples(&samples));
        }
    }

    #[test]
    fn linear_levels_run_from_nothing_to_one() {
        assert!((to_linear(0) - 1.0).abs() < f32::EPSILON);
        assert!((to_linear(20) - 0.1).abs() < 1e-6);
        assert!(to_linear(SILENCE).abs() < f32::EPSILON);
    }
}
