//! What hears.

use switchroom_codecs::mixer::Gain;
use switchroom_codecs::opus::OpusEncoder;

use crate::LegKey;
use crate::graph::SourceKey;
use crate::leg::LegSender;
use crate::peers::PeerSection;
use crate::stream::CLOCK_RATE;

/// Clients that need a mix get all that Opus can carry.
const PEER_RATE: u32 = 48_000;

/// The direction towards a phone or a client's section.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) inputs: Vec<Input>,
    /// Heard no more, but for what a mix has received of them.
    pub(crate) leaving: Vec<Input>,
    pub(crate) mixing: Option<Box<Mixing>>,
    /// Samples a second of what is mixed for it.
    pub(crate) rate: u32,
    pub(crate) end: SinkEnd,
}

/// One thing that a sink hears.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Input {
    pub(crate) source: SourceKey,
    pub(crate) gain: f32,
}

/// Where what is heard goes.
#[derive(Debug)]
pub(crate) enum SinkEnd {
    Leg(Box<LegSender>),
    Peer(PeerSection),
}

/// The stream that is made for one sink that hears several sources.
#[derive(Debug)]
pub(crate) struct Mixing {
    pub(crate) stream: u64,
    pub(crate) sequence: u64,
    pub(crate) encoder: Option<OpusEncoder>,
    /// Ticks until all has been played of which somebody wants to be told.
    pub(crate) play_out: Option<usize>,
}

impl Sink {
    pub(crate) fn new(end: SinkEnd) -> Self {
        let rate = match end {
            SinkEnd::Leg(_) => CLOCK_RATE,
            SinkEnd::Peer(_) => PEER_RATE,
        };
        Self { inputs: Vec::new(), leaving: Vec::new(), mixing: None, rate, end }
    }

    /// The leg, if it leads to one.
    pub(crate) fn leg(&self) -> Option<LegKey> {
        match &self.end {
            SinkEnd::Leg(sender) => Some(sender.leg()),
            SinkEnd::Peer(_) => None,
        }
    }

    /// All that is in its mix.
    pub(crate) fn voices(&self) -> impl Iterator<Item = &Input> {
        self.inputs.iter().chain(&self.leaving)
    }
}

/// Whether these inputs need a mix: more than one, or one whose loudness is changed.
pub(crate) fn needs_mixing(inputs: &[Input]) -> bool {
    match inputs {
        [] => false,
        [only] => Gain::from_linear(only.gain) != Gain::UNITY,
        _ => true,
    }
}
