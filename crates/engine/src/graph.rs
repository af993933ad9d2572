//! Sources, sinks and what joins them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;
use switchroom_codecs::{g711, opus};

use crate::audio::{AudioCodec, AudioLevel};
use crate::leg::LegSender;
use crate::output::Output;
use crate::peers::Peers;
use crate::sink::{Input, Sink, SinkEnd};
use crate::source::Source;

/// Place of a source in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SourceKey(pub(crate) usize);

/// Place of a sink in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SinkKey(pub(crate) usize);

/// A packet on its way from a source to its listeners.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Which numbering `sequence` and `timestamp` belong to.
    pub(crate) stream: u64,
    pub(crate) codec: AudioCodec,
    /// Extended: it does not wrap.
    pub(crate) sequence: u64,
    /// In ticks of the codec's clock.
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) level: Option<AudioLevel>,
    pub(crate) payload: &'a [u8],
    /// The payload, if it is shared already.
    pub(crate) shared: Option<&'a Arc<[u8]>>,
}

impl Frame<'_> {
    /// How long a packet of G.711 lasts, one octet a tick.
    pub(crate) fn ticks(&self) -> u32 {
        self.payload.len() as u32
    }

    pub(crate) fn duration(&self) -> Duration {
        if self.codec == AudioCodec::Opus {
            let samples = opus::packet_samples(self.payload, self.codec.clock_rate());
            return Duration::from_micros(samples.unwrap_or_default() as u64 * 1_000 / 48);
        }
        // G.711 has an octet a tick, G722 sends as many octets in the same time.
        Duration::from_micros(u64::from(self.ticks()) * 125)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) sources: Slab<Source>,
    pub(crate) sinks: Slab<Sink>,
    scratch: Vec<u8>,
}

impl Graph {
    pub(crate) fn add_source(&mut self, source: Source) -> SourceKey {
        SourceKey(self.sources.insert(source))
    }

    pub(crate) fn add_sink(&mut self, end: SinkEnd) -> SinkKey {
        SinkKey(self.sinks.insert(Sink { inputs: Vec::new(), end }))
    }

    pub(crate) fn source(&mut self, key: SourceKey) -> Option<&mut Source> {
        self.sources.get_mut(key.0)
    }

    pub(crate) fn leg_sender(&mut self, key: SinkKey) -> Option<&mut LegSender> {
        match &mut self.sinks.get_mut(key.0)?.end {
            SinkEnd::Leg(sender) => Some(sender),
            SinkEnd::Peer(_) => None,
        }
    }

    pub(crate) fn remove_source(&mut self, key: SourceKey) {
        let Some(source) = self.sources.try_remove(key.0) else { return };
        for sink in source.listeners {
            self.drop_input(sink, key);
        }
    }

    pub(crate) fn remove_sink(&mut self, key: SinkKey) {
        self.set_inputs(key, Vec::new());
        self.sinks.try_remove(key.0);
    }

    /// What `sink` hears from now on.
    pub(crate) fn set_inputs(&mut self, key: SinkKey, inputs: Vec<Input>) {
        let Some(sink) = self.sinks.get_mut(key.0) else { return };
        if sink.inputs == inputs {
            return;
        }
        for old in &sink.inputs {
            if let Some(source) = self.sources.get_mut(old.source.0) {
                source.listeners.retain(|listener| *listener != key);
            }
        }
        for new in &inputs {
            if let Some(source) = self.sources.get_mut(new.source.0) {
                source.listeners.push(key);
            }
        }
        sink.inputs = inputs;
        match &mut sink.end {
            SinkEnd::Leg(sender) => sender.inputs_changed(),
            SinkEnd::Peer(_) => {}
        }
    }

    /// Hands a packet of `source` to everybody who hears it.
    pub(crate) fn distribute(
        &mut self,
        now: Instant,
        key: SourceKey,
        frame: &Frame<'_>,
        peers: &mut Peers,
        out: &mut Output,
    ) {
        let Some(source) = self.sources.get(key.0) else { return };
        let mut shared = None;
        for listener in &source.listeners {
            let Some(sink) = self.sinks.get_mut(listener.0) else { continue };
            match &mut sink.end {
                SinkEnd::Leg(sender) => to_leg(now, sender, frame, &mut self.scratch, out),
                SinkEnd::Peer(section) => {
                    if peers.codecs(*section).contains(frame.codec) {
                        peers.send(now, *section, frame, &mut shared);
                    }
                }
            }
        }
    }

    fn drop_input(&mut self, key: SinkKey, source: SourceKey) {
        let Some(sink) = self.sinks.get(key.0) else { return };
        let left = sink.inputs.iter().filter(|input| input.source != source).copied().collect();
        self.set_inputs(key, left);
    }
}

fn to_leg(
    now: Instant,
    sender: &mut LegSender,
    frame: &Frame<'_>,
    scratch: &mut Vec<u8>,
    out: &mut Output,
) {
    let (Some(format), Some(law)) = (sender.format(), frame.codec.law()) else { return };
    if format.law == law {
        return sender.audio(now, frame, out);
    }
    scratch.clear();
    scratch.extend_from_slice(frame.payload);
    g711::transcode(law, format.law, scratch);
    let frame = Frame { codec: format.codec, payload: scratch, shared: None, ..*frame };
    sender.audio(now, &frame, out);
}
