//! Presses keys: turns "12w#" into event packets at the pace of the audio stream.

use std::collections::VecDeque;
use std::fmt;

use super::{EventPayload, event_of_digit};

/// Symbols that may wait; more than anybody dials, and a bound on what a client can make us keep.
const MAX_QUEUED: usize = 512;
/// RFC 4733 §2.5.1.4: the last packet is sent three times in all.
const END_PACKETS: u32 = 3;
/// The pause that a `w` stands for, as in `LiveKit`.
const PAUSE_MS: u32 = 500;

/// How keys are pressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DigitTiming {
    /// How long a key is held, at most 1,300 ms: what the duration field can say at 48 kHz.
    pub tone_ms: u32,
    /// How long none is held after it.
    pub gap_ms: u32,
    /// Power of the tone in -dBm0, 0 to 63.
    pub volume: u8,
}

impl Default for DigitTiming {
    /// `LiveKit`'s pace: 250 ms on, 250 ms off, -10 dBm0.
    fn default() -> Self {
        Self { tone_ms: 250, gap_ms: 250, volume: 10 }
    }
}

/// Why digits were not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InvalidDigits {
    /// Not one of `0-9 * # A-D a-d w`.
    Symbol(char),
    /// More than 512 would be waiting.
    TooMany,
}

impl fmt::Display for InvalidDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol(symbol) => write!(f, "{symbol:?} is not a digit or 'w'"),
            Self::TooMany => f.write_str("too many digits are waiting to be sent"),
        }
    }
}

impl std::error::Error for InvalidDigits {}

/// What to do in this packet interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DigitStep {
    /// No digits are queued: send audio.
    Idle,
    /// Between two digits: send audio.
    Pause,
    /// Send this in place of audio, with the stream's next sequence number.
    Event(EventPacket),
    /// The last queued digit has been sent, reported once: send audio.
    Finished,
}

/// One event packet, but for sequence number, payload type and SSRC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventPacket {
    /// Set on the first packet of an event (RFC 4733 §2.3).
    pub marker: bool,
    /// That of the event's beginning, the same in all its packets (RFC 4733 §2.1).
    pub timestamp: u32,
    /// The event.
    pub payload: [u8; 4],
}

/// The sending half: one for each stream, asked once for each packet interval.
#[derive(Clone, Debug)]
pub struct DigitSender {
    clock_rate: u32,
    interval_ms: u32,
    timing: DigitTiming,
    queue: VecDeque<Symbol>,
    state: State,
    owes_finish: bool,
}

#[derive(Clone, Copy, Debug)]
enum Symbol {
    Event(u8),
    Pause,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Tone {
        event: u8,
        timestamp: u32,
        elapsed_ms: u32,
        ends_sent: u32,
    },
    /// After a tone: everything queued may have been sent already.
    Gap {
        left_ms: u32,
    },
    /// For a `w`, which is part of what was queued.
    Pause {
        left_ms: u32,
    },
}

impl DigitSender {
    /// `clock_rate` is that of the negotiated telephone-event (8,000 beside G.711, 48,000 beside
    /// Opus); `interval_ms` the time between two calls of [`Self::step`].
    #[must_use]
    pub fn new(clock_rate: u32, interval_ms: u32, timing: DigitTiming) -> Self {
        let interval_ms = interval_ms.max(1);
        let timing = DigitTiming { tone_ms: timing.tone_ms.clamp(interval_ms, 1_300), ..timing };
        let (queue, state) = (VecDeque::new(), State::Idle);
        Self { clock_rate, interval_ms, timing, queue, state, owes_finish: false }
    }

