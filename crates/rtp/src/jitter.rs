//! A jitter buffer for sounds that are mixed on a clock of our own.
//!
//! Packets go in as they arrive and come out in order, each once, when they are due: at the time
//! their timestamp names, plus the delay that the last seconds have shown to be needed. A stream
//! that is passed through or decoded packet by packet needs none of this.

#[cfg(test)]
mod tests;
mod transits;

use std::time::{Duration, Instant};

use crate::SequenceUnwrapper;
use transits::Transits;

/// Packets held at most: 640 ms of 20 ms packets.
const CAPACITY: u64 = 32;
/// Losses in a row that are given out one by one; after more, the stream goes on with what is
/// there.
const MOST_LOST_IN_A_ROW: u32 = 5;
/// Late packets in a row that mean that the stream was begun anew with lower numbers.
const LATE_MEANS_RESTART: u32 = 10;
/// How far beyond its delay a buffer may be full without being shortened …
const SLACK: Duration = Duration::from_millis(5);
/// … how long it must have been, since a single gap comes and goes …
const PATIENCE: Duration = Duration::from_millis(500);
/// … how long where nothing is quiet enough to be dropped unheard …
const MORE_PATIENCE: Duration = Duration::from_secs(2);
/// … and how far beyond there is no more patience.
const BACKLOG: Duration = Duration::from_millis(100);

/// What became of an arriving packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inserted {
    /// It will be given out in its turn.
    Queued,
    /// Its turn is over.
    Late,
    /// It is here already.
    Duplicate,
    /// It is the first of a stream begun anew; what was held is gone.
    Restarted,
}

/// What is next to play.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Taken<T> {
    /// The next packet.
    Packet(T),
    /// The next packet is missing and a later one is here: conceal, or recover from
    /// [`JitterBuffer::peek`].
    Lost,
    /// Nothing is due: the stream has not begun, pauses, or is late. Conceal, fading to silence.
    Nothing,
}

/// Counters since the beginning.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JitterCounters {
    /// Arrived after their turn.
    pub late: u64,
    /// Arrived more than once.
    pub duplicates: u64,
    /// Given out as lost.
    pub lost: u64,
    /// Dropped to bring the delay down.
    pub dropped: u64,
    /// Times the buffer ran empty.
    pub underruns: u64,
}

/// Reorders packets of any type and evens out their spacing.
#[derive(Clone, Debug)]
pub struct JitterBuffer<T> {
    clock_rate: u32,
    most: Duration,
    slots: Vec<Option<Entry<T>>>,
    held: usize,
    sequence: SequenceUnwrapper,
    /// The sequence number whose turn it is.
    next: Option<u64>,
    /// Packets are being taken: there is a next one, and what is before it is late.
    playing: bool,
    /// Something was taken since the stream began: `next` cannot go back any more.
    begun: bool,
    transits: Transits,
    lost_in_a_row: u32,
    late_in_a_row: u32,
    too_full_since: Option<Instant>,
    counters: JitterCounters,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    sequence: u64,
    timestamp: u32,
    duration: u32,
    packet: T,
}

impl<T> JitterBuffer<T> {
    /// `clock_rate` is that of the timestamps; `most` bounds the delay this buffer adds by intent
    /// (40 ms suits a telephone).
    #[must_use]
    pub fn new(clock_rate: u32, most: Duration) -> Self {
        Self {
            clock_rate: clock_rate.max(1),
            most,
            slots: (0..CAPACITY).map(|_| None).collect(),
            held: 0,
            sequence: SequenceUnwrapper::default(),
            next: None,
            playing: false,
            begun: false,
            transits: Transits::default(),
            lost_in_a_row: 0,
            late_in_a_row: 0,
            too_full_since: None,
            counters: JitterCounters::default(),
        }
    }

    /// Forgets everything but the counters: another source, or another clock.
    pub fn restart(&mut self, clock_rate: u32) {
        let counters = self.counters;
        *self = Self { counters, ..Self::new(clock_rate, self.most) };
    }

    /// Takes a packet in. `duration` is its length in ticks.
    pub fn insert(
        &mut self,
        now: Instant,
        sequence: u16,
        timestamp: u32,
        duration: u32,
        packet: T,
    ) -> Inserted {
        let mut result = Inserted::Queued;
        let mut extended = self.sequence.unwrap(sequence);
        if self.begins_anew(extended) {
            self.restart(self.clock_rate);
            extended = self.sequence.unwrap(sequence);
            result = Inserted::Restarted;
        }
        self.transits.note(now, timestamp, self.clock_rate);
        if self.next.is_some_and(|next| extended < next && self.begun) {
            self.counters.late += 1;
            self.late_in_a_row += 1;
            return Inserted::Late;
        }
        self.late_in_a_row = 0;
        let slot = &mut self.slots[(extended % CAPACITY) as usize];
        if slot.is_some() {
            self.counters.duplicates += 1;
            return Inserted::Duplicate;
        }
        *slot = Some(Entry { sequence: extended, timestamp, duration, packet });
        self.held += 1;
        self.next = Some(self.next.map_or(extended, |next| next.min(extended)));
        result
    }

