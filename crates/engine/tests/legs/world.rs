//! An engine, phones, and the time between them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use switchroom_codecs::g711::Law;
use switchroom_codecs::tone::{Segment, ToneGenerator};
use switchroom_engine::command::{Command, Direction, LegCodec, LegMedia};
use switchroom_engine::event::{Event, LegEvent};
use switchroom_engine::stats::Stats;
use switchroom_engine::{Config, Engine, LegIds, LegKey, LegPort, Output, PlayerIds, PlayerSound};
use switchroom_rtp::{Header, Packet};

pub(crate) const FRAME: Duration = Duration::from_millis(20);
pub(crate) const DIGITS: u8 = 101;

/// A datagram that the engine sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) leg: LegKey,
    pub(crate) port: LegPort,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn header(&self) -> Header {
        self.packet().header
    }

    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet::parse(&self.bytes).unwrap()
    }
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) started: Instant,
    pub(crate) now: Instant,
    pub(crate) sent: Vec<Sent>,
    pub(crate) events: Vec<(Duration, Event)>,
    pub(crate) closed: Vec<LegKey>,
    output: Output,
    next_id: u64,
}

/// A phone and the leg that was opened for it.
#[derive(Debug, Clone)]
pub(crate) struct Phone {
    pub(crate) key: LegKey,
    pub(crate) ids: LegIds,
    pub(crate) address: SocketAddr,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl World {
    #[allow(clippy::disallowed_methods)] // the origin of the virtual time
    pub(crate) fn new() -> Self {
        let started = Instant::now();
        let config = Config {
            started,
            started_unix_ns: 1_700_000_000_000_000_000,
            seed: 7,
            rtc_advertised: Vec::new(),
        };
        Self {
            engine: Engine::new(config),
            started,
            now: started,
            sent: Vec::new(),
            events: Vec::new(),
            closed: Vec::new(),
            output: Output::default(),
            next_id: 0,
        }
    }

    pub(crate) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A leg for a phone that nothing has been negotiated with yet.
    pub(crate) fn open(&mut self) -> Phone {
        let ids = LegIds { leg: self.id(), source: self.id(), sink: self.id() };
        let port = 10_000 + ids.leg as u16 * 2;
        let key = self.engine.open_leg(ids, SocketAddr::from(([192, 0, 2, 1], port)));
        let address = SocketAddr::from(([198, 51, 100, ids.leg as u8], 4_000));
        let ssrc = 0x1000 + ids.leg as u32;
        Phone { key, ids, address, payload_type: 0, sequence: 65_500, timestamp: 77, ssrc }
    }

    /// A leg with a phone that speaks `payload_type` (0 or 8) and was heard already.
    pub(crate) fn call(&mut self, payload_type: u8) -> Phone {
        let mut phone = Phone { payload_type, ..self.open() };
        self.update(&phone, |_| {});
        self.say(&mut phone, 0x55);
        self.say(&mut phone, 0x55);
        self.forget();
        phone
    }

    /// What is negotiated by default, but for a change.
    pub(crate) fn update(&mut self, phone: &Phone, change: impl FnOnce(&mut LegMedia)) {
        let codec = |payload_type, name: &str| LegCodec {
            payload_type,
            name: name.to_owned(),
            clock_rate: 8_000,
            parameters: String::new(),
        };
        let mut codecs = vec![codec(0, "PCMU"), codec(8, "PCMA")];
        codecs.sort_by_key(|codec| codec.payload_type != phone.payload_type);
        let mut media = LegMedia {
            remote: Some(phone.address),
            codecs,
            digits: Some(codec(DIGITS, "telephone-event")),
            direction: Direction::SendRecv,
            ptime_ms: 20,
            media_timeout: None,
            first_timeout: None,
            crypto: None,
            rtcp_mux: false,
        };
        change(&mut media);
        self.command(Command::UpdateLeg { leg: phone.ids.leg, media });
    }

    pub(crate) fn hear(&mut self, phone: &Phone, sources: &[&Phone]) {
        let inputs = sources.iter().map(|source| (source.ids.source, 1.0)).collect();
        self.command(Command::SetInputs { sink: phone.ids.sink, inputs });
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.engine.command(self.now, command, &mut self.output);
        self.collect();
    }

    /// A tone that plays from now on: the number of its source.
    pub(crate) fn play(&mut self, hz: f64, level: f64, seconds: f64, repeat: bool) -> PlayerIds {
        let ids = PlayerIds { player: self.id(), source: self.id() };
        let segment = Segment { frequencies: vec![hz], duration: seconds };
        let tone = ToneGenerator::new(8_000, &[segment], level, repeat).unwrap();
        self.engine.play(self.now, ids, PlayerSound::Tone(tone));
        ids
    }

    /// A second of a tone at 16 kHz, again and again.
    pub(crate) fn play_wide(&mut self, hz: f64, level: f64) -> PlayerIds {
        let ids = PlayerIds { player: self.id(), source: self.id() };
        let segment = Segment { frequencies: vec![hz], duration: 2.0 };
        let mut samples = vec![0; 16_000];
        ToneGenerator::new(16_000, &[segment], level, false).unwrap().fill(&mut samples);
        let sound = PlayerSound::Samples { samples: samples.into(), rate: 16_000, repeat: true };
        self.engine.play(self.now, ids, sound);
        ids
    }

    /// The phone sends a packet now.
    pub(crate) fn say(&mut self, phone: &mut Phone, octet: u8) {
        self.say_payload(phone, &[octet; 160]);
    }

    pub(crate) fn say_payload(&mut self, phone: &mut Phone, payload: &[u8]) {
        let datagram = phone.next(payload);
        self.deliver(phone.key, phone.address, &datagram);
    }

    pub(crate) fn deliver(&mut self, key: LegKey, from: SocketAddr, datagram: &[u8]) {
        let output = &mut self.output;
        self.engine.leg_datagram(self.now, key, LegPort::Rtp, from, datagram, output);
        self.collect();
    }

    pub(crate) fn deliver_rtcp(&mut self, phone: &Phone, port: LegPort, datagram: &[u8]) {
        let from = match port {
            LegPort::Rtp => phone.address,
            LegPort::Rtcp => SocketAddr::new(phone.address.ip(), phone.address.port() + 1),
        };
        self.engine.leg_datagram(self.now, phone.key, port, from, datagram, &mut self.output);
        self.collect();
    }

    /// Lets time pass, with everything that is due in it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now, &mut self.output);
            self.collect();
        }
        self.now = until;
    }

    /// As if the engine had not been given the processor for so long.
    pub(crate) fn stall(&mut self, time: Duration) {
        self.now += time;
    }

    /// Packets at their pace, each phone saying its octet, for `frames` of 20 ms.
    pub(crate) fn talk(&mut self, frames: usize, phones: &mut [(&mut Phone, u8)]) {
        for _ in 0..frames {
            for (phone, octet) in &mut *phones {
                self.say(phone, *octet);
            }
            self.pass(FRAME);
        }
    }

    /// Forgets what was sent and told so far.
    pub(crate) fn forget(&mut self) {
        self.sent.clear();
        self.events.clear();
    }

    /// RTP packets sent to a phone.
    pub(crate) fn heard(&self, phone: &Phone) -> Vec<Sent> {
        let rtp = |sent: &&Sent| sent.leg == phone.key && sent.port == LegPort::Rtp;
        self.sent.iter().filter(rtp).cloned().collect()
    }

    /// What was told about a phone.
    pub(crate) fn told(&self, phone: &Phone) -> Vec<LegEvent> {
        let of_leg = |event: &Event| match event {
            Event::Leg { leg, event } if *leg == phone.ids.leg => Some(event.clone()),
            _ => None,
        };
        self.events.iter().filter_map(|(_, event)| of_leg(event)).collect()
    }

    pub(crate) fn stats(&mut self) -> Stats {
        self.command(Command::Stats { request: 1 });
        match self.events.pop() {
            Some((_, Event::Stats { stats, .. })) => *stats,
            other => panic!("{other:?}"),
        }
    }

    fn collect(&mut self) {
        let at = self.now - self.started;
        for packet in &self.output.leg_packets {
            let bytes = self.output.bytes(packet).to_vec();
            let (leg, port, to) = (packet.leg, packet.port, packet.to);
            self.sent.push(Sent { at, leg, port, to, bytes });
        }
        self.output.clear_packets();
        self.events.extend(self.output.events.drain(..).map(|event| (at, event)));
        self.closed.append(&mut self.output.closed_legs);
    }
}

