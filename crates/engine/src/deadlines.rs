//! Who wants to be woken when. Entries that have become later are found out when they come up, so
//! that a packet never moves anything in here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::LegKey;
use crate::graph::SourceKey;
use crate::player::PlayerKey;

/// Something with a deadline of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Leg(LegKey),
    Speaker(SourceKey),
    Player(PlayerKey),
    Mix,
}

#[derive(Debug, Default)]
pub(crate) struct Deadlines(BinaryHeap<Reverse<(Instant, Timer)>>);

impl Deadlines {
    /// `scheduled` is the timer's earliest entry, kept by its owner; nothing is added if that is
    /// early enough.
    pub(crate) fn schedule(&mut self, timer: Timer, at: Instant, scheduled: &mut Option<Instant>) {
        if scheduled.is_none_or(|earliest| at < earliest) {
            *scheduled = Some(at);
            self.0.push(Reverse((at, timer)));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// A timer that is due. It has to be scheduled anew, with its entry forgotten.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, Timer)> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse(entry)| entry)
    }
}
