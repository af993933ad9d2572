//! Legs in the engine: their datagrams, commands and deadlines.

use std::net::SocketAddr;
use std::time::Instant;

use switchroom_rtp::digits::ReceivedDigit;
use switchroom_rtp::{Packet, ReceiveStatistics, is_rtcp, rtcp};

use super::{Engine, Handle, LegIds, LegKey, level_event, on_grid};
use crate::command::LegMedia;
use crate::deadlines::Timer;
use crate::event::{Event, LegEvent};
use crate::leg::{self, Contents, Leg, LegSender, Received, Secured, Verdict};
use crate::output::{LegPort, Output};
use crate::sink::SinkEnd;
use crate::source::Source;
use crate::stats::LegStats;
use crate::voice::{PhoneSide, Processing};

impl Engine {
    /// Adds a leg whose sockets are bound at `local` and the port above.
    pub fn open_leg(&mut self, ids: LegIds, local: SocketAddr) -> LegKey {
        let key = LegKey(self.legs.vacant_key());
        let source = self.graph.add_source(Source::of_phone(ids.source, ids.leg));
        let sender = Box::new(LegSender::new(key, &mut self.random));
        let sink = self.graph.add_sink(SinkEnd::Leg(sender));
        // RFC 7022 §4.2: a random canonical name says nothing about the host.
        let cname = format!("{:016x}@{}", self.random.next_u64(), local.ip());
        self.legs.insert(Leg::new(ids, source, sink, cname));
        self.handles.insert(ids.leg, Handle::Leg(key));
        self.handles.insert(ids.source, Handle::Source(source));
        self.handles.insert(ids.sink, Handle::Sink(sink));
        key
    }

    /// Takes a datagram that arrived at a leg's socket.
    pub fn leg_datagram(
        &mut self,
        now: Instant,
        key: LegKey,
        port: LegPort,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut Output,
    ) {
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        let report = port == LegPort::Rtcp || is_rtcp(datagram);
        let mut opened = std::mem::take(&mut self.opened);
        let datagram = if leg.opener.is_on() {
            let kind = if report { Secured::Rtcp } else { Secured::Rtp };
            match leg.opener.open(now, kind, datagram, &mut opened) {
                Ok(()) => Some(&opened[..]),
                Err(error) => {
                    leg.receiver.count_unopened(error);
                    None
                }
            }
        } else {
            Some(datagram)
        };
        match datagram {
            Some(datagram) if report => self.leg_report(now, key, (port, from), datagram),
            Some(datagram) => self.leg_rtp(now, key, from, datagram, out),
            None => {}
        }
        self.opened = opened;
    }

    fn leg_rtp(
        &mut self,
        now: Instant,
        key: LegKey,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut Output,
    ) {
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        let Ok(packet) = Packet::parse(datagram) else {
            leg.receiver.counters.malformed += 1;
            return;
        };
        let Some(payload) = leg.receiver.payload(packet.header.payload_type) else {
            leg.receiver.counters.unknown_payload_type += 1;
            return;
        };
        match leg.latch.judge(now, from, &packet.header) {
            Verdict::Accepted => {}
            Verdict::Latched => {
                leg.reports.forget_far_end();
                if let Some(sender) = self.graph.leg_sender(leg.sink) {
                    sender.target = Some(from);
                }
                let event = LegEvent::MediaStarted(from);
                out.events.push(Event::Leg { leg: leg.ids.leg, event });
            }
            Verdict::Trial => return,
            Verdict::Stranger => {
                leg.receiver.counters.strangers += 1;
                return;
            }
        }
        leg.silence.heard(now);
        let (stream, digits) = (&mut self.next_stream, &mut self.digits);
        let received = leg.receiver.receive(now, &packet, payload, stream, digits);
        let source = leg.source;
        match received {
            Received::Audio(frame) => self.hear(now, source, &frame, out),
            Received::Silence(codec, place, noise) => {
                self.graph.distribute_noise(now, source, codec, place, noise);
                self.follow_changes(now);
            }
            Received::Nothing => self.tell_digits(now, key, out),
        }
        self.schedule_leg(now, key);
    }

