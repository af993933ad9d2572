//! Finds the peer that a datagram belongs to, without keeping anything about strangers.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::PeerId;

/// Two small maps: ICE username fragments to peers, and proven addresses to peers.
///
/// STUN requests are found by the fragment that we invented (RFC 8445 §7.3), wherever they come
/// from. Everything else is found by the address it comes from, and an address gets in only after
/// a STUN request from it proved knowledge of the peer's ICE password. So a stranger leaves no
/// trace, and both maps grow with the number of peers only.
#[derive(Debug, Default)]
pub(super) struct Demux {
    fragments: HashMap<String, PeerId>,
    addresses: HashMap<SocketAddr, PeerId>,
}

impl Demux {
    pub(super) fn find(&self, from: SocketAddr, datagram: &[u8]) -> Option<PeerId> {
        match datagram.first()? {
            0..=3 => self.fragments.get(local_fragment(datagram)?).copied(),
            _ => self.addresses.get(&from).copied(),
        }
    }

    pub(super) fn add_fragment(&mut self, fragment: String, peer: PeerId) {
        self.fragments.insert(fragment, peer);
    }

    pub(super) fn remove_fragment(&mut self, fragment: &str) {
        self.fragments.remove(fragment);
    }

    /// An address belongs to the peer that proved itself last: NATs give ports to new flows.
    pub(super) fn add_address(&mut self, address: SocketAddr, peer: PeerId) {
        self.addresses.insert(address, peer);
    }

    pub(super) fn remove_address(&mut self, address: SocketAddr, peer: PeerId) {
        if self.addresses.get(&address) == Some(&peer) {
            self.addresses.remove(&address);
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.fragments.is_empty() && self.addresses.is_empty()
    }
}

/// The part before the colon of a STUN request's USERNAME (RFC 8445 §7.2.2: `remote:local` as the
/// sender sees it, so ours comes first).
fn local_fragment(datagram: &[u8]) -> Option<&str> {
    const HEADER: usize = 20;
    const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
    const USERNAME: u16 = 0x0006;
    if datagram.len() < HEADER || datagram[4..8] != MAGIC_COOKIE {
        return None;
    }
    let mut rest = &datagram[HEADER..];
    while let [t0, t1, l0, l1, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let value = tail.get(..length)?;
        if u16::from_be_bytes([*t0, *t1]) == USERNAME {
            return std::str::from_utf8(value).ok()?.split(':').next();
        }
        // RFC 8489 §14: values are padded to a multiple of four bytes.
        rest = tail.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut datagram = vec![0, 1];
        datagram.extend((body.len() as u16).to_be_bytes());
        datagram.extend([0x21, 0x12, 0xa4, 0x42]);
        datagram.extend([7; 12]);
        datagram.extend(body);
        datagram
    }

    #[test]
    fn a_request_is_found_by_our_fragment_wherever_it_comes_from() {
        let mut demux = Demux::default();
        demux.add_fragment("ours".into(), PeerId(4));
        let datagram = request(&[(0x8022, b"agent"), (6, b"ours:theirs")]);
        let from = "192.0.2.9:1000".parse().unwrap();
        assert_eq!(demux.find(from, &datagram), Some(PeerId(4)));
        assert_eq!(demux.find(from, &request(&[(6, b"theirs:ours")])), None);
    }

    #[test]
    fn other_datagrams_are_found_by_address_only() {
        let mut demux = Demux::default();
        let address = "192.0.2.9:1000".parse().unwrap();
        demux.add_address(address, PeerId(4));
        assert_eq!(demux.find(address, &[0x80, 0, 0, 0]), Some(PeerId(4)));
        assert_eq!(demux.find("192.0.2.9:1001".parse().unwrap(), &[0x80, 0, 0, 0]), None);
    }

    #[test]
    fn an_address_taken_over_by_another_peer_stays_with_it() {
        let mut demux = Demux::default();
        let address = "192.0.2.9:1000".parse().unwrap();
        demux.add_address(address, PeerId(4));
        demux.add_address(address, PeerId(5));
        demux.remove_address(address, PeerId(4));
        assert_eq!(demux.find(address, &[0x80]), Some(PeerId(5)));
        demux.remove_address(address, PeerId(5));
        assert!(demux.is_empty());
    }

    #[test]
    fn every_truncation_of_a_request_is_nobodys_or_the_same_peers() {
        let mut demux = Demux::default();
        demux.add_fragment("ours".into(), PeerId(4));
        let datagram = request(&[(0x24, &[0; 4]), (6, b"ours:theirs"), (0x8028, &[0; 4])]);
        let from = "192.0.2.9:1000".parse().unwrap();
        for length in 0..datagram.len() {
            let found = demux.find(from, &datagram[..length]);
            assert!(matches!(found, None | Some(PeerId(4))));
        }
        for lie in 0..=u8::MAX {
            let mut bent = datagram.clone();
            bent[23] = lie;
            let _ = demux.find(from, &bent);
        }
    }
}
