//! Sources, sinks and what joins them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;
use switchroom_codecs::opus::packet_samples;

use crate::LegKey;
use crate::audio::{AudioCodec, AudioLevel, CodecSet};
use crate::leg::LegSender;
use crate::output::Output;
use crate::peers::{PeerSection, Peers};
use crate::sink::{Input, Mixing, Sink, SinkEnd, needs_mixing};
use crate::source::Source;
use crate::transcode::{Samples, Sound, Transcoder};

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
    /// The source is silent from here on, and sends nothing meanwhile (DTX).
    pub(crate) pause: bool,
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
            let samples = packet_samples(self.payload, self.codec.clock_rate());
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
    /// Sinks that hear a mix.
    pub(crate) mixing: Vec<SinkKey>,
    /// Legs that hear other things than they did, to be looked at again.
    pub(crate) changed_legs: Vec<LegKey>,
    mixes_made: u64,
}

impl Graph {
    pub(crate) fn add_source(&mut self, source: Source) -> SourceKey {
        SourceKey(self.sources.insert(source))
    }

    pub(crate) fn add_sink(&mut self, end: SinkEnd) -> SinkKey {
        SinkKey(self.sinks.insert(Sink::new(end)))
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
        let hears = |sink: &Sink| sink.inputs.iter().any(|input| input.source == key);
        let hearing: Vec<SinkKey> =
            self.sinks.iter().filter(|(_, sink)| hears(sink)).map(|(at, _)| SinkKey(at)).collect();
        for sink in hearing {
            let left = self.sinks[sink.0].inputs.iter().filter(|input| input.source != key);
            let left = left.copied().collect();
            self.set_inputs(sink, left);
        }
        self.sources.try_remove(key.0);
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
        let rate = sink.rate();
        let was_mixing = sink.mixing.is_some();
        let old = std::mem::replace(&mut sink.inputs, inputs);
        let mixes = needs_mixing(&sink.inputs);
        if mixes && !was_mixing {
            // Numberings of mixes are told from those of packets by their highest bit.
            self.mixes_made += 1;
            let stream = 1 << 63 | self.mixes_made;
            sink.mixing = Some(Box::new(Mixing { stream, sequence: 0, encoder: None }));
            self.mixing.push(key);
        } else if !mixes && was_mixing {
            sink.mixing = None;
            self.mixing.retain(|mixing| *mixing != key);
        }
        if let SinkEnd::Leg(sender) = &mut sink.end {
            sender.inputs_changed();
            self.changed_legs.push(sender.leg());
        }
        // New ones first: a source that stays keeps its playout.
        for input in &sink.inputs {
            let Some(source) = self.sources.get_mut(input.source.0) else { continue };
            if mixes { source.open_playout(rate) } else { source.listeners.push(key) }
        }
        for input in old {
            let Some(source) = self.sources.get_mut(input.source.0) else { continue };
            if was_mixing { source.close_playout(rate) } else { source.drop_listener(key) }
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
        self.deliver(now, key, &Sound::Packet(frame), peers, out);
    }

    /// The same for a source that makes its own sound.
    pub(crate) fn distribute_samples(
        &mut self,
        now: Instant,
        key: SourceKey,
        samples: &Samples<'_>,
        peers: &mut Peers,
        out: &mut Output,
    ) {
        self.deliver(now, key, &Sound::Samples(samples), peers, out);
    }

    fn deliver(
        &mut self,
        now: Instant,
        key: SourceKey,
        sound: &Sound<'_>,
        peers: &mut Peers,
        out: &mut Output,
    ) {
        let Some(source) = self.sources.get_mut(key.0) else { return };
        source.playouts.iter_mut().for_each(|playout| playout.insert(now, sound));
        let Source { listeners, transcoder, .. } = source;
        let Self { sinks, changed_legs, .. } = self;
        transcoder.begin();
        let mut shared = None;
        for listener in listeners {
            let Some(sink) = sinks.get_mut(listener.0) else { continue };
            match &mut sink.end {
                SinkEnd::Leg(sender) => {
                    if to_leg(now, sender, sound, transcoder, out) {
                        changed_legs.push(sender.leg());
                    }
                }
                SinkEnd::Peer(section) => {
                    to_peer(now, *section, sound, transcoder, &mut shared, peers);
                }
            }
        }
    }
}

/// True if the source is silent from here on, so that the phone's next packet is ours to make.
fn to_leg(
    now: Instant,
    sender: &mut LegSender,
    sound: &Sound<'_>,
    transcoder: &mut Transcoder,
    out: &mut Output,
) -> bool {
    let Some(format) = sender.format() else { return false };
    let mut pause = false;
    match sound {
        Sound::Packet(frame) if frame.codec == format.codec => sender.audio(now, frame, out),
        _ => {
            for (frame, _) in transcoder.form(sound, format.codec).packets(format.codec, None) {
                sender.audio(now, &frame, out);
                pause |= frame.pause;
            }
        }
    }
    pause
}

fn to_peer(
    now: Instant,
    section: PeerSection,
    sound: &Sound<'_>,
    transcoder: &mut Transcoder,
    shared: &mut Option<Arc<[u8]>>,
    peers: &mut Peers,
) {
    let taken = peers.codecs(section);
    let level = match sound {
        Sound::Packet(frame) if taken.contains(frame.codec) => {
            return peers.send(now, section, frame, shared);
        }
        Sound::Packet(frame) => frame.level,
        Sound::Samples(samples) => Some(AudioLevel::of_samples(samples.frame)),
    };
    let Some(codec) = preferred(taken) else { return };
    for (frame, shared) in transcoder.form(sound, codec).packets(codec, level) {
        peers.send(now, section, &frame, shared);
    }
}

/// In which form a client gets what it cannot get as it is: G.711 costs nothing to make.
fn preferred(taken: CodecSet) -> Option<AudioCodec> {
    [AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::Opus]
        .into_iter()
        .find(|codec| taken.contains(*codec))
}
