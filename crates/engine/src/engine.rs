//! Commands, datagrams and time in; datagrams, news and the next deadline out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slab::Slab;
use switchroom_codecs::level;
use switchroom_rtp::digits::ReceivedDigit;
use switchroom_rtp::{Packet, is_rtcp, rtcp};

use crate::audio::AudioLevel;
use crate::command::{Command, LegMedia, PeerCommand};
use crate::deadlines::{Deadlines, Timer};
use crate::event::{Event, LegEvent};
use crate::graph::{Frame, Graph, SinkKey, SourceKey};
use crate::leg::{self, Contents, Leg, LegSender, Verdict};
use crate::output::{LegPort, Output};
use crate::peer::{Mid, PeerId};
use crate::peers::{PeerSection, Peers};
use crate::random::Random;
use crate::sink::{Input, SinkEnd};
use crate::source::Source;
use crate::speaker::Heard;
use crate::stats::{LegStats, Stats};

/// Deadlines that may be met a little late are put on a grid of this width, so that many legs share
/// one wake-up.
const GRID: Duration = Duration::from_millis(10);

/// A packet at least this loud (-dBov) is marked as voice in the audio level that clients get.
const VOICE: u8 = 50;

/// What the engine is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// The moment at which it is made …
    pub started: Instant,
    /// … and the same in nanoseconds since 1970, for sender reports.
    pub started_unix_ns: u64,
    /// From the operating system's random source.
    pub seed: u64,
    /// Where the WebRTC sockets are bound: what clients are told.
    pub rtc_locals: Vec<SocketAddr>,
}

/// The numbers of a leg and its two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegIds {
    /// The leg.
    pub leg: u64,
    /// What the phone says.
    pub source: u64,
    /// What the phone hears.
    pub sink: u64,
}

/// Place of a leg in the engine, used again after it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegKey(pub usize);

#[derive(Debug, Clone, Copy)]
enum Handle {
    Leg(LegKey),
    Source(SourceKey),
    Sink(SinkKey),
}

/// Everything that carries media, in one thread.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    random: Random,
    handles: HashMap<u64, Handle>,
    legs: Slab<Leg>,
    graph: Graph,
    peers: Peers,
    deadlines: Deadlines,
    next_stream: u64,
    digits: Vec<ReceivedDigit>,
}

