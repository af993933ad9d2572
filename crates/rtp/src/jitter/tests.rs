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

/// Where it does not matter what is dropped.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as a buffer of anything asks")]
fn quiet(_: &u32) -> bool {
    true
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
        let taken = heard.buffer.take(tick, quiet);
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
            let _ = buffer.take(start + 20 * MS * number + late, quiet);
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
    let taken: Vec<_> = (0..5).map(|_| buffer.take(start + 60 * MS, quiet)).collect();
    let expected =
        [Taken::Packet(0), Taken::Lost, Taken::Packet(2), Taken::Packet(3), Taken::Nothing];
    assert_eq!(taken, expected);
    insert(&mut buffer, start + 120 * MS, 6);
    insert(&mut buffer, start + 121 * MS, 5);
    assert_eq!(buffer.take(start + 121 * MS, quiet), Taken::Packet(5));
    assert_eq!(buffer.peek(), Some(&6));
    assert_eq!(buffer.counters(), JitterCounters { lost: 1, underruns: 1, ..buffer.counters() });
}

#[test]
fn late_and_repeated_packets_are_refused() {
    let (start, mut buffer) = (beginning(), buffer());
    insert(&mut buffer, start, 0);
    insert(&mut buffer, start, 2);
    assert_eq!(insert(&mut buffer, start, 2), Inserted::Duplicate);
    let _ = (buffer.take(start + 50 * MS, quiet), buffer.take(start + 50 * MS, quiet));
    assert_eq!(insert(&mut buffer, start + 50 * MS, 1), Inserted::Late);
    assert_eq!(buffer.counters().late, 1);
}

#[test]
fn packets_swapped_at_the_very_beginning_keep_their_order() {
    let (start, mut buffer) = (beginning(), buffer());
    insert(&mut buffer, start, 1);
    insert(&mut buffer, start + MS, 0);
    let later = start + 50 * MS;
    assert_eq!(
        [buffer.take(later, quiet), buffer.take(later, quiet)],
        [Taken::Packet(0), Taken::Packet(1)]
    );
}

#[test]
fn packets_held_before_the_beginning_never_share_a_place() {
    let (start, mut buffer) = (beginning(), buffer());
    insert(&mut buffer, start, 10);
    insert(&mut buffer, start, 0);
    assert_eq!(insert(&mut buffer, start, CAPACITY as u32), Inserted::Restarted);
}

/// Numbers that were not played of a stream whose packet 100 came 30 ms late, which made the buffer
/// 20 ms longer, and when each packet was played.
fn dropped_after_a_late_packet(quiet: impl Fn(&u32) -> bool) -> (Vec<u32>, Duration) {
    let (start, mut buffer) = (beginning(), buffer());
    let (mut played, mut delay) = (Vec::new(), Duration::ZERO);
    for number in 0..1_000 {
        let sent = start + 20 * MS * number;
        let tick = sent + 10 * MS;
        if number != 100 {
            insert(&mut buffer, sent, number);
        }
        if let Taken::Packet(number) = buffer.take(tick, &quiet) {
            played.push(number);
            delay = tick - (start + 20 * MS * number);
        }
        if number == 100 {
            insert(&mut buffer, sent + 15 * MS, number);
        }
    }
    let missing = (0..999).filter(|number| !played.contains(number)).collect();
    (missing, delay)
}

#[test]
fn a_buffer_that_is_too_full_drops_a_packet_of_the_next_pause_and_no_word() {
    let (dropped, delay) = dropped_after_a_late_packet(|number| (350..370).contains(number));
    assert_eq!(dropped, [350]);
    assert_eq!(delay, 10 * MS);
}

#[test]
fn sound_without_a_pause_is_shortened_too_but_later() {
    let (dropped, delay) = dropped_after_a_late_packet(|_| false);
    // 4 s until the late packet is forgotten, and 2 s of hoping for a pause.
    assert_eq!(dropped, [400]);
    assert_eq!(delay, 10 * MS);
}

#[test]
fn a_stall_is_caught_up_with_at_once() {
    let stalled = |number: u32| Conditions {
        // Everything sent during 300 ms arrives together at their end.
        delay: if (100..115).contains(&number) { 20 * MS * (115 - number) } else { Duration::ZERO },
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
    assert_eq!(buffer.take(start, quiet), Taken::Packet(0));
    assert_eq!(buffer.take(start + 20 * MS, quiet), Taken::Nothing);
    // The next number, two seconds later by time and timestamp.
    let later = start + 2_000 * MS;
    let timestamp = (u32::MAX - 700).wrapping_add(16_000);
    buffer.insert(later, 65_531, timestamp, 160, 1);
    assert_eq!(buffer.take(later, quiet), Taken::Packet(1));
    assert_eq!(buffer.counters().lost, 0);
}

#[test]
fn a_long_gap_is_skipped_after_a_few_losses() {
    let (start, mut buffer) = (beginning(), buffer());
    insert(&mut buffer, start, 0);
    let _ = buffer.take(start, quiet);
    insert(&mut buffer, start + 400 * MS, 20);
    let taken: Vec<_> = (0..6).map(|_| buffer.take(start + 400 * MS, quiet)).collect();
    assert_eq!(taken[..5], [Taken::Lost; 5]);
    assert_eq!(taken[5], Taken::Packet(20));
}

#[test]
fn a_stream_begun_anew_is_played() {
    let (start, mut buffer) = (beginning(), buffer());
    insert(&mut buffer, start, 0);
    let _ = buffer.take(start, quiet);
    assert_eq!(buffer.insert(start, 20_000, 9, 160, 77), Inserted::Restarted);
    assert_eq!(buffer.take(start, quiet), Taken::Packet(77));
    assert_eq!(buffer.insert(start, 19_000, 9, 160, 78), Inserted::Restarted);
    assert_eq!(buffer.take(start, quiet), Taken::Packet(78));
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
            let _ = buffer.take(now, quiet);
        }
        assert!(buffer.len() <= CAPACITY as usize);
        assert!(buffer.delay() <= MOST);
    }
}
