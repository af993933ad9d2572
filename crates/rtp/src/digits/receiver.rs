//! Hears keys: one digit for each event, however many of its packets arrive, in whatever order.

use std::time::{Duration, Instant};

use super::{EventPayload, digit_of_event};

/// An event of which nothing more comes is over (RFC 4733 §2.5.2.2 leaves the time to us): four
/// packets of the widest usual spacing.
const SILENCE_ENDS: Duration = Duration::from_millis(200);
/// A packet this far behind the last digit belongs to a stream that was started anew, not to a
/// late copy of that digit.
const LATE_SECONDS: u32 = 5;

/// A key that was pressed and let go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReceivedDigit {
    /// One of `0-9 * # a-d`.
    pub digit: char,
    /// How long it was held, as far as we were told.
    pub duration_ms: u32,
}

/// The receiving half: one for each stream.
#[derive(Clone, Debug)]
pub struct DigitReceiver {
    clock_rate: u32,
    held: Option<Held>,
    /// Timestamp of the newest event reported: its repeats and what is older are dropped.
    reported: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    digit: char,
    /// Of the first segment, which names the event.
    timestamp: u32,
    /// Of the newest segment.
    segment: u32,
    /// Ticks within the newest segment.
    duration: u32,
    last_heard: Instant,
}

impl DigitReceiver {
    /// `clock_rate` is that of the negotiated telephone-event.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate: clock_rate.max(1), held: None, reported: None }
    }

    /// Takes one packet of the telephone-event payload type. Digits that it ends are appended to
    /// `digits`, in the order they were pressed: none, one, or two when it is the first sign of
    /// its event and also its last.
    pub fn receive(
        &mut self,
        now: Instant,
        timestamp: u32,
        payload: &[u8],
        digits: &mut Vec<ReceivedDigit>,
    ) {
        let Some(event) = EventPayload::parse(payload) else { return };
        let Some(digit) = digit_of_event(event.event) else { return };
        if self.is_old(timestamp) {
            return;
        }
        let duration = u32::from(event.duration);
        match &mut self.held {
            Some(held) if held.covers(digit, timestamp) => held.extend(now, timestamp, duration),
            Some(held) if ahead(timestamp, held.segment) => {
                // The next key is down, so the last one is up: its end packets were lost.
                self.release(digits);
                self.hold(now, digit, timestamp, duration);
            }
            Some(_) => {
                // Pressed before the one now held, and overtaken by it on the way.
                self.report(digit, timestamp, duration, digits);
                return;
            }
            None => self.hold(now, digit, timestamp, duration),
        }
        if event.end {
            self.release(digits);
        }
    }

    /// Ends a digit of which nothing has been heard for 200 ms.
    pub fn handle_timeout(&mut self, now: Instant, digits: &mut Vec<ReceivedDigit>) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.release(digits);
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.held.map(|held| held.last_heard + SILENCE_ENDS)
    }

    /// Begins with another stream, whose times say nothing about those before. The digit held then
    /// is over.
    pub fn restart(&mut self, clock_rate: u32, digits: &mut Vec<ReceivedDigit>) {
        self.release(digits);
        *self = Self::new(clock_rate);
    }

    fn hold(&mut self, now: Instant, digit: char, timestamp: u32, duration: u32) {
        self.held = Some(Held { digit, timestamp, segment: timestamp, duration, last_heard: now });
    }

    fn release(&mut self, digits: &mut Vec<ReceivedDigit>) {
        if let Some(held) = self.held.take() {
            let before = held.segment.wrapping_sub(held.timestamp);
            let ticks = before.saturating_add(held.duration);
            self.report(held.digit, held.timestamp, ticks, digits);
            self.reported = Some(held.segment);
        }
    }

    fn report(&mut self, digit: char, at: u32, ticks: u32, digits: &mut Vec<ReceivedDigit>) {
        let duration_ms = u64::from(ticks) * 1_000 / u64::from(self.clock_rate);
        digits.push(ReceivedDigit { digit, duration_ms: duration_ms as u32 });
        self.reported = Some(at);
    }

    fn is_old(&self, timestamp: u32) -> bool {
        let window = self.clock_rate.saturating_mul(LATE_SECONDS);
        self.reported.is_some_and(|reported| reported.wrapping_sub(timestamp) < window)
    }
}

impl Held {
    /// Whether a packet belongs to this event: the same timestamp, or a further segment of a key
    /// held so long that the duration field ran over (RFC 4733 §2.5.1.3).
    fn covers(&self, digit: char, timestamp: u32) -> bool {
        let next_segment = self.segment.wrapping_add(0xFFFF);
        timestamp == self.segment
            || timestamp == self.timestamp
            || digit == self.digit && timestamp.wrapping_sub(next_segment) <= 1
    }

    fn extend(&mut self, now: Instant, timestamp: u32, duration: u32) {
        self.last_heard = now;
        if ahead(timestamp, self.segment) {
            self.segment = timestamp;
            self.duration = duration;
        } else if timestamp == self.segment {
            self.duration = self.duration.max(duration);
        }
    }
}

