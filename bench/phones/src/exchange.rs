//! All phones together: their one SIP socket, their calls, their timers and the window measured.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use str0m::change::SdpOffer;

use crate::agent::Agent;
use crate::call::{Call, Dialog, Due, State};
use crate::measure::Figures;
use crate::sound::{Play, Sounds};
use crate::stream::Stream;
use crate::system::{Inbox, StampedSocket, cpu_time, now_ns};

/// A packet interval is cut into slots, and phones are spread over them.
const SLOTS: usize = 40;
const SLOT_NS: u64 = 20_000_000 / SLOTS as u64;
/// Where the phones' RTP ports lie: away from where servers usually have theirs.
const FIRST_PORT: u16 = 30_000;
const LAST_PORT: u16 = 60_000;
/// Behind by more than this, the past is not made up for.
const HOPELESS_NS: u64 = 1_000_000_000;

/// The phones.
pub(crate) struct Exchange {
    pub(crate) local: SocketAddr,
    pub(crate) socket: StampedSocket,
    pub(crate) inbox: Inbox,
    sounds: Sounds,
    pub(crate) calls: Vec<Option<Call>>,
    pub(crate) by_id: HashMap<String, usize>,
    timers: BTreeSet<(u64, usize)>,
    slots: Vec<Vec<usize>>,
    agents: BTreeMap<u32, Agent>,
    /// Whether agents take G.711.
    narrow_agents: bool,
    agent_slots: Vec<Vec<u32>>,
    /// Agents whose connection is being made: they are looked after in every slot.
    connecting: Vec<u32>,
    next_slot: u64,
    /// When the last burst of each phone left, until its partner heard it.
    bursts: HashMap<u32, u64>,
    figures: Figures,
    window: Option<(u64, Duration)>,
    play: Play,
    pub(crate) answer_after_ns: u64,
    invites: u64,
    next_port: u16,
}

impl Exchange {
    pub(crate) fn new(local: SocketAddr) -> io::Result<Self> {
        let socket = StampedSocket::bind(local)?;
        let local = SocketAddr::new(local.ip(), socket.port()?);
        Ok(Self {
            local,
            socket,
            inbox: Inbox::new(),
            sounds: Sounds::new(),
            calls: Vec::new(),
            by_id: HashMap::new(),
            timers: BTreeSet::new(),
            slots: vec![Vec::new(); SLOTS],
            agents: BTreeMap::new(),
            narrow_agents: true,
            agent_slots: vec![Vec::new(); SLOTS],
            connecting: Vec::new(),
            next_slot: 0,
            bursts: HashMap::new(),
            figures: Figures::new(),
            window: None,
            play: Play::Speech,
            answer_after_ns: 0,
            invites: 0,
            next_port: FIRST_PORT,
        })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.fd()
    }

    pub(crate) fn set_play(&mut self, play: Play) {
        self.play = play;
    }

    pub(crate) fn set_answer_after(&mut self, after: Duration) {
        self.answer_after_ns = after.as_nanos() as u64;
    }

    /// How long the caller may sleep.
    pub(crate) fn idle_time(&self) -> Option<Duration> {
        let slot = (!self.is_idle()).then_some(self.next_slot);
        let timer = self.timers.first().map(|&(at, _)| at);
        let next = slot.into_iter().chain(timer).min()?;
        Some(Duration::from_nanos(next.saturating_sub(now_ns())))
    }

    fn is_idle(&self) -> bool {
        self.by_id.is_empty() && self.agents.is_empty()
    }

    // ── the window that is measured ──────────────────────────────────────────

    pub(crate) fn begin_window(&mut self) {
        self.figures.clear();
        self.bursts.clear();
        self.window = Some((now_ns(), cpu_time()));
    }

    pub(crate) fn end_window(&mut self) {
        let Some((began, cpu)) = self.window.take() else { return };
        tell(&format!(
            "{{\"event\":\"figures\",\"calls\":{},\"agents\":{},\"seconds\":{:.3},\"cpu_seconds\":{:.3},{}}}",
            self.by_id.len(),
            self.agents.values().filter(|agent| agent.connected).count(),
            (now_ns() - began) as f64 / 1e9,
            (cpu_time().saturating_sub(cpu)).as_secs_f64(),
            self.figures.to_json(),
        ));
    }

    // ── time ─────────────────────────────────────────────────────────────────