    fn leg_report(
        &mut self,
        now: Instant,
        key: LegKey,
        (port, from): (LegPort, SocketAddr),
        datagram: &[u8],
    ) {
        let unix_ns = self.unix_ns(now);
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        if !leg.latch.is_host(from) {
            leg.receiver.counters.strangers += 1;
            return;
        }
        let Some(sender) = self.graph.leg_sender(leg.sink) else { return };
        let mut contents = contents(now, unix_ns, sender, &mut leg.receiver.statistics);
        if !leg.reports.receive(now, (port, from), datagram, &mut contents) {
            leg.receiver.counters.malformed += 1;
        }
    }

    pub(super) fn update_leg(&mut self, now: Instant, id: u64, media: &LegMedia) {
        let Some(key) = self.leg_key(id) else { return };
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        leg.latch.announce(media.remote.filter(|remote| !remote.ip().is_unspecified()));
        leg.receiver.update(media);
        self.graph.renew_phone(leg.source);
        leg.opener.update(now, media.crypto.as_ref());
        leg.reports.multiplex(media.rtcp_mux);
        let limits = (media.first_timeout.or(media.media_timeout), media.media_timeout);
        let nothing = (None, None);
        leg.silence.watch(now, if media.direction.receives() { limits } else { nothing });
        if let Some(sender) = self.graph.leg_sender(leg.sink) {
            sender.target = leg.latch.target();
            sender.update(leg::sending(media));
            sender.sealer.update(media.crypto.as_ref());
            if let Some(rate) = sender.rate() {
                self.graph.set_rate(leg.sink, rate);
            }
        }
        if leg.latch.target().is_some() {
            leg.reports.start(now, &mut self.random);
        }
        self.schedule_leg(now, key);
    }

    pub(super) fn send_digits(&mut self, now: Instant, id: u64, digits: &str, out: &mut Output) {
        let Some(key) = self.leg_key(id) else { return };
        let sink = self.legs[key.0].sink;
        let Some(sender) = self.graph.leg_sender(sink) else { return };
        if sender.send_digits(now, digits).is_err() {
            out.events.push(Event::Leg { leg: id, event: LegEvent::DigitsSent });
        }
        self.schedule_leg(now, key);
    }

    pub(super) fn leg_stats(&mut self, now: Instant, id: u64) -> Option<LegStats> {
        let leg = &self.legs[self.leg_key(id)?.0];
        let phone = self.graph.source(leg.source).and_then(|source| source.phone.as_ref());
        let voice = phone.and_then(|phone| phone.voice.as_ref());
        let buffer_delay = voice.map(|voice| voice.playout.delay());
        let concealed_ms = phone.map_or(0, PhoneSide::concealed_ms);
        let sender = self.graph.leg_sender(leg.sink)?;
        Some(LegStats {
            leg: id,
            received: leg.receiver.counters(),
            packets_out: sender.sent.packets,
            bytes_out: sender.sent.bytes,
            filled_out: sender.sent.filled,
            lost_out: leg.reports.lost_out,
            jitter_out_ms: leg.reports.jitter_out_ms(sender.clock()),
            codec_in: leg.receiver.codec(),
            codec_out: sender.format().map(|format| format.codec),
            buffer_delay,
            concealed_ms,
            round_trip: leg.reports.round_trip,
            last_packet_age: leg.silence.age(now),
        })
    }

    pub(super) fn set_processing(&mut self, id: u64, denoise: bool, detect_tones: bool) {
        let Some(key) = self.leg_key(id) else { return };
        let source = self.legs[key.0].source;
        self.graph.set_processing(source, Processing { denoise, detect_tones });
    }

    pub(super) fn play_out(&mut self, id: u64) {
        let Some(key) = self.leg_key(id) else { return };
        self.graph.play_out(self.legs[key.0].sink, key);
    }

    pub(super) fn tell_played_out(&mut self, out: &mut Output) {
        for key in self.graph.played_out.drain(..) {
            let Some(leg) = self.legs.get(key.0) else { continue };
            out.events.push(Event::Leg { leg: leg.ids.leg, event: LegEvent::PlayedOut });
        }
    }

    pub(super) fn close_leg(&mut self, now: Instant, id: u64, out: &mut Output) {
        let Some(key) = self.leg_key(id) else { return };
        let unix_ns = self.unix_ns(now);
        let Some(mut leg) = self.legs.try_remove(key.0) else { return };
        if leg.reports.has_reported()
            && let Some(target) = leg.latch.target()
            && let Some(sender) = self.graph.leg_sender(leg.sink)
        {
            let ssrc = sender.ssrc();
            let contents = contents(now, unix_ns, sender, &mut leg.receiver.statistics);
            let (port, to) = leg.reports.target(target);
            out.send(key, port, to, |bytes| {
                let start = bytes.len();
                leg.reports.write(now, contents, bytes);
                rtcp::write_goodbye(ssrc, bytes);
                sender.sealer.seal(Secured::Rtcp, bytes, start);
            });
        }
        for id in [leg.ids.leg, leg.ids.source, leg.ids.sink] {
            self.handles.remove(&id);
        }
        self.graph.remove_source(leg.source);
        self.graph.remove_sink(leg.sink);
        out.closed_legs.push(key);
    }