fn ahead(timestamp: u32, of: u32) -> bool {
    timestamp.wrapping_sub(of).wrapping_sub(1) < 0x7FFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::super::{DigitSender, DigitStep, DigitTiming};
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning of time")]
    fn beginning() -> Instant {
        Instant::now()
    }

    fn payload(event: u8, end: bool, duration: u16) -> [u8; 4] {
        EventPayload { event, end, volume: 10, duration }.to_bytes()
    }

    /// The packets of some digits as (interval, timestamp, payload).
    fn packets(clock_rate: u32, digits: &str) -> Vec<(u32, u32, [u8; 4])> {
        let timing = DigitTiming { tone_ms: 100, gap_ms: 100, volume: 10 };
        let mut sender = DigitSender::new(clock_rate, 20, timing);
        sender.queue(digits).unwrap();
        let mut packets = Vec::new();
        // Begins close to the wrap of the timestamp.
        let mut timestamp = u32::MAX - 300;
        for interval in 0.. {
            match sender.step(timestamp) {
                DigitStep::Event(packet) => {
                    packets.push((interval, packet.timestamp, packet.payload));
                }
                DigitStep::Idle => break,
                _ => {}
            }
            timestamp = timestamp.wrapping_add(clock_rate / 50);
        }
        packets
    }

    fn hear(clock_rate: u32, packets: &[(u32, u32, [u8; 4])]) -> Vec<(char, u32)> {
        let start = beginning();
        let mut receiver = DigitReceiver::new(clock_rate);
        let mut digits = Vec::new();
        let mut now = start;
        for (interval, timestamp, payload) in packets {
            now = start + Duration::from_millis(20) * *interval;
            receiver.handle_timeout(now, &mut digits);
            receiver.receive(now, *timestamp, payload, &mut digits);
        }
        receiver.handle_timeout(now + SILENCE_ENDS, &mut digits);
        assert_eq!(receiver.deadline(), None);
        digits.iter().map(|digit| (digit.digit, digit.duration_ms)).collect()
    }

    fn heard_digits(packets: &[(u32, u32, [u8; 4])]) -> String {
        hear(8_000, packets).iter().map(|&(digit, _)| digit).collect()
    }

    #[test]
    fn what_our_sender_presses_is_heard_once_each() {
        for clock_rate in [8_000, 48_000] {
            let heard = hear(clock_rate, &packets(clock_rate, "11#D"));
            assert_eq!(heard, [('1', 100), ('1', 100), ('#', 100), ('d', 100)]);
        }
    }

    #[test]
    fn an_event_without_its_end_packets_is_ended_by_the_next_or_by_silence() {
        let all = packets(8_000, "12");
        let without_ends: Vec<_> = all.into_iter().filter(|(_, _, p)| p[1] & 0x80 == 0).collect();
        assert_eq!(hear(8_000, &without_ends), [('1', 80), ('2', 80)]);
    }

    #[test]
    fn one_packet_of_an_event_is_enough_whichever_it_is() {
        let all = packets(8_000, "7");
        for packet in all {
            assert_eq!(heard_digits(&[packet]), "7");
        }
    }

    #[test]
    fn any_loss_that_leaves_a_packet_of_each_digit_leaves_each_digit_once() {
        let mut random = switchroom_netem::Random::new(4733);
        let dialled = "0123456789*#abcd55";
        let all = packets(8_000, dialled);
        for _ in 0..2_000 {
            let mut kept = all.clone();
            kept.retain(|_| !random.chance(0.4));
            let mut timestamps: Vec<u32> = kept.iter().map(|packet| packet.1).collect();
            timestamps.dedup();
            if timestamps.len() == dialled.len() {
                assert_eq!(heard_digits(&kept), dialled);
            }
        }
    }

    #[test]
    fn packets_of_an_event_may_come_in_any_order() {
        let mut random = switchroom_netem::Random::new(4734);
        for _ in 0..500 {
            let mut one = packets(8_000, "3");
            for at in (1..one.len()).rev() {
                one.swap(at, random.below(at as u64 + 1) as usize);
            }
            let at_once: Vec<_> = one.iter().map(|&(_, at, payload)| (0, at, payload)).collect();
            assert_eq!(heard_digits(&at_once), "3");
        }
    }

    #[test]
    fn an_overtaken_packet_does_not_shorten_its_event() {
        let payloads = [payload(3, false, 480), payload(3, false, 320)];
        let swapped = [(0, 1_000, payloads[0]), (1, 1_000, payloads[1])];
        assert_eq!(hear(8_000, &swapped), [('3', 60)]);
    }

    #[test]
    fn a_digit_overtaken_by_the_first_packet_of_the_next_keeps_its_place() {
        let all = packets(8_000, "12");
        let (first, second) = all.split_at(7);
        let mixed = [&second[..1], &first[3..5], &second[1..], &first[5..]].concat();
        assert_eq!(heard_digits(&mixed), "12");
    }

    #[test]
    fn a_key_held_past_the_duration_field_is_one_digit() {
        let long = [
            (0, 1_000, payload(1, false, 160)),
            (1, 1_000, payload(1, false, 0xFFFF)),
            (2, 1_000 + 0xFFFF, payload(1, false, 800)),
            (3, 1_000 + 0xFFFF, payload(1, true, 1_600)),
            (4, 1_000 + 0xFFFF, payload(1, true, 1_600)),
        ];
        assert_eq!(hear(8_000, &long), [('1', (65_535 + 1_600) / 8)]);
    }

    #[test]
    fn a_stream_started_anew_with_older_timestamps_is_heard() {
        let again = [(0, 5_000_000, payload(1, true, 800)), (50, 1_000, payload(2, true, 800))];
        assert_eq!(heard_digits(&again), "12");
    }

    #[test]
    fn other_events_and_garbage_are_not_digits() {
        let mut random = switchroom_netem::Random::new(4735);
        let mut receiver = DigitReceiver::new(8_000);
        let (now, mut digits) = (beginning(), Vec::new());
        for payload in [&[16, 0x80, 0, 1][..], &[1, 0x80, 0], &[]] {
            receiver.receive(now, 1, payload, &mut digits);
        }
        assert_eq!(digits, []);
        let mut payload = [0; 8];
        for _ in 0..100_000 {
            random.fill(&mut payload);
            let before = digits.len();
            receiver.receive(now, random.next_u64() as u32, &payload[..4], &mut digits);
            assert!(digits.len() <= before + 2);
        }
    }
}
