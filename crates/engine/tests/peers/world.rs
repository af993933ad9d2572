//! The server's peers, some clients, and the wires between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use switchroom_engine::AudioCodec;
use switchroom_engine::peer::{
    Identity, IncomingRtp, Mid, OutgoingRtp, PeerEvent, PeerId, PeerKind, PeerTable, PeersOutput,
};

use crate::client::{Client, Direction};

pub const LATENCY: Duration = Duration::from_millis(5);

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub fn mid(name: &str) -> Mid {
    Mid::parse(name).unwrap()
}

/// A small deterministic generator (SplitMix64): a test that fails once fails always.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

pub struct Route {
    pub from: (PeerId, Mid),
    pub to: (PeerId, Mid),
    /// What the payload is said to be; `None` leaves it.
    pub codec: Option<AudioCodec>,
}

pub struct World {
    pub now: Instant,
    pub table: PeerTable,
    /// Where clients reach us.
    pub server: SocketAddr,
    /// What our socket is bound to: the same, unless there is a NAT between.
    pub bound: SocketAddr,
    pub clients: Vec<Client>,
    pub events: Vec<(Instant, PeerId, PeerEvent)>,
    pub rtp: Vec<(PeerId, IncomingRtp)>,
    pub routes: Vec<Route>,
    pub loss_percent: usize,
    pub dice: Dice,
    /// Datagrams the server sent: when, to whom, what.
    pub sent: Vec<(Instant, SocketAddr, Vec<u8>)>,
    /// Datagrams the clients sent, as the server sees them.
    pub tapped: Vec<(SocketAddr, Vec<u8>)>,
    /// A client's own address to the one its NAT shows.
    pub nat: BTreeMap<SocketAddr, SocketAddr>,
    /// Senders (as their NAT shows them) whose datagrams never arrive.
    pub loss_to_server_from: std::collections::BTreeSet<SocketAddr>,
    /// The sender whose datagrams are damaged on the way, and how many of them.
    pub bend_from: Option<SocketAddr>,
    pub bend_percent: usize,
    wire: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    number: u64,
    out: PeersOutput,
}

impl World {
    #[allow(clippy::disallowed_methods)] // the origin of the virtual time
    pub fn new() -> Self {
        let server: SocketAddr = "198.51.100.1:7882".parse().unwrap();
        let also: SocketAddr = "127.0.0.1:7882".parse().unwrap();
        let now = Instant::now();
        Self {
            now,
            table: PeerTable::new(&[server, also], Arc::new(Identity::generate())),
            server,
            bound: server,
            clients: Vec::new(),
            events: Vec::new(),
            rtp: Vec::new(),
            routes: Vec::new(),
            loss_percent: 0,
            dice: Dice(7),
            sent: Vec::new(),
            tapped: Vec::new(),
            nat: BTreeMap::new(),
            loss_to_server_from: std::collections::BTreeSet::new(),
            bend_from: None,
            bend_percent: 0,
            wire: BTreeMap::new(),
            number: 0,
            out: PeersOutput::default(),
        }
    }

    /// Adds a client without a connection. Its index is its peer's number.
    pub fn add_client(&mut self, kind: PeerKind) -> usize {
        let number = self.clients.len();
        let address =
            SocketAddr::from(([203, 0, 113, (number % 250) as u8 + 1], 40_000 + number as u16));
        self.clients.push(Client::new(self.now, address));
        self.nat.insert(address, address);
        self.table.open(self.now, PeerId(number as u64), kind).unwrap();
        number
    }

    /// A client with recvonly sections `r0…`, published sections `s0…`, connected, channels open.
    pub fn join(&mut self, receiving: usize, sending: usize) -> usize {
        let number = self.add_client(PeerKind::Answerer);
        for n in 0..receiving {
            self.clients[number].add_section(&format!("r{n}"), Direction::RecvOnly);
        }
        for n in 0..sending {
            self.clients[number].add_section(&format!("s{n}"), Direction::SendOnly);
        }
        self.negotiate(number);
        self.run_for(ms(500));
        assert!(self.clients[number].connected);
        assert_eq!(self.clients[number].open_channels(), 3);
        number
    }

    /// Offer, answer; returns the answer.
    pub fn negotiate(&mut self, number: usize) -> String {
        let offer = self.clients[number].offer();
        let answer = self.offer(number, &offer).unwrap();
        let server = self.server;
        self.clients[number].accept_answer(&answer, server);
        answer
    }

    pub fn offer(
        &mut self,
        number: usize,
        offer: &str,
    ) -> Result<String, switchroom_engine::peer::PeerError> {
        let (now, id) = (self.now, PeerId(number as u64));
        let answer =
            self.table.with(id, &mut self.out, |peer, out| peer.accept_offer(now, offer, out));
        self.flush();
        answer.and_then(|answer| answer)
    }

    /// Runs a command on the peer of a client.
    pub fn with<R>(
        &mut self,
        number: usize,
        command: impl FnOnce(
            &mut switchroom_engine::peer::Peer,
            Instant,
            &mut switchroom_engine::peer::PeerOutput,
        ) -> R,
    ) -> R {
        let now = self.now;
        let id = PeerId(number as u64);
        let result = self.table.with(id, &mut self.out, |peer, out| command(peer, now, out));
        self.flush();
        result.unwrap()
    }

    /// A fault in the code of a peer.
    pub fn panic_in(&mut self, number: usize) {
        let id = PeerId(number as u64);
        let fault = |_: &mut switchroom_engine::peer::Peer,
                     _: &mut switchroom_engine::peer::PeerOutput| {
            panic!("a fault, on purpose")
        };
        assert_eq!(
            self.table.with(id, &mut self.out, fault),
            Err::<(), _>(switchroom_engine::peer::PeerError::Gone)
        );
        self.flush();
    }

