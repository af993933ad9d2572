//! G.722 at 64 kbit/s: 16 kHz speech, an octet for each two samples.
//!
//! ITU-T G.722 (09/2012) in 16-bit arithmetic, bit for bit: a filter bank halves the band, the
//! lower half is coded in six bits and the upper in two, each by adaptive differences. Names in
//! capitals are the recommendation's blocks. RTP counts its clock at 8,000 (RFC 3551 §4.5.2).

use crate::conceal::Concealer;

/// Samples a second.
pub const SAMPLE_RATE: u32 = 16_000;

/// Samples by which what a decoder gives back lags behind what an encoder was given: 1.4 ms.
pub const DELAY: usize = TAPS - 2;

const TAPS: usize = 24;

/// Half of the filter bank's impulse response (table 11); the other half is its mirror image.
const FILTER: [i32; TAPS / 2] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Decision levels of the lower band's quantizer, scaled by 8 (table 14).
const LOW_DECISIONS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023,
    1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// Output values of the lower band's six bits (table 16), by code.
const LOW_OUTPUT: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232,
    -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776,
    -2400, -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280,
    11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776,
    2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
/// Output values of its four upper bits, by which both ends adapt (table 17).
const LOW_CORE: [i32; 16] = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584,
    1200, 0,
];
/// Multipliers of the logarithmic scale factor (table 18), by the four upper bits.
const LOW_GROWTH: [i32; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
/// Output values of the upper band's two bits (table 19).
const HIGH_OUTPUT: [i32; 4] = [-7408, -1616, 7408, 1616];
const HIGH_GROWTH: [i32; 4] = [798, -214, 798, -214];
/// The upper band's one decision level, scaled by 8.
const HIGH_DECISION: i32 = 564;

const LOW_LARGEST: i32 = 18_432;
const HIGH_LARGEST: i32 = 22_528;

/// 32 steps of a doubling (table 15), for the way back from the logarithm.
const ANTILOGARITHM: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

fn saturated(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// Encodes one mono stream.
#[derive(Clone, Debug, Default)]
pub struct G722Encoder {
    bands: Bands,
    /// The last samples, newest last.
    window: [i32; TAPS],
}

impl G722Encoder {
    /// An encoder at rest.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes pairs of samples, as many as both slices have room for.
    pub fn encode(&mut self, samples: &[i16], octets: &mut [u8]) {
        for (octet, pair) in octets.iter_mut().zip(samples.as_chunks::<2>().0) {
            *octet = self.pair(*pair);
        }
    }

    /// Encodes all of `samples`, an even number, onto the end of `octets`.
    pub fn encode_onto(&mut self, samples: &[i16], octets: &mut Vec<u8>) {
        octets.extend(samples.as_chunks::<2>().0.iter().map(|&pair| self.pair(pair)));
    }

    fn pair(&mut self, pair: [i16; 2]) -> u8 {
        push(&mut self.window, pair.map(i32::from));
        let (odd, even) = filtered(&self.window);
        let low = self.bands.low.quantize_low(saturated((even + odd) >> 14));
        let high = self.bands.high.quantize_high(saturated((even - odd) >> 14));
        self.bands.adapt(low, high);
        (high << 6 | low) as u8
    }
}

/// Decodes one stream, and makes up for what of it is lost.
#[derive(Clone, Debug)]
pub struct G722Decoder {
    bands: Bands,
    /// Sums and differences of the last sub-band samples, newest last.
    window: [i32; TAPS],
    concealer: Concealer,
}

impl Default for G722Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl G722Decoder {
    /// A decoder at rest.
    #[must_use]
    pub fn new() -> Self {
        let concealer = Concealer::new(SAMPLE_RATE);
        Self { bands: Bands::default(), window: [0; TAPS], concealer }
    }

    /// Decodes octets to two samples each, as many as both slices have room for, and returns how
    /// many samples that is. After a loss the beginning is blended with what was made up.
    pub fn decode(&mut self, octets: &[u8], samples: &mut [i16]) -> usize {
        let count = samples.len().min(octets.len() * 2) & !1;
        let samples = &mut samples[..count];
        for (pair, &octet) in samples.as_chunks_mut::<2>().0.iter_mut().zip(octets) {
            *pair = self.octet(octet);
        }
        self.concealer.good(samples);
        count
    }

    /// Fills a frame that did not arrive with what might have followed; silence after 60 ms.
    ///
    /// The state goes on as if the made-up sound had been received. Left as it was, it would be a
    /// frame behind the sender's when sound comes back, and so would pitch and loudness be.
    pub fn conceal(&mut self, samples: &mut [i16]) {
        // The sender was `DELAY` samples ahead of what was heard, so it is followed from there.
        let mut sound = vec![0; 2 + samples.len() + DELAY];
        sound[..2].copy_from_slice(self.concealer.newest::<2>());
        self.concealer.conceal(samples);
        sound[2..2 + samples.len()].copy_from_slice(samples);
        self.concealer.clone().conceal(&mut sound[2 + samples.len()..]);
        let mut sender = G722Encoder { bands: self.bands.clone(), window: [0; TAPS] };
        for (known, &sample) in sender.window.iter_mut().zip(&sound) {
            *known = i32::from(sample);
        }
        for &pair in sound[TAPS..].as_chunks::<2>().0 {
            let octet = sender.pair(pair);
            self.octet(octet);
        }
    }

    fn octet(&mut self, octet: u8) -> [i16; 2] {
        let (low, high) = (usize::from(octet & 0x3F), usize::from(octet >> 6));
        let lower = self.bands.low.reconstructed(LOW_OUTPUT[low]);
        let upper = self.bands.high.reconstructed(HIGH_OUTPUT[high]);
        self.bands.adapt(low, high);
        push(&mut self.window, [lower + upper, lower - upper]);
        let (odd, even) = filtered(&self.window);
        [even, odd].map(|sample| saturated(sample >> 11) as i16)
    }
}

/// Moves the window on by a pair.
fn push(window: &mut [i32; TAPS], pair: [i32; 2]) {
    window.copy_within(2.., 0);
    window[TAPS - 2..].copy_from_slice(&pair);
}

/// The two halves of the filter bank (blocks TX QMF and RX QMF) over the places 0, 2, … and 1, 3, …
fn filtered(window: &[i32; TAPS]) -> (i32, i32) {
    let (mut odd, mut even) = (0, 0);
    for (at, pair) in window.as_chunks::<2>().0.iter().enumerate() {
        odd += pair[0] * FILTER[at];
        even += pair[1] * FILTER[TAPS / 2 - 1 - at];
    }
    (odd, even)
}

#[derive(Clone, Debug)]
struct Bands {
    low: Band,
    high: Band,
}

impl Default for Bands {
    fn default() -> Self {
        Self { low: Band::new(32), high: Band::new(8) }
    }
}

impl Bands {
    /// Both ends do this after each pair, from the codes alone, and so stay alike.
    fn adapt(&mut self, low: usize, high: usize) {
        let core = low >> 2; // the two lowest bits may be lost on the way, by design
        self.low.adapt(LOW_CORE[core], LOW_GROWTH[core], LOW_LARGEST, 8);
        self.high.adapt(HIGH_OUTPUT[high], HIGH_GROWTH[high], HIGH_LARGEST, 10);
    }
}

/// The adaptive quantizer and predictor of one band.
#[derive(Clone, Debug, Default)]
struct Band {
    /// What is expected next, and the part of it that the zeros contribute.
    predicted: i32,
    predicted_by_zeros: i32,
    /// Signals reconstructed last, newest first, and the same without the poles' part.
    signals: [i32; 2],
    partials: [i32; 2],
    poles: [i32; 2],
    /// Differences received last, newest first, and their weights.
    differences: [i32; 6],
    zeros: [i32; 6],
    /// Logarithm of the scale factor, and the scale factor.
    logarithm: i32,
    scale: i32,
}

impl Band {
    fn new(scale: i32) -> Self {
        Self { scale, ..Self::default() }
    }

    /// Block QUANTL: six bits for the distance from what was expected.
    fn quantize_low(&self, sample: i32) -> usize {
        let distance = saturated(sample - self.predicted);
        let size = if distance < 0 { !distance } else { distance };
        let step = LOW_DECISIONS.partition_point(|level| (level * self.scale) >> 12 <= size);
        // Table 13: large positive distances are 32 upwards, large negative ones 4 upwards; the
        // smallest two negative ones follow the smallest positive ones.
        match (distance < 0, step) {
            (false, _) => 61 - step,
            (true, 0 | 1) => 63 - step,
            (true, _) => 33 - step,
        }
    }

    /// Block QUANTH: two bits.
    fn quantize_high(&self, sample: i32) -> usize {
        let distance = saturated(sample - self.predicted);
        let size = if distance < 0 { !distance } else { distance };
        let large = size >= (HIGH_DECISION * self.scale) >> 12;
        match (distance < 0, large) {
            (false, false) => 3,
            (false, true) => 2,
            (true, false) => 1,
            (true, true) => 0,
        }
    }

    /// Blocks INVQBL, RECONS and LIMIT: what the listener hears of this band.
    fn reconstructed(&self, output: i32) -> i32 {
        saturated(self.predicted + ((self.scale * output) >> 15)).clamp(-16_384, 16_383)
    }

    /// The whole of block 3 (scale) and block 4 (prediction) for one received difference.
    fn adapt(&mut self, output: i32, growth: i32, largest: i32, shift: i32) {
        let difference = (self.scale * output) >> 15;
        self.rescale(growth, largest, shift);
        let partial = saturated(self.predicted_by_zeros + difference); // PARREC
        let signal = saturated(self.predicted + difference); // RECONS
        self.move_poles(partial);
        self.move_zeros(difference);
        self.partials = [partial, self.partials[0]];
        self.signals = [signal, self.signals[0]];
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        self.predict();
    }

    /// Blocks LOGSCL and SCALEL, LOGSCH and SCALEH.
    fn rescale(&mut self, growth: i32, largest: i32, shift: i32) {
        self.logarithm = (((self.logarithm * 127) >> 7) + growth).clamp(0, largest);
        let mantissa = ANTILOGARITHM[(self.logarithm >> 6 & 31) as usize];
        let down = shift - (self.logarithm >> 11);
        self.scale = if down < 0 { mantissa << -down } else { mantissa >> down } << 2;
    }

    /// Blocks UPPOL2 and UPPOL1.
    fn move_poles(&mut self, partial: i32) {
        let alike = |earlier: i32| (partial < 0) == (earlier < 0);
        let [first, second] = self.poles;
        let turned = saturated(first << 2);
        let turned = if alike(self.partials[0]) { saturated(-turned) } else { turned };
        let leaning = if alike(self.partials[1]) { 128 } else { -128 };
        let second = leaning + (turned >> 7) + ((second * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let leaning = if alike(self.partials[0]) { 192 } else { -192 };
        let bound = 15_360 - second;
        let first = saturated(leaning + ((first * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [first, second];
    }

    /// Block UPZERO.
    fn move_zeros(&mut self, difference: i32) {
        let lean = if difference == 0 { 0 } else { 128 };
        for (zero, &earlier) in self.zeros.iter_mut().zip(&self.differences) {
            let leaning = if (difference < 0) == (earlier < 0) { lean } else { -lean };
            *zero = saturated(leaning + ((*zero * 32_640) >> 15));
        }
    }

    /// Blocks FILTEP, FILTEZ and PREDIC.
    fn predict(&mut self) {
        let product = |weight: i32, value: i32| (weight * saturated(value * 2)) >> 15;
        let by_poles: i32 = self.poles.iter().zip(self.signals).map(|(&w, v)| product(w, v)).sum();
        let by_zeros = self.zeros.iter().zip(self.differences).map(|(&w, v)| product(w, v)).sum();
        self.predicted_by_zeros = saturated(by_zeros);
        self.predicted = saturated(saturated(by_poles) + self.predicted_by_zeros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise and muffled noise in eight loudnesses, from a formula that any language computes.
    fn noise(count: usize) -> Vec<i16> {
        let (mut state, mut muffled) = (1_u32, 0_i32);
        (0..count)
            .map(|at| {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7FFF_FFFF;
                let sample = (state >> 15).cast_signed() - 32_768;
                muffled =
                    if at / 4_000 % 2 == 0 { sample } else { (muffled * 7 + sample).div_euclid(8) };
                (muffled >> (at / 2_000 % 8)) as i16
            })
            .collect()
    }

    /// Four syllables a second at 120 Hz, gliding slowly, with sound in both bands.
    fn voice(samples: usize) -> Vec<i16> {
        let mut angle = 0.0;
        (0..samples)
            .map(|at| {
                let hz = 120.0 * (1.0 + 0.02 * (at as f64 / 8_000.0).sin());
                angle += std::f64::consts::TAU * hz / f64::from(SAMPLE_RATE);
                let wave = (1..50).map(|n| (f64::from(n * n) + f64::from(n) * angle).sin());
                let falling = wave.zip(1..).map(|(value, n)| value / f64::from(n));
                let syllable = (std::f64::consts::TAU * at as f64 / 4_000.0).cos();
                ((2_100.0 - 2_000.0 * syllable) * falling.sum::<f64>()) as i16
            })
            .collect()
    }

    fn hash(octets: impl IntoIterator<Item = u8>) -> u64 {
        octets.into_iter().fold(0xCBF2_9CE4_8422_2325, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01B3)
        })
    }

    fn encoded(samples: &[i16]) -> Vec<u8> {
        let mut octets = Vec::new();
        G722Encoder::new().encode_onto(samples, &mut octets);
        octets
    }

    fn decoded(octets: &[u8]) -> Vec<i16> {
        let mut samples = vec![0; octets.len() * 2];
        assert_eq!(G722Decoder::new().decode(octets, &mut samples), samples.len());
        samples
    }

    /// Signal to noise in decibels, `delayed` being `DELAY` samples behind.
    fn clarity(original: &[i16], delayed: &[i16]) -> f64 {
        let (mut signal, mut error) = (0.0, 1e-9);
        for (&was, &is) in original.iter().zip(&delayed[DELAY..]) {
            signal += f64::from(was).powi(2);
            error += (f64::from(was) - f64::from(is)).powi(2);
        }
        10.0 * (signal / error).log10()
    }

    // The values are what FFmpeg's and Sippy Software's coders give for the same input.
    #[test]
    fn codes_and_samples_are_bit_for_bit_those_of_two_other_coders() {
        let octets = encoded(&noise(32_000));
        let first = [0x14, 0xA0, 0x84, 0x20, 0x8A, 0x3A, 0x04, 0x20, 0x12, 0x08, 0x04, 0x87];
        assert_eq!(octets[..12], first);
        assert_eq!(hash(octets.iter().copied()), 0xD1B1_A504_6499_26A9);
        let samples = decoded(&octets);
        assert_eq!(samples[..8], [-1, 0, 0, -1, -1, 1, 0, -7]);
        let low_octet_first = samples.iter().flat_map(|sample| sample.to_le_bytes());
        assert_eq!(hash(low_octet_first), 0x20F9_E299_2867_B4DD);
    }

    #[test]
    fn a_voice_comes_back_22_samples_later_and_clear() {
        let sound = voice(32_000);
        let back = decoded(&encoded(&sound));
        assert!(clarity(&sound[4_000..], &back[4_000..]) > 20.0);
    }

    #[test]
    fn tones_of_both_bands_keep_their_level() {
        for hz in [300.0, 1_000.0, 3_000.0, 5_000.0, 6_500.0] {
            let step = std::f64::consts::TAU * hz / f64::from(SAMPLE_RATE);
            let tone: Vec<i16> =
                (0..16_000).map(|at| (8_000.0 * (step * f64::from(at)).sin()) as i16).collect();
            let level = |samples: &[i16]| {
                let energy: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
                10.0 * energy.log10()
            };
            let change = level(&decoded(&encoded(&tone))[8_000..]) - level(&tone[8_000..]);
            assert!(change.abs() < 0.7, "{hz} Hz: {change} dB");
        }
    }

    #[test]
    fn pieces_give_what_the_whole_gives_and_slices_of_any_size_are_taken() {
        let sound = noise(3_200);
        let whole = encoded(&sound);
        let (mut encoder, mut joined) = (G722Encoder::new(), Vec::new());
        for piece in sound.chunks(160) {
            encoder.encode_onto(piece, &mut joined);
        }
        assert_eq!(joined, whole);
        let mut octets = [0; 1];
        encoder.encode(&[1, 2, 3, 4], &mut octets);
        encoder.encode(&[1], &mut octets);
        encoder.encode(&[], &mut []);
        let mut decoder = G722Decoder::new();
        assert_eq!(decoder.decode(&[1, 2, 3], &mut [0; 5]), 4);
        assert_eq!(decoder.decode(&[], &mut [0; 5]), 0);
        decoder.conceal(&mut [0; 5]);
        decoder.conceal(&mut []);
    }

    #[test]
    fn any_octets_at_all_are_decoded_and_any_samples_encoded() {
        let mut random = switchroom_netem::Random::new(722);
        let mut decoder = G722Decoder::new();
        let mut encoder = G722Encoder::new();
        for round in 0..2_000 {
            let one = random.below(256) as u8;
            let octets: Vec<u8> = (0..160)
                .map(|_| if round % 2 == 0 { one } else { random.below(256) as u8 })
                .collect();
            let mut samples = [0; 320];
            if random.chance(0.2) {
                decoder.conceal(&mut samples);
            }
            decoder.decode(&octets, &mut samples);
            let loud = |_| if random.chance(0.5) { i16::MIN } else { i16::MAX };
            let extreme: Vec<i16> = (0..320).map(loud).collect();
            encoder.encode(&extreme, &mut [0; 160]);
        }
    }

    /// Plays with every seventh frame lost, and returns what was heard.
    fn heard(octets: &[u8], mut lost: impl FnMut(&mut G722Decoder, &mut [i16])) -> Vec<i16> {
        let mut decoder = G722Decoder::new();
        let mut sound = vec![0; octets.len() * 2];
        for (number, frame) in octets.chunks(160).enumerate() {
            let samples = &mut sound[number * 320..][..frame.len() * 2];
            if number % 7 == 6 {
                lost(&mut decoder, samples);
            } else {
                decoder.decode(frame, samples);
            }
        }
        sound
    }

    #[test]
    fn lost_frames_are_made_up_for_and_the_state_goes_on_with_them() {
        let sound = voice(64_000);
        let octets = encoded(&sound);
        let concealed = heard(&octets, G722Decoder::conceal);
        let silent = heard(&octets, |_, samples| samples.fill(0));
        let standing = heard(&octets, |decoder, samples| decoder.concealer.conceal(samples));
        let [concealed, silent, standing] =
            [concealed, silent, standing].map(|heard| clarity(&sound, &heard));
        assert!(concealed > silent + 6.0, "{concealed} dB, {silent} dB with silence");
        assert!(concealed > standing + 0.3, "{concealed} dB, {standing} dB with the state left");
    }
}
