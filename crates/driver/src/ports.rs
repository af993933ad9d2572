//! Pairs of RTP ports: an even one and the odd one above it (RFC 3550 §11), chosen at random.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::DriverError;

/// Stale media of a call that has ended must not enter another one.
const REST: Duration = Duration::from_secs(30);

/// The two sockets of a leg.
#[derive(Debug)]
pub(crate) struct LegSockets {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    pub(crate) local: SocketAddr,
}

/// The range, and what of it is free, at each of our addresses.
#[derive(Debug)]
pub(crate) struct Ports {
    range: (u16, u16),
    pools: Mutex<HashMap<IpAddr, Pool>>,
}

/// The even ports of the range at one address that no leg has.
#[derive(Debug)]
struct Pool {
    free: Vec<u16>,
    /// Closed not long ago, the first one first: what was sent to the old call may still come.
    resting: VecDeque<(Instant, u16)>,
}

impl Ports {
    pub(crate) fn new(range: (u16, u16)) -> Self {
        Self { range, pools: Mutex::default() }
    }

    /// Binds a pair at `ip`, any of the free ones as `random` has it. Ports of calls that have just
    /// ended are taken only if there are no others.
    pub(crate) fn open(
        &self,
        now: Instant,
        ip: IpAddr,
        random: u64,
    ) -> Result<LegSockets, DriverError> {
        let mut pools = self.pools();
        let pool = pools.entry(ip).or_insert_with(|| Pool::new(self.range));
        let mut refused = Vec::new();
        let opened = loop {
            let Some(port) = pool.take(now, random) else {
                break Err(DriverError::NoPortAvailable(ip, self.range));
            };
            match bind_pair(SocketAddr::new(ip, port)) {
                Ok(sockets) => break Ok(sockets),
                Err(error) => {
                    refused.push(port);
                    if error.kind() != io::ErrorKind::AddrInUse {
                        break Err(DriverError::BadAddress(ip, error));
                    }
                }
            }
        };
        // Somebody else's now; perhaps ours the next time.
        pool.free.extend(refused);
        if pool.is_whole(self.range) {
            pools.remove(&ip); // an address that is none of ours takes no memory
        }
        opened
    }

    /// Closes the sockets of a leg; their ports rest for a while.
    pub(crate) fn close(&self, now: Instant, sockets: LegSockets) {
        let local = sockets.local;
        drop(sockets);
        if let Some(pool) = self.pools().get_mut(&local.ip()) {
            pool.resting.push_back((now, local.port()));
        }
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<IpAddr, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn new(range: (u16, u16)) -> Self {
        Self { free: pairs(range).collect(), resting: VecDeque::new() }
    }

    fn take(&mut self, now: Instant, random: u64) -> Option<u16> {
        while let Some((closed, port)) = self.resting.front().copied()
            && now.saturating_duration_since(closed) >= REST
        {
            self.resting.pop_front();
            self.free.push(port);
        }
        if self.free.is_empty() {
            return self.resting.pop_front().map(|(_, port)| port);
        }
        let at = random % self.free.len() as u64;
        Some(self.free.swap_remove(at as usize))
    }

    fn is_whole(&self, range: (u16, u16)) -> bool {
        self.free.len() == pairs(range).len()
    }
}

/// The even ports whose odd neighbour is in the range, too.
fn pairs((first, last): (u16, u16)) -> impl ExactSizeIterator<Item = u16> {
    let first = u32::from(first).next_multiple_of(2);
    let count = (u32::from(last) + 1).saturating_sub(first) / 2;
    (0..count as usize).map(move |pair| (first as usize + pair * 2) as u16)
}

fn bind_pair(local: SocketAddr) -> io::Result<LegSockets> {
    let above = SocketAddr::new(local.ip(), local.port() + 1);
    Ok(LegSockets { rtp: bind(local)?, rtcp: bind(above)?, local })
}

fn bind(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(local)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning of time")]
    fn start() -> Instant {
        Instant::now()
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn every_pair_is_even_and_odd_and_in_the_range_until_none_is_left() {
        let ports = Ports::new((41_001, 41_009));
        let open: Vec<LegSockets> =
            (0..4).map(|n| ports.open(start(), HERE, n * 7).unwrap()).collect();
        for sockets in &open {
            let at = sockets.local;
            assert_eq!(sockets.rtp.local_addr().unwrap(), at);
            assert_eq!(sockets.rtcp.local_addr().unwrap().port(), at.port() + 1);
            assert!(at.port().is_multiple_of(2) && (41_002..=41_008).contains(&at.port()));
        }
        let refused = ports.open(start(), HERE, 1).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "no free pair of RTP ports from 41001 to 41009 on 127.0.0.1"
        );
        for sockets in open {
            ports.close(start(), sockets);
        }
        assert!(ports.open(start(), HERE, 3).is_ok());
    }

    #[test]
    fn a_port_rests_for_half_a_minute_unless_there_is_no_other() {
        let (ports, begun) = (Ports::new((41_040, 41_045)), start());
        let mut opened = Vec::new();
        for n in 0..3 {
            opened.push(ports.open(begun, HERE, n).unwrap());
        }
        let order: Vec<u16> = opened.iter().map(|sockets| sockets.local.port()).collect();
        for sockets in opened {
            ports.close(begun, sockets);
        }
        // None is rested: the one that was closed first.
        let again = ports.open(begun, HERE, 2).unwrap();
        assert_eq!(again.local.port(), order[0]);
        ports.close(begun + REST, again);
        let rested: Vec<LegSockets> =
            (5..7).map(|random| ports.open(begun + REST, HERE, random).unwrap()).collect();
        assert!(rested.iter().all(|sockets| sockets.local.port() != order[0]));
    }

    #[test]
    fn a_port_that_somebody_else_has_is_passed_over() {
        let (ports, begun) = (Ports::new((41_020, 41_023)), start());
        let other = UdpSocket::bind((HERE, 41_021)).unwrap();
        for random in 0..4 {
            let sockets = ports.open(begun + REST * random as u32, HERE, random).unwrap();
            assert_eq!(sockets.local.port(), 41_022);
            ports.close(begun + REST * random as u32, sockets);
        }
        let held = ports.open(begun + REST * 5, HERE, 0).unwrap();
        drop(other);
        assert_eq!(ports.open(begun + REST * 5, HERE, 0).unwrap().local.port(), 41_020);
        drop(held);
    }

    #[test]
    fn an_address_of_another_host_is_refused_by_name_and_forgotten() {
        let ports = Ports::new((41_030, 41_039));
        let refused = ports.open(start(), "192.0.2.1".parse().unwrap(), 0);
        let text = refused.unwrap_err().to_string();
        assert!(text.starts_with("no RTP port can be opened on 192.0.2.1: "), "{text}");
        assert!(ports.pools().is_empty());
    }
}
