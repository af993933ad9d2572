//! Events on their way to Python: a queue and an eventfd, no lock and no GIL.
//!
//! News of state, digits and data is never dropped. Levels are, when Python is slow: only the last
//! one of each source is kept.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use switchroom_engine::event::Event;

use crate::system::WakeUp;

/// With so many events waiting, levels are held back.
const SLOW: usize = 2_048;
/// What is handed over at once.
const BATCH: usize = 4_096;

/// The engine's end.
#[derive(Debug)]
pub(crate) struct NewsWriter {
    queue: Sender<Event>,
    readable: Arc<WakeUp>,
    levels: HashMap<u64, Event>,
}

/// Python's end.
#[derive(Debug)]
pub(crate) struct NewsReader {
    queue: Receiver<Event>,
    readable: Arc<WakeUp>,
}

pub(crate) fn news() -> io::Result<(NewsWriter, NewsReader)> {
    let (sender, receiver) = unbounded();
    let readable = Arc::new(WakeUp::new()?);
    let writer = NewsWriter { queue: sender, readable: readable.clone(), levels: HashMap::new() };
    Ok((writer, NewsReader { queue: receiver, readable }))
}

impl NewsWriter {
    /// Tells everything, and wakes the reader.
    pub(crate) fn tell(&mut self, events: &mut Vec<Event>) {
        if events.is_empty() && (self.levels.is_empty() || self.queue.len() > SLOW) {
            return;
        }
        let slow = self.queue.len() > SLOW;
        for event in events.drain(..) {
            match event {
                Event::Level { source, .. } if slow => {
                    self.levels.insert(source, event);
                }
                Event::Level { source, .. } => {
                    self.levels.remove(&source);
                    let _ = self.queue.send(event);
                }
                event => {
                    let _ = self.queue.send(event);
                }
            }
        }
        if !slow {
            for (_, level) in self.levels.drain() {
                let _ = self.queue.send(level);
            }
        }
        self.readable.wake();
    }

    /// Whether levels wait to be told.
    pub(crate) fn is_behind(&self) -> bool {
        !self.levels.is_empty()
    }
}

impl NewsReader {
    /// What is new, in order.
    pub(crate) fn drain(&self) -> Vec<Event> {
        self.readable.clear();
        let events: Vec<Event> = self.queue.try_iter().take(BATCH).collect();
        if !self.queue.is_empty() {
            self.readable.wake();
        }
        events
    }

    /// Readable while there is news.
    pub(crate) fn descriptor(&self) -> i32 {
        self.readable.descriptor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchroom_engine::event::LegEvent;

    fn level(source: u64, level: f32) -> Event {
        Event::Level { owner: 1, source, level, active: true }
    }

    fn digit(leg: u64) -> Event {
        Event::Leg { leg, event: LegEvent::DigitsSent }
    }

    #[test]
    fn news_arrives_in_order_and_once() {
        let (mut writer, reader) = news().unwrap();
        writer.tell(&mut vec![digit(1), level(7, 0.5), digit(2)]);
        assert_eq!(reader.drain(), [digit(1), level(7, 0.5), digit(2)]);
        assert_eq!(reader.drain(), []);
    }

    #[test]
    fn a_slow_reader_gets_all_state_and_the_last_level_of_each_source() {
        let (mut writer, reader) = news().unwrap();
        let many = SLOW as u64 + 1;
        writer.tell(&mut (0..many).map(digit).collect());
        for n in 0..1_000 {
            writer.tell(&mut vec![level(7, n as f32), digit(n)]);
        }
        assert!(writer.is_behind());
        let told = reader.drain();
        assert_eq!(told.len() as u64, many + 1_000);
        assert!(told.iter().all(|event| matches!(event, Event::Leg { .. })));
        writer.tell(&mut Vec::new());
        assert_eq!(reader.drain(), [level(7, 999.0)]);
        assert!(!writer.is_behind());
    }

    #[test]
    fn more_than_a_batch_is_handed_over_in_parts() {
        let (mut writer, reader) = news().unwrap();
        writer.tell(&mut (0..BATCH as u64 + 5).map(digit).collect());
        assert_eq!(reader.drain().len(), BATCH);
        assert_eq!(reader.drain().len(), 5);
    }
}
