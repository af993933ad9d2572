//! Commands, datagrams and time in; datagrams, news and the next deadline out.

mod clients;
mod legs;
mod players;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slab::Slab;
use switchroom_rtp::digits::ReceivedDigit;

use crate::audio::AudioLevel;
use crate::command::Command;
use crate::deadlines::{Deadlines, Timer};
use crate::event::{Event, LegEvent};
use crate::graph::{Frame, Graph, SinkKey, SourceKey};
use crate::leg::Leg;
use crate::mixer::TICK;
use crate::output::Output;
use crate::peer::{PeerEvent, PeerId};
use crate::peers::Peers;
use crate::player::{Player, PlayerKey};
use crate::random::Random;
use crate::sink::Input;
use crate::source::Source;
use crate::speaker::Heard;
use crate::stats::Stats;

/// Deadlines that may be met a little late are put on a grid of this width, so that many legs share
/// one wake-up.
const GRID: Duration = Duration::from_millis(10);

/// A clock that is this late was not merely scheduled late.
const HELD_UP: Duration = Duration::from_millis(200);

/// What the engine is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// The moment at which it is made …
    pub started: Instant,
    /// … and the same in nanoseconds since 1970, for sender reports.
    pub started_unix_ns: u64,
    /// From the operating system's random source.
    pub seed: u64,
    /// Where clients reach the WebRTC sockets: what they are told.
    pub rtc_advertised: Vec<SocketAddr>,
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
    Player(PlayerKey),
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
    peers: Peers,
    players: Slab<Player>,
    graph: Graph,
    next_mix: Option<Instant>,
    deadlines: Deadlines,
    next_stream: u64,
    digits: Vec<ReceivedDigit>,
    /// Where protected packets are opened.
    opened: Vec<u8>,
}

