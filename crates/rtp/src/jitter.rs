//! A jitter buffer for sounds that are mixed on a clock of our own.
//!
//! Packets go in as they arrive and come out in order, each once, when they are due: at the time
//! their timestamp names, plus the delay that the last seconds have shown to be needed. A stream
//! that is passed through or decoded packet by packet needs none of this.

use std::time::{Duration, Instant};

use crate::SequenceUnwrapper;

/// Packets held at most: 640 ms of 20 ms packets.
const CAPACITY: u64 = 32;
/// The delay follows the worst of this long and twice this long.
const WINDOW: Duration = Duration::from_secs(2);
/// Losses in a row that are given out one by one; after more, the stream goes on with what is
/// there.
const MOST_LOST_IN_A_ROW: u32 = 5;
/// Late packets in a row that mean that the stream was begun anew with lower numbers.
const LATE_MEANS_RESTART: u32 = 10;
/// How far beyond its delay a buffer may be full without being shortened …
const SLACK: Duration = Duration::from_millis(5);
/// … how long it must have been, since a single gap comes and goes …
const PATIENCE: Duration = Duration::from_millis(500);
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

/// The least and the greatest transit time of the last two windows, in ticks from an unknown zero.
#[derive(Clone, Copy, Debug, Default)]
struct Transits {
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
    /// packets of 20 ms.
    pub fn take(&mut self, now: Instant) -> Taken<T> {
        if !self.playing && !self.begin(now) {
            return Taken::Nothing;
        }
        self.shorten(now);
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
            return self.take(now);
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
    /// has been too full for a while. Half a second between two drops is not heard.
    fn shorten(&mut self, now: Instant) {
        while let Some(next) = self.next
            && let Some(overdue) = self.overdue(now, next)
        {
            let length = self.slots[(next % CAPACITY) as usize].as_ref().map_or(0, |e| e.duration);
            let length = self.duration(length);
            if overdue < length + SLACK || self.held < 2 {
                self.too_full_since = None;
                return;
            }
            let since = *self.too_full_since.get_or_insert(now);
            if overdue < BACKLOG + length && now.saturating_duration_since(since) < PATIENCE {
                return;
            }
            self.slots[(next % CAPACITY) as usize] = None;
            self.held -= 1;
            self.counters.dropped += 1;
            self.next = Some(next + 1);
            if overdue < BACKLOG + length {
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

impl Transits {
    fn note(&mut self, now: Instant, timestamp: u32, clock_rate: u32) {
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
    fn spread(&self) -> u32 {
        let greatest = self.windows().map(|window| window.greatest).max();
        self.least().zip(greatest).map_or(0, |(least, greatest)| greatest.abs_diff(least))
    }

    /// How much longer than the fastest packet this one has taken by now.
    fn beyond_least(&self, now: Instant, timestamp: u32, clock_rate: u32) -> Option<u32> {
        let transit = self.transit(now, timestamp, clock_rate);
        u32::try_from(transit.saturating_sub(self.least()?)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchroom_netem::{Conditions, Link, Random};

    const MS: Duration = Duration::from_millis(1);
    const MOST: Duration = Duration::from_millis(40);

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning of time")]
    fn beginning() -> Instant {
        Instant::now()
    }

    fn buffer() -> JitterBuffer<u32> {
        JitterBuffer::new(8_000, MOST)
    }

    /// Inserts packet `number` of a stream that begins just before both wraps.
    fn insert(buffer: &mut JitterBuffer<u32>, now: Instant, number: u32) -> Inserted {
        let timestamp = (u32::MAX - 700).wrapping_add(number * 160);
        buffer.insert(now, (65_530 + number) as u16, timestamp, 160, number)
    }

    struct Heard {
        /// What came out at each tick.
        taken: Vec<Taken<u32>>,
        /// From sending to playing, for each packet played.
        delays: Vec<Duration>,
        buffer: JitterBuffer<u32>,
    }

    impl Heard {
        fn numbers(&self) -> Vec<u32> {
            let number = |taken: &Taken<u32>| match taken {
                Taken::Packet(number) => Some(*number),
                _ => None,
            };
            self.taken.iter().filter_map(number).collect()
        }
    }

    /// Sends packets every 20 ms over a link, and takes every 20 ms, 7 ms out of step.
    fn hear(seed: u64, packets: u32, conditions: impl Fn(u32) -> Conditions) -> Heard {
        let start = beginning();
        let mut link = Link::new(seed, conditions(0));
        let mut heard = Heard { taken: Vec::new(), delays: Vec::new(), buffer: buffer() };
        for number in 0..packets + 50 {
            let now = start + 20 * MS * number;
            if number < packets {
                link.set_conditions(conditions(number));
                link.send(now, number);
            }
            let tick = now + 7 * MS;
            while let Some((at, number)) = link.receive(tick) {
                insert(&mut heard.buffer, at, number);
            }
            let taken = heard.buffer.take(tick);
            if let Taken::Packet(number) = taken {
                heard.delays.push(tick - (start + 20 * MS * number));
            }
            heard.taken.push(taken);
        }
        heard
    }

    #[test]
    fn an_even_stream_waits_for_nothing_but_the_tick() {
        let heard = hear(1, 500, |_| Conditions::default());
        assert_eq!(heard.numbers(), (0..500).collect::<Vec<_>>());
        assert!(heard.delays.iter().all(|&delay| delay == 7 * MS));
        assert_eq!(heard.buffer.delay(), Duration::ZERO);
    }

    #[test]
    fn packets_come_out_in_order_and_once_whatever_the_network_does() {
        for seed in 0..50 {
            let conditions = Conditions {
                loss: 0.1,
                burst: 0.5,
                jitter: 60 * MS,
                reorder: 0.1,
                reorder_delay: 30 * MS,
                duplicate: 0.1,
                ..Conditions::default()
            };
            let numbers = hear(seed, 500, |_| conditions).numbers();
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}");
            assert!(numbers.len() > 300, "seed {seed}: {}", numbers.len());
        }
    }

    #[test]
    fn the_delay_follows_the_jitter_up_and_down_again() {
        let heard = hear(2, 2_000, |number| Conditions {
            jitter: if (500..1_000).contains(&number) { 30 * MS } else { Duration::ZERO },
            ..Conditions::default()
        });
        let mean = |delays: &[Duration]| delays.iter().sum::<Duration>() / delays.len() as u32;
        assert_eq!(mean(&heard.delays[..450]), 7 * MS);
        let rough = mean(&heard.delays[600..950]);
        assert!((25 * MS..50 * MS).contains(&rough), "{rough:?}");
        assert_eq!(mean(&heard.delays[heard.delays.len() - 400..]), 7 * MS);
        // While it is rough, hardly a tick goes without sound.
        let missing = heard.taken[600..950].iter().filter(|t| !matches!(t, Taken::Packet(_)));
        assert!(missing.count() <= 3);
    }

    #[test]
    fn the_intended_delay_is_bounded_however_rough_it_gets() {
        let heard = hear(3, 1_000, |_| Conditions { jitter: 300 * MS, ..Conditions::default() });
        assert_eq!(heard.buffer.delay(), MOST);
        assert!(heard.numbers().len() > 500);
    }

    #[test]
    fn a_burst_of_jitter_is_remembered_for_two_seconds_at_least() {
        for begins in [0, 20, 40, 60, 80] {
            let rough = |number: u32| begins < number && number < begins + 10;
            let (start, mut buffer) = (beginning(), buffer());
            for number in 0..begins + 110 {
                let late = if rough(number) { MS * (number % 2) * 30 } else { Duration::ZERO };
                insert(&mut buffer, start + 20 * MS * number + late, number);
                let _ = buffer.take(start + 20 * MS * number + late);
            }
            assert_eq!(buffer.delay(), 30 * MS, "begins at packet {begins}");
        }
    }

    #[test]
    fn a_lost_packet_is_told_with_its_successor_at_hand() {
        let (start, mut buffer) = (beginning(), buffer());
        for number in [0, 2, 3] {
            insert(&mut buffer, start + 20 * MS * number, number);
        }
        let taken: Vec<_> = (0..5).map(|_| buffer.take(start + 60 * MS)).collect();
        let expected =
            [Taken::Packet(0), Taken::Lost, Taken::Packet(2), Taken::Packet(3), Taken::Nothing];
        assert_eq!(taken, expected);
        insert(&mut buffer, start + 120 * MS, 6);
        insert(&mut buffer, start + 121 * MS, 5);
        assert_eq!(buffer.take(start + 121 * MS), Taken::Packet(5));
        assert_eq!(buffer.peek(), Some(&6));
        assert_eq!(
            buffer.counters(),
            JitterCounters { lost: 1, underruns: 1, ..buffer.counters() }
        );
    }

    #[test]
    fn late_and_repeated_packets_are_refused() {
        let (start, mut buffer) = (beginning(), buffer());
        insert(&mut buffer, start, 0);
        insert(&mut buffer, start, 2);
        assert_eq!(insert(&mut buffer, start, 2), Inserted::Duplicate);
        let _ = (buffer.take(start + 50 * MS), buffer.take(start + 50 * MS));
        assert_eq!(insert(&mut buffer, start + 50 * MS, 1), Inserted::Late);
        assert_eq!(buffer.counters().late, 1);
    }

    #[test]
    fn packets_swapped_at_the_very_beginning_keep_their_order() {
        let (start, mut buffer) = (beginning(), buffer());
        insert(&mut buffer, start, 1);
        insert(&mut buffer, start + MS, 0);
        let later = start + 50 * MS;
        assert_eq!([buffer.take(later), buffer.take(later)], [Taken::Packet(0), Taken::Packet(1)]);
    }

    #[test]
    fn packets_held_before_the_beginning_never_share_a_place() {
        let (start, mut buffer) = (beginning(), buffer());
        insert(&mut buffer, start, 10);
        insert(&mut buffer, start, 0);
        assert_eq!(insert(&mut buffer, start, CAPACITY as u32), Inserted::Restarted);
    }

    #[test]
    fn a_stall_is_caught_up_with_at_once() {
        let stalled = |number: u32| Conditions {
            // Everything sent during 300 ms arrives together at their end.
            delay: if (100..115).contains(&number) {
                20 * MS * (115 - number)
            } else {
                Duration::ZERO
            },
            ..Conditions::default()
        };
        let heard = hear(5, 700, stalled);
        let late: Vec<_> = heard.delays.iter().filter(|&&delay| delay > 150 * MS).collect();
        assert!(late.len() <= 1, "{late:?}");
        assert!(heard.delays[heard.delays.len() - 100..].iter().all(|&delay| delay == 7 * MS));
    }

    #[test]
    fn a_pause_of_the_sender_is_no_loss() {
        let (start, mut buffer) = (beginning(), buffer());
        insert(&mut buffer, start, 0);
        assert_eq!(buffer.take(start), Taken::Packet(0));
        assert_eq!(buffer.take(start + 20 * MS), Taken::Nothing);
        // The next number, two seconds later by time and timestamp.
        let later = start + 2_000 * MS;
        let timestamp = (u32::MAX - 700).wrapping_add(16_000);
        buffer.insert(later, 65_531, timestamp, 160, 1);
        assert_eq!(buffer.take(later), Taken::Packet(1));
        assert_eq!(buffer.counters().lost, 0);
    }

    #[test]
    fn a_long_gap_is_skipped_after_a_few_losses() {
        let (start, mut buffer) = (beginning(), buffer());
        insert(&mut buffer, start, 0);
        let _ = buffer.take(start);
        insert(&mut buffer, start + 400 * MS, 20);
        let taken: Vec<_> = (0..6).map(|_| buffer.take(start + 400 * MS)).collect();
        assert_eq!(taken[..5], [Taken::Lost; 5]);
        assert_eq!(taken[5], Taken::Packet(20));
    }

    #[test]
    fn a_stream_begun_anew_is_played() {
        let (start, mut buffer) = (beginning(), buffer());
        insert(&mut buffer, start, 0);
        let _ = buffer.take(start);
        assert_eq!(buffer.insert(start, 20_000, 9, 160, 77), Inserted::Restarted);
        assert_eq!(buffer.take(start), Taken::Packet(77));
        assert_eq!(buffer.insert(start, 19_000, 9, 160, 78), Inserted::Restarted);
        assert_eq!(buffer.take(start), Taken::Packet(78));
    }

    #[test]
    fn garbage_never_panics_and_never_fills_more_than_the_buffer() {
        let mut random = Random::new(6);
        let (start, mut buffer) = (beginning(), buffer());
        for step in 0..200_000_u64 {
            let now = start + MS * (step.saturating_sub(random.below(1_000)) as u32);
            let (sequence, timestamp) = if random.chance(0.5) {
                (step as u16, step as u32 * 160)
            } else {
                (random.next_u64() as u16, random.next_u64() as u32)
            };
            let duration = random.next_u64() as u32;
            let _ = buffer.insert(now, sequence, timestamp, duration, 0);
            if random.chance(0.7) {
                let _ = buffer.take(now);
            }
            assert!(buffer.len() <= CAPACITY as usize);
            assert!(buffer.delay() <= MOST);
        }
    }
}
