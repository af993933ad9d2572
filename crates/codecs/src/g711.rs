//! G.711: 64 kbit/s of speech, one octet a sample, by table in both directions.
//!
//! The tables are computed at compile time from the piecewise linear curves of ITU-T G.711
//! tables 1 and 2, with the reference implementation's treatment of negative samples (ITU-T
//! G.191: one's complement), so they agree with it for each of the 65,536 samples.

/// Which of the two curves.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Law {
    /// µ-law, RTP name PCMU, payload type 0 (North America, Japan).
    Mu,
    /// A-law, RTP name PCMA, payload type 8 (everywhere else).
    A,
}

impl Law {
    /// The octet that decodes to the quietest sample.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Mu => 0xFF,
            Self::A => 0xD5,
        }
    }

    /// The linear value of each octet. For loops that decode and do more at once.
    #[must_use]
    pub const fn decode_table(self) -> &'static [i16; 256] {
        match self {
            Self::Mu => &MU_DECODE,
            Self::A => &A_DECODE,
        }
    }

    /// Decodes as many samples as both slices have.
    pub fn decode(self, octets: &[u8], samples: &mut [i16]) {
        let table = self.decode_table();
        for (sample, &octet) in samples.iter_mut().zip(octets) {
            *sample = table[usize::from(octet)];
        }
    }

    /// Encodes as many samples as both slices have.
    pub fn encode(self, samples: &[i16], octets: &mut [u8]) {
        match self {
            Self::Mu => encode_by(&MU_ENCODE, MU_SHIFT, samples, octets),
            Self::A => encode_by(&A_ENCODE, A_SHIFT, samples, octets),
        }
    }

    /// Encodes all of `samples` onto the end of `octets`.
    pub fn encode_onto(self, samples: &[i16], octets: &mut Vec<u8>) {
        let start = octets.len();
        octets.resize(start + samples.len(), 0);
        self.encode(samples, &mut octets[start..]);
    }
}

/// Rewrites octets of one law in the other, sample by sample (ITU-T G.711 tables 3 and 4 differ
/// from decoding and encoding by at most one step; the linear way is taken).
pub fn transcode(from: Law, to: Law, octets: &mut [u8]) {
    let table = match (from, to) {
        (Law::Mu, Law::A) => &MU_TO_A,
        (Law::A, Law::Mu) => &A_TO_MU,
        _ => return,
    };
    for octet in octets {
        *octet = table[usize::from(*octet)];
    }
}

/// µ-law has 14 significant bits: a table of 16,384 entries, indexed by the sample's upper ones.
const MU_SHIFT: u32 = 2;
/// A-law has 13, of which the reference implementation reads 12 and the sign.
const A_SHIFT: u32 = 4;

static MU_DECODE: [i16; 256] = decode_table(true);
static A_DECODE: [i16; 256] = decode_table(false);
static MU_ENCODE: [u8; 1 << 14] = mu_encode_table();
static A_ENCODE: [u8; 1 << 12] = a_encode_table();
static MU_TO_A: [u8; 256] = transcode_table(Law::Mu);
static A_TO_MU: [u8; 256] = transcode_table(Law::A);

fn encode_by<const N: usize>(table: &[u8; N], shift: u32, samples: &[i16], octets: &mut [u8]) {
    for (octet, &sample) in octets.iter_mut().zip(samples) {
        *octet = table[usize::from(sample.cast_unsigned() >> shift)];
    }
}

/// G.711 table 2a, µ-law: sixteen segments, each twice as steep as the next inner one; the curve
/// is shifted by 33 (of 14 bits), which makes segment borders powers of two.
const fn mu_decode(octet: u8) -> i16 {
    let bits = !octet; // G.711 table 2a note 2: all bits inverted on the line
    let segment = (bits >> 4) & 7;
    let step = (bits & 15) as i16;
    let magnitude = (((2 * step + 33) << segment) - 33) * 4;
    if bits & 0x80 == 0 { magnitude } else { -magnitude }
}

const fn mu_encode(sample: i16) -> u8 {
    let magnitude = (if sample < 0 { !sample } else { sample } >> 2) + 33;
    let magnitude = if magnitude > 0x1FFF { 0x1FFF } else { magnitude };
    let segment = 16 - 6 - magnitude.leading_zeros() as u8;
    let bits = segment << 4 | (magnitude >> (segment + 1)) as u8 & 15;
    if sample < 0 { !bits & 0x7F } else { !bits }
}

/// G.711 table 1a, A-law: the two innermost segments have the same slope.
const fn a_decode(octet: u8) -> i16 {
    let bits = octet ^ 0x55; // G.711 table 1a note 2: even bits inverted on the line
    let segment = (bits >> 4) & 7;
    let step = (bits & 15) as i16;
    let magnitude =
        if segment == 0 { (step << 4) + 8 } else { ((step << 4) + 0x108) << (segment - 1) };
    if bits & 0x80 == 0 { -magnitude } else { magnitude }
}

const fn a_encode(sample: i16) -> u8 {
    let magnitude = if sample < 0 { !sample } else { sample } >> 4;
    let bits = if magnitude < 32 {
        magnitude as u8
    } else {
        let segment = 12 - magnitude.leading_zeros() as u8;
        segment << 4 | (magnitude >> (segment - 1)) as u8 & 15
    };
    (if sample < 0 { bits } else { bits | 0x80 }) ^ 0x55
}

