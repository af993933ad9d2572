//! The RTP side of a phone: two ports, one stream in, one stream out.

mod crypto;
mod filler;
mod keys;
mod latch;
mod maker;
mod receiver;
mod regroup;
mod reports;
mod sender;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) use crypto::{Opener, Secured};
pub(crate) use latch::{Latch, Verdict};
pub(crate) use receiver::{LegReceiver, Received};
pub(crate) use reports::{Contents, Reports};
pub(crate) use sender::{Format, LegSender, Sending};

use crate::LegIds;
use crate::audio::AudioCodec;
use crate::command::LegMedia;
use crate::graph::{SinkKey, SourceKey};

/// Lengths of the packets that we make, RFC 3551 §4.2 and what phones ask for.
const PTIME_MS: std::ops::RangeInclusive<u32> = 10..=60;

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) ids: LegIds,
    pub(crate) source: SourceKey,
    pub(crate) sink: SinkKey,
    pub(crate) latch: Latch,
    pub(crate) opener: Opener,
    pub(crate) receiver: LegReceiver,
    pub(crate) reports: Reports,
    pub(crate) silence: Silence,
    pub(crate) key_limit: KeyLimit,
    pub(crate) scheduled: Option<Instant>,
}

impl Leg {
    pub(crate) fn new(ids: LegIds, source: SourceKey, sink: SinkKey, cname: String) -> Self {
        Self {
            ids,
            source,
            sink,
            latch: Latch::default(),
            opener: Opener::default(),
            receiver: LegReceiver::new(),
            reports: Reports::new(cname),
            silence: Silence::default(),
            key_limit: KeyLimit::default(),
            scheduled: None,
        }
    }
}

/// Keys that a phone may press in a second; no hand and no dialler presses as many.
const MAX_KEYS: u32 = 40;

/// Bounds what a phone can make us tell.
#[derive(Debug, Default)]
pub(crate) struct KeyLimit {
    second: Option<Instant>,
    count: u32,
}

impl KeyLimit {
    /// Whether one more may be told.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        let began = *self.second.get_or_insert(now);
        if now.saturating_duration_since(began) >= Duration::from_secs(1) {
            (self.second, self.count) = (Some(now), 0);
        }
        self.count += 1;
        self.count <= MAX_KEYS
    }
}

/// Watches that something comes from the phone.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// Before the first packet, and after it.
    limits: (Option<Duration>, Option<Duration>),
    since: Option<Instant>,
    told: bool,
    last_packet: Option<Instant>,
}

impl Silence {
    /// Whatever is negotiated anew gives the phone its whole time again: an answer after a long
    /// ringing must not find it overdue. `limits`, before the first packet and after it, are none
    /// while nothing is expected.
    pub(crate) fn watch(&mut self, now: Instant, limits: (Option<Duration>, Option<Duration>)) {
        (self.limits, self.since, self.told) = (limits, Some(now), false);
    }

    pub(crate) fn heard(&mut self, now: Instant) {
        (self.since, self.last_packet, self.told) = (Some(now), Some(now), false);
    }

    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        self.last_packet.map(|last| now.saturating_duration_since(last))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (first, later) = self.limits;
        let limit = if self.last_packet.is_none() { first } else { later };
        if self.told { None } else { Some(self.since? + limit?) }
    }

    /// Whether the silence has just become too long.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        let over = self.deadline().is_some_and(|deadline| deadline <= now);
        self.told |= over;
        over
    }
}

/// What is to be sent by what was negotiated; none on hold and without a codec of ours.
pub(crate) fn sending(media: &LegMedia) -> Option<Sending> {
    if !media.direction.sends() || media.remote.is_none_or(is_nowhere) {
        return None;
    }
    let format = media.codecs.iter().find_map(|codec| {
        let name = AudioCodec::from_name(&codec.name)?;
        let redundant = codec.has("useinbandfec");
        Some(Format { codec: name, payload_type: codec.payload_type, redundant })
    })?;
    Some(Sending {
        format,
        digits: media.digits.as_ref().map(|digits| (digits.payload_type, digits.clock_rate)),
        ptime_ms: media.ptime_ms.clamp(*PTIME_MS.start(), *PTIME_MS.end()),
    })
}

/// RFC 3264 §8.4 and §5.1: address 0.0.0.0 is an old form of hold, port 0 a refused stream.
fn is_nowhere(address: SocketAddr) -> bool {
    address.ip().is_unspecified() || address.port() == 0
}
