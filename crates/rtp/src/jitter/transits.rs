//! How long packets take, as far as their timestamps and arrivals tell.

use std::time::{Duration, Instant};

/// The delay follows the worst of this long and twice this long.
const WINDOW: Duration = Duration::from_secs(2);

/// The least and the greatest transit time of the last two windows, in ticks from an unknown zero.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Transits {
    epoch: Option<Instant>,
    current: Option<Window>,
    previous: Option<Window>,
    /// The first packet's: others are measured from it, so that wraps do not matter.
    first: u32,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    least: i32,
    greatest: i32,
}

impl Transits {
    pub(super) fn note(&mut self, now: Instant, timestamp: u32, clock_rate: u32) {
        if self.epoch.is_none() {
            self.epoch = Some(now);
            self.first = timestamp.wrapping_neg();
        }
        let transit = self.transit(now, timestamp, clock_rate);
        match &mut self.current {
            Some(window) if now.saturating_duration_since(window.began) < WINDOW => {
                window.least = window.least.min(transit);
                window.greatest = window.greatest.max(transit);
            }
            current => {
                self.previous = *current;
                *current = Some(Window { began: now, least: transit, greatest: transit });
            }
        }
    }

    /// Ticks from sending to `now`, from the zero of the first packet.
    fn transit(&self, now: Instant, timestamp: u32, clock_rate: u32) -> i32 {
        let elapsed =
            self.epoch.map_or(Duration::ZERO, |epoch| now.saturating_duration_since(epoch));
        let ticks = elapsed.as_nanos() * u128::from(clock_rate) / 1_000_000_000;
        (ticks as u32).wrapping_sub(timestamp).wrapping_sub(self.first).cast_signed()
    }

    fn windows(&self) -> impl Iterator<Item = Window> {
        self.current.into_iter().chain(self.previous)
    }

    fn least(&self) -> Option<i32> {
        self.windows().map(|window| window.least).min()
    }

    /// The difference between the slowest and the fastest packet.
    pub(super) fn spread(&self) -> u32 {
        let greatest = self.windows().map(|window| window.greatest).max();
        self.least().zip(greatest).map_or(0, |(least, greatest)| greatest.abs_diff(least))
    }

    /// How much longer than the fastest packet this one has taken by now.
    pub(super) fn beyond_least(
        &self,
        now: Instant,
        timestamp: u32,
        clock_rate: u32,
    ) -> Option<u32> {
        let transit = self.transit(now, timestamp, clock_rate);
        u32::try_from(transit.saturating_sub(self.least()?)).ok()
    }
}
