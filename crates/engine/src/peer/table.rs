//! All peers of one thread: who gets a datagram, who is due, who broke.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::connection::Peer;
use super::demux::Demux;
use super::identity::Identity;
use super::paths::Path;
use super::sender::OutgoingRtp;
use super::{Mid, PeerCounters, PeerError, PeerEvent, PeerId, PeerKind, PeerOutput, PeersOutput};
use crate::audio::CodecSet;
use crate::quick_hash::QuickMap;

/// The peers behind one set of sockets.
///
/// A peer that fails, panics included, is dropped with an event and leaves the others alone. A
/// peer that ended is dropped at once, so nothing is ever done for the dead.
#[derive(Debug)]
pub struct PeerTable {
    advertised: Arc<[SocketAddr]>,
    identity: Arc<Identity>,
    peers: QuickMap<PeerId, Entry>,
    demux: Demux,
    due: BTreeSet<(Instant, PeerId)>,
    written: Vec<PeerId>,
    scratch: PeerOutput,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    /// The fragment and the deadline under which the peer is filed.
    fragment: String,
    deadline: Instant,
    /// In the list of those with something to flush.
    flushing: bool,
    /// Panicked while there was no output to say so.
    broken: bool,
}

impl PeerTable {
    /// `advertised` are the addresses at which clients reach our sockets: each becomes a host
    /// candidate. Behind a 1:1 NAT they are others than those that the sockets are bound to.
    #[must_use]
    pub fn new(advertised: &[SocketAddr], identity: Arc<Identity>) -> Self {
        Self {
            advertised: advertised.into(),
            identity,
            peers: QuickMap::default(),
            demux: Demux::default(),
            due: BTreeSet::new(),
            written: Vec::new(),
            scratch: PeerOutput::default(),
        }
    }

    /// Number of peers that live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Adds a peer.
    ///
    /// # Errors
    /// [`PeerError::Duplicate`].
    pub fn open(&mut self, now: Instant, id: PeerId, kind: PeerKind) -> Result<(), PeerError> {
        if self.peers.contains_key(&id) {
            return Err(PeerError::Duplicate);
        }
        let peer = Peer::new(now, kind, self.advertised.clone(), self.identity.clone());
        let fragment = peer.fragment().to_owned();
        let deadline = peer.deadline();
        self.demux.add_fragment(fragment.clone(), id);
        self.due.insert((deadline, id));
        self.peers.insert(id, Entry { peer, fragment, deadline, flushing: false, broken: false });
        Ok(())
    }

    /// Says good-bye to the client and drops the peer. No event follows.
    pub fn close(&mut self, now: Instant, id: PeerId, out: &mut PeersOutput) {
        let _ = self.with(id, out, |peer, out| peer.close(now, out));
    }

    /// Runs a command on a peer.
    ///
    /// # Errors
    /// [`PeerError::Gone`].
    pub fn with<R>(
        &mut self,
        id: PeerId,
        out: &mut PeersOutput,
        command: impl FnOnce(&mut Peer, &mut PeerOutput) -> R,
    ) -> Result<R, PeerError> {
        let Self { peers, scratch, .. } = self;
        let entry = peers.get_mut(&id).ok_or(PeerError::Gone)?;
        let run = AssertUnwindSafe(|| command(&mut entry.peer, scratch));
        let Ok(result) = catch_unwind(run) else {
            self.drop_broken(id, out);
            return Err(PeerError::Gone);
        };
        self.collect(id, out);
        self.refile(id);
        Ok(result)
    }

    /// Queues a packet for a client; [`Self::poll`] sends it. See [`Peer::sender_codecs`].
    ///
    /// # Errors
    /// [`PeerError::Gone`], [`PeerError::UnknownMid`].
    pub fn send_rtp(
        &mut self,
        now: Instant,
        id: PeerId,
        mid: Mid,
        packet: &OutgoingRtp,
    ) -> Result<(), PeerError> {
        let entry = self.peers.get_mut(&id).ok_or(PeerError::Gone)?;
        let run = AssertUnwindSafe(|| entry.peer.send_rtp(now, mid, packet));
        let result = catch_unwind(run);
        entry.broken |= result.is_err();
        if !entry.flushing && (entry.broken || entry.peer.needs_flush()) {
            entry.flushing = true;
            self.written.push(id);
        }
        result.unwrap_or(Err(PeerError::Gone))
    }

