//! The media thread: wait, receive, let the engine work, send.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use switchroom_engine::command::Command;
use switchroom_engine::event::Event;
use switchroom_engine::{Engine, LegIds, LegKey, LegPort, Output, PlayerIds, PlayerSound};

use crate::news::NewsWriter;
use crate::ports::{LegSockets, Ports};
use crate::system::{DatagramReader, DatagramWriter, Poll, ROUND, WakeUp, hurry};

/// Datagrams taken from the clients' socket at once, and from a leg's.
const RTC_BATCH: usize = 64;
const LEG_BATCH: usize = 8;
/// Datagrams taken from one socket before the others get their turn.
const FAIR_SHARE: usize = 256;
/// Rounds of waiting before deadlines get their turn: enough for every leg of a full range.
const MAX_ROUNDS: usize = 40;
/// How soon to look again whether Python has taken the news that was held back.
const BEHIND: Duration = Duration::from_millis(100);

const WAKE_UP: u64 = 0;
const RTC: u64 = 1 << 32;
const LEG_RTP: u64 = 2 << 32;
const LEG_RTCP: u64 = 3 << 32;

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Order {
    OpenLeg(LegIds, LegSockets),
    Play(PlayerIds, PlayerSound),
    Do(Command),
    Stop,
}

pub(crate) struct Worker {
    engine: Engine,
    output: Output,
    poll: Poll,
    rtc: Vec<UdpSocket>,
    rtc_locals: Vec<SocketAddr>,
    legs: Vec<Option<LegSockets>>,
    orders: Receiver<Order>,
    wake_up: Arc<WakeUp>,
    news: NewsWriter,
    ports: Arc<Ports>,
    running: bool,
}

/// What the thread receives into and sends from; it cannot be moved between threads.
struct Buffers {
    reader: DatagramReader,
    writer: DatagramWriter,
}

impl Worker {
    pub(crate) fn new(
        engine: Engine,
        rtc: Vec<UdpSocket>,
        orders: Receiver<Order>,
        wake_up: Arc<WakeUp>,
        news: NewsWriter,
        ports: Arc<Ports>,
    ) -> std::io::Result<Self> {
        let poll = Poll::new()?;
        poll.add(&wake_up.descriptor(), WAKE_UP)?;
        for (at, socket) in rtc.iter().enumerate() {
            poll.add(socket, RTC | at as u64)?;
        }
        let rtc_locals = rtc.iter().map(UdpSocket::local_addr).collect::<Result<_, _>>()?;
        let (output, legs) = (Output::default(), Vec::new());
        let running = true;
        Ok(Self {
            engine,
            output,
            poll,
            rtc,
            rtc_locals,
            legs,
            orders,
            wake_up,
            news,
            ports,
            running,
        })
    }

    /// Until it is told to stop.
    pub(crate) fn run(mut self) {
        hurry();
        let worked = catch_unwind(AssertUnwindSafe(|| self.work()));
        let reason = match worked {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => Some(reason_of(panic.as_ref())),
        };
        for sockets in self.legs.drain(..).flatten() {
            self.ports.close(now(), sockets);
        }
        // Legs whose opening was not seen any more.
        for order in self.orders.try_iter() {
            if let Order::OpenLeg(ids, sockets) = order {
                self.engine.open_leg(ids, sockets.local);
                self.ports.close(now(), sockets);
            }
        }
        if let Some(reason) = reason {
            let failed = Event::EngineFailed { reason };
            self.news.tell(&mut [failed].into_iter().chain(self.engine.last_words()).collect());
        }
    }

    fn work(&mut self) -> std::io::Result<()> {
        let mut buffers =
            Buffers { reader: DatagramReader::new(RTC_BATCH), writer: DatagramWriter::new() };
        let mut ready = Vec::new();
        while self.running {
            self.poll.wait(self.timeout(), &mut ready)?;
            let mut woken = false;
            for _ in 0..MAX_ROUNDS {
                let more = ready.len() == ROUND;
                for token in ready.drain(..) {
                    woken |= !self.receive(token, &mut buffers);
                }
                if !more {
                    break;
                }
                // Before any deadline is judged: the packet it waits for may be here.
                self.poll.wait(Some(Duration::ZERO), &mut ready)?;
            }
            // After the sockets: no token may mean a leg that was opened later.
            if woken {
                self.obey(&mut buffers);
            }
            self.engine.handle_timeout(now(), &mut self.output);
            self.deliver(&mut buffers);
            self.news.tell(&mut self.output.events);
        }
        Ok(())
    }

    /// Reads what is readable; false if that is the wake-up.
    fn receive(&mut self, token: u64, buffers: &mut Buffers) -> bool {
        match (token >> 32 << 32, (token & 0xFFFF_FFFF) as usize) {
            (RTC, at) => self.receive_rtc(at, buffers),
            (LEG_RTP, at) => self.receive_leg(LegKey(at), LegPort::Rtp, buffers),
            (LEG_RTCP, at) => self.receive_leg(LegKey(at), LegPort::Rtcp, buffers),
            _ => return false,
        }
        true
    }

    fn timeout(&self) -> Option<Duration> {
        let deadline = self.engine.next_deadline();
        let wait = deadline.map(|deadline| deadline.saturating_duration_since(now()));
        if self.news.is_behind() { Some(wait.unwrap_or(BEHIND).min(BEHIND)) } else { wait }
    }