impl Engine {
    /// An engine with nothing in it.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let random = Random::new(config.seed);
        let peers = Peers::new(&config.rtc_locals);
        Self {
            peers,
            config,
            random,
            handles: HashMap::new(),
            legs: Slab::new(),
            graph: Graph::default(),
            deadlines: Deadlines::default(),
            next_stream: 0,
            digits: Vec::new(),
        }
    }

    /// Adds a leg whose sockets are bound at `local` and the port above.
    pub fn open_leg(&mut self, ids: LegIds, local: SocketAddr) -> LegKey {
        let key = LegKey(self.legs.vacant_key());
        let source = self.graph.add_source(Source::new(ids.source, ids.leg));
        let sender = Box::new(LegSender::new(key, &mut self.random));
        let sink = self.graph.add_sink(SinkEnd::Leg(sender));
        // RFC 7022 §4.2: a random canonical name says nothing about the host.
        let cname = format!("{:016x}@{}", self.random.next_u64(), local.ip());
        self.legs.insert(Leg::new(ids, source, sink, cname));
        self.handles.insert(ids.leg, Handle::Leg(key));
        self.handles.insert(ids.source, Handle::Source(source));
        self.handles.insert(ids.sink, Handle::Sink(sink));
        key
    }

    /// Does as it is told.
    pub fn command(&mut self, now: Instant, command: Command, out: &mut Output) {
        match command {
            Command::UpdateLeg { leg, media } => self.update_leg(now, leg, &media),
            Command::SendDigits { leg, digits } => self.send_digits(now, leg, &digits, out),
            Command::CloseLeg { leg } => self.close_leg(now, leg, out),
            Command::SetInputs { sink, inputs } => self.set_inputs(sink, &inputs),
            Command::Peer { peer, command } => self.peer_command(now, peer, command, out),
            Command::Stats { request } => {
                let stats = Box::new(self.stats(now));
                out.events.push(Event::Stats { request, stats });
            }
        }
    }

    /// Takes a datagram that arrived at a leg's socket.
    pub fn leg_datagram(
        &mut self,
        now: Instant,
        key: LegKey,
        port: LegPort,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut Output,
    ) {
        if port == LegPort::Rtcp || is_rtcp(datagram) {
            self.leg_report(now, key, (port, from), datagram);
        } else {
            self.leg_rtp(now, key, from, datagram, out);
        }
    }

    /// Takes a datagram that arrived at the WebRTC socket bound at `local`.
    pub fn rtc_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut Output,
    ) {
        self.peers.receive(now, local, from, datagram);
        self.collect_peers(now, out);
    }

    /// Closes everything, with the good-byes that are owed.
    pub fn close_all(&mut self, now: Instant, out: &mut Output) {
        let legs: Vec<u64> = self.legs.iter().map(|(_, leg)| leg.ids.leg).collect();
        for leg in legs {
            self.close_leg(now, leg, out);
        }
        for peer in self.peers.ids() {
            self.close_peer(now, peer, out);
        }
    }

    /// Does what is due, and sends what was queued for WebRTC clients: to be called after each batch.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Output) {
        while let Some((at, timer)) = self.deadlines.pop_due(now) {
            match timer {
                Timer::Leg(key) => self.leg_timeout(now, at, key, out),
                Timer::Speaker(key) => self.speaker_timeout(now, at, key, out),
            }
        }
        self.peers.poll(now);
        self.collect_peers(now, out);
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next().into_iter().chain(self.peers.next_deadline()).min()
    }

    fn leg_rtp(
        &mut self,
        now: Instant,
        key: LegKey,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut Output,
    ) {
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        let Ok(packet) = Packet::parse(datagram) else {
            leg.receiver.counters.malformed += 1;
            return;
        };
        let Some(payload) = leg.receiver.payload(packet.header.payload_type) else {
            leg.receiver.counters.unknown_payload_type += 1;
            return;
        };
        match leg.latch.judge(now, from, &packet.header) {
            Verdict::Accepted => {}
            Verdict::Latched => {
                leg.reports.forget_far_end();
                if let Some(sender) = self.graph.leg_sender(leg.sink) {
                    sender.target = Some(from);
                }
                let event = LegEvent::MediaStarted(from);
                out.events.push(Event::Leg { leg: leg.ids.leg, event });
            }
            Verdict::Trial => return,
            Verdict::Stranger => {
                leg.receiver.counters.strangers += 1;
                return;
            }
        }
        leg.silence.heard(now);
        let (stream, digits) = (&mut self.next_stream, &mut self.digits);
        let frame = leg.receiver.receive(now, &packet, payload, stream, digits);
        let (id, source) = (leg.ids.leg, leg.source);
        if let Some(frame) = frame {
            self.hear(now, source, &frame, out);
        } else {
            self.tell_digits(id, out);
        }
        self.schedule_leg(now, key);
    }

    /// A packet of a source: tell who speaks, and hand it on.
    fn hear(&mut self, now: Instant, key: SourceKey, frame: &Frame<'_>, out: &mut Output) {
        let measured = || {
            let law = frame.codec.law()?;
            let below_overload = level::of_g711(law, frame.payload);
            Some(AudioLevel { below_overload, voice: below_overload <= VOICE })
        };
        let level = frame.level.or_else(measured);
        let Some(source) = self.graph.source(key) else { return };
        let observe =
            |level: AudioLevel| source.speaker.observe(now, level.below_overload, frame.duration());
        if let Some(heard) = level.and_then(observe) {
            out.events.push(level_event(source, heard));
            self.schedule_speaker(key);
        }
        self.graph.distribute(now, key, &Frame { level, ..*frame }, &mut self.peers, out);
    }

    fn peer_command(&mut self, now: Instant, peer: u64, command: PeerCommand, out: &mut Output) {
        let id = PeerId(peer);
        match command {
            PeerCommand::Receive { mid, source } => self.receive_from(id, mid, source),
            PeerCommand::Send { mid, sink } => self.send_to(id, mid, sink),
            PeerCommand::Close => self.close_peer(now, id, out),
            command => {
                if let Some((request, result)) = self.peers.command(now, id, command) {
                    out.events.push(Event::PeerReply { peer, request, result });
                }
            }
        }
        self.collect_peers(now, out);
    }

    fn receive_from(&mut self, peer: PeerId, mid: Mid, id: u64) {
        let Some(ends) = self.peers.ends(peer) else { return };
        let key = ends.source(mid).unwrap_or_else(|| {
            let key = self.graph.add_source(Source::new(id, peer.0));
            ends.add_track(mid, key);
            key
        });
        ends.sources.push((id, key));
        self.handles.insert(id, Handle::Source(key));
    }

    fn send_to(&mut self, peer: PeerId, mid: Mid, id: u64) {
        let Some(ends) = self.peers.ends(peer) else { return };
        let key = ends.sink(mid).unwrap_or_else(|| {
            let key = self.graph.add_sink(SinkEnd::Peer(PeerSection { peer, mid }));
            ends.add_section(mid, key);
            key
        });
        ends.sinks.push((id, key));
        self.handles.insert(id, Handle::Sink(key));
    }

    fn close_peer(&mut self, now: Instant, peer: PeerId, out: &mut Output) {
        let ends = self.peers.close(now, peer);
        for (id, source) in ends.sources {
            self.handles.remove(&id);
            self.graph.remove_source(source);
        }
        for (id, sink) in ends.sinks {
            self.handles.remove(&id);
            self.graph.remove_sink(sink);
        }
        self.collect_peers(now, out);
    }

    /// Takes over what the WebRTC clients brought: datagrams, news, and what they say.
    fn collect_peers(&mut self, now: Instant, out: &mut Output) {
        out.rtc_packets.append(&mut self.peers.output.transmits);
        let news = self.peers.output.events.drain(..);
        out.events.extend(news.map(|(peer, event)| Event::Peer { peer: peer.0, event }));
        let mut packets = std::mem::take(&mut self.peers.output.rtp);
        for (peer, packet) in packets.drain(..) {
            let entry = self.peers.entry(peer, &packet, &mut self.next_stream);
            let Some((source, stream)) = entry else { continue };
            let frame = Frame {
                stream,
                codec: packet.codec,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                marker: packet.marker,
                level: packet.level,
                payload: &packet.payload,
                shared: Some(&packet.payload),
            };
            self.hear(now, source, &frame, out);
        }
        self.peers.output.rtp = packets;
    }

    fn leg_report(
        &mut self,
        now: Instant,
        key: LegKey,
        (port, from): (LegPort, SocketAddr),
        datagram: &[u8],
    ) {
        let unix_ns = self.unix_ns(now);
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        if !leg.latch.is_host(from) {
            leg.receiver.counters.strangers += 1;
            return;
        }
        let Some(sender) = self.graph.leg_sender(leg.sink) else { return };
        let contents = contents(now, unix_ns, sender, &mut leg.receiver.statistics);
        if !leg.reports.receive(now, (port, from), datagram, contents) {
            leg.receiver.counters.malformed += 1;
        }
    }

    fn update_leg(&mut self, now: Instant, id: u64, media: &LegMedia) {
        let Some(key) = self.leg_key(id) else { return };
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        leg.latch.announce(media.remote.filter(|remote| !remote.ip().is_unspecified()));
        leg.receiver.update(media);
        let expects = media.direction.receives();
        leg.silence.watch(now, media.media_timeout.filter(|_| expects));
        if let Some(sender) = self.graph.leg_sender(leg.sink) {
            sender.target = leg.latch.target();
            sender.update(leg::sending(media));
        }
        if leg.latch.target().is_some() {
            leg.reports.start(now, &mut self.random);
        }
        self.schedule_leg(now, key);
    }

    fn send_digits(&mut self, now: Instant, id: u64, digits: &str, out: &mut Output) {
        let Some(key) = self.leg_key(id) else { return };
        let sink = self.legs[key.0].sink;
        let Some(sender) = self.graph.leg_sender(sink) else { return };
        if sender.send_digits(now, digits).is_err() {
            out.events.push(Event::Leg { leg: id, event: LegEvent::DigitsSent });
        }
        self.schedule_leg(now, key);
    }

    fn close_leg(&mut self, now: Instant, id: u64, out: &mut Output) {
        let Some(key) = self.leg_key(id) else { return };
        let unix_ns = self.unix_ns(now);
        let Some(mut leg) = self.legs.try_remove(key.0) else { return };
        if leg.reports.has_reported()
            && let Some(target) = leg.latch.target()
            && let Some(sender) = self.graph.leg_sender(leg.sink)
        {
            let ssrc = sender.ssrc();
            let contents = contents(now, unix_ns, sender, &mut leg.receiver.statistics);
            let (port, to) = leg.reports.target(target);
            out.send(key, port, to, |bytes| {
                leg.reports.write(now, contents, bytes);
                rtcp::write_goodbye(ssrc, bytes);
            });
        }
        for id in [leg.ids.leg, leg.ids.source, leg.ids.sink] {
            self.handles.remove(&id);
        }
        self.graph.remove_source(leg.source);
        self.graph.remove_sink(leg.sink);
        out.closed_legs.push(key);
    }

    fn set_inputs(&mut self, sink: u64, inputs: &[(u64, f32)]) {
        let Some(Handle::Sink(sink)) = self.handles.get(&sink).copied() else { return };
        let input = |&(source, gain): &(u64, f32)| match self.handles.get(&source) {
            Some(Handle::Source(source)) => Some(Input { source: *source, gain }),
            _ => None,
        };
        let inputs = inputs.iter().filter_map(input).collect();
        self.graph.set_inputs(sink, inputs);
    }

    fn leg_timeout(&mut self, now: Instant, at: Instant, key: LegKey, out: &mut Output) {
        let unix_ns = self.unix_ns(now);
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        if leg.scheduled != Some(at) {
            return;
        }
        leg.scheduled = None;
        let id = leg.ids.leg;
        leg.receiver.handle_timeout(now, &mut self.digits);
        if leg.silence.handle_timeout(now) {
            out.events.push(Event::Leg { leg: id, event: LegEvent::MediaTimedOut });
        }
        if let Some(sender) = self.graph.leg_sender(leg.sink) {
            if sender.handle_timeout(now, out) {
                out.events.push(Event::Leg { leg: id, event: LegEvent::DigitsSent });
            }
            if let Some(target) = leg.latch.target()
                && leg.reports.take_due(now, &mut self.random)
            {
                let contents = contents(now, unix_ns, sender, &mut leg.receiver.statistics);
                let (port, to) = leg.reports.target(target);
                out.send(key, port, to, |bytes| leg.reports.write(now, contents, bytes));
            }
        }
        self.tell_digits(id, out);
        self.schedule_leg(now, key);
    }

    fn speaker_timeout(&mut self, now: Instant, at: Instant, key: SourceKey, out: &mut Output) {
        let Some(source) = self.graph.source(key) else { return };
        if source.scheduled != Some(at) {
            return;
        }
        source.scheduled = None;
        if let Some(heard) = source.speaker.handle_timeout(now) {
            out.events.push(level_event(source, heard));
        }
        self.schedule_speaker(key);
    }

    fn schedule_leg(&mut self, now: Instant, key: LegKey) {
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        let Some(sender) = self.graph.leg_sender(leg.sink) else { return };
        let flowing = sender.is_flowing();
        let sending = sender.deadline(now);
        let others = [leg.receiver.deadline(), leg.silence.deadline(), leg.reports.deadline()];
        let Some(at) = others.into_iter().chain([sending]).flatten().min() else { return };
        let at = if flowing || Some(at) != sending { on_grid(self.config.started, at) } else { at };
        self.deadlines.schedule(Timer::Leg(key), at, &mut leg.scheduled);
    }

    fn schedule_speaker(&mut self, key: SourceKey) {
        let Some(source) = self.graph.sources.get_mut(key.0) else { return };
        let Some(at) = source.speaker.deadline() else { return };
        let at = on_grid(self.config.started, at);
        self.deadlines.schedule(Timer::Speaker(key), at, &mut source.scheduled);
    }

    fn tell_digits(&mut self, id: u64, out: &mut Output) {
        for ReceivedDigit { digit, duration_ms } in self.digits.drain(..) {
            let event = LegEvent::DigitReceived { digit, duration_ms };
            out.events.push(Event::Leg { leg: id, event });
        }
    }

    fn leg_key(&self, id: u64) -> Option<LegKey> {
        match self.handles.get(&id) {
            Some(Handle::Leg(key)) => Some(*key),
            _ => None,
        }
    }

    fn unix_ns(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.config.started);
        self.config.started_unix_ns + passed.as_nanos() as u64
    }

    fn stats(&mut self, now: Instant) -> Stats {
        let mut legs = Vec::with_capacity(self.legs.len());
        for (_, leg) in &self.legs {
            let Some(sender) = self.graph.leg_sender(leg.sink) else { continue };
            legs.push(LegStats {
                leg: leg.ids.leg,
                received: leg.receiver.counters(),
                packets_out: sender.sent.packets,
                bytes_out: sender.sent.bytes,
                filled_out: sender.sent.filled,
                lost_out: leg.reports.lost_out,
                round_trip: leg.reports.round_trip,
                last_packet_age: leg.silence.age(now),
            });
        }
        Stats {
            legs,
            peers: self.peers.stats(),
            sources: self.graph.sources.len(),
            sinks: self.graph.sinks.len(),
            unknown_datagrams: self.peers.unknown_datagrams,
        }
    }
}

fn contents<'a>(
    now: Instant,
    unix_ns: u64,
    sender: &LegSender,
    statistics: &'a mut switchroom_rtp::ReceiveStatistics,
) -> Contents<'a> {
    let (ssrc, info, packets) = (sender.ssrc(), sender.info(now), sender.sent.packets);
    Contents { unix_ns, ssrc, info, packets, statistics }
}

fn level_event(source: &Source, Heard { level, active }: Heard) -> Event {
    Event::Level { owner: source.owner, source: source.id, level, active }
}

/// The first point of the grid that is not before `at`.
fn on_grid(origin: Instant, at: Instant) -> Instant {
    let passed = at.saturating_duration_since(origin).as_nanos();
    let grid = GRID.as_nanos();
    origin + Duration::from_nanos((passed.div_ceil(grid) * grid) as u64)
}
