//! Where a client is. str0m sees one address that never changes; this knows the real ones.
//!
//! An ICE-lite agent answers checks and sends to the pair that the client nominated. str0m keeps
//! a live pair for about 13 seconds after the client has moved to another address (a NAT that
//! gave it a new port). So all checks are shown to str0m as coming from one constant address, the
//! answers are sent to where each check really came from, and media goes to the source of the last
//! check with USE-CANDIDATE that str0m answered. An answer proves that the check carried the
//! right password (RFC 8445 §7.3); checks without USE-CANDIDATE must not move media, because a
//! client that restarts ICE probes from several sockets.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use str0m::ice::{StunMessage, TransId};

use super::identity::Identity;

/// Checks that wait for str0m's answer. It answers at once, except before it knows the client's
/// credentials.
const MAX_CHECKS: usize = 16;
/// Proven addresses of one client. A phone between two networks has four at most.
const MAX_ADDRESSES: usize = 8;

/// A pair of addresses over which datagrams flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

#[derive(Debug)]
struct Check {
    id: TransId,
    path: Path,
    nominates: bool,
}

/// What an answer of str0m to a check brought about.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) path: Path,
    pub(super) bytes: Vec<u8>,
    /// The client chose this path.
    pub(super) nominated: bool,
    /// The address is new, and perhaps an old one was given up for it.
    pub(super) learned: Option<SocketAddr>,
    pub(super) forgotten: Option<SocketAddr>,
}

#[derive(Debug)]
pub(super) struct Paths {
    shown_local: SocketAddr,
    shown_remote: SocketAddr,
    identity: Arc<Identity>,
    checks: VecDeque<Check>,
    /// Oldest proof first.
    addresses: VecDeque<SocketAddr>,
    active: Option<Path>,
}

impl Paths {
    /// `shown_local` is the one of our addresses that str0m believes all traffic to use.
    pub(super) fn new(shown_local: SocketAddr, identity: Arc<Identity>) -> Self {
        // Documentation addresses (RFC 5737, RFC 3849): they stay inside of this process.
        let documentation: IpAddr = match shown_local {
            SocketAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
            SocketAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        };
        Self {
            shown_local,
            shown_remote: SocketAddr::new(documentation, 9),
            identity,
            checks: VecDeque::new(),
            addresses: VecDeque::new(),
            active: None,
        }
    }

    /// Source and destination under which str0m is given a datagram.
    pub(super) fn shown(&self) -> (SocketAddr, SocketAddr) {
        (self.shown_remote, self.shown_local)
    }

    /// Where media goes.
    pub(super) fn active(&self) -> Option<Path> {
        self.active
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.addresses.iter().copied()
    }

    pub(super) fn is_proven(&self, remote: SocketAddr) -> bool {
        self.addresses.contains(&remote)
    }

    /// Whether this is a check with the right password. Where it came from is remembered until
    /// str0m answers it; other messages never get as far as str0m.
    pub(super) fn check_arrived(
        &mut self,
        message: &StunMessage<'_>,
        path: Path,
        password: &str,
    ) -> bool {
        let hmac = |key: &[u8], parts: &[&[u8]]| self.identity.hmac_sha1(key, parts);
        if !message.is_binding_request() || !message.verify(password.as_bytes(), hmac) {
            return false;
        }
        if self.checks.len() == MAX_CHECKS {
            self.checks.pop_front();
        }
        let (id, nominates) = (message.trans_id(), message.use_candidate());
        self.checks.push_back(Check { id, path, nominates });
        true
    }

    /// Sends str0m's answer where the check came from, with that address in it.
    pub(super) fn answer(&mut self, bytes: Vec<u8>, password: &str) -> Option<Answer> {
        let message = StunMessage::parse(&bytes).ok()?;
        let at = self.checks.iter().position(|check| check.id == message.trans_id())?;
        let check = self.checks.remove(at)?;
        let proven = message.is_successful_binding_response();
        let mut answer = Answer {
            path: check.path,
            bytes: Vec::new(),
            nominated: proven && check.nominates,
            learned: None,
            forgotten: None,
        };
        answer.bytes = if proven { self.mapped_to(&check, password)? } else { bytes };
        if answer.nominated {
            self.active = Some(check.path);
        }
        if proven {
            (answer.learned, answer.forgotten) = self.prove(check.path.remote);
        }
        Some(answer)
    }

    /// The success response with the client's real address (RFC 8489 §14.2): str0m wrote the one
    /// that it was shown.
    fn mapped_to(&self, check: &Check, password: &str) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 128];
        let hmac = |key: &[u8], parts: &[&[u8]]| self.identity.hmac_sha1(key, parts);
        let length = StunMessage::binding_reply(check.id, check.path.remote)
            .to_bytes(Some(password.as_bytes()), &mut bytes, hmac)
            .ok()?;
        bytes.truncate(length);
        Some(bytes)
    }

    fn prove(&mut self, address: SocketAddr) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let known = self.addresses.iter().position(|known| *known == address);
        if let Some(at) = known {
            self.addresses.remove(at);
        }
        self.addresses.push_back(address);
        let learned = known.is_none().then_some(address);
        if self.addresses.len() <= MAX_ADDRESSES {
            return (learned, None);
        }
        let in_use = self.active.map(|path| path.remote);
        let oldest = self.addresses.iter().position(|known| Some(*known) != in_use);
        (learned, oldest.and_then(|at| self.addresses.remove(at)))
    }
}