    /// What to play now. Asked for whenever the listener needs more sound: every 20 ms for
    /// packets of 20 ms. A buffer that is too full drops what is `quiet` first.
    pub fn take(&mut self, now: Instant, quiet: impl Fn(&T) -> bool) -> Taken<T> {
        if !self.playing && !self.begin(now) {
            return Taken::Nothing;
        }
        self.shorten(now, &quiet);
        let Some(next) = self.next else { return Taken::Nothing };
        if let Some(entry) = self.slots[(next % CAPACITY) as usize].take() {
            self.held -= 1;
            self.lost_in_a_row = 0;
            self.next = Some(next + 1);
            return Taken::Packet(entry.packet);
        }
        if self.held == 0 {
            self.counters.underruns += 1;
            self.playing = false;
            return Taken::Nothing;
        }
        if self.lost_in_a_row == MOST_LOST_IN_A_ROW {
            self.next = self.first_held();
            self.lost_in_a_row = 0;
            return self.take(now, quiet);
        }
        self.lost_in_a_row += 1;
        self.counters.lost += 1;
        self.next = Some(next + 1);
        Taken::Lost
    }

    /// The packet that the next [`Self::take`] will give, if it is here: after [`Taken::Lost`] it
    /// may carry a copy of what was lost.
    #[must_use]
    pub fn peek(&self) -> Option<&T> {
        let next = self.next?;
        self.slots[(next % CAPACITY) as usize].as_ref().map(|entry| &entry.packet)
    }

    /// Packets held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// The delay now added by intent: what the last seconds have shown to be needed.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.duration(self.transits.spread()).min(self.most)
    }

    /// Counters since the beginning.
    #[must_use]
    pub fn counters(&self) -> JitterCounters {
        self.counters
    }

    /// Whether a number is so far from the others that the stream must have been begun anew.
    fn begins_anew(&self, extended: u64) -> bool {
        self.next.is_some_and(|next| {
            extended >= next + CAPACITY
                || extended + CAPACITY <= next
                || self.late_in_a_row >= LATE_MEANS_RESTART
                || !self.begun && extended + CAPACITY <= self.sequence.highest().unwrap_or(0)
        })
    }

    /// Starts to play with the first packet held, if it is due.
    fn begin(&mut self, now: Instant) -> bool {
        let Some(first) = self.first_held() else { return false };
        if self.overdue(now, first).is_none() {
            return false;
        }
        self.next = Some(first);
        self.playing = true;
        self.begun = true;
        true
    }

    /// Drops what makes the delay longer than needed: at once after a stall, else when the buffer
    /// has been too full for a while, in the next pause. A packet cut out of a word is heard: that
    /// is done only where no pause comes, and not more often than once in [`MORE_PATIENCE`].
    fn shorten(&mut self, now: Instant, quiet: impl Fn(&T) -> bool) {
        while let Some(next) = self.next
            && let Some(overdue) = self.overdue(now, next)
            && let Some(entry) = &self.slots[(next % CAPACITY) as usize]
        {
            let length = self.duration(entry.duration);
            if overdue < length + SLACK || self.held < 2 {
                self.too_full_since = None;
                return;
            }
            let waited = now.saturating_duration_since(*self.too_full_since.get_or_insert(now));
            let stalled = overdue >= BACKLOG + length;
            let dropped =
                stalled || waited >= MORE_PATIENCE || waited >= PATIENCE && quiet(&entry.packet);
            if !dropped {
                return;
            }
            self.slots[(next % CAPACITY) as usize] = None;
            self.held -= 1;
            self.counters.dropped += 1;
            self.next = Some(next + 1);
            if !stalled {
                self.too_full_since = None;
                return;
            }
        }
    }

    /// How long ago a held packet was due; `None` when it is not yet, or not held.
    fn overdue(&self, now: Instant, sequence: u64) -> Option<Duration> {
        let entry = self.slots[(sequence % CAPACITY) as usize].as_ref()?;
        let waited = self.transits.beyond_least(now, entry.timestamp, self.clock_rate)?;
        self.duration(waited).checked_sub(self.delay())
    }

    fn first_held(&self) -> Option<u64> {
        self.slots.iter().flatten().map(|entry| entry.sequence).min()
    }

    fn duration(&self, ticks: u32) -> Duration {
        Duration::from_nanos(u64::from(ticks) * 1_000_000_000 / u64::from(self.clock_rate))
    }
}