    /// Does everything that is due.
    pub(crate) fn tick(&mut self) {
        let now = now_ns();
        while let Some(&(at, call)) = self.timers.first()
            && at <= now
        {
            self.timers.remove(&(at, call));
            self.fire(call, now);
        }
        if self.is_idle() || now > self.next_slot + HOPELESS_NS {
            self.next_slot = now - now % SLOT_NS + SLOT_NS;
            return;
        }
        while self.next_slot <= now {
            self.run_slot();
            self.next_slot += SLOT_NS;
        }
        // Nobody is woken for a slot without phones.
        while self.connecting.is_empty() && self.is_slot_empty(self.next_slot) {
            self.next_slot += SLOT_NS;
        }
    }

    fn is_slot_empty(&self, at: u64) -> bool {
        self.slots[slot_at(at)].is_empty() && self.agent_slots[slot_at(at)].is_empty()
    }

    fn run_slot(&mut self) {
        self.connect_agents();
        self.run_agents();
        let due = self.next_slot;
        for &index in &self.slots[slot_at(due)] {
            let Some(call) = self.calls[index].as_mut() else { continue };
            let mut figures = self.window.is_some().then_some(&mut self.figures);
            if let Some(arrived) = call.stream.receive(&mut self.inbox, figures.as_deref_mut())
                && let Some(left) = self.bursts.remove(&(call.phone ^ 1))
                && let Some(figures) = &mut figures
            {
                figures.burst_delay.add(arrived.saturating_sub(left));
            }
            if let Some(first) = call.stream.ear.take_first() {
                event("hears", call.phone, first);
            }
            if let Some(left) = call.stream.send(due, &self.sounds, self.play, figures) {
                self.bursts.insert(call.phone, left);
            }
        }
    }

    // ── agents ───────────────────────────────────────────────────────────────

    /// Adds an agent and tells its offer.
    pub(crate) fn add_agent(&mut self, number: u32) {
        let Ok((agent, offer)) = Agent::open(self.local.ip(), number, self.narrow_agents) else {
            return event("no_port", number, now_ns());
        };
        self.agent_slots[slot_of(number)].push(number);
        self.agents.insert(number, agent);
        tell_offer(number, &offer);
    }

    /// An agent was asked for sections on which it hears.
    pub(crate) fn widen_agent(&mut self, number: u32, sections: u32) -> Option<()> {
        let offer = self.agents.get_mut(&number)?.offer_more(sections)?;
        tell_offer(number, &offer);
        Some(())
    }

    /// The answer to an agent's offer.
    pub(crate) fn connect_agent(&mut self, number: u32, answer: &str) -> Option<()> {
        let taken = self.agents.get_mut(&number)?.accept(answer);
        if taken && !self.connecting.contains(&number) {
            self.connecting.push(number);
        }
        taken.then_some(())
    }

    /// Whether agents that join from now on take G.711 beside Opus.
    pub(crate) fn set_narrow_agents(&mut self, narrow: bool) {
        self.narrow_agents = narrow;
    }

    /// Agents go.
    pub(crate) fn drop_agents(&mut self) {
        for agent in self.agents.values_mut() {
            agent.close();
        }
        self.agents.clear();
        self.connecting.clear();
        self.agent_slots.iter_mut().for_each(Vec::clear);
    }

    fn connect_agents(&mut self) {
        let Self { connecting, agents, inbox, .. } = self;
        connecting.retain(|number| {
            let Some(agent) = agents.get_mut(number) else { return false };
            agent.receive(inbox, None);
            if agent.connected && !std::mem::replace(&mut agent.told, true) {
                event("connected", *number, now_ns());
            }
            !agent.connected
        });
    }

    fn run_agents(&mut self) {
        let due = self.next_slot;
        for number in &self.agent_slots[slot_at(due)] {
            let Some(agent) = self.agents.get_mut(number) else { continue };
            let mut figures = self.window.is_some().then_some(&mut self.figures);
            if let Some(arrived) = agent.receive(&mut self.inbox, figures.as_deref_mut())
                && let Some(left) = self.bursts.remove(&(number ^ 1))
                && let Some(figures) = &mut figures
            {
                figures.agents_burst_delay.add(arrived.saturating_sub(left));
            }
            if let Some(first) = agent.ear.take_first() {
                event("hears", agent.number, first);
            }
            if let Some(left) = agent.send(due, &self.sounds, self.play, figures) {
                self.bursts.insert(agent.number, left);
            }
        }
    }

