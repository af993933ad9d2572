//! WebRTC clients in the graph: their tracks are sources, their sections are sinks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::audio::CodecSet;
use crate::command::PeerCommand;
use crate::event::PeerReply;
use crate::graph::{Frame, SinkKey, SourceKey};
use crate::peer::{
    Identity, IncomingRtp, Mid, OutgoingRtp, Peer, PeerError, PeerId, PeerTable, PeersOutput,
};
use crate::quick_hash::QuickMap;
use crate::stats::PeerStats;

/// A section of a client on which we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerSection {
    pub(crate) peer: PeerId,
    pub(crate) mid: Mid,
}

/// A section of a client on which it sends.
#[derive(Debug)]
struct Track {
    mid: Mid,
    source: SourceKey,
    /// The RTP stream at present, and the name of its numbering in the graph.
    ssrc: Option<u32>,
    stream: u64,
}

/// A peer's ends in the graph, with the numbers that they have outside.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) sources: Vec<(u64, SourceKey)>,
    pub(crate) sinks: Vec<(u64, SinkKey)>,
    tracks: Vec<Track>,
    sections: Vec<(Mid, SinkKey)>,
}

impl Ends {
    pub(crate) fn source(&self, mid: Mid) -> Option<SourceKey> {
        self.tracks.iter().find(|track| track.mid == mid).map(|track| track.source)
    }

    pub(crate) fn sink(&self, mid: Mid) -> Option<SinkKey> {
        self.sections.iter().find(|(section, _)| *section == mid).map(|(_, sink)| *sink)
    }

    pub(crate) fn add_track(&mut self, mid: Mid, source: SourceKey) {
        self.tracks.push(Track { mid, source, ssrc: None, stream: 0 });
    }

    pub(crate) fn add_section(&mut self, mid: Mid, sink: SinkKey) {
        self.sections.push((mid, sink));
    }
}

/// All clients of this thread.
#[derive(Debug)]
pub(crate) struct Peers {
    table: PeerTable,
    ends: QuickMap<PeerId, Ends>,
    pub(crate) output: PeersOutput,
    /// Datagrams that were for none of the peers.
    pub(crate) unknown_datagrams: u64,
}

impl Peers {
    pub(crate) fn new(advertised: &[SocketAddr]) -> Self {
        let table = PeerTable::new(advertised, Arc::new(Identity::generate()));
        let output = PeersOutput::default();
        Self { table, ends: QuickMap::default(), output, unknown_datagrams: 0 }
    }

    /// The ends of a peer from `Open` to `Close`, whether its connection lives or not.
    pub(crate) fn ends(&mut self, peer: PeerId) -> Option<&mut Ends> {
        self.ends.get_mut(&peer)
    }

    pub(crate) fn ids(&self) -> Vec<PeerId> {
        self.ends.keys().copied().collect()
    }

    pub(crate) fn close(&mut self, now: Instant, peer: PeerId) -> Ends {
        self.table.close(now, peer, &mut self.output);
        self.ends.remove(&peer).unwrap_or_default()
    }

    pub(crate) fn receive(
        &mut self,
        now: Instant,
        local: SocketAddr,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        let taken = self.table.receive(now, local, from, datagram, &mut self.output);
        self.unknown_datagrams += u64::from(!taken);
    }

    pub(crate) fn poll(&mut self, now: Instant) {
        self.table.poll(now, &mut self.output);
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.table.next_deadline()
    }