    /// Events are on another clock from now on.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        self.clock_rate = clock_rate;
    }

    /// Queues digits behind those already waiting: all of them, or none and the reason.
    pub fn queue(&mut self, digits: &str) -> Result<(), InvalidDigits> {
        let before = self.queue.len();
        for symbol in digits.chars() {
            let result = self.push(symbol);
            if result.is_err() {
                self.queue.truncate(before);
                return result;
            }
        }
        Ok(())
    }

    fn push(&mut self, symbol: char) -> Result<(), InvalidDigits> {
        if self.queue.len() == MAX_QUEUED {
            return Err(InvalidDigits::TooMany);
        }
        self.queue.push_back(match symbol {
            'w' | 'W' => Symbol::Pause,
            _ => Symbol::Event(event_of_digit(symbol).ok_or(InvalidDigits::Symbol(symbol))?),
        });
        Ok(())
    }

    /// Whether anything is queued or under way, a gap included.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle) || !self.queue.is_empty()
    }

    /// What to send in the interval that begins at `timestamp` on the event clock.
    pub fn step(&mut self, timestamp: u32) -> DigitStep {
        match self.state {
            State::Tone { .. } => self.continue_tone(),
            State::Gap { left_ms } if left_ms > 0 => {
                self.state = State::Gap { left_ms: left_ms.saturating_sub(self.interval_ms) };
                if self.queue.is_empty() { self.finish(DigitStep::Pause) } else { DigitStep::Pause }
            }
            State::Pause { left_ms } if left_ms > 0 => self.pause(left_ms),
            State::Idle | State::Gap { .. } | State::Pause { .. } => self.start_next(timestamp),
        }
    }

    fn start_next(&mut self, timestamp: u32) -> DigitStep {
        match self.queue.pop_front() {
            Some(Symbol::Event(event)) => {
                self.owes_finish = true;
                self.state = State::Tone { event, timestamp, elapsed_ms: 0, ends_sent: 0 };
                self.continue_tone()
            }
            Some(Symbol::Pause) => {
                self.owes_finish = true;
                self.pause(PAUSE_MS)
            }
            None => {
                self.state = State::Idle;
                self.finish(DigitStep::Idle)
            }
        }
    }

    fn pause(&mut self, left_ms: u32) -> DigitStep {
        self.state = State::Pause { left_ms: left_ms.saturating_sub(self.interval_ms) };
        DigitStep::Pause
    }

    /// Tells once that everything queued was sent, else gives `otherwise`.
    fn finish(&mut self, otherwise: DigitStep) -> DigitStep {
        if std::mem::take(&mut self.owes_finish) { DigitStep::Finished } else { otherwise }
    }

    fn continue_tone(&mut self) -> DigitStep {
        let State::Tone { event, timestamp, elapsed_ms, ends_sent } = self.state else {
            return DigitStep::Idle;
        };
        let marker = elapsed_ms == 0;
        let elapsed_ms = (elapsed_ms + self.interval_ms).min(self.timing.tone_ms);
        let end = elapsed_ms == self.timing.tone_ms;
        let ends_sent = ends_sent + u32::from(end);
        let duration = (u64::from(elapsed_ms) * u64::from(self.clock_rate) / 1_000) as u16;
        let payload = EventPayload { event, end, volume: self.timing.volume.min(63), duration };
        self.state = if ends_sent < END_PACKETS {
            State::Tone { event, timestamp, elapsed_ms, ends_sent }
        } else {
            // The repeats already took a part of the gap.
            let spent_ms = (END_PACKETS - 1) * self.interval_ms;
            State::Gap { left_ms: self.timing.gap_ms.saturating_sub(spent_ms) }
        };
        DigitStep::Event(EventPacket { marker, timestamp, payload: payload.to_bytes() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: DigitTiming = DigitTiming { tone_ms: 100, gap_ms: 100, volume: 10 };

    /// Steps until nothing is left; the stream's timestamp starts at 5,000.
    fn run(sender: &mut DigitSender, ticks: u32) -> Vec<DigitStep> {
        let mut steps = Vec::new();
        while steps.last() != Some(&DigitStep::Idle) {
            steps.push(sender.step(5_000 + ticks * steps.len() as u32));
            assert!(steps.len() < 10_000);
        }
        steps
    }

    fn send(clock_rate: u32, digits: &str) -> Vec<DigitStep> {
        let mut sender = DigitSender::new(clock_rate, 20, TIMING);
        sender.queue(digits).unwrap();
        run(&mut sender, clock_rate / 50)
    }

    fn events(steps: &[DigitStep]) -> Vec<(EventPacket, EventPayload)> {
        let event = |step: &DigitStep| match step {
            DigitStep::Event(packet) => {
                Some((*packet, EventPayload::parse(&packet.payload).unwrap()))
            }
            _ => None,
        };
        steps.iter().filter_map(event).collect()
    }

    #[test]
    fn a_digit_grows_by_the_interval_and_ends_three_times() {
        for clock_rate in [8_000, 48_000] {
            let events = events(&send(clock_rate, "5"));
            let step = clock_rate / 50;
            let durations: Vec<u32> = events.iter().map(|(_, e)| u32::from(e.duration)).collect();
            let grown = [1, 2, 3, 4, 5, 5, 5].map(|intervals| intervals * step);
            assert_eq!(durations, grown);
            let ends: Vec<bool> = events.iter().map(|(_, e)| e.end).collect();
            assert_eq!(ends, [false, false, false, false, true, true, true]);
            let markers: Vec<bool> = events.iter().map(|(p, _)| p.marker).collect();
            assert_eq!(markers, [true, false, false, false, false, false, false]);
            assert!(events.iter().all(|(p, e)| p.timestamp == 5_000 && e.event == 5));
            assert!(events.iter().all(|(_, e)| e.volume == 10));
        }
    }

    #[test]
    fn two_digits_are_a_tone_and_a_gap_apart() {
        let steps = send(8_000, "1#");
        let starts: Vec<(u8, u32)> = events(&steps)
            .iter()
            .filter(|(packet, _)| packet.marker)
            .map(|(packet, event)| (event.event, packet.timestamp))
            .collect();
        assert_eq!(starts, [(1, 5_000), (11, 5_000 + 200 * 8)]);
    }

    #[test]
    fn a_w_is_half_a_second_before_the_next_digit() {
        let steps = send(8_000, "w1w2");
        let starts: Vec<u32> =
            events(&steps).iter().filter(|(p, _)| p.marker).map(|(p, _)| p.timestamp).collect();
        assert_eq!(starts, [5_000 + 500 * 8, 5_000 + (500 + 200 + 500) * 8]);
    }

    #[test]
    fn the_end_of_the_queue_is_told_once_right_after_the_last_end_packet() {
        let steps = send(8_000, "12");
        let finished: Vec<usize> =
            (0..steps.len()).filter(|&at| steps[at] == DigitStep::Finished).collect();
        let last_event = steps.iter().rposition(|s| matches!(s, DigitStep::Event(_))).unwrap();
        assert_eq!(finished, [last_event + 1]);
    }

    #[test]
    fn a_final_pause_is_kept_before_the_end_is_told() {
        let steps = send(8_000, "1ww");
        let finished = steps.iter().position(|&s| s == DigitStep::Finished).unwrap();
        assert!((58..=62).contains(&finished), "{finished} intervals for 1.2 s");
        assert_eq!(steps.iter().filter(|&&s| s == DigitStep::Finished).count(), 1);
    }

    #[test]
    fn a_digit_queued_after_the_end_still_keeps_its_gap() {
        let mut sender = DigitSender::new(8_000, 20, TIMING);
        sender.queue("1").unwrap();
        while sender.step(0) != DigitStep::Finished {}
        sender.queue("2").unwrap();
        assert_eq!(sender.step(0), DigitStep::Pause);
        let steps = run(&mut sender, 160);
        assert!(steps.contains(&DigitStep::Finished));
        assert!(!sender.is_busy());
    }

    #[test]
    fn a_bad_symbol_leaves_the_queue_as_it_was() {
        let mut sender = DigitSender::new(8_000, 20, TIMING);
        assert_eq!(sender.queue("12x"), Err(InvalidDigits::Symbol('x')));
        assert_eq!(sender.step(0), DigitStep::Idle);
        let many = "1".repeat(MAX_QUEUED + 1);
        assert_eq!(sender.queue(&many), Err(InvalidDigits::TooMany));
        assert!(!sender.is_busy());
    }

    #[test]
    fn a_duration_never_overflows_its_field() {
        let timing = DigitTiming { tone_ms: 60_000, ..TIMING };
        let mut sender = DigitSender::new(48_000, 20, timing);
        sender.queue("1").unwrap();
        let events = events(&run(&mut sender, 960));
        assert!(events.windows(2).all(|pair| pair[0].1.duration <= pair[1].1.duration));
    }
}
