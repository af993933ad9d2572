//! The sound of one phone: sends a packet every 20 ms, and looks closely at what arrives.

use std::io;
use std::net::{IpAddr, SocketAddr};

use switchroom_codecs::g711::Law;
use switchroom_codecs::level;
use switchroom_rtp::{Header, Packet};

use crate::ear::Ear;
use crate::measure::Figures;
use crate::sound::{AUDIBLE, FRAME, Play, Sounds};
use crate::system::{Inbox, StampedSocket, now_ns};

/// Pairs of ports tried before giving up.
const PORTS_TRIED: usize = 500;

/// One phone's RTP in both directions.
pub(crate) struct Stream {
    socket: StampedSocket,
    /// Reports are let come and not read: what counts is that their port is this phone's.
    _rtcp: StampedSocket,
    /// Where sound is sent; `None` while there is nowhere yet.
    pub(crate) remote: Option<SocketAddr>,
    header: Header,
    /// Frames of the sound played so far.
    position: usize,
    last_sent: Option<u64>,
    pub(crate) ear: Ear,
}

impl Stream {
    /// `number` sets the phone's place in the sound, and its identifiers; the search for ports
    /// begins at `first_port`.
    pub(crate) fn open(ip: IpAddr, number: u32, first_port: u16) -> io::Result<Self> {
        let (socket, rtcp) = bind_pair(ip, first_port)?;
        let header = Header {
            ssrc: 0x5000_0000 + number,
            sequence: (number * 977) as u16,
            timestamp: number.wrapping_mul(7_919),
            ..Header::default()
        };
        Ok(Self {
            socket,
            _rtcp: rtcp,
            remote: None,
            header,
            position: number as usize * 37,
            last_sent: None,
            ear: Ear::default(),
        })
    }

    pub(crate) fn port(&self) -> io::Result<u16> {
        self.socket.port()
    }

    /// Sends the next packet, due at `due`. Returns when, if a burst begins with it.
    pub(crate) fn send(
        &mut self,
        due: u64,
        sounds: &Sounds,
        play: Play,
        figures: Option<&mut Figures>,
    ) -> Option<u64> {
        let remote = self.remote?;
        let next = sounds.frame(play, self.position);
        let mut datagram = [0; Header::SIZE + FRAME];
        datagram[..Header::SIZE].copy_from_slice(&self.header.to_bytes());
        datagram[Header::SIZE..].copy_from_slice(&next.frame.payload);
        let now = now_ns();
        self.socket.send(&datagram, remote);
        if let Some(figures) = figures {
            let audible = next.frame.audible;
            figures.note_sent(now, due, &mut self.last_sent, audible, next.burst_begins);
        }
        self.last_sent = Some(now);
        self.position += 1;
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(FRAME as u32);
        next.burst_begins.then_some(now)
    }

    /// Reads what has arrived. Returns the arrival of a burst's first packet, if there is one.
    pub(crate) fn receive(
        &mut self,
        inbox: &mut Inbox,
        mut figures: Option<&mut Figures>,
    ) -> Option<u64> {
        let mut burst = None;
        let Self { socket, ear, .. } = self;
        socket.drain(inbox, |at, _, datagram| {
            let Ok(packet) = Packet::parse(datagram) else { return };
            let audible = level::of_g711(Law::Mu, packet.payload) <= AUDIBLE;
            let sequence = packet.header.sequence;
            burst = ear.hear(at, sequence, audible, figures.as_deref_mut()).or(burst);
        });
        burst
    }
}

/// An even port and the odd one above it (RFC 3550 §11).
fn bind_pair(ip: IpAddr, first_port: u16) -> io::Result<(StampedSocket, StampedSocket)> {
    let mut result = Err(io::ErrorKind::AddrInUse.into());
    for port in (first_port & !1..u16::MAX - 1).step_by(2).take(PORTS_TRIED) {
        result = StampedSocket::bind(SocketAddr::new(ip, port)).and_then(|rtp| {
            let rtcp = StampedSocket::bind(SocketAddr::new(ip, port + 1))?;
            Ok((rtp, rtcp))
        });
        if result.is_ok() {
            break;
        }
    }
    result
}