    /// The codecs that a client takes on a section now.
    #[must_use]
    pub fn sender_codecs(&self, id: PeerId, mid: Mid) -> CodecSet {
        self.peers.get(&id).map(|entry| entry.peer.sender_codecs(mid)).unwrap_or_default()
    }

    /// Totals of a peer.
    #[must_use]
    pub fn counters(&self, id: PeerId) -> Option<PeerCounters> {
        self.peers.get(&id).map(|entry| entry.peer.counters())
    }

    /// Takes a datagram that arrived at the socket `local`. `false` if it is nobody's.
    pub fn receive(
        &mut self,
        now: Instant,
        local: SocketAddr,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut PeersOutput,
    ) -> bool {
        let Some(id) = self.demux.find(from, datagram) else { return false };
        let path = Path { local, remote: from };
        self.with(id, out, |peer, out| peer.receive(now, path, datagram, out)).is_ok()
    }

    /// Sends what was written since the last call and serves the timers that are due. Call it
    /// once per batch of datagrams, and at [`Self::next_deadline`].
    pub fn poll(&mut self, now: Instant, out: &mut PeersOutput) {
        for id in std::mem::take(&mut self.written) {
            let Some(entry) = self.peers.get_mut(&id) else { continue };
            entry.flushing = false;
            if entry.broken {
                self.drop_broken(id, out);
            } else {
                let _ = self.with(id, out, |peer, out| peer.handle_timeout(now, out));
            }
        }
        let due: Vec<PeerId> =
            self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        for id in due {
            let _ = self.with(id, out, |peer, out| peer.handle_timeout(now, out));
        }
    }

    /// When [`Self::poll`] must be called again, at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The peers that live.
    pub fn ids(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers.keys().copied()
    }

    fn collect(&mut self, id: PeerId, out: &mut PeersOutput) {
        let Self { scratch, demux, .. } = self;
        out.transmits.append(&mut scratch.transmits);
        out.rtp.extend(scratch.rtp.drain(..).map(|packet| (id, packet)));
        out.events.extend(scratch.events.drain(..).map(|event| (id, event)));
        scratch.learned.drain(..).for_each(|address| demux.add_address(address, id));
        scratch.forgotten.drain(..).for_each(|address| demux.remove_address(address, id));
    }

    /// Files a peer under its present fragment and deadline, or drops it if it has ended.
    fn refile(&mut self, id: PeerId) {
        let Some(entry) = self.peers.get_mut(&id) else { return };
        if entry.peer.is_ended() {
            self.remove(id);
            return;
        }
        if entry.fragment != entry.peer.fragment() {
            self.demux.remove_fragment(&entry.fragment);
            entry.peer.fragment().clone_into(&mut entry.fragment);
            self.demux.add_fragment(entry.fragment.clone(), id);
        }
        let deadline = entry.peer.deadline();
        if deadline != entry.deadline {
            self.due.remove(&(entry.deadline, id));
            self.due.insert((deadline, id));
            entry.deadline = deadline;
        }
        if entry.peer.needs_flush() && !entry.flushing {
            entry.flushing = true;
            self.written.push(id);
        }
    }

    /// After a panic a peer's state may be anything: it is only dropped.
    fn drop_broken(&mut self, id: PeerId, out: &mut PeersOutput) {
        self.scratch.events.push(PeerEvent::Failed("internal error".to_owned()));
        self.collect(id, out);
        self.remove(id);
    }

    fn remove(&mut self, id: PeerId) {
        let Some(entry) = self.peers.remove(&id) else { return };
        self.due.remove(&(entry.deadline, id));
        self.demux.remove_fragment(&entry.fragment);
        for address in entry.peer.paths.addresses() {
            self.demux.remove_address(address, id);
        }
        // Dropping runs str0m's code, too.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(entry)));
    }
}
