//! WebRTC clients in the engine: their datagrams, commands and deadlines.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Engine, Handle};
use crate::command::PeerCommand;
use crate::event::Event;
use crate::graph::Frame;
use crate::output::Output;
use crate::peer::{Mid, PeerId};
use crate::peers::PeerSection;
use crate::sink::SinkEnd;
use crate::source::Source;

impl Engine {
    /// Takes a datagram that arrived at the WebRTC socket bound at `local`.
    pub fn rtc_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut Output,
    ) {
        self.peers.receive(now, local, from, datagram);
        self.collect_peers(now, out);
    }

    pub(super) fn peer_command(
        &mut self,
        now: Instant,
        peer: u64,
        command: PeerCommand,
        out: &mut Output,
    ) {
        let id = PeerId(peer);
        match command {
            PeerCommand::Receive { mid, source } => self.receive_from(id, mid, source),
            PeerCommand::Send { mid, sink } => self.send_to(id, mid, sink),
            PeerCommand::Close => self.close_peer(now, id, out),
            command => {
                if let Some((request, result)) = self.peers.command(now, id, command) {
                    out.events.push(Event::PeerReply { peer, request, result });
                }
            }
        }
        self.collect_peers(now, out);
    }

    fn receive_from(&mut self, peer: PeerId, mid: Mid, id: u64) {
        let Some(ends) = self.peers.ends(peer) else { return };
        let key = ends.source(mid).unwrap_or_else(|| {
            let key = self.graph.add_source(Source::new(id, peer.0));
            ends.add_track(mid, key);
            key
        });
        ends.sources.push((id, key));
        self.handles.insert(id, Handle::Source(key));
    }

    fn send_to(&mut self, peer: PeerId, mid: Mid, id: u64) {
        let Some(ends) = self.peers.ends(peer) else { return };
        let key = ends.sink(mid).unwrap_or_else(|| {
            let key = self.graph.add_sink(SinkEnd::Peer(PeerSection { peer, mid }));
            ends.add_section(mid, key);
            key
        });
        ends.sinks.push((id, key));
        self.handles.insert(id, Handle::Sink(key));
    }

    pub(super) fn close_peer(&mut self, now: Instant, peer: PeerId, out: &mut Output) {
        let ends = self.peers.close(now, peer);
        for (id, source) in ends.sources {
            self.handles.remove(&id);
            self.graph.remove_source(source);
        }
        for (id, sink) in ends.sinks {
            self.handles.remove(&id);
            self.graph.remove_sink(sink);
        }
        self.collect_peers(now, out);
    }

    /// Takes over what the WebRTC clients brought: datagrams, news, and what they say.
    pub(super) fn collect_peers(&mut self, now: Instant, out: &mut Output) {
        out.rtc_packets.append(&mut self.peers.output.transmits);
        let news = self.peers.output.events.drain(..);
        out.events.extend(news.map(|(peer, event)| Event::Peer { peer: peer.0, event }));
        let mut packets = std::mem::take(&mut self.peers.output.rtp);
        for (peer, packet) in packets.drain(..) {
            let entry = self.peers.entry(peer, &packet, &mut self.next_stream);
            let Some((source, stream)) = entry else { continue };
            let frame = Frame {
                stream,
                codec: packet.codec,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                marker: packet.marker,
                pause: false,
                keep: false,
                level: packet.level,
                payload: &packet.payload,
                shared: Some(&packet.payload),
            };
            self.hear(now, source, &frame, out);
        }
        self.peers.output.rtp = packets;
    }
}
