//! Data channels: LiveKit's three, each with the queue that SCTP does not have.

use std::collections::VecDeque;

use str0m::Rtc;
use str0m::channel::{ChannelConfig, ChannelId, Reliability};

/// Bytes that may wait on the reliable channel. A client that falls further behind is cut off: it
/// could not catch up, and dropping single messages would break its streams.
const MAX_QUEUED: usize = 8 * 1024 * 1024;
/// Bytes of lossy messages that SCTP may hold; it has 128 KiB for all channels together.
const MAX_LOSSY_BUFFERED: usize = 48 * 1024;
/// Below this SCTP tells us that there is room again.
const LOW_THRESHOLD: usize = 32 * 1024;
/// Channels that a client may open. LiveKit's clients open three.
const MAX_CHANNELS: usize = 16;

/// The data channels of LiveKit's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelLabel {
    /// Ordered, nothing lost.
    Reliable,
    /// Unordered, never sent again.
    Lossy,
    /// Unordered, never sent again; frames of data tracks.
    DataTrack,
}

impl ChannelLabel {
    const ALL: [Self; 3] = [Self::Reliable, Self::Lossy, Self::DataTrack];

    /// The label on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reliable => "_reliable",
            Self::Lossy => "_lossy",
            Self::DataTrack => "_data_track",
        }
    }

    /// The channel of this label, if it is one of LiveKit's.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.as_str() == name)
    }
}

/// Why data channels broke the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelFault {
    QueueFull,
    TooManyChannels,
}

impl ChannelFault {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::QueueFull => "the client does not take its reliable data",
            Self::TooManyChannels => "the client opened too many data channels",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Channels {
    open: Vec<(ChannelId, Option<ChannelLabel>)>,
    queue: VecDeque<Vec<u8>>,
    queued: usize,
}

impl Channels {
    /// Creates the channels of a connection that we offered; `opened` follows for each.
    pub(super) fn create(rtc: &mut Rtc) {
        let mut api = rtc.direct_api();
        for label in [ChannelLabel::Reliable, ChannelLabel::Lossy] {
            let reliable = label == ChannelLabel::Reliable;
            api.create_data_channel(ChannelConfig {
                label: label.as_str().to_owned(),
                ordered: reliable,
                reliability: if reliable {
                    Reliability::Reliable
                } else {
                    Reliability::MaxRetransmits { retransmits: 0 }
                },
                ..ChannelConfig::default()
            });
        }
    }

    /// Notes an open channel; its label if it is one of ours to use.
    pub(super) fn opened(
        &mut self,
        rtc: &mut Rtc,
        id: ChannelId,
        name: &str,
    ) -> Result<Option<ChannelLabel>, ChannelFault> {
        if self.open.len() == MAX_CHANNELS {
            return Err(ChannelFault::TooManyChannels);
        }
        let label = ChannelLabel::from_name(name).filter(|label| self.id(*label).is_none());
        self.open.push((id, label));
        if let Some(mut channel) = rtc.channel(id) {
            channel.set_buffered_amount_low_threshold(LOW_THRESHOLD);
        }
        Ok(label)
    }

    pub(super) fn closed(&mut self, id: ChannelId) {
        self.open.retain(|(open, _)| *open != id);
    }

    pub(super) fn label(&self, id: ChannelId) -> Option<ChannelLabel> {
        self.open.iter().find(|(open, _)| *open == id).and_then(|(_, label)| *label)
    }

    /// Sends a message, or keeps it if it is reliable and there is no room yet. `Ok(false)` if it
    /// was dropped.
    pub(super) fn send(
        &mut self,
        rtc: &mut Rtc,
        label: ChannelLabel,
        payload: &[u8],
    ) -> Result<bool, ChannelFault> {
        if label != ChannelLabel::Reliable {
            return Ok(self.send_lossy(rtc, label, payload));
        }
        if self.queue.is_empty() {
            match write(rtc, self.id(label), payload) {
                Written::Taken => return Ok(true),
                Written::Refused => return Ok(false),
                Written::Full => {}
            }
        }
        if self.queued + payload.len() > MAX_QUEUED {
            return Err(ChannelFault::QueueFull);
        }
        self.queued += payload.len();
        self.queue.push_back(payload.to_vec());
        Ok(true)
    }

    fn send_lossy(&self, rtc: &mut Rtc, label: ChannelLabel, payload: &[u8]) -> bool {
        let id = self.id(label);
        let buffered = id.and_then(|id| Some(rtc.channel(id)?.buffered_amount()));
        buffered.is_some_and(|bytes| bytes + payload.len() <= MAX_LOSSY_BUFFERED)
            && write(rtc, id, payload) == Written::Taken
    }

    /// Hands waiting messages to SCTP as far as it takes them; whether it took any.
    pub(super) fn pump(&mut self, rtc: &mut Rtc) -> bool {
        let id = self.id(ChannelLabel::Reliable);
        let mut wrote = false;
        while let Some(message) = self.queue.front() {
            match write(rtc, id, message) {
                Written::Full => break,
                Written::Taken => wrote = true,
                Written::Refused => {}
            }
            self.queued -= message.len();
            self.queue.pop_front();
        }
        wrote
    }

    fn id(&self, label: ChannelLabel) -> Option<ChannelId> {
        self.open.iter().find(|(_, open)| *open == Some(label)).map(|(id, _)| *id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Taken,
    /// No room, or the channel is not open yet.
    Full,
    /// It will never be taken: empty, or longer than the client accepts.
    Refused,
}

/// str0m takes a message whole or not at all. An empty one it would send as a DATA chunk without
/// data, at which the other side must abort the association (RFC 9260 §3.3.10.9).
fn write(rtc: &mut Rtc, id: Option<ChannelId>, payload: &[u8]) -> Written {
    if payload.is_empty() {
        return Written::Refused;
    }
    let Some(mut channel) = id.and_then(|id| rtc.channel(id)) else { return Written::Full };
    match channel.write(true, payload) {
        Ok(true) => Written::Taken,
        Ok(false) => Written::Full,
        Err(_) => Written::Refused,
    }
}