    fn receive_rtc(&mut self, at: usize, buffers: &mut Buffers) {
        let (Some(socket), Some(local)) = (self.rtc.get(at), self.rtc_locals.get(at)) else {
            return;
        };
        for _ in 0..FAIR_SHARE / RTC_BATCH {
            let count = buffers.reader.receive(socket.as_raw_fd(), RTC_BATCH);
            let now = now();
            for (from, bytes) in (0..count).filter_map(|n| buffers.reader.datagram(n)) {
                self.engine.rtc_datagram(now, *local, from, bytes, &mut self.output);
            }
            if count < RTC_BATCH {
                break;
            }
        }
    }

    fn receive_leg(&mut self, key: LegKey, port: LegPort, buffers: &mut Buffers) {
        for _ in 0..FAIR_SHARE / LEG_BATCH {
            let Some(Some(sockets)) = self.legs.get(key.0) else { return };
            let socket = if port == LegPort::Rtp { &sockets.rtp } else { &sockets.rtcp };
            let count = buffers.reader.receive(socket.as_raw_fd(), LEG_BATCH);
            let now = now();
            for (from, bytes) in (0..count).filter_map(|n| buffers.reader.datagram(n)) {
                self.engine.leg_datagram(now, key, port, from, bytes, &mut self.output);
            }
            self.send_leg_packets();
            if count < LEG_BATCH {
                break;
            }
        }
    }

    fn obey(&mut self, buffers: &mut Buffers) {
        self.wake_up.clear();
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::OpenLeg(ids, sockets) => self.open_leg(ids, sockets),
                Order::Play(ids, sound) => self.engine.play(now(), ids, sound),
                Order::Do(command) => self.engine.command(now(), command, &mut self.output),
                Order::Stop => {
                    self.engine.close_all(now(), &mut self.output);
                    self.running = false;
                }
            }
            self.deliver(buffers);
        }
    }

    fn open_leg(&mut self, ids: LegIds, sockets: LegSockets) {
        let key = self.engine.open_leg(ids, sockets.local);
        let watched = self
            .poll
            .add(&sockets.rtp, LEG_RTP | key.0 as u64)
            .and_then(|()| self.poll.add(&sockets.rtcp, LEG_RTCP | key.0 as u64));
        if watched.is_err() {
            // Out of watches (fs.epoll.max_user_watches): the leg sends, hears nothing, and ends by
            // its media timeout.
            self.output.events.push(Event::Leg {
                leg: ids.leg,
                event: switchroom_engine::event::LegEvent::MediaTimedOut,
            });
        }
        if self.legs.len() <= key.0 {
            self.legs.resize_with(key.0 + 1, || None);
        }
        self.legs[key.0] = Some(sockets);
    }

    /// Sends everything, then closes what was closed.
    fn deliver(&mut self, buffers: &mut Buffers) {
        self.send_leg_packets();
        self.send_rtc_packets(buffers);
        for key in self.output.closed_legs.drain(..) {
            if let Some(sockets) = self.legs.get_mut(key.0).and_then(Option::take) {
                self.ports.close(now(), sockets);
            }
        }
    }

    fn send_rtc_packets(&mut self, buffers: &mut Buffers) {
        let packets = &self.output.rtc_packets;
        if packets.is_empty() {
            return;
        }
        for (socket, local) in self.rtc.iter().zip(&self.rtc_locals) {
            let from_here = packets.iter().filter(|packet| packet.local == *local);
            let datagrams = from_here.map(|packet| (packet.to, &packet.bytes[..]));
            buffers.writer.send(socket.as_raw_fd(), datagrams);
        }
        self.output.rtc_packets.clear();
    }

    fn send_leg_packets(&mut self) {
        for packet in &self.output.leg_packets {
            let Some(Some(sockets)) = self.legs.get(packet.leg.0) else { continue };
            let socket = if packet.port == LegPort::Rtp { &sockets.rtp } else { &sockets.rtcp };
            // What the system does not take is lost, as datagrams are.
            let _ = socket.send_to(self.output.bytes(packet), packet.to);
        }
        self.output.clear_packets();
    }
}

#[expect(clippy::disallowed_methods, reason = "the driver is where the clock is read")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn reason_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the media thread panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::news::news;
    use switchroom_engine::Config;
    use switchroom_engine::event::LegEvent;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_thread_that_fails_leaves_nobody_waiting_and_no_port_behind() {
        let config =
            Config { started: now(), started_unix_ns: 0, seed: 1, rtc_advertised: Vec::new() };
        let (orders, queue) = crossbeam_channel::unbounded();
        let (writer, reader) = news().unwrap();
        let ports = Arc::new(Ports::new((41_050, 41_053)));
        let wake_up = Arc::new(WakeUp::new().unwrap());
        let engine = Engine::new(config);
        let mut worker =
            Worker::new(engine, Vec::new(), queue, wake_up, writer, ports.clone()).unwrap();
        let ids = |leg| LegIds { leg, source: leg + 1, sink: leg + 2 };
        worker.open_leg(ids(10), ports.open(now(), HERE, 0).unwrap());
        let player = PlayerIds { player: 30, source: 31 };
        let sound = PlayerSound::Samples { samples: [0; 8].into(), rate: 8_000, repeat: true };
        worker.engine.play(now(), player, sound);
        // One that it had no time to look at.
        orders.send(Order::OpenLeg(ids(20), ports.open(now(), HERE, 0).unwrap())).unwrap();
        worker.poll = Poll::broken().unwrap();
        worker.run();
        let told = reader.drain();
        assert!(matches!(&told[0], Event::EngineFailed { .. }), "{told:?}");
        let over = |leg| Event::Leg { leg, event: LegEvent::MediaTimedOut };
        assert_eq!(told[1..], [over(10), over(20), Event::PlayerFinished { player: 30 }]);
        assert!((0..2).all(|_| ports.open(now(), HERE, 0).is_ok()));
    }
}