const fn decode_table(mu: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = if mu { mu_decode(octet as u8) } else { a_decode(octet as u8) };
        octet += 1;
    }
    table
}

const fn mu_encode_table() -> [u8; 1 << 14] {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < table.len() {
        table[index] = mu_encode(((index << MU_SHIFT) as u16).cast_signed());
        index += 1;
    }
    table
}

const fn a_encode_table() -> [u8; 1 << 12] {
    let mut table = [0; 1 << 12];
    let mut index = 0;
    while index < table.len() {
        table[index] = a_encode(((index << A_SHIFT) as u16).cast_signed());
        index += 1;
    }
    table
}

const fn transcode_table(from: Law) -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = match from {
            Law::Mu => a_encode(mu_decode(octet as u8)),
            Law::A => mu_encode(a_decode(octet as u8)),
        };
        octet += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference implementation's µ-law, in its own terms: search the segment bit by bit.
    fn reference_mu(sample: i16) -> u8 {
        let wide = i32::from(sample);
        let magnitude = ((if wide < 0 { !wide } else { wide }) >> 2) + 33;
        let magnitude = magnitude.min(0x1FFF);
        let mut segment = 1;
        let mut rest = magnitude >> 6;
        while rest != 0 {
            segment += 1;
            rest >>= 1;
        }
        let octet = (8 - segment) << 4 | (15 - (magnitude >> segment & 15));
        octet as u8 | if wide >= 0 { 0x80 } else { 0 }
    }

    /// The same for A-law.
    fn reference_a(sample: i16) -> u8 {
        let wide = i32::from(sample);
        let mut magnitude = (if wide < 0 { !wide } else { wide }) >> 4;
        if magnitude > 15 {
            let mut exponent = 1;
            while magnitude > 31 {
                magnitude >>= 1;
                exponent += 1;
            }
            magnitude = magnitude - 16 + (exponent << 4);
        }
        (magnitude as u8 | if wide >= 0 { 0x80 } else { 0 }) ^ 0x55
    }

    fn encode_one(law: Law, sample: i16) -> u8 {
        let mut octet = [0];
        law.encode(&[sample], &mut octet);
        octet[0]
    }

    #[test]
    fn every_sample_is_encoded_as_the_reference_does() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(encode_one(Law::Mu, sample), reference_mu(sample), "µ {sample}");
            assert_eq!(encode_one(Law::A, sample), reference_a(sample), "A {sample}");
        }
    }

    #[test]
    fn decoded_values_are_those_of_the_recommendation() {
        // G.711 table 2a, column 8, positive half: value numbers 128, 112, 96 … (14 bits, × 4).
        let mu = [(0x80, 8031), (0x8F, 4191), (0x90, 3999), (0x9F, 2079), (0xA0, 1983)];
        for (octet, value) in mu {
            assert_eq!(MU_DECODE[octet], value * 4);
            assert_eq!(MU_DECODE[octet & 0x7F], -value * 4);
        }
        assert_eq!((MU_DECODE[0xFE], MU_DECODE[0xFF], MU_DECODE[0x7F]), (8, 0, 0));
        // G.711 table 1a, column 8 (13 bits, × 8), with the even bits inverted.
        let a = [(0xAA, 4032), (0xA5, 2112), (0xBA, 2016), (0xD5, 1), (0xD4, 3)];
        for (octet, value) in a {
            assert_eq!(A_DECODE[octet], value * 8);
            assert_eq!(A_DECODE[octet & 0x7F], -value * 8);
        }
    }

    #[test]
    fn an_octet_survives_decoding_and_encoding() {
        for octet in 0..=255 {
            let minus_zero = octet == 0x7F;
            let expected = if minus_zero { 0xFF } else { octet };
            assert_eq!(encode_one(Law::Mu, MU_DECODE[usize::from(octet)]), expected);
            assert_eq!(encode_one(Law::A, A_DECODE[usize::from(octet)]), octet);
        }
    }

    #[test]
    fn transcoding_moves_a_sample_by_no_more_than_its_step() {
        for octet in 0..=255_u8 {
            let before = i32::from(MU_DECODE[usize::from(octet)]);
            let mut converted = [octet];
            transcode(Law::Mu, Law::A, &mut converted);
            let after = i32::from(A_DECODE[usize::from(converted[0])]);
            assert!((before - after).abs() <= before.abs() / 16 + 8, "{before} {after}");
            transcode(Law::A, Law::A, &mut converted);
            assert_eq!(i32::from(A_DECODE[usize::from(converted[0])]), after);
        }
    }

    #[test]
    fn silence_is_the_quietest_octet() {
        for law in [Law::Mu, Law::A] {
            let quietest = law.decode_table().iter().map(|value| value.unsigned_abs()).min();
            let silent = law.decode_table()[usize::from(law.silence())];
            assert_eq!(Some(silent.unsigned_abs()), quietest);
        }
    }

    #[test]
    fn slices_of_unequal_length_meet_at_the_shorter() {
        let mut samples = [1; 3];
        Law::Mu.decode(&[0xFF, 0xFF], &mut samples);
        assert_eq!(samples, [0, 0, 1]);
        let mut octets = vec![9];
        Law::A.encode_onto(&[8, -8], &mut octets);
        assert_eq!(octets, [9, 0xD5, 0x55]);
    }
}
