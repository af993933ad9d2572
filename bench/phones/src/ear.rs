//! Listens to one stream of packets: what is missing, how it is spaced, where a burst begins.

use crate::measure::Figures;

/// Quiet packets before a loud one that make it the beginning of a burst.
const QUIET_BEFORE_BURST: u32 = 10;

/// One listener's memory.
#[derive(Default)]
pub(crate) struct Ear {
    last_arrival: Option<u64>,
    last_sequence: Option<u16>,
    quiet: u32,
    heard: bool,
    first: Option<u64>,
}

impl Ear {
    /// A packet arrived. Returns when, if a burst begins with it.
    pub(crate) fn hear(
        &mut self,
        at: u64,
        sequence: u16,
        audible: bool,
        figures: Option<&mut Figures>,
    ) -> Option<u64> {
        let burst = audible && self.quiet >= QUIET_BEFORE_BURST;
        self.quiet = if audible { 0 } else { self.quiet + 1 };
        if audible && !self.heard {
            (self.heard, self.first) = (true, Some(at));
        }
        if let Some(figures) = figures {
            figures.received += 1;
            figures.audible_received += u64::from(audible);
            if let Some(last) = self.last_arrival {
                figures.spacing_received.add(at.saturating_sub(last));
            }
            match self.last_sequence.map(|last| sequence.wrapping_sub(last)) {
                None => {}
                Some(step @ 1..0x8000) => figures.missing += u64::from(step - 1),
                Some(_) => figures.out_of_order += 1,
            }
        }
        self.last_arrival = Some(at);
        self.last_sequence = Some(sequence);
        burst.then_some(at)
    }

    /// When the first sound arrived; told once.
    pub(crate) fn take_first(&mut self) -> Option<u64> {
        self.first.take()
    }
}
