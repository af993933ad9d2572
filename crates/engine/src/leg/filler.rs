//! What a phone hears where nothing came: its last voice fading away, then silence.

use switchroom_codecs::conceal::Concealer;
use switchroom_codecs::g711::Law;

use crate::stream::CLOCK_RATE;

/// As much of the past as concealment looks at, 40 ms.
const PAST: usize = 320;
/// Samples after which concealment has faded to silence, 60 ms.
const FADED: usize = 480;
/// The longest packet that is made here, 60 ms.
pub(crate) const LONGEST: usize = 480;

#[derive(Debug)]
pub(crate) struct Filler {
    past: [u8; PAST],
    heard: usize,
    law: Law,
    concealing: Option<Box<Concealing>>,
}

#[derive(Debug)]
struct Concealing {
    concealer: Concealer,
    made_up: usize,
}

impl Filler {
    pub(crate) const fn new() -> Self {
        Self { past: [0; PAST], heard: 0, law: Law::Mu, concealing: None }
    }

    /// Takes note of what was sent. What follows a gap is blended with what filled it: then the
    /// payload to send instead is given back, in `blended`.
    pub(crate) fn hear<'a>(
        &mut self,
        law: Law,
        payload: &'a [u8],
        blended: &'a mut [u8; LONGEST],
    ) -> &'a [u8] {
        let mut payload = payload;
        if let Some(mut concealing) = self.concealing.take()
            && payload.len() <= LONGEST
        {
            let mut samples = [0; LONGEST];
            let samples = &mut samples[..payload.len()];
            law.decode(payload, samples);
            concealing.concealer.good(samples);
            law.encode(samples, &mut blended[..samples.len()]);
            payload = &blended[..samples.len()];
        }
        self.remember(law, payload);
        payload
    }

    /// Nothing that was sent goes on now.
    pub(crate) fn forget(&mut self) {
        (self.heard, self.concealing) = (0, None);
    }

    /// Fills a packet.
    pub(crate) fn fill(&mut self, law: Law, payload: &mut [u8]) {
        if self.heard == PAST && self.law == law {
            self.begin();
        }
        let Some(concealing) = &mut self.concealing else {
            payload.fill(law.silence());
            return;
        };
        let mut samples = [0; LONGEST];
        let samples = &mut samples[..payload.len().min(LONGEST)];
        concealing.concealer.conceal(samples);
        concealing.made_up += samples.len();
        law.encode(samples, payload);
        if concealing.made_up >= FADED {
            self.concealing = None;
        }
    }

    fn begin(&mut self) {
        let mut samples = [0; PAST];
        self.law.decode(&self.past, &mut samples);
        let mut concealer = Concealer::new(CLOCK_RATE);
        concealer.good(&mut samples);
        self.concealing = Some(Box::new(Concealing { concealer, made_up: 0 }));
        self.heard = 0;
    }

    fn remember(&mut self, law: Law, payload: &[u8]) {
        if self.law != law {
            (self.law, self.heard) = (law, 0);
        }
        let newest = &payload[payload.len().saturating_sub(PAST)..];
        self.past.copy_within(newest.len().., 0);
        self.past[PAST - newest.len()..].copy_from_slice(newest);
        self.heard = (self.heard + newest.len()).min(PAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchroom_codecs::level;
    use switchroom_codecs::tone::{Segment, ToneGenerator};

    fn tone() -> Vec<u8> {
        let segment = Segment { frequencies: vec![400.0], duration: 1.0 };
        let mut samples = vec![0; 1_600];
        ToneGenerator::new(8_000, &[segment], -10.0, true).unwrap().fill(&mut samples);
        let mut octets = Vec::new();
        Law::A.encode_onto(&samples, &mut octets);
        octets
    }

    fn levels_after(frames: usize, filler: &mut Filler) -> Vec<u8> {
        let octets = tone();
        for frame in octets.chunks(160).take(frames) {
            assert_eq!(filler.hear(Law::A, frame, &mut [0; LONGEST]), frame);
        }
        let fill = |_| {
            let mut payload = [0; 160];
            filler.fill(Law::A, &mut payload);
            level::of_g711(Law::A, &payload)
        };
        (0..5).map(fill).collect()
    }

    #[test]
    fn a_voice_that_breaks_off_fades_within_60_ms() {
        let levels = levels_after(5, &mut Filler::new());
        assert!(levels[0] < 16, "{levels:?}");
        assert!(levels[0] < levels[1] && levels[1] < levels[2], "{levels:?}");
        assert!(levels[3] > 60 && levels[4] > 60, "{levels:?}");
    }

    #[test]
    fn before_anything_was_heard_there_is_silence() {
        assert!(levels_after(1, &mut Filler::new()).iter().all(|level| *level > 60));
        let mut filler = Filler::new();
        levels_after(5, &mut filler);
        filler.forget();
        assert!(levels_after(1, &mut filler).iter().all(|level| *level > 60));
    }

    #[test]
    fn what_comes_after_a_short_gap_is_joined_and_after_a_long_one_untouched() {
        let octets = tone();
        for (gap, touched) in [(1, true), (2, true), (4, false)] {
            let mut filler = Filler::new();
            for frame in octets.chunks(160).take(4) {
                filler.hear(Law::A, frame, &mut [0; LONGEST]);
            }
            for _ in 0..gap {
                filler.fill(Law::A, &mut [0; 160]);
            }
            let mut blended = [0; LONGEST];
            let next = &octets[800..960];
            assert_eq!(filler.hear(Law::A, next, &mut blended) != next, touched, "{gap}");
            assert_eq!(filler.hear(Law::A, next, &mut blended), next);
        }
    }
}