    /// Does what concerns the connection alone; the reply, if the command asks for one.
    pub(crate) fn command(
        &mut self,
        now: Instant,
        id: PeerId,
        command: PeerCommand,
    ) -> Option<(u64, Result<PeerReply, PeerError>)> {
        match command {
            PeerCommand::Open { kind } => {
                if self.table.open(now, id, kind).is_ok() {
                    self.ends.insert(id, Ends::default());
                }
            }
            PeerCommand::AcceptOffer { request, sdp } => {
                let answer = self.with(id, |peer, out| peer.accept_offer(now, &sdp, out));
                return Some((request, answer.map(PeerReply::Answer)));
            }
            PeerCommand::Describe { request } => {
                let transport = self.with(id, |peer, _| peer.describe());
                return Some((request, transport.map(PeerReply::Transport)));
            }
            PeerCommand::RestartIce { request } => {
                let transport = self.with(id, |peer, _| peer.restart_ice());
                return Some((request, transport.map(PeerReply::Transport)));
            }
            PeerCommand::ApplyAnswer { request, remote } => {
                let applied = self.with(id, |peer, out| peer.apply_answer(now, &remote, out));
                return Some((request, applied.map(|()| PeerReply::Done)));
            }
            // What these could refuse, the caller's own bookkeeping rules out; if it does not, the
            // next request that depends on it fails with the reason.
            PeerCommand::DeclareSender { mid, ssrc } => {
                let _ = self.with(id, |peer, _| peer.declare_sender(mid, ssrc));
            }
            PeerCommand::RenewSender { mid, ssrc } => {
                let _ = self.with(id, |peer, _| peer.renew_sender(mid, ssrc));
            }
            PeerCommand::SetSenderPayloadTypes { mid, payload_types } => {
                let set = |peer: &mut Peer| peer.set_sender_payload_types(mid, &payload_types);
                let _ = self.with(id, |peer, _| set(peer));
            }
            PeerCommand::AddRemoteCandidate { candidate } => {
                let _ = self.with(id, |peer, _| {
                    peer.add_remote_candidate(&candidate);
                    Ok(())
                });
            }
            PeerCommand::SendData { label, payload } => {
                let _ = self.with(id, |peer, out| peer.send_data(now, label, &payload, out));
            }
            PeerCommand::Receive { .. } | PeerCommand::Send { .. } | PeerCommand::Close => {}
        }
        None
    }

    fn with<R>(
        &mut self,
        id: PeerId,
        command: impl FnOnce(&mut Peer, &mut crate::peer::PeerOutput) -> Result<R, PeerError>,
    ) -> Result<R, PeerError> {
        self.table.with(id, &mut self.output, command).and_then(|result| result)
    }

    /// Where a packet of a client enters the graph, and under which numbering. None if nobody
    /// asked for its section. `next_stream` names a numbering that has not been used.
    pub(crate) fn entry(
        &mut self,
        peer: PeerId,
        packet: &IncomingRtp,
        next_stream: &mut u64,
    ) -> Option<(SourceKey, u64)> {
        let tracks = &mut self.ends.get_mut(&peer)?.tracks;
        let track = tracks.iter_mut().find(|track| track.mid == packet.mid)?;
        if track.ssrc != Some(packet.ssrc) {
            track.ssrc = Some(packet.ssrc);
            *next_stream += 1;
            track.stream = *next_stream;
        }
        Some((track.source, track.stream))
    }

    /// What the client takes on a section now.
    pub(crate) fn codecs(&self, to: PeerSection) -> CodecSet {
        self.table.sender_codecs(to.peer, to.mid)
    }

    /// Queues a packet for a client. `shared` holds the payload once it had to be copied, so that
    /// it is copied once however many hear it.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        to: PeerSection,
        frame: &Frame<'_>,
        shared: &mut Option<Arc<[u8]>>,
    ) {
        let payload = shared
            .get_or_insert_with(|| frame.shared.map_or_else(|| frame.payload.into(), Arc::clone));
        let packet = OutgoingRtp {
            stream: frame.stream,
            codec: frame.codec,
            sequence: frame.sequence,
            timestamp: frame.timestamp,
            marker: frame.marker,
            level: frame.level,
            payload: payload.clone(),
        };
        // A peer that went, or a section that was not negotiated yet, hears nothing.
        let _ = self.table.send_rtp(now, to.peer, to.mid, &packet);
    }

    pub(crate) fn stats(&self) -> Vec<PeerStats> {
        self.ends
            .keys()
            .map(|id| PeerStats {
                peer: id.0,
                counters: self.table.counters(*id).unwrap_or_default(),
            })
            .collect()
    }
}
