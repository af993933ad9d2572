//! Sources, sinks and what joins them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;
use switchroom_codecs::opus::{announces_silence, packet_samples};
use switchroom_rtp::digits::ReceivedDigit;

use crate::LegKey;
use crate::audio::{AudioCodec, AudioLevel, CodecSet};
use crate::leg::LegSender;
use crate::output::Output;
use crate::peers::{PeerSection, Peers};
use crate::playout::Playout;
use crate::sink::{Input, Mixing, Sink, SinkEnd, needs_mixing};
use crate::source::Source;
use crate::speaker::Heard;
use crate::stream::CLOCK_RATE;
use crate::transcode::{Samples, Sound, Transcoder};

/// Ticks of a mix that somebody may be made to wait for: its buffers hold no more by intent.
const MOST_PLAYED_OUT: usize = 6;

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
    /// Rather late than not at all: a client's words, which may come in bursts.
    pub(crate) keep: bool,
    pub(crate) level: Option<AudioLevel>,
    pub(crate) payload: &'a [u8],
    /// The payload, if it is shared already.
    pub(crate) shared: Option<&'a Arc<[u8]>>,
}

impl Frame<'_> {
    /// How long a packet lasts on its codec's clock.
    pub(crate) fn ticks(&self) -> u32 {
        match self.codec {
            AudioCodec::Opus => packet_samples(self.payload, 48_000).unwrap_or_default() as u32,
            // An octet a tick (RFC 3551 §4.5.2 for G.722).
            _ => self.payload.len() as u32,
        }
    }

    pub(crate) fn duration(&self) -> Duration {
        let clock = u64::from(self.codec.clock_rate());
        Duration::from_micros(u64::from(self.ticks()) * 1_000_000 / clock)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) sources: Slab<Source>,
    pub(crate) sinks: Slab<Sink>,
    /// Sinks that hear a mix.
    pub(crate) mixing: Vec<SinkKey>,
    /// Phones whose sound is made even.
    pub(crate) voices: Vec<SourceKey>,
    /// Legs that hear other things than they did, to be looked at again.
    pub(crate) changed_legs: Vec<LegKey>,
    /// Legs to which everything has been sent that was received for them when they asked.
    pub(crate) played_out: Vec<LegKey>,
    /// Numberings of our own that were given out.
    pub(crate) streams_made: u64,
    /// Phones whose speaker's level was just observed, and keys that were told by their tones.
    pub(crate) heard: Vec<(SourceKey, Option<Heard>)>,
    pub(crate) keys: Vec<(SourceKey, ReceivedDigit)>,
}

impl Graph {
    /// Whether anything is played on a clock of ours.
    pub(crate) fn ticks(&self) -> bool {
        !self.mixing.is_empty() || !self.voices.is_empty()
    }

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

    /// The source is gone; what mixes have received of it they still play.
    pub(crate) fn remove_source(&mut self, key: SourceKey) {
        let hears = |sink: &Sink| sink.inputs.iter().any(|input| input.source == key);
        let hearing: Vec<SinkKey> =
            self.sinks.iter().filter(|(_, sink)| hears(sink)).map(|(at, _)| SinkKey(at)).collect();
        for sink in hearing {
            let left = self.sinks[sink.0].inputs.iter().filter(|input| input.source != key);
            let left = left.copied().collect();
            self.set_inputs(sink, left);
        }
        if let Some(source) = self.sources.get_mut(key.0) {
            (source.ended, source.phone) = (true, None);
        }
        self.voices.retain(|voice| *voice != key);
        self.forget_unheard(key);
    }

    pub(crate) fn remove_sink(&mut self, key: SinkKey) {
        self.rewire(key, Vec::new(), Vec::new());
        self.sinks.try_remove(key.0);
    }

    /// What `sink` hears from now on.
    pub(crate) fn set_inputs(&mut self, key: SinkKey, inputs: Vec<Input>) {
        let Some(sink) = self.sinks.get(key.0) else { return };
        if sink.inputs == inputs {
            return;
        }
        let rate = sink.rate;
        let stays = |input: &Input| inputs.iter().any(|other| other.source == input.source);
        let ring = |input: &&Input| sink.mixing.is_some() && self.rings(**input, rate);
        let leaving = sink.voices().filter(|input| !stays(input)).filter(ring).copied().collect();
        self.rewire(key, inputs, leaving);
    }

    /// Whether a mix at this rate has something of the source to play yet.
    pub(crate) fn rings(&self, input: Input, rate: u32) -> bool {
        let playout = self.sources.get(input.source.0).and_then(|source| source.playout(rate));
        playout.is_some_and(Playout::rings)
    }

    /// Lets a sink hear `inputs`, and of `leaving` what is left. A mix goes on until they are gone.
    pub(crate) fn rewire(&mut self, key: SinkKey, inputs: Vec<Input>, leaving: Vec<Input>) {
        let Some(sink) = self.sinks.get_mut(key.0) else { return };
        let rate = sink.rate;
        let was_mixing = sink.mixing.is_some();
        let mixes = needs_mixing(&inputs) || !leaving.is_empty();
        let before: Vec<Input> = sink.voices().copied().collect();
        let changes = sink.inputs != inputs || mixes != was_mixing;
        (sink.inputs, sink.leaving) = (inputs, leaving);
        if mixes && !was_mixing {
            let stream = new_stream(&mut self.streams_made);
            let mixing = Mixing { stream, sequence: 0, encoder: None, play_out: None };
            sink.mixing = Some(Box::new(mixing));
            self.mixing.push(key);
        } else if !mixes && let Some(mixing) = sink.mixing.take() {
            self.mixing.retain(|mixing| *mixing != key);
            self.played_out.extend(mixing.play_out.and(sink.leg()));
        }
        if changes && let SinkEnd::Leg(sender) = &mut sink.end {
            sender.inputs_changed();
            self.changed_legs.push(sender.leg());
        }
        // New ones first: a source that stays keeps its playout.
        for input in sink.voices() {
            let Some(source) = self.sources.get_mut(input.source.0) else { continue };
            if mixes { source.open_playout(rate) } else { source.listeners.push(key) }
        }
        for input in before {
            let Some(source) = self.sources.get_mut(input.source.0) else { continue };
            if was_mixing {
                source.close_playout(rate);
            } else {
                source.drop_listener(key);
            }
            self.forget_unheard(input.source);
        }
    }

