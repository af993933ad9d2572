//! What the engine produced in one call: datagrams to send and news to tell.

use std::net::SocketAddr;

use crate::LegKey;
use crate::event::Event;
use crate::peer::Transmit;

/// Which of a leg's two sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegPort {
    /// The even one.
    Rtp,
    /// The odd one above it.
    Rtcp,
}

/// One datagram for a phone; its bytes lie in [`Output::bytes`].
#[derive(Debug, Clone, Copy)]
pub struct LegPacket {
    /// Whose socket.
    pub leg: LegKey,
    /// Which one.
    pub port: LegPort,
    /// Where to.
    pub to: SocketAddr,
    start: usize,
    end: usize,
}

/// Filled by the engine, emptied by its driver, and used again: nothing is allocated per packet.
#[derive(Debug, Default)]
pub struct Output {
    /// Datagrams to phones, in order.
    pub leg_packets: Vec<LegPacket>,
    bytes: Vec<u8>,
    /// Datagrams to WebRTC clients, in order.
    pub rtc_packets: Vec<Transmit>,
    /// News, in order.
    pub events: Vec<Event>,
    /// Legs whose sockets are to be closed once their datagrams are sent.
    pub closed_legs: Vec<LegKey>,
}

impl Output {
    /// The bytes of a datagram.
    #[must_use]
    pub fn bytes(&self, packet: &LegPacket) -> &[u8] {
        &self.bytes[packet.start..packet.end]
    }

    /// Forgets the datagrams, which have been sent.
    pub fn clear_packets(&mut self) {
        self.leg_packets.clear();
        self.bytes.clear();
    }

    /// Adds a datagram of which `write` appends the bytes; none if it appends nothing.
    pub(crate) fn send(
        &mut self,
        leg: LegKey,
        port: LegPort,
        to: SocketAddr,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let end = self.bytes.len();
        if start == end {
            return;
        }
        self.leg_packets.push(LegPacket { leg, port, to, start, end });
    }
}
