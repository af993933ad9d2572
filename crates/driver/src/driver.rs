//! The handle on the media thread.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Sender, unbounded};
use socket2::{Domain, Protocol, Socket, Type};
use switchroom_engine::command::Command;
use switchroom_engine::event::Event;
use switchroom_engine::{Config, Engine, LegIds, PlayerIds, PlayerSound};

use crate::DriverError;
use crate::news::{NewsReader, news};
use crate::ports::Ports;
use crate::system::WakeUp;
use crate::wav::Files;
use crate::worker::{Order, Worker, now};

/// Room for bursts on the socket that all clients share; the system may grant less.
const RTC_BUFFER: usize = 4 * 1024 * 1024;

/// What a driver is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverConfig {
    /// One WebRTC socket each. Every client is told all of them.
    pub rtc_addresses: Vec<RtcAddress>,
    /// Their UDP port; 0 lets the system choose.
    pub rtc_port: u16,
    /// First and last UDP port for legs.
    pub rtp_port_range: (u16, u16),
}

/// An address of ours for WebRTC clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtcAddress {
    /// What the socket is bound to.
    pub bound: IpAddr,
    /// What clients are told: another one where a 1:1 NAT lies between.
    pub advertised: IpAddr,
}

/// A running media thread. Dropping it stops the thread.
#[derive(Debug)]
pub struct Driver {
    orders: Sender<Order>,
    wake_up: Arc<WakeUp>,
    news: NewsReader,
    ports: Arc<Ports>,
    rtc_locals: Vec<SocketAddr>,
    random: AtomicU64,
    files: Files,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Driver {
    /// Opens the WebRTC sockets and starts the thread.
    pub fn start(config: &DriverConfig) -> Result<Self, DriverError> {
        let bind = |at: &RtcAddress| bind_rtc(SocketAddr::new(at.bound, config.rtc_port));
        let rtc = config.rtc_addresses.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
        let rtc_locals = rtc.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
        let told =
            |(at, local): (&RtcAddress, &SocketAddr)| SocketAddr::new(at.advertised, local.port());
        let rtc_advertised = config.rtc_addresses.iter().zip(&rtc_locals).map(told).collect();
        let seed = random_seed()?;
        let engine = Engine::new(engine_config(seed, rtc_advertised));
        let (orders, queue) = unbounded();
        let (writer, reader) = news()?;
        let wake_up = Arc::new(WakeUp::new()?);
        let ports = Arc::new(Ports::new(config.rtp_port_range));
        let worker = Worker::new(engine, rtc, queue, wake_up.clone(), writer, ports.clone())?;
        let thread = std::thread::Builder::new()
            .name("switchroom-media".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self {
            orders,
            wake_up,
            news: reader,
            ports,
            rtc_locals,
            random: AtomicU64::new(seed.rotate_left(32)),
            files: Files::default(),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Where the WebRTC sockets are bound.
    #[must_use]
    pub fn rtc_locals(&self) -> &[SocketAddr] {
        &self.rtc_locals
    }

    /// Binds a pair of ports for a leg at `ip`; the even one.
    pub fn open_leg(&self, ids: LegIds, ip: IpAddr) -> Result<u16, DriverError> {
        // An odd step through all numbers; the search begins at the upper, well-mixed half.
        let step = self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let sockets = self.ports.open(now(), ip, step >> 32)?;
        let port = sockets.local.port();
        match self.orders.send(Order::OpenLeg(ids, sockets)) {
            Ok(()) => {
                self.wake_up.wake();
                Ok(port)
            }
            Err(refused) => {
                if let Order::OpenLeg(_, sockets) = refused.into_inner() {
                    self.ports.close(now(), sockets);
                }
                Err(DriverError::Stopped)
            }
        }
    }

    /// Plays something from now on.
    pub fn play(&self, ids: PlayerIds, sound: PlayerSound) -> Result<(), DriverError> {
        self.orders.send(Order::Play(ids, sound)).map_err(|_| DriverError::Stopped)?;
        self.wake_up.wake();
        Ok(())
    }

    /// Reads a WAV file and plays it from now on.
    pub fn play_file(&self, ids: PlayerIds, path: &Path, repeat: bool) -> Result<(), DriverError> {
        let (samples, rate) = self.files.read(path)?;
        self.play(ids, PlayerSound::Samples { samples, rate, repeat })
    }

    /// Hands commands to the engine, which does them in order.
    pub fn submit(&self, commands: impl IntoIterator<Item = Command>) -> Result<(), DriverError> {
        for command in commands {
            self.orders.send(Order::Do(command)).map_err(|_| DriverError::Stopped)?;
        }
        self.wake_up.wake();
        Ok(())
    }

    /// What is new, in order.
    #[must_use]
    pub fn drain(&self) -> Vec<Event> {
        self.news.drain()
    }

    /// Readable while there is news.
    #[must_use]
    pub fn news_descriptor(&self) -> RawFd {
        self.news.descriptor()
    }

    /// Closes everything and waits for the thread to end.
    pub fn stop(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = thread.take() else { return };
        let _ = self.orders.send(Order::Stop);
        self.wake_up.wake();
        let _ = thread.join(); // a panic in there has been told as news
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop();
    }
}

#[expect(clippy::disallowed_methods, reason = "the driver is where the clocks are read")]
fn engine_config(seed: u64, rtc_advertised: Vec<SocketAddr>) -> Config {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Config {
        started: Instant::now(),
        started_unix_ns: since_1970.as_nanos() as u64,
        seed,
        rtc_advertised,
    }
}

fn bind_rtc(at: SocketAddr) -> Result<UdpSocket, DriverError> {
    let bind = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&at.into())?;
        let _ = socket.set_recv_buffer_size(RTC_BUFFER);
        let _ = socket.set_send_buffer_size(RTC_BUFFER);
        Ok(socket)
    };
    bind().map(Into::into).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => DriverError::PortInUse(at),
        _ => DriverError::Bind(at, error),
    })
}

fn random_seed() -> io::Result<u64> {
    let mut seed = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(u64::from_ne_bytes(seed))
}