impl Engine {
    /// An engine with nothing in it.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let random = Random::new(config.seed);
        let peers = Peers::new(&config.rtc_advertised);
        Self {
            peers,
            config,
            random,
            handles: HashMap::new(),
            legs: Slab::new(),
            players: Slab::new(),
            graph: Graph::default(),
            next_mix: None,
            deadlines: Deadlines::default(),
            next_stream: 0,
            digits: Vec::new(),
            opened: Vec::new(),
        }
    }

    /// Does as it is told.
    pub fn command(&mut self, now: Instant, command: Command, out: &mut Output) {
        match command {
            Command::UpdateLeg { leg, media } => self.update_leg(now, leg, &media),
            Command::SendDigits { leg, digits } => self.send_digits(now, leg, &digits, out),
            Command::SetProcessing { leg, denoise, detect_tones } => {
                self.set_processing(leg, denoise, detect_tones);
            }
            Command::LegStats { request, leg } => {
                let stats = self.leg_stats(now, leg).map(Box::new);
                out.events.push(Event::LegStats { request, stats });
            }
            Command::PlayOut { leg } => self.play_out(leg),
            Command::CloseLeg { leg } => self.close_leg(now, leg, out),
            Command::SetInputs { sink, inputs } => self.set_inputs(sink, &inputs),
            Command::StopPlayer { player } => self.stop_player(player),
            Command::Peer { peer, command } => self.peer_command(now, peer, command, out),
            Command::Stats { request } => {
                let stats = Box::new(self.stats(now));
                out.events.push(Event::Stats { request, stats });
            }
        }
        self.follow_changes(now);
        self.tell_played_out(out);
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
        let players: Vec<u64> = self.players.iter().map(|(_, player)| player.ids.player).collect();
        for player in players {
            self.stop_player(player);
        }
    }

    /// What to tell when nothing works any more: whoever waits for a leg, a client or a player would
    /// do so for ever, and people would go on listening to silence.
    #[must_use]
    pub fn last_words(&self) -> Vec<Event> {
        let timed_out = LegEvent::MediaTimedOut;
        let legs = self.legs.iter().map(|(_, leg)| leg.ids.leg);
        let legs = legs.map(|leg| Event::Leg { leg, event: timed_out.clone() });
        let failed = || PeerEvent::Failed("the media engine has failed".to_owned());
        let peers = self.peers.ids().into_iter();
        let peers = peers.map(|PeerId(peer)| Event::Peer { peer, event: failed() });
        let players = self.players.iter().map(|(_, player)| player.ids.player);
        let players = players.map(|player| Event::PlayerFinished { player });
        legs.chain(peers).chain(players).collect()
    }

    /// Does what is due, and sends what was queued for WebRTC clients: to be called after each batch.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Output) {
        while let Some((at, timer)) = self.deadlines.pop_due(now) {
            match timer {
                Timer::Leg(key) => self.leg_timeout(now, at, key, out),
                Timer::Speaker(key) => self.speaker_timeout(now, at, key, out),
                Timer::Player(key) => self.player_timeout(now, at, key, out),
                Timer::Mix => self.mix_timeout(now, at, out),
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

    /// A packet of a source: tell who speaks, and hand it on.
    fn hear(&mut self, now: Instant, key: SourceKey, frame: &Frame<'_>, out: &mut Output) {
        let measured = || AudioLevel::of_payload(frame.codec, frame.payload);
        let level = frame.level.or_else(measured);
        let Some(source) = self.graph.source(key) else { return };
        // Where nobody hears the packets, their levels are not told either.
        let level = level.filter(|_| source.phone.as_ref().is_none_or(|phone| !phone.is_whole()));
        let decoded = source.phone.as_ref().and_then(|phone| phone.voice.as_ref()?.level);
        let observe =
            |level: AudioLevel| source.speaker.observe(now, level.below_overload, frame.duration());
        if let Some(heard) = level.and_then(observe) {
            out.events.push(level_event(source, heard));
            self.schedule_speaker(key);
        }
        let level = level.or(decoded);
        self.graph.distribute(now, key, &Frame { level, ..*frame }, &mut self.peers, out);
        self.follow_changes(now);
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

    /// Sinks hear other things now: their own clocks begin or end.
    fn follow_changes(&mut self, now: Instant) {
        while let Some(leg) = self.graph.changed_legs.pop() {
            self.schedule_leg(now, leg);
        }
        if self.graph.ticks() && self.next_mix.is_none() {
            let at = on_grid(self.config.started, now);
            self.deadlines.schedule(Timer::Mix, at, &mut self.next_mix);
        }
    }

    fn mix_timeout(&mut self, now: Instant, at: Instant, out: &mut Output) {
        if self.next_mix != Some(at) {
            return;
        }
        self.next_mix = None;
        if !self.graph.ticks() {
            return;
        }
        self.graph.mix(now, &mut self.peers, out);
        self.tell_voices(now, out);
        self.deadlines.schedule(Timer::Mix, next_tick(now, at), &mut self.next_mix);
        self.follow_changes(now);
        self.tell_played_out(out);
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

    fn schedule_speaker(&mut self, key: SourceKey) {
        let Some(source) = self.graph.sources.get_mut(key.0) else { return };
        let Some(at) = source.speaker.deadline() else { return };
        let at = on_grid(self.config.started, at);
        self.deadlines.schedule(Timer::Speaker(key), at, &mut source.scheduled);
    }

    fn stats(&mut self, now: Instant) -> Stats {
        let ids: Vec<u64> = self.legs.iter().map(|(_, leg)| leg.ids.leg).collect();
        let legs = ids.into_iter().filter_map(|leg| self.leg_stats(now, leg)).collect();
        Stats {
            legs,
            peers: self.peers.stats(),
            players: self.players.len(),
            sources: self.graph.sources.len(),
            sinks: self.graph.sinks.len(),
            unknown_datagrams: self.peers.unknown_datagrams,
        }
    }
}

fn level_event(source: &Source, Heard { level, active }: Heard) -> Event {
    Event::Level { owner: source.owner, source: source.id, level, active }
}

/// When a clock ticks after `at`. One that was held up goes on from now: nobody wants to hear what
/// was missed.
fn next_tick(now: Instant, at: Instant) -> Instant {
    let next = at + TICK;
    if now > next + HELD_UP { now + TICK } else { next }
}

/// The first point of the grid that is not before `at`.
fn on_grid(origin: Instant, at: Instant) -> Instant {
    let passed = at.saturating_duration_since(origin).as_nanos();
    let grid = GRID.as_nanos();
    origin + Duration::from_nanos((passed.div_ceil(grid) * grid) as u64)
}
