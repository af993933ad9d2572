//! Who speaks: `LiveKit`'s rule over the levels of a source's packets.

use std::time::{Duration, Instant};

use switchroom_codecs::level;

/// A packet at least this loud (-dBov) counts as speech.
const ACTIVE: u8 = 35;
/// Levels are judged over windows of this length …
const WINDOW: Duration = Duration::from_millis(400);
/// … of which so much must be speech.
const MIN_ACTIVE: Duration = Duration::from_millis(160);
/// Weight of a new window: an exponential mean over two.
const SMOOTHING: f32 = 2.0 / 3.0;
/// Levels are told in steps of an eighth.
const STEPS: f32 = 8.0;
/// Without packets for so long nobody speaks.
const STALE: Duration = Duration::from_millis(800);

/// What listeners are told.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Heard {
    pub(crate) level: f32,
    pub(crate) active: bool,
}

/// Watches one source.
#[derive(Debug, Default)]
pub(crate) struct Speaker {
    observed: Duration,
    active: Duration,
    loudest: Option<u8>,
    smoothed: f32,
    told: Heard,
    last: Option<Instant>,
}

impl Speaker {
    /// Takes the level (-dBov) of a packet that lasts `duration`; what to tell, if it changed.
    pub(crate) fn observe(&mut self, now: Instant, below: u8, duration: Duration) -> Option<Heard> {
        self.last = Some(now);
        self.observed += duration;
        if below <= ACTIVE {
            self.active += duration;
            self.loudest = Some(self.loudest.map_or(below, |loudest| loudest.min(below)));
        }
        if self.observed < WINDOW {
            return None;
        }
        let level = match self.loudest {
            // A window that is only partly speech is that much quieter.
            Some(loudest) if self.active >= MIN_ACTIVE => {
                let share = self.active.as_secs_f32() / self.observed.as_secs_f32();
                level::to_linear(loudest) * share
            }
            _ => 0.0,
        };
        (self.observed, self.active, self.loudest) = (Duration::ZERO, Duration::ZERO, None);
        self.smoothed += (level - self.smoothed) * SMOOTHING;
        self.tell()
    }

    /// When the source will be taken as silent if nothing comes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.told == Heard::default() { None } else { self.last.map(|last| last + STALE) }
    }

    /// Silence, if the source has ceased to send while it spoke.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Heard> {
        self.deadline().filter(|deadline| *deadline <= now)?;
        *self = Self { told: self.told, ..Self::default() };
        self.tell()
    }

    fn tell(&mut self) -> Option<Heard> {
        let active = self.smoothed >= level::to_linear(ACTIVE);
        let level = if active { ((self.smoothed * STEPS).ceil() / STEPS).min(1.0) } else { 0.0 };
        let heard = Heard { level, active };
        let changed = heard != self.told;
        self.told = heard;
        changed.then_some(heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: Duration = Duration::from_millis(20);

    /// Feeds one packet per entry; what was told, with the number of packets by then.
    #[allow(clippy::disallowed_methods)] // the origin of a test's virtual time
    fn listen(levels: impl IntoIterator<Item = u8>) -> Vec<(usize, Heard)> {
        let mut speaker = Speaker::default();
        let start = Instant::now();
        let tell = |(n, level)| {
            let now = start + PACKET * n as u32;
            speaker.observe(now, level, PACKET).map(|heard| (n + 1, heard))
        };
        levels.into_iter().enumerate().filter_map(tell).collect()
    }

    #[test]
    fn speech_is_told_at_the_end_of_its_first_window_in_eighths() {
        let told = listen([10; 20]);
        let [(20, heard)] = told[..] else { panic!("{told:?}") };
        assert!(heard.active);
        assert!((heard.level * 8.0).fract().abs() < f32::EPSILON);
        assert!(heard.level > 0.2 && heard.level < 0.4, "{}", heard.level);
    }

    #[test]
    fn what_is_quieter_than_35_below_overload_is_no_speech() {
        assert_eq!(listen([36; 200]), []);
        assert_eq!(listen([127; 200]), []);
        assert!(!listen([30; 200]).is_empty());
    }

    #[test]
    fn a_short_noise_in_a_window_is_no_speech() {
        assert_eq!(listen((0..20).map(|n| if n < 7 { 5 } else { 127 })), []);
        assert_eq!(listen((0..20).map(|n| if n < 8 { 5 } else { 127 })).len(), 1);
    }

    #[test]
    fn the_end_of_speech_is_told_and_then_nothing_more() {
        let told = listen([20; 40].into_iter().chain([127; 400]));
        let last = told.last().unwrap();
        assert_eq!(last.1, Heard::default());
        assert!(last.0 <= 200, "told after {} packets", last.0);
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // the origin of a test's virtual time
    fn a_source_that_stops_sending_in_mid_word_is_told_as_silent() {
        let mut speaker = Speaker::default();
        let start = Instant::now();
        assert_eq!(speaker.deadline(), None);
        for n in 0..20 {
            speaker.observe(start + PACKET * n, 10, PACKET);
        }
        let last = start + PACKET * 19;
        assert_eq!(speaker.deadline(), Some(last + STALE));
        assert_eq!(speaker.handle_timeout(last + PACKET), None);
        assert_eq!(speaker.handle_timeout(last + STALE), Some(Heard::default()));
        assert_eq!(speaker.deadline(), None);
    }
}
