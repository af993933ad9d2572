//! Hashing for keys that nobody outside can choose: a multiplication a word, where the standard
//! library's costs as much as the look-up that it serves.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from numbers and names of our own. Not for what comes from the network.
pub(crate) type QuickMap<K, V> = HashMap<K, V, BuildHasherDefault<QuickHasher>>;

/// Knuth's multiplicative hashing: 2^64 divided by the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct QuickHasher(u64);

impl Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        // The map looks at the lowest and at the highest bits; the middle ones are the best mixed.
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(FACTOR);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    #[test]
    fn numbers_in_a_row_and_short_names_fall_into_different_places() {
        let build = BuildHasherDefault::<QuickHasher>::default();
        for bits in [0, 57] {
            let place = |hash: u64| hash >> bits & 0x7f;
            let numbers: HashSet<u64> = (0..128_u64).map(|n| place(build.hash_one(n))).collect();
            assert!(numbers.len() > 50, "{} of 128", numbers.len());
            let names: HashSet<u64> =
                (0..128).map(|n| place(build.hash_one(n.to_string().as_bytes()))).collect();
            assert!(names.len() > 50, "{} of 128", names.len());
        }
    }
}
