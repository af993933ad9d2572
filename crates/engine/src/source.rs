//! What can be heard.

use std::time::Instant;

use crate::graph::SinkKey;
use crate::speaker::Speaker;

/// A phone's voice, a client's track or a player.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) id: u64,
    /// The leg, peer or player that it belongs to.
    pub(crate) owner: u64,
    /// Sinks that hear it as it comes.
    pub(crate) listeners: Vec<SinkKey>,
    pub(crate) speaker: Speaker,
    pub(crate) scheduled: Option<Instant>,
}

impl Source {
    pub(crate) fn new(id: u64, owner: u64) -> Self {
        let (listeners, speaker) = (Vec::new(), Speaker::default());
        Self { id, owner, listeners, speaker, scheduled: None }
    }
}
