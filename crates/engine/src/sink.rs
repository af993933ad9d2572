//! What hears.

use crate::graph::SourceKey;
use crate::leg::LegSender;
use crate::peers::PeerSection;

/// The direction towards a phone or a client's section.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) inputs: Vec<Input>,
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
