//! An engine with clients and phones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use switchroom_engine::command::{Command, Direction, LegCodec, LegMedia, PeerCommand};
use switchroom_engine::event::{Event, PeerReply};
use switchroom_engine::peer::{Mid, PeerKind};
use switchroom_engine::stats::Stats;
use switchroom_engine::{Config, Engine, LegIds, LegKey, LegPort, Output};
use switchroom_netem::{Conditions, Link};
use switchroom_rtp::{Header, Packet};

use crate::client::{self, Client};

const STEP: Duration = Duration::from_millis(1);
const LATENCY: Duration = Duration::from_millis(5);
pub const SERVER: &str = "198.51.100.1:7882";

pub fn mid(name: &str) -> Mid {
    Mid::parse(name).unwrap()
}

/// A client in the engine: it sends on `s0`, and is sent to on `r0`, `r1`, `r2`.
pub struct Guest {
    pub client: Client,
    pub peer: u64,
    pub source: u64,
    pub sinks: [u64; 3],
}

pub struct Phone {
    pub key: LegKey,
    pub ids: LegIds,
    pub address: SocketAddr,
    pub heard: Vec<Vec<u8>>,
    /// When each of those was sent, with its header.
    pub headers: Vec<(Instant, Header)>,
    sequence: u16,
    timestamp: u32,
}

pub struct World {
    pub engine: Engine,
    pub now: Instant,
    pub guests: Vec<Guest>,
    pub phones: Vec<Phone>,
    pub events: Vec<Event>,
    out: Output,
    wire: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    /// What lies between the clients and us, if it is not a perfect wire.
    uplink: Option<Link<(SocketAddr, Vec<u8>)>>,
    number: u64,
}

impl World {
    #[allow(clippy::disallowed_methods)] // the origin of the virtual time
    pub fn new() -> Self {
        let now = Instant::now();
        let engine = Engine::new(Config {
            started: now,
            started_unix_ns: 1_700_000_000_000_000_000,
            seed: 11,
            rtc_advertised: vec![SERVER.parse().unwrap()],
        });
        Self {
            engine,
            now,
            guests: Vec::new(),
            phones: Vec::new(),
            events: Vec::new(),
            out: Output::default(),
            wire: BTreeMap::new(),
            uplink: None,
            number: 100,
        }
    }

    /// What the clients' datagrams suffer from now on.
    pub fn worsen(&mut self, conditions: Conditions) {
        let uplink = self.uplink.get_or_insert_with(|| Link::new(4, conditions));
        uplink.set_conditions(conditions);
    }

    fn id(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub fn command(&mut self, command: Command) {
        self.engine.command(self.now, command, &mut self.out);
        self.flush();
    }

    pub fn peer(&mut self, peer: u64, command: PeerCommand) {
        self.command(Command::Peer { peer, command });
    }

    /// A client joins. `change` may rewrite its offer.
    pub fn join(&mut self, change: impl Fn(String) -> String) -> usize {
        let number = self.guests.len();
        let address = SocketAddr::from(([203, 0, 113, number as u8 + 1], 40_000));
        let mut client = Client::new(self.now, address);
        for name in ["r0", "r1", "r2"] {
            client.add_section(name, client::Direction::RecvOnly);
        }
        client.add_section("s0", client::Direction::SendOnly);
        let (peer, source) = (self.id(), self.id());
        let sinks = [self.id(), self.id(), self.id()];
        self.peer(peer, PeerCommand::Open { kind: PeerKind::Answerer });
        let sdp = change(client.offer());
        self.peer(peer, PeerCommand::AcceptOffer { request: 1, sdp });
        let answer = match self.events.pop() {
            Some(Event::PeerReply { result: Ok(PeerReply::Answer(answer)), .. }) => answer,
            other => panic!("{other:?}"),
        };
        client.accept_answer(&answer, SERVER.parse().unwrap());
        self.peer(peer, PeerCommand::Receive { mid: mid("s0"), source });
        for (n, sink) in sinks.into_iter().enumerate() {
            self.peer(peer, PeerCommand::Send { mid: mid(&format!("r{n}")), sink });
        }
        self.guests.push(Guest { client, peer, source, sinks });
        self.pass(Duration::from_millis(300));
        assert!(self.guests[number].client.connected);
        number
    }

    /// A phone is called and answers, with G.711 µ-law.
    pub fn call(&mut self) -> usize {
        let ids = LegIds { leg: self.id(), source: self.id(), sink: self.id() };
        let number = self.phones.len();
        let key = self.engine.open_leg(ids, SocketAddr::from(([198, 51, 100, 1], 10_000)));
        let address = SocketAddr::from(([192, 0, 2, number as u8 + 1], 4_000));
        let codec = |payload_type, name: &str| LegCodec {
            payload_type,
            name: name.to_owned(),
            clock_rate: 8_000,
            parameters: String::new(),
        };
        let media = LegMedia {
            remote: Some(address),
            codecs: vec![codec(0, "PCMU")],
            digits: Some(codec(101, "telephone-event")),
            direction: Direction::SendRecv,
            ptime_ms: 20,
            media_timeout: None,
            first_timeout: None,
            crypto: None,
            rtcp_mux: false,
        };
        self.command(Command::UpdateLeg { leg: ids.leg, media });
        let (heard, headers) = (Vec::new(), Vec::new());
        self.phones.push(Phone { key, ids, address, heard, headers, sequence: 9, timestamp: 77 });
        for _ in 0..2 {
            self.say(number, &[0xff; 160]);
        }
        number
    }

    /// A phone sends 20 ms of sound now.
    pub fn say(&mut self, phone: usize, payload: &[u8]) {
        let phone = &mut self.phones[phone];
        phone.sequence = phone.sequence.wrapping_add(1);
        phone.timestamp = phone.timestamp.wrapping_add(160);
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: phone.sequence,
            timestamp: phone.timestamp,
            ssrc: 0xabcd,
        };
        let mut datagram = Vec::new();
        header.write(payload, &mut datagram);
        let (key, address) = (phone.key, phone.address);
        let out = &mut self.out;
        self.engine.leg_datagram(self.now, key, LegPort::Rtp, address, &datagram, out);
        self.flush();
    }