impl Phone {
    /// Its next packet; number and time go on.
    pub(crate) fn next(&mut self, payload: &[u8]) -> Vec<u8> {
        let datagram = self.packet(self.payload_type, payload);
        self.skip(1);
        datagram
    }

    pub(crate) fn packet(&self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let header = Header {
            marker: false,
            payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        let mut datagram = Vec::new();
        header.write(payload, &mut datagram);
        datagram
    }

    /// As if packets of 20 ms had been sent.
    pub(crate) fn skip(&mut self, packets: u16) {
        self.sequence = self.sequence.wrapping_add(packets);
        self.timestamp = self.timestamp.wrapping_add(160 * u32::from(packets));
    }
}

/// That numbers count up by one and time by what the packets hold.
pub(crate) fn assert_continuous(packets: &[Sent]) {
    for pair in packets.windows(2) {
        let (a, b) = (pair[0].packet(), pair[1].packet());
        let at = pair[1].at;
        assert_eq!(b.header.ssrc, a.header.ssrc, "{at:?}");
        assert_eq!(b.header.sequence, a.header.sequence.wrapping_add(1), "{at:?}");
        let step = b.header.timestamp.wrapping_sub(a.header.timestamp);
        assert_eq!(step, a.payload.len() as u32, "{at:?}");
    }
}

/// That nothing is missing: continuous, and 50 packets a second.
pub(crate) fn assert_whole(packets: &[Sent], time: Duration) {
    assert_continuous(packets);
    let expected = time.as_millis() as usize / 20;
    assert!(packets.len().abs_diff(expected) <= 1, "{} packets in {time:?}", packets.len());
}

/// The samples that a phone hears.
pub(crate) fn decode(packets: &[Sent]) -> Vec<i16> {
    let mut samples = Vec::new();
    for sent in packets {
        let packet = sent.packet();
        let law = if packet.header.payload_type == 8 { Law::A } else { Law::Mu };
        let mut frame = vec![0; packet.payload.len()];
        law.decode(packet.payload, &mut frame);
        samples.append(&mut frame);
    }
    samples
}

/// The level of one frequency, in dB below the loudest square wave.
pub(crate) fn level_of(samples: &[i16], hz: f64) -> f64 {
    let step = std::f64::consts::TAU * hz / 8_000.0;
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let (sin, cos) = (step * at as f64).sin_cos();
        sine += f64::from(*sample) * sin;
        cosine += f64::from(*sample) * cos;
    }
    let amplitude = 2.0 * sine.hypot(cosine) / samples.len() as f64;
    20.0 * (amplitude / 32_768.0).log10() - 3.01
}

/// A second of a tone in packets of one law.
pub(crate) fn tone_packets(law: Law, hz: f64, level: f64) -> Vec<Vec<u8>> {
    let segment = Segment { frequencies: vec![hz], duration: 60.0 };
    let mut tone = ToneGenerator::new(8_000, &[segment], level, true).unwrap();
    let mut packet = || {
        let mut samples = [0; 160];
        tone.fill(&mut samples);
        let mut octets = Vec::new();
        law.encode_onto(&samples, &mut octets);
        octets
    };
    (0..50).map(|_| packet()).collect()
}