    fn fire(&mut self, index: usize, now: u64) {
        let Some(call) = self.calls[index].as_mut() else { return };
        if call.wake.is_none_or(|wake| wake > now) {
            return;
        }
        match call.due(now) {
            Due::Answer => self.answer(index),
            Due::Repeat(message) => {
                self.socket.send(message.as_bytes(), call.peer);
                self.arm(index);
            }
            Due::GiveUp => self.end(index, "given_up"),
        }
    }

    pub(crate) fn arm(&mut self, index: usize) {
        if let Some(wake) = self.calls[index].as_ref().and_then(|call| call.wake) {
            self.timers.insert((wake, index));
        }
    }

    // ── calls ────────────────────────────────────────────────────────────────

    pub(crate) fn add(&mut self, call: Call) -> usize {
        let index = self.calls.iter().position(Option::is_none).unwrap_or_else(|| {
            self.calls.push(None);
            self.calls.len() - 1
        });
        self.by_id.insert(call.id.clone(), index);
        self.slots[slot_of(call.phone)].push(index);
        self.calls[index] = Some(call);
        index
    }

    pub(crate) fn end(&mut self, index: usize, why: &str) {
        if let Some(call) = self.calls[index].take() {
            self.by_id.remove(&call.id);
            self.slots[slot_of(call.phone)].retain(|&other| other != index);
            event(why, call.phone, now_ns());
        }
    }

    /// A stream for a phone. Ports are used in turn, so that late packets of an ended call find
    /// nobody.
    pub(crate) fn open_stream(&mut self, phone: u32) -> io::Result<Stream> {
        self.next_port = if self.next_port > LAST_PORT { FIRST_PORT } else { self.next_port };
        let stream = Stream::open(self.local.ip(), phone, self.next_port)?;
        self.next_port = stream.port()? + 2;
        Ok(stream)
    }

    /// Calls `uri` from a phone.
    pub(crate) fn call(&mut self, phone: u32, uri: &str, peer: SocketAddr) {
        let Ok(stream) = self.open_stream(phone) else {
            return event("no_port", phone, now_ns());
        };
        self.invites += 1;
        let id = format!("{}-{}-{phone}@{}", self.invites, now_ns(), self.local.ip());
        let dialog = Dialog {
            local: self.local.to_string(),
            from: format!("<sip:+1555{phone:07}@{}>;tag={}", self.local, Call::tag(phone)),
            to: format!("<{uri}>"),
            target: uri.to_owned(),
            sequence: 1,
        };
        let mut call = Call::new(phone, State::Calling, id, peer, stream, dialog);
        let (now, message) = (now_ns(), call.invite());
        self.socket.send(message.as_bytes(), peer);
        call.repeat(now, message);
        event("invited", phone, now);
        let index = self.add(call);
        self.arm(index);
    }

    /// Ends the calls of one phone, or of all.
    pub(crate) fn hang_up(&mut self, phone: Option<u32>) {
        for index in 0..self.calls.len() {
            let Some(call) = self.calls[index].as_mut() else { continue };
            if phone.is_none_or(|phone| phone == call.phone) && call.state == State::Talking {
                let (now, message) = (now_ns(), call.bye());
                self.socket.send(message.as_bytes(), call.peer);
                call.state = State::Leaving;
                call.repeat(now, message);
                event("hung_up", call.phone, now);
                self.arm(index);
            }
        }
    }
}

/// Seventeen and forty have no common factor: phones fill all slots evenly.
fn slot_of(number: u32) -> usize {
    number as usize * 17 % SLOTS
}

fn slot_at(time: u64) -> usize {
    (time / SLOT_NS) as usize % SLOTS
}

fn tell_offer(number: u32, offer: &SdpOffer) {
    let (at, sdp) = (now_ns(), offer.to_sdp_string());
    tell(&format!("{{\"event\":\"offer\",\"phone\":{number},\"at\":{at},\"sdp\":{sdp:?}}}"));
}

/// Says something about a phone, with the time it happened.
pub(crate) fn event(name: &str, phone: u32, at: u64) {
    tell(&format!("{{\"event\":\"{name}\",\"phone\":{phone},\"at\":{at}}}"));
}

/// One line to whoever started us; nobody there to listen is the end.
pub(crate) fn tell(line: &str) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}