    pub fn hears(&mut self, sink: u64, sources: &[u64]) {
        let inputs = sources.iter().map(|source| (*source, 1.0)).collect();
        self.command(Command::SetInputs { sink, inputs });
    }

    /// Calls `talk` every 20 ms.
    pub fn talk(&mut self, milliseconds: u64, mut talk: impl FnMut(&mut Self)) {
        for _ in 0..milliseconds / 20 {
            talk(self);
            self.pass(Duration::from_millis(20));
        }
    }

    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += STEP;
            self.deliver();
            let mut sent = Vec::new();
            for guest in &mut self.guests {
                if !guest.client.dead {
                    let mut datagrams = Vec::new();
                    guest.client.drain(self.now, &mut datagrams);
                    let from = guest.client.address;
                    sent.extend(datagrams.into_iter().map(|(to, bytes)| (from, to, bytes)));
                }
            }
            for (from, to, bytes) in sent {
                self.transmit(from, to, bytes);
            }
            self.engine.handle_timeout(self.now, &mut self.out);
            self.flush();
        }
    }

    pub fn stats(&mut self) -> Stats {
        self.command(Command::Stats { request: 1 });
        match self.events.pop() {
            Some(Event::Stats { stats, .. }) => *stats,
            other => panic!("{other:?}"),
        }
    }

    pub fn forget(&mut self) {
        self.events.clear();
        self.guests.iter_mut().for_each(|guest| guest.client.received.clear());
        self.phones.iter_mut().for_each(|phone| (phone.heard, phone.headers) = Default::default());
    }

    fn transmit(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        if let Some(uplink) = self.uplink.as_mut().filter(|_| to == SERVER.parse().unwrap()) {
            uplink.send(self.now, (from, bytes));
            return;
        }
        self.number += 1;
        self.wire.insert((self.now + LATENCY, self.number), (from, to, bytes));
    }

    fn deliver(&mut self) {
        let now = self.now;
        while let Some((_, (from, bytes))) = self.uplink.as_mut().and_then(|up| up.receive(now)) {
            let to = SERVER.parse().unwrap();
            self.engine.rtc_datagram(self.now, to, from, &bytes, &mut self.out);
            self.flush();
        }
        while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= self.now) {
            let (from, to, bytes) = entry.remove();
            if to == SERVER.parse().unwrap() {
                self.engine.rtc_datagram(self.now, to, from, &bytes, &mut self.out);
                self.flush();
                continue;
            }
            let reached = |guest: &&mut Guest| guest.client.address == to && !guest.client.dead;
            let Some(guest) = self.guests.iter_mut().find(reached) else { continue };
            guest.client.receive(self.now, from, &bytes);
            let mut datagrams = Vec::new();
            guest.client.drain(self.now, &mut datagrams);
            for (to, bytes) in datagrams {
                let at = self.now + LATENCY;
                self.number += 1;
                self.wire.insert((at, self.number), (guest.client.address, to, bytes));
            }
        }
    }

    fn flush(&mut self) {
        for transmit in std::mem::take(&mut self.out.rtc_packets) {
            self.transmit(transmit.local, transmit.to, transmit.bytes);
        }
        for packet in &self.out.leg_packets {
            let phone = self.phones.iter_mut().find(|phone| phone.key == packet.leg);
            if let Some(phone) = phone.filter(|_| packet.port == LegPort::Rtp) {
                let sent = Packet::parse(self.out.bytes(packet)).unwrap();
                phone.heard.push(sent.payload.to_vec());
                phone.headers.push((self.now, sent.header));
            }
        }
        self.out.clear_packets();
        self.events.append(&mut self.out.events);
    }
}
