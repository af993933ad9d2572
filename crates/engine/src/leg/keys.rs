//! Keys pressed towards a phone: as telephone events, or as tones for one that takes no events.

use std::time::{Duration, Instant};

use switchroom_codecs::tone::{Segment, ToneGenerator};
use switchroom_rtp::digits::{
    DigitSender, DigitStep, DigitTiming, EventPacket, EventPayload, InvalidDigits,
};

use crate::stream::CLOCK_RATE;

/// The packet interval of events.
const INTERVAL: Duration = Duration::from_millis(20);
const HELD_UP: Duration = Duration::from_millis(200);
/// Samples of an interval at the highest rate at which phones are spoken to.
pub(crate) const MOST_SAMPLES: usize = 480;
/// ITU-T Q.23: the lower frequency is that of the row, the higher one that of the column.
const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
/// Row and column by event code: 0 to 9, star, hash, A to D.
const PLACES: [(usize, usize); 16] = [
    (3, 1),
    (0, 0),
    (0, 1),
    (0, 2),
    (1, 0),
    (1, 1),
    (1, 2),
    (2, 0),
    (2, 1),
    (2, 2),
    (3, 0),
    (3, 2),
    (0, 3),
    (1, 3),
    (2, 3),
    (3, 3),
]; // rows of a keypad
/// Of each frequency in dBov: -7 dBm0, in the middle of what Q.24 has receivers accept.
const TONE_LEVEL: f64 = -13.0;

/// What to do in the interval that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyStep {
    /// Nothing: audio goes on.
    Audio,
    /// The same, and everything asked for has been sent.
    Finished,
    /// A key is down.
    Down(EventPacket),
}

#[derive(Debug)]
pub(crate) struct Keys {
    sender: DigitSender,
    due: Option<Instant>,
    down: bool,
    tone: Option<Box<ToneGenerator>>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let sender = DigitSender::new(CLOCK_RATE, 20, DigitTiming::default());
        Self { sender, due: None, down: false, tone: None }
    }

    pub(crate) fn press(&mut self, now: Instant, digits: &str) -> Result<(), InvalidDigits> {
        self.sender.queue(digits)?;
        self.due.get_or_insert(now);
        Ok(())
    }

    /// When the next interval begins, while there is anything to press.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a key is down, and audio has to wait.
    pub(crate) fn is_down(&self) -> bool {
        self.down
    }

    /// The interval that is due, beginning at `timestamp`.
    pub(crate) fn step(&mut self, now: Instant, timestamp: u32) -> Option<KeyStep> {
        let due = self.due.filter(|due| *due <= now)?;
        // After a hold the next key is pressed in its own time, not all of them at once.
        let held_up = now.saturating_duration_since(due) > HELD_UP;
        self.due = Some(if held_up { now } else { due } + INTERVAL);
        let step = match self.sender.step(timestamp) {
            DigitStep::Event(event) => KeyStep::Down(event),
            DigitStep::Pause => KeyStep::Audio,
            DigitStep::Finished => KeyStep::Finished,
            DigitStep::Idle => {
                self.due = None;
                KeyStep::Audio
            }
        };
        self.down = matches!(step, KeyStep::Down(_));
        Some(step)
    }

    /// Events are on this clock from now on.
    pub(crate) fn set_clock_rate(&mut self, clock_rate: u32) {
        self.sender.set_clock_rate(clock_rate);
    }

    /// The sound of an event's interval at this rate, for a phone that takes no events.
    pub(crate) fn sound(&mut self, event: &EventPacket, rate: u32, samples: &mut [i16]) {
        if event.marker {
            self.tone = tone(event, rate);
        }
        samples.fill(0);
        if let Some(tone) = &mut self.tone {
            tone.fill(samples);
        }
    }
}

fn tone(event: &EventPacket, rate: u32) -> Option<Box<ToneGenerator>> {
    let event = EventPayload::parse(&event.payload)?.event;
    let (row, column) = *PLACES.get(usize::from(event))?;
    let duration = f64::from(DigitTiming::default().tone_ms) / 1_000.0;
    let segment = Segment { frequencies: vec![ROWS[row], COLUMNS[column]], duration };
    ToneGenerator::new(rate, &[segment], TONE_LEVEL, false).ok().map(Box::new)
}
