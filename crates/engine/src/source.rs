//! What can be heard.

use std::time::Instant;

use crate::graph::SinkKey;
use crate::playout::Playout;
use crate::speaker::Speaker;
use crate::transcode::Transcoder;
use crate::voice::PhoneSide;

/// A phone's voice, a client's track or a player.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) id: u64,
    /// The leg, peer or player that it belongs to.
    pub(crate) owner: u64,
    /// Sinks that hear it as it comes.
    pub(crate) listeners: Vec<SinkKey>,
    /// The forms that those take.
    pub(crate) transcoder: Transcoder,
    /// Where mixes take it from, one for each rate at which somebody mixes.
    pub(crate) playouts: Vec<Playout>,
    pub(crate) speaker: Speaker,
    pub(crate) scheduled: Option<Instant>,
    /// It is gone, and kept only until mixes have played what they received of it.
    pub(crate) ended: bool,
    /// What only a phone has.
    pub(crate) phone: Option<PhoneSide>,
}

impl Source {
    pub(crate) fn new(id: u64, owner: u64) -> Self {
        Self {
            id,
            owner,
            listeners: Vec::new(),
            transcoder: Transcoder::default(),
            playouts: Vec::new(),
            speaker: Speaker::default(),
            scheduled: None,
            ended: false,
            phone: None,
        }
    }

    /// That of a phone.
    pub(crate) fn of_phone(id: u64, leg: u64) -> Self {
        Self { phone: Some(PhoneSide::default()), ..Self::new(id, leg) }
    }

    /// One sink less that hears it as it comes.
    pub(crate) fn drop_listener(&mut self, key: SinkKey) {
        if let Some(at) = self.listeners.iter().position(|listener| *listener == key) {
            self.listeners.remove(at);
        }
        if self.listeners.is_empty() {
            self.transcoder.release();
        }
    }

    /// One more mix at this rate.
    pub(crate) fn open_playout(&mut self, rate: u32) {
        match self.playouts.iter_mut().find(|playout| playout.rate() == rate) {
            Some(playout) => playout.users += 1,
            None => self.playouts.push(Playout::new(rate)),
        }
    }

    /// One mix less.
    pub(crate) fn close_playout(&mut self, rate: u32) {
        if let Some(playout) = self.playouts.iter_mut().find(|playout| playout.rate() == rate) {
            playout.users -= 1;
        }
        self.playouts.retain(|playout| playout.users > 0);
    }

    /// Where mixes at this rate take it from, if there are any.
    pub(crate) fn playout(&self, rate: u32) -> Option<&Playout> {
        self.playouts.iter().find(|playout| playout.rate() == rate)
    }
}
