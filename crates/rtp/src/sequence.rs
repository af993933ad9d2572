//! Sequence numbers that do not wrap.

/// Turns 16-bit RTP sequence numbers into 64-bit ones that keep counting.
///
/// The first number is given a full cycle of head-room, so that packets older than it stay
/// positive.
#[derive(Clone, Copy, Debug, Default)]
pub struct SequenceUnwrapper {
    highest: Option<u64>,
}

impl SequenceUnwrapper {
    /// The extended number nearest to the highest seen so far (RFC 3711 §3.3.1 uses the same
    /// rule). A number half a cycle away counts as newer.
    pub fn unwrap(&mut self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else {
            let first = 0x1_0000 + u64::from(sequence);
            self.highest = Some(first);
            return first;
        };
        let ahead = sequence.wrapping_sub(highest as u16);
        let extended = if ahead <= 0x8000 {
            highest + u64::from(ahead)
        } else {
            highest.saturating_sub(u64::from(ahead.wrapping_neg()))
        };
        self.highest = Some(highest.max(extended));
        extended
    }

    /// Takes an extended number that is known from elsewhere.
    pub(crate) fn follow(&mut self, extended: u64) {
        self.highest = Some(self.highest.map_or(extended, |highest| highest.max(extended)));
    }

    /// The highest extended number so far.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_counting_over_a_wrap() {
        let mut sequence = SequenceUnwrapper::default();
        let first = sequence.unwrap(65_534);
        assert_eq!(sequence.unwrap(65_535), first + 1);
        assert_eq!(sequence.unwrap(0), first + 2);
        assert_eq!(sequence.unwrap(1), first + 3);
    }

    #[test]
    fn an_older_number_is_placed_before_the_wrap() {
        let mut sequence = SequenceUnwrapper::default();
        let first = sequence.unwrap(0);
        assert_eq!(sequence.unwrap(65_535), first - 1);
        assert_eq!(sequence.highest(), Some(first));
    }

    #[test]
    fn half_a_cycle_ahead_is_newer_and_more_is_older() {
        let mut sequence = SequenceUnwrapper::default();
        let first = sequence.unwrap(0);
        assert_eq!(sequence.unwrap(0x8001), first - 0x7FFF);
        assert_eq!(sequence.unwrap(0x8000), first + 0x8000);
    }

    #[test]
    fn any_walk_of_small_steps_is_followed_exactly() {
        let mut random = switchroom_netem::Random::new(11);
        let mut sequence = SequenceUnwrapper::default();
        let mut truth = sequence.unwrap(40_000);
        let offset = truth - 40_000;
        for _ in 0..100_000 {
            truth = truth.saturating_add_signed(random.below(200).cast_signed() - 90).max(offset);
            assert_eq!(sequence.unwrap((truth - offset) as u16), truth);
        }
    }
}