    pub fn close(&mut self, number: usize) {
        self.table.close(self.now, PeerId(number as u64), &mut self.out);
        self.flush();
    }

    /// A datagram from anywhere straight into the server.
    pub fn inject(&mut self, from: SocketAddr, bytes: &[u8]) -> bool {
        let taken = self.table.receive(self.now, self.bound, from, bytes, &mut self.out);
        self.flush();
        taken
    }

    pub fn send_rtp(&mut self, number: usize, section: Mid, packet: &OutgoingRtp) {
        self.table.send_rtp(self.now, PeerId(number as u64), section, packet).unwrap();
    }

    pub fn poll(&mut self) {
        self.table.poll(self.now, &mut self.out);
        self.flush();
    }

    /// Lets the time pass in which `talk` is called every 20 ms.
    pub fn talk(&mut self, duration: Duration, mut talk: impl FnMut(&mut Self)) {
        let mut left = duration;
        while !left.is_zero() {
            talk(self);
            self.run_for(ms(20));
            left = left.saturating_sub(ms(20));
        }
    }

    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.poll();
        loop {
            self.drain_clients();
            let next = self.next_event();
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            self.deliver();
            for client in &mut self.clients {
                if client.timeout <= self.now {
                    client.timeout = self.now; // drained at the top
                }
            }
            self.table.poll(self.now, &mut self.out);
            self.flush();
        }
    }

    fn next_event(&self) -> Instant {
        let wire = self.wire.keys().next().map(|(at, _)| *at);
        let clients = self.clients.iter().filter(|c| !c.dead).map(|c| c.timeout).min();
        let far = self.now + Duration::from_secs(3600);
        [wire, clients, self.table.next_deadline()].into_iter().flatten().min().unwrap_or(far)
    }

    fn drain_clients(&mut self) {
        let mut datagrams = Vec::new();
        for number in 0..self.clients.len() {
            if self.clients[number].dead {
                continue;
            }
            let address = self.clients[number].address;
            self.clients[number].drain(self.now, &mut datagrams);
            for (to, bytes) in datagrams.drain(..) {
                let from = self.nat[&address];
                self.tapped.push((from, bytes.clone()));
                self.transmit(from, to, bytes);
            }
        }
    }

    fn transmit(&mut self, from: SocketAddr, to: SocketAddr, mut bytes: Vec<u8>) {
        if self.bend_from == Some(from) && self.dice.roll(100) < self.bend_percent {
            bytes = crate::hostile::mutate(&mut self.dice, &bytes);
        }
        let unlucky = self.dice.roll(100) < self.loss_percent;
        if unlucky || self.loss_to_server_from.contains(&from) {
            return;
        }
        self.number += 1;
        self.wire.insert((self.now + LATENCY, self.number), (from, to, bytes));
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (from, to, bytes) = entry.remove();
            if to == self.server {
                self.table.receive(self.now, self.bound, from, &bytes, &mut self.out);
                self.flush();
                continue;
            }
            let nat = &self.nat;
            let target = self.clients.iter_mut().find(|c| nat[&c.address] == to && !c.dead);
            if let Some(client) = target {
                client.receive(self.now, from, &bytes);
                let mut datagrams = Vec::new();
                client.drain(self.now, &mut datagrams);
                let shown = nat[&client.address];
                for (to, bytes) in datagrams {
                    self.tapped.push((shown, bytes.clone()));
                    self.transmit(shown, to, bytes);
                }
            }
        }
    }

    fn flush(&mut self) {
        for transmit in std::mem::take(&mut self.out.transmits) {
            assert_eq!(transmit.local, self.bound);
            self.sent.push((self.now, transmit.to, transmit.bytes.clone()));
            self.transmit(self.server, transmit.to, transmit.bytes);
        }
        for (id, event) in std::mem::take(&mut self.out.events) {
            self.events.push((self.now, id, event));
        }
        for (id, packet) in std::mem::take(&mut self.out.rtp) {
            for route in &self.routes {
                if route.from == (id, packet.mid) {
                    let outgoing = OutgoingRtp {
                        stream: u64::from(packet.ssrc),
                        codec: route.codec.unwrap_or(packet.codec),
                        sequence: packet.sequence,
                        timestamp: packet.timestamp,
                        marker: packet.marker,
                        level: packet.level,
                        payload: packet.payload.clone(),
                    };
                    let _ = self.table.send_rtp(self.now, route.to.0, route.to.1, &outgoing);
                }
            }
            self.rtp.push((id, packet));
        }
        self.table.poll(self.now, &mut self.out);
        if !self.out.transmits.is_empty() || !self.out.events.is_empty() {
            self.flush();
        }
    }

    pub fn route(&mut self, from: usize, from_mid: &str, to: usize, to_mid: &str) {
        self.routes.push(Route {
            from: (PeerId(from as u64), mid(from_mid)),
            to: (PeerId(to as u64), mid(to_mid)),
            codec: None,
        });
    }

    pub fn events_of(&self, number: usize) -> Vec<PeerEvent> {
        let id = PeerId(number as u64);
        self.events.iter().filter(|(_, peer, _)| *peer == id).map(|(_, _, e)| e.clone()).collect()
    }

    pub fn when(&self, number: usize, event: &PeerEvent) -> Option<Instant> {
        let id = PeerId(number as u64);
        let found = self.events.iter().rev().find(|(_, peer, e)| *peer == id && e == event);
        found.map(|(at, ..)| *at)
    }
}
