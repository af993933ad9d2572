//! One direction of a bad network, with the time passed in.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use crate::Random;

/// What a [`Link`] does to the packets that cross it. The default is a perfect wire.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Conditions {
    /// Probability that a packet which follows a delivered one is lost, 0 to 1.
    pub loss: f64,
    /// Probability that a packet which follows a lost one is lost too, 0 to 1; below `loss` it
    /// counts as `loss`. Together they are the two states of Gilbert's model of bursts.
    pub burst: f64,
    /// The least time a packet travels.
    pub delay: Duration,
    /// Added to `delay`, uniform between nothing and this, without changing the order.
    pub jitter: Duration,
    /// Probability that a packet is held back so that later ones overtake it.
    pub reorder: f64,
    /// How much longer a packet that is overtaken travels.
    pub reorder_delay: Duration,
    /// Probability that a packet arrives twice.
    pub duplicate: f64,
}

/// A lossy, slow, seeded pipe for packets of any type.
#[derive(Debug)]
pub struct Link<T> {
    conditions: Conditions,
    random: Random,
    under_way: BinaryHeap<UnderWay<T>>,
    sent: u64,
    lost_last: bool,
    /// Arrival of the last packet that kept its place: jitter alone must not reorder.
    last_in_order: Option<Instant>,
}

#[derive(Debug)]
struct UnderWay<T> {
    arrives: Instant,
    number: u64,
    packet: T,
}

impl<T: Clone> Link<T> {
    /// A link that treats the same packets alike for the same seed.
    #[must_use]
    pub fn new(seed: u64, conditions: Conditions) -> Self {
        Self {
            conditions,
            random: Random::new(seed),
            under_way: BinaryHeap::new(),
            sent: 0,
            lost_last: false,
            last_in_order: None,
        }
    }

    /// Changes the weather for packets sent from now on.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// Hands a packet to the network at `now`.
    pub fn send(&mut self, now: Instant, packet: T) {
        let Conditions { loss, burst, duplicate, .. } = self.conditions;
        let odds = if self.lost_last { burst.max(loss) } else { loss };
        self.lost_last = self.random.chance(odds);
        if self.lost_last {
            return;
        }
        let arrives = self.arrival(now);
        if self.random.chance(duplicate) {
            self.enqueue(arrives, packet.clone());
        }
        self.enqueue(arrives, packet);
    }

    /// The next packet that has arrived by `now`, with the time at which it did.
    pub fn receive(&mut self, now: Instant) -> Option<(Instant, T)> {
        if self.next_arrival()? > now {
            return None;
        }
        self.under_way.pop().map(|next| (next.arrives, next.packet))
    }

    /// When the next packet arrives; `None` while nothing is under way.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.peek().map(|next| next.arrives)
    }

    fn arrival(&mut self, now: Instant) -> Instant {
        let Conditions { delay, jitter, reorder, reorder_delay, .. } = self.conditions;
        let wanted = now + delay + jitter.mul_f64(self.random.unit());
        let in_order = self.last_in_order.map_or(wanted, |last| wanted.max(last));
        if self.random.chance(reorder) {
            return in_order + reorder_delay;
        }
        self.last_in_order = Some(in_order);
        in_order
    }

    fn enqueue(&mut self, arrives: Instant, packet: T) {
        self.under_way.push(UnderWay { arrives, number: self.sent, packet });
        self.sent += 1;
    }
}

impl<T> UnderWay<T> {
    fn key(&self) -> (Instant, u64) {
        (self.arrives, self.number)
    }
}

impl<T> Ord for UnderWay<T> {
    /// Reversed: the heap gives its greatest first, and the earliest is wanted.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<T> PartialOrd for UnderWay<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for UnderWay<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for UnderWay<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning of time")]
    fn beginning() -> Instant {
        Instant::now()
    }

