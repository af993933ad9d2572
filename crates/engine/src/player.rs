//! Tones and files, 20 ms at a time.

use std::sync::Arc;
use std::time::Instant;

use switchroom_codecs::tone::ToneGenerator;

use crate::graph::SourceKey;
use crate::stream::CLOCK_RATE;
use crate::transcode::{FRAME, Samples};

/// What is played.
#[derive(Debug, Clone)]
pub enum PlayerSound {
    /// A cadence, at 8 kHz.
    Tone(ToneGenerator),
    /// Samples, from the beginning again if `repeat`.
    Samples {
        /// All of them.
        samples: Arc<[i16]>,
        /// How many there are to a second: 8,000 or 16,000.
        rate: u32,
        /// Whether to go on for ever.
        repeat: bool,
    },
}

/// Place of a player in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PlayerKey(pub(crate) usize);

/// The numbers of a player and of what it is heard as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayerIds {
    /// The player.
    pub player: u64,
    /// What it plays.
    pub source: u64,
}

#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) ids: PlayerIds,
    pub(crate) source: SourceKey,
    pub(crate) scheduled: Option<Instant>,
    sound: PlayerSound,
    position: usize,
    stream: u64,
    sequence: u64,
    rate: u32,
    frame: [i16; 2 * FRAME],
}

impl Player {
    pub(crate) fn new(ids: PlayerIds, source: SourceKey, sound: PlayerSound, stream: u64) -> Self {
        let rate = match &sound {
            PlayerSound::Tone(_) => CLOCK_RATE,
            PlayerSound::Samples { rate, .. } => (*rate).clamp(CLOCK_RATE, 2 * CLOCK_RATE),
        };
        let (frame, scheduled) = ([0; 2 * FRAME], None);
        Self { ids, source, scheduled, sound, position: 0, stream, sequence: 0, rate, frame }
    }

    /// The next 20 ms; none at the end.
    pub(crate) fn play(&mut self) -> Option<Samples<'_>> {
        let frame = &mut self.frame[..(self.rate / 50) as usize];
        let written = match &mut self.sound {
            PlayerSound::Tone(tone) => tone.fill(frame),
            PlayerSound::Samples { samples, repeat, .. } => {
                fill(frame, samples, &mut self.position, *repeat)
            }
        };
        if written == 0 {
            return None;
        }
        let sequence = self.sequence;
        self.sequence += 1;
        Some(Samples {
            stream: self.stream,
            sequence,
            timestamp: (sequence as u32).wrapping_mul(FRAME as u32),
            rate: self.rate,
            marker: sequence == 0,
            pause: false,
            frame,
        })
    }
}

/// Copies what comes next; how much, the rest of the frame is silence.
fn fill(frame: &mut [i16], samples: &[i16], position: &mut usize, repeat: bool) -> usize {
    let mut written = 0;
    while written < frame.len() && *position < samples.len() {
        let count = (frame.len() - written).min(samples.len() - *position);
        frame[written..written + count].copy_from_slice(&samples[*position..*position + count]);
        written += count;
        *position += count;
        if repeat && *position == samples.len() {
            *position = 0;
        }
    }
    frame[written..].fill(0);
    written
}