    pub(super) fn leg_timeout(&mut self, now: Instant, at: Instant, key: LegKey, out: &mut Output) {
        let unix_ns = self.unix_ns(now);
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        if leg.scheduled != Some(at) {
            return;
        }
        leg.scheduled = None;
        let id = leg.ids.leg;
        leg.receiver.handle_timeout(now, &mut self.digits);
        if leg.silence.handle_timeout(now) {
            out.events.push(Event::Leg { leg: id, event: LegEvent::MediaTimedOut });
        }
        if let Some(sender) = self.graph.leg_sender(leg.sink) {
            if sender.handle_timeout(now, out) {
                out.events.push(Event::Leg { leg: id, event: LegEvent::DigitsSent });
            }
            if let Some(target) = leg.latch.target()
                && leg.reports.take_due(now, &mut self.random)
            {
                let contents = contents(now, unix_ns, sender, &mut leg.receiver.statistics);
                let (port, to) = leg.reports.target(target);
                out.send(key, port, to, |bytes| {
                    let start = bytes.len();
                    leg.reports.write(now, contents, bytes);
                    sender.sealer.seal(Secured::Rtcp, bytes, start);
                });
            }
        }
        self.tell_digits(now, key, out);
        self.schedule_leg(now, key);
    }

    pub(super) fn schedule_leg(&mut self, now: Instant, key: LegKey) {
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        let Some(sender) = self.graph.leg_sender(leg.sink) else { return };
        let flowing = sender.is_flowing();
        let sending = sender.deadline(now);
        let others = [leg.receiver.deadline(), leg.silence.deadline(), leg.reports.deadline()];
        let Some(at) = others.into_iter().chain([sending]).flatten().min() else { return };
        let at = if flowing || Some(at) != sending { on_grid(self.config.started, at) } else { at };
        self.deadlines.schedule(Timer::Leg(key), at, &mut leg.scheduled);
    }

    /// What phones' voices showed in this tick: who speaks, and which keys were pressed.
    pub(super) fn tell_voices(&mut self, now: Instant, out: &mut Output) {
        while let Some((key, heard)) = self.graph.heard.pop() {
            let Some(source) = self.graph.source(key) else { continue };
            if let Some(heard) = heard {
                out.events.push(level_event(source, heard));
                self.schedule_speaker(key);
            }
        }
        while let Some((source, pressed)) = self.graph.keys.pop() {
            let owner = self.graph.source(source).map(|source| source.owner);
            let Some(key) = owner.and_then(|leg| self.leg_key(leg)) else { continue };
            if self.legs.get(key.0).is_none_or(|leg| leg.receiver.sends_events) {
                continue; // told by its events already
            }
            self.digits.push(pressed);
            self.tell_digits(now, key, out);
        }
    }

    fn tell_digits(&mut self, now: Instant, key: LegKey, out: &mut Output) {
        let Some(leg) = self.legs.get_mut(key.0) else { return };
        for ReceivedDigit { digit, duration_ms } in self.digits.drain(..) {
            if leg.key_limit.allow(now) {
                let event = LegEvent::DigitReceived { digit, duration_ms };
                out.events.push(Event::Leg { leg: leg.ids.leg, event });
            }
        }
    }

    pub(super) fn leg_key(&self, id: u64) -> Option<LegKey> {
        match self.handles.get(&id) {
            Some(Handle::Leg(key)) => Some(*key),
            _ => None,
        }
    }

    pub(super) fn unix_ns(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.config.started);
        self.config.started_unix_ns + passed.as_nanos() as u64
    }
}

fn contents<'a>(
    now: Instant,
    unix_ns: u64,
    sender: &LegSender,
    statistics: &'a mut ReceiveStatistics,
) -> Contents<'a> {
    let (ssrc, info, packets) = (sender.ssrc(), sender.info(now), sender.sent.packets);
    Contents { unix_ns, ssrc, info, packets, statistics }
}