    /// A phone takes sound of another rate from now on: its mix is made at that.
    pub(crate) fn set_rate(&mut self, key: SinkKey, rate: u32) {
        let Some(sink) = self.sinks.get_mut(key.0) else { return };
        if sink.rate == rate {
            return;
        }
        let (inputs, leaving) = (sink.inputs.clone(), sink.leaving.clone());
        self.rewire(key, Vec::new(), Vec::new());
        if let Some(sink) = self.sinks.get_mut(key.0) {
            sink.rate = rate;
        }
        self.rewire(key, inputs, leaving);
    }

    fn forget_unheard(&mut self, key: SourceKey) {
        let unheard = |source: &Source| {
            source.ended && source.playouts.is_empty() && source.listeners.is_empty()
        };
        if self.sources.get(key.0).is_some_and(unheard) {
            self.sources.try_remove(key.0);
        }
    }

    /// Tells when everything has been sent to a leg that was received for it by now.
    pub(crate) fn play_out(&mut self, sink: SinkKey, leg: LegKey) {
        let Some(sink) = self.sinks.get_mut(sink.0) else { return };
        let rate = sink.rate;
        let held = |input: &Input| {
            let playout = self.sources.get(input.source.0)?.playout(rate)?;
            Some(playout.ticks_held())
        };
        let ticks = sink.voices().filter_map(held).max().unwrap_or(0).min(MOST_PLAYED_OUT);
        match &mut sink.mixing {
            Some(mixing) if ticks > 0 => mixing.play_out = Some(ticks),
            // What is passed through is never held.
            _ => self.played_out.push(leg),
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
        let phone = self.sources.get(key.0).is_some_and(|source| source.phone.is_some());
        if phone {
            self.distribute_phone(now, key, frame, peers, out);
        } else {
            self.deliver(now, key, &Sound::Packet(frame), peers, out);
        }
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
        transcoder.begin();
        let mut delivery = Delivery { now, sound, transcoder, shared: None, peers, out };
        for listener in listeners {
            let Some(sink) = self.sinks.get_mut(listener.0) else { continue };
            self.changed_legs.extend(delivery.to(&mut sink.end));
        }
    }
}

/// A name for a numbering of our own: told from those of packets by its highest bit.
pub(crate) fn new_stream(made: &mut u64) -> u64 {
    *made += 1;
    1 << 63 | *made
}

/// One sound on its way to those who hear it as it comes.
pub(crate) struct Delivery<'a> {
    pub(crate) now: Instant,
    pub(crate) sound: &'a Sound<'a>,
    pub(crate) transcoder: &'a mut Transcoder,
    pub(crate) shared: Option<Arc<[u8]>>,
    pub(crate) peers: &'a mut Peers,
    pub(crate) out: &'a mut Output,
}

impl Delivery<'_> {
    /// Hands it to one of them. Its leg, if the source is silent from here on, so that the phone's
    /// next packet is ours to make.
    pub(crate) fn to(&mut self, end: &mut SinkEnd) -> Option<LegKey> {
        let Self { now, sound, transcoder, shared, peers, out } = self;
        match end {
            SinkEnd::Leg(sender) => {
                to_leg(*now, sender, sound, transcoder, out).then(|| sender.leg())
            }
            SinkEnd::Peer(section) => {
                to_peer(*now, *section, sound, transcoder, shared, peers);
                None
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
        Sound::Packet(frame) if frame.codec == AudioCodec::Opus && format.codec == frame.codec => {
            pause = announces_silence(frame.payload);
            sender.audio(now, &Frame { pause, ..**frame }, out);
        }
        Sound::Packet(frame) if frame.codec == format.codec => sender.audio(now, frame, out),
        _ if format.codec.law().is_none() => {
            let linear = transcoder.linear(sound, format.rate());
            for frame in &linear.frames {
                sender.speak(now, frame, &linear.samples[frame.start..frame.end], out);
                pause |= frame.pause;
            }
        }
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
    let Some(codec) = preferred(taken, sound.rate()) else { return };
    for (frame, shared) in transcoder.form(sound, codec).packets(codec, level) {
        peers.send(now, section, &frame, shared);
    }
}

/// In which form a client gets what it cannot get as it is: G.711 costs nothing to make, but holds
/// nothing above 4 kHz.
fn preferred(taken: CodecSet, rate: u32) -> Option<AudioCodec> {
    let narrow = [AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::Opus];
    let wide = [AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma];
    let order = if rate > CLOCK_RATE { wide } else { narrow };
    order.into_iter().find(|codec| taken.contains(*codec))
}

/// Whether a packet of one codec becomes one of the other without being decoded.
pub(crate) fn passes(from: AudioCodec, to: AudioCodec) -> bool {
    from == to || from.law().is_some() && to.law().is_some()
}
