//! Pairs of RTP ports: an even one and the odd one above it (RFC 3550 §11), chosen at random.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::DriverError;

/// The two sockets of a leg.
#[derive(Debug)]
pub(crate) struct LegSockets {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    pub(crate) local: SocketAddr,
}

/// The range, and what of it is ours at the moment.
#[derive(Debug)]
pub(crate) struct Ports {
    range: (u16, u16),
    taken: Mutex<HashSet<SocketAddr>>,
}

impl Ports {
    pub(crate) fn new(range: (u16, u16)) -> Self {
        Self { range, taken: Mutex::default() }
    }

    /// Binds a pair at `ip`. `random` decides where the search begins.
    pub(crate) fn open(&self, ip: IpAddr, random: u64) -> Result<LegSockets, DriverError> {
        let first = u32::from(self.range.0).next_multiple_of(2);
        let pairs = (u32::from(self.range.1) + 1).saturating_sub(first) / 2;
        let mut taken = self.taken();
        for n in 0..pairs {
            let pair = (random % u64::from(pairs)) as u32 + n;
            let port = (first + pair % pairs * 2) as u16;
            let local = SocketAddr::new(ip, port);
            if taken.contains(&local) {
                continue;
            }
            match bind_pair(local) {
                Ok(sockets) => {
                    taken.insert(local);
                    return Ok(sockets);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(DriverError::BadAddress(ip, error)),
            }
        }
        Err(DriverError::NoPortAvailable(ip, self.range))
    }

    /// Closes the sockets of a leg; their ports are free.
    pub(crate) fn close(&self, sockets: LegSockets) {
        let local = sockets.local;
        drop(sockets);
        self.taken().remove(&local);
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<SocketAddr>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn every_pair_is_even_and_odd_and_in_the_range_until_none_is_left() {
        let ports = Ports::new((41_001, 41_009));
        let open: Vec<LegSockets> = (0..4).map(|n| ports.open(HERE, n * 7).unwrap()).collect();
        for sockets in &open {
            let at = sockets.local;
            assert_eq!(sockets.rtp.local_addr().unwrap(), at);
            assert_eq!(sockets.rtcp.local_addr().unwrap().port(), at.port() + 1);
            assert!(at.port().is_multiple_of(2) && (41_002..=41_008).contains(&at.port()));
        }
        let refused = ports.open(HERE, 1).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "no free pair of RTP ports from 41001 to 41009 on 127.0.0.1"
        );
        for sockets in open {
            ports.close(sockets);
        }
        assert!(ports.open(HERE, 3).is_ok());
    }

    #[test]
    fn a_port_that_somebody_else_has_is_passed_over() {
        let ports = Ports::new((41_020, 41_023));
        let other = UdpSocket::bind((HERE, 41_021)).unwrap();
        assert_eq!(ports.open(HERE, 0).unwrap().local.port(), 41_022);
        drop(other);
        assert_eq!(ports.open(HERE, 0).unwrap().local.port(), 41_020);
    }

    #[test]
    fn an_address_of_another_host_is_refused_by_name() {
        let refused = Ports::new((41_030, 41_039)).open("192.0.2.1".parse().unwrap(), 0);
        let text = refused.unwrap_err().to_string();
        assert!(text.starts_with("no RTP port can be opened on 192.0.2.1: "), "{text}");
    }
}