    /// Sends 0, 1, 2 … every 20 ms and returns (sent ms, arrived ms, number) for what arrives.
    fn run(seed: u64, conditions: Conditions, packets: u32) -> Vec<(u32, u32, u32)> {
        let start = beginning();
        let mut link = Link::new(seed, conditions);
        let mut arrived = Vec::new();
        for number in 0..packets {
            link.send(start + 20 * MS * number, number);
        }
        while let Some(at) = link.next_arrival() {
            let (when, number) = link.receive(at).expect("it has arrived by its arrival");
            let elapsed = (when - start).as_millis() as u32;
            arrived.push((20 * number, elapsed, number));
        }
        arrived
    }

    #[test]
    fn a_perfect_wire_delivers_everything_at_once_and_in_order() {
        let arrived = run(1, Conditions::default(), 50);
        assert_eq!(arrived.len(), 50);
        assert!(
            arrived
                .iter()
                .enumerate()
                .all(|(at, &(sent, when, number))| { sent == when && number == at as u32 })
        );
    }

    #[test]
    fn loss_takes_the_share_that_was_asked_for() {
        let conditions = Conditions { loss: 0.1, ..Conditions::default() };
        let arrived = run(2, conditions, 10_000).len();
        assert!((8_850..9_150).contains(&arrived), "{arrived}");
    }

    #[test]
    fn bursts_lose_neighbours_together() {
        let conditions = Conditions { loss: 0.02, burst: 0.8, ..Conditions::default() };
        let arrived = run(3, conditions, 10_000);
        let gaps: Vec<u32> = arrived
            .windows(2)
            .map(|pair| pair[1].2 - pair[0].2 - 1)
            .filter(|&gap| gap > 0)
            .collect();
        let mean = f64::from(gaps.iter().sum::<u32>()) / gaps.len() as f64;
        assert!((3.5..6.5).contains(&mean), "a burst of 1 / (1 - 0.8) packets, not {mean}");
    }

    #[test]
    fn jitter_delays_without_reordering() {
        let conditions = Conditions { delay: 30 * MS, jitter: 100 * MS, ..Conditions::default() };
        let arrived = run(4, conditions, 1_000);
        assert!(arrived.windows(2).all(|pair| pair[0].2 < pair[1].2));
        assert!(arrived.iter().all(|&(sent, when, _)| when >= sent + 30));
        assert!(arrived.iter().any(|&(sent, when, _)| when > sent + 100));
    }

    #[test]
    fn a_held_packet_is_overtaken() {
        let conditions =
            Conditions { reorder: 0.1, reorder_delay: 50 * MS, ..Conditions::default() };
        let arrived = run(5, conditions, 1_000);
        assert_eq!(arrived.len(), 1_000);
        assert!(arrived.windows(2).any(|pair| pair[0].2 > pair[1].2));
    }

    #[test]
    fn a_duplicate_arrives_beside_its_original() {
        let conditions = Conditions { duplicate: 0.5, ..Conditions::default() };
        let arrived = run(6, conditions, 1_000);
        assert!((1_400..1_600).contains(&arrived.len()), "{}", arrived.len());
    }

    #[test]
    fn the_same_seed_gives_the_same_day() {
        let conditions = Conditions {
            loss: 0.05,
            jitter: 40 * MS,
            reorder: 0.05,
            reorder_delay: 30 * MS,
            ..Conditions::default()
        };
        assert_eq!(run(7, conditions, 500), run(7, conditions, 500));
        assert_ne!(run(7, conditions, 500), run(8, conditions, 500));
    }

    #[test]
    fn nothing_arrives_before_its_time() {
        let start = beginning();
        let mut link = Link::new(9, Conditions { delay: 10 * MS, ..Conditions::default() });
        link.send(start, "packet");
        assert_eq!(link.receive(start + 9 * MS), None);
        assert_eq!(link.receive(start + 10 * MS), Some((start + 10 * MS, "packet")));
        assert_eq!(link.next_arrival(), None);
    }
}
