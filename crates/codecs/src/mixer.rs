//! Adding voices: each listener hears everybody but themselves, and nothing ever wraps.

use std::ops::Neg;

/// A factor for loudness in steps of 1/4096; 0 is silence, 1 leaves a voice as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gain(i32);

impl Gain {
    /// Leaves a voice as it is.
    pub const UNITY: Self = Self(1 << Self::BITS);
    /// Silence.
    pub const MUTE: Self = Self(0);
    const BITS: u32 = 12;
    /// 16 times, 24 dB: more is a mistake, and this much of 64 loud voices still fits 32 bits.
    const MOST: f32 = 16.0;

    /// The nearest gain to a linear factor; what is no number counts as silence.
    #[must_use]
    pub fn from_linear(factor: f32) -> Self {
        // A float that is not a number converts to 0.
        Self((factor.clamp(0.0, Self::MOST) * Self::UNITY.0 as f32).round() as i32)
    }

    fn apply(self, sample: i16) -> i32 {
        (i32::from(sample) * self.0) >> Self::BITS
    }
}

/// One frame of the sum of all voices. Each listener's mix is taken from it by leaving their own
/// voice out, so a room of N costs N additions and N subtractions a sample, not N².
#[derive(Clone, Debug)]
pub struct MixBus {
    sum: Vec<i32>,
    voices: usize,
}

impl MixBus {
    /// A silent frame of `samples`.
    #[must_use]
    pub fn new(samples: usize) -> Self {
        Self { sum: vec![0; samples], voices: 0 }
    }

    /// Begins the next frame.
    pub fn clear(&mut self) {
        self.sum.fill(0);
        self.voices = 0;
    }

    /// How many voices this frame has.
    #[must_use]
    pub fn voices(&self) -> usize {
        self.voices
    }

    /// Adds a voice; a frame shorter than the bus is followed by silence, a longer one is cut.
    pub fn add(&mut self, voice: &[i16], gain: Gain) {
        for (sum, &sample) in self.sum.iter_mut().zip(voice) {
            *sum = sum.saturating_add(gain.apply(sample));
        }
        self.voices += 1;
    }

    /// Writes what a listener hears: everything added, but for their own voice as it was added.
    pub fn write_without(&self, own: Option<(&[i16], Gain)>, mixed: &mut [i16]) {
        let (own, gain) = own.unwrap_or((&[], Gain::MUTE));
        let own = own.iter().map(|&sample| gain.apply(sample)).chain(std::iter::repeat(0));
        for ((mixed, &sum), own) in mixed.iter_mut().zip(&self.sum).zip(own) {
            *mixed = saturate(sum.saturating_add(own.neg()));
        }
    }
}

/// Mixes a few voices for one listener. Without voices the frame is silence.
pub fn mix(voices: &[(&[i16], Gain)], mixed: &mut [i16]) {
    for (at, mixed) in mixed.iter_mut().enumerate() {
        let sum = voices.iter().fold(0_i32, |sum, (voice, gain)| {
            sum.saturating_add(voice.get(at).map_or(0, |&sample| gain.apply(sample)))
        });
        *mixed = saturate(sum);
    }
}

/// Changes the loudness of a frame in place.
pub fn scale(samples: &mut [i16], gain: Gain) {
    if gain == Gain::UNITY {
        return;
    }
    for sample in samples {
        *sample = saturate(gain.apply(*sample));
    }
}

fn saturate(sum: i32) -> i16 {
    sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Gain = Gain(2_048);

    #[test]
    fn each_listener_hears_the_others_and_not_themselves() {
        let voices = [[100_i16; 4], [20; 4], [-3; 4]];
        let mut bus = MixBus::new(4);
        for voice in &voices {
            bus.add(voice, Gain::UNITY);
        }
        assert_eq!(bus.voices(), 3);
        let heard = |own: usize| {
            let mut mixed = [0; 4];
            bus.write_without(Some((&voices[own], Gain::UNITY)), &mut mixed);
            mixed[0]
        };
        assert_eq!([heard(0), heard(1), heard(2)], [17, 97, 120]);
        let mut everything = [0; 4];
        bus.write_without(None, &mut everything);
        assert_eq!(everything, [117; 4]);
    }

    #[test]
    fn loud_voices_saturate_and_a_listener_still_hears_the_rest_right() {
        let mut bus = MixBus::new(1);
        for _ in 0..3 {
            bus.add(&[30_000], Gain::UNITY);
        }
        bus.add(&[-29_000], Gain::UNITY);
        let mut mixed = [0];
        bus.write_without(None, &mut mixed);
        assert_eq!(mixed, [i16::MAX]);
        bus.write_without(Some((&[30_000], Gain::UNITY)), &mut mixed);
        assert_eq!(mixed, [31_000]);
    }

    #[test]
    fn a_thousand_voices_at_the_highest_gain_do_not_wrap() {
        let mut bus = MixBus::new(1);
        for _ in 0..10_000 {
            bus.add(&[i16::MIN], Gain::from_linear(f32::INFINITY));
        }
        let mut mixed = [0];
        bus.write_without(None, &mut mixed);
        assert_eq!(mixed, [i16::MIN]);
    }

    #[test]
    fn a_bus_and_a_mix_agree() {
        let mut random = switchroom_netem::Random::new(12);
        for _ in 0..1_000 {
            let mut voice = || (random.next_u64() >> 50) as i16 - 8_192;
            let (a, b, c) = ([voice(); 3], [voice(); 3], [voice(); 3]);
            let mut bus = MixBus::new(3);
            bus.add(&a, HALF);
            bus.add(&b, Gain::UNITY);
            bus.add(&c, HALF);
            let (mut by_bus, mut by_mix) = ([0; 3], [0; 3]);
            bus.write_without(Some((&c, HALF)), &mut by_bus);
            mix(&[(&a, HALF), (&b, Gain::UNITY)], &mut by_mix);
            assert_eq!(by_bus, by_mix);
        }
    }

    #[test]
    fn frames_of_other_lengths_are_padded_or_cut() {
        let mut bus = MixBus::new(2);
        bus.add(&[1], Gain::UNITY);
        bus.add(&[1, 1, 1], Gain::UNITY);
        let mut mixed = [9; 3];
        bus.write_without(None, &mut mixed);
        assert_eq!(mixed, [2, 1, 9]);
        bus.clear();
        bus.write_without(None, &mut mixed);
        assert_eq!((mixed, bus.voices()), ([0, 0, 9], 0));
        mix(&[(&[5], Gain::UNITY)], &mut mixed);
        assert_eq!(mixed, [5, 0, 0]);
    }

    #[test]
    fn gains_scale_and_odd_ones_are_tamed() {
        let mut samples = [1_000, -1_000, i16::MAX];
        scale(&mut samples, HALF);
        assert_eq!(samples, [500, -500, 16_383]);
        scale(&mut samples, Gain::from_linear(4.0));
        assert_eq!(samples, [2_000, -2_000, i16::MAX]);
        assert_eq!(Gain::from_linear(1.0), Gain::UNITY);
        assert_eq!(Gain::from_linear(-1.0), Gain::MUTE);
        assert_eq!(Gain::from_linear(f32::NAN), Gain::MUTE);
    }
}
