//! One client connection: str0m driven by datagrams and time.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::ice::StunMessage;
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues, RtpPacket, RtpWrite};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcConfig};

use super::channels::{ChannelFault, ChannelLabel, Channels};
use super::identity::Identity;
use super::paths::{Path, Paths};
use super::receiver::Receiver;
use super::sender::{OutgoingRtp, Sender};
use super::{
    AUDIO_LEVEL_EXTENSION, MID_EXTENSION, Message, Mid, PeerCounters, PeerError, PeerEvent,
    PeerKind, PeerOutput, Transmit, Waiting,
};
use crate::audio::CodecSet;

/// Silence after which a client counts as away. It checks the path every 2 to 5 seconds
/// (RFC 7675 §5.1), so two lost checks do not matter.
const AWAY_AFTER: Duration = Duration::from_secs(10);
/// Interval of RTCP reports and of what is read from them.
const REPORT_INTERVAL: Duration = Duration::from_secs(3);
/// str0m is never asked again sooner than this, so that no fault in its timers can make us spin.
const MIN_WAIT: Duration = Duration::from_millis(1);
/// Longest data message; LiveKit's clients send no more than 64,000 bytes.
const MAX_MESSAGE: usize = 65_535;
/// Bytes of a client's messages that may wait for whoever hears our events. A client that sends
/// faster for long is not served; one that sends a file of this size at once is.
const MAX_WAITING: usize = 16 * 1024 * 1024;

/// A WebRTC connection to one client. Made, fed and dropped by a [`super::PeerTable`].
#[derive(Debug)]
pub struct Peer {
    pub(super) rtc: Rtc,
    pub(super) kind: PeerKind,
    pub(super) identity: Arc<Identity>,
    pub(super) advertised: Arc<[SocketAddr]>,
    pub(super) credentials: IceCreds,
    pub(super) senders: HashMap<Mid, Sender>,
    pub(super) receiver: Receiver,
    /// Credentials of the client's last accepted offer or answer.
    pub(super) remote_credentials: Option<IceCreds>,
    pub(super) paths: Paths,
    channels: Channels,
    waiting: Waiting,
    phase: Phase,
    heard: Instant,
    deadline: Instant,
    written: bool,
    counters: PeerCounters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Connected,
    /// Was connected; nothing is heard of the client at present.
    Away,
    Ended,
}

impl Peer {
    pub(super) fn new(
        now: Instant,
        kind: PeerKind,
        advertised: Arc<[SocketAddr]>,
        identity: Arc<Identity>,
    ) -> Self {
        let credentials = identity.ice_credentials();
        let rtc = build(now, kind, &advertised, &identity, credentials.clone());
        let shown =
            advertised.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        Self {
            rtc,
            kind,
            credentials,
            senders: HashMap::new(),
            receiver: Receiver::new(),
            remote_credentials: None,
            paths: Paths::new(shown, identity.clone()),
            identity,
            advertised,
            channels: Channels::default(),
            waiting: Waiting::default(),
            phase: Phase::Connecting,
            heard: now,
            deadline: now,
            written: false,
            counters: PeerCounters::default(),
        }
    }

    /// Starts over with the same credentials, after an offer that left str0m half configured.
    pub(super) fn rebuild(&mut self, now: Instant) {
        let credentials = self.credentials.clone();
        self.rtc = build(now, self.kind, &self.advertised, &self.identity, credentials);
    }

    /// The fragment by which STUN requests find this peer.
    pub(super) fn fragment(&self) -> &str {
        &self.credentials.ufrag
    }

    pub(super) fn is_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    pub(super) fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Connected => self.deadline.min(self.heard + AWAY_AFTER),
            _ => self.deadline,
        }
    }

    /// Takes a datagram from the network.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
        out: &mut PeerOutput,
    ) {
        let (shown_remote, shown_local) = self.paths.shown();
        let received = Receive::new(Protocol::Udp, shown_remote, shown_local, datagram);
        let (Ok(received), true) = (received, self.admits(path, datagram)) else {
            self.counters.dropped += 1;
            return;
        };
        self.counters.packets_in += 1;
        self.counters.bytes_in += datagram.len() as u64;
        if self.rtc.handle_input(Input::Receive(now, received)).is_err() {
            // Damaged or forged; what str0m could not bear has ended it, and `drive` sees that.
            self.counters.dropped += 1;
        }
        self.drive(now, out);
    }

    /// STUN must carry our password; everything else must come from where such STUN came from.
    fn admits(&mut self, path: Path, datagram: &[u8]) -> bool {
        if !matches!(datagram.first(), Some(0..=3)) {
            return self.paths.is_proven(path.remote);
        }
        let message = StunMessage::parse(datagram);
        message.is_ok_and(|check| self.paths.check_arrived(&check, path, &self.credentials.pass))
    }

    /// Lets time pass, and sends what was written since the last call.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut PeerOutput) {
        self.written = false;
        if self.phase == Phase::Connected && now >= self.heard + AWAY_AFTER {
            self.phase = Phase::Away;
            out.events.push(PeerEvent::Disconnected);
        }
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            self.fail(error.to_string(), out);
        }
        self.drive(now, out);
    }

    /// Empties str0m's output. Must follow every change made to it.
    pub(super) fn drive(&mut self, now: Instant, out: &mut PeerOutput) {
        loop {
            self.drain(now, out);
            if self.is_ended() || !self.channels.pump(&mut self.rtc) {
                return;
            }
        }
    }

    fn drain(&mut self, now: Instant, out: &mut PeerOutput) {
        while !self.is_ended() {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.deadline = at.max(now + MIN_WAIT);
                    if !self.rtc.is_alive() {
                        self.fail("the connection was refused".to_owned(), out);
                    }
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    self.transmit(now, transmit.contents.into(), out);
                }
                Ok(Output::Event(event)) => self.event(now, event, out),
                Err(error) => self.fail(error.to_string(), out),
            }
        }
    }

    fn transmit(&mut self, now: Instant, bytes: Vec<u8>, out: &mut PeerOutput) {
        let (path, bytes) = if matches!(bytes.first(), Some(0..=3)) {
            let Some(answer) = self.paths.answer(bytes, &self.credentials.pass) else { return };
            out.learned.extend(answer.learned);
            out.forgotten.extend(answer.forgotten);
            if answer.nominated {
                self.hear(now, out);
            }
            (answer.path, answer.bytes)
        } else {
            let Some(path) = self.paths.active().filter(|_| self.phase != Phase::Away) else {
                return;
            };
            (path, bytes)
        };
        self.counters.packets_out += 1;
        self.counters.bytes_out += bytes.len() as u64;
        out.transmits.push(Transmit { local: path.local, to: path.remote, bytes });
    }

    /// The client is there, beyond doubt.
    fn hear(&mut self, now: Instant, out: &mut PeerOutput) {
        self.heard = self.heard.max(now);
        if self.phase == Phase::Away {
            self.phase = Phase::Connected;
            out.events.push(PeerEvent::Connected);
        }
    }

    fn event(&mut self, now: Instant, event: Event, out: &mut PeerOutput) {
        match event {
            Event::Connected => {
                self.heard = self.heard.max(now);
                self.phase = Phase::Connected;
                out.events.push(PeerEvent::Connected);
            }
            Event::RtpPacket(packet) => self.packet(now, &packet, out),
            Event::ChannelOpen(id, name) => match self.channels.opened(&mut self.rtc, id, &name) {
                Ok(label) => out.events.extend(label.map(PeerEvent::ChannelOpened)),
                Err(fault) => self.channel_fault(fault, out),
            },
            Event::ChannelData(message) => {
                if let Some(label) = self.channels.label(message.id) {
                    self.message(label, &message.data, out);
                }
            }
            Event::ChannelClose(id) => self.channels.closed(id),
            Event::MediaEgressStats(stats) => {
                self.counters.round_trip = stats.rtt.or(self.counters.round_trip);
                if let Some(remote) = stats.remote {
                    self.lost_on_the_way(stats.mid, remote.packets_lost);
                }
            }
            Event::Closed => {
                self.farewell(now, out);
                out.events.push(PeerEvent::Closed);
            }
            _ => {}
        }
    }

    fn packet(&mut self, now: Instant, packet: &RtpPacket, out: &mut PeerOutput) {
        let Self { rtc, receiver, .. } = self;
        let section = || {
            let mut api = rtc.direct_api();
            api.stream_rx(&packet.header.ssrc).map(|stream| Mid::new(stream.mid()))
        };
        let before = out.rtp.len();
        match receiver.name(packet, section, &mut out.rtp) {
            Ok(true) => {
                self.counters.rtp_in += 1;
                self.hear(now, out);
            }
            Ok(false) => self.counters.dropped += 1,
            Err(_) => return self.fail("the client used too many RTP streams".to_owned(), out),
        }
        if let Some(packet) = out.rtp.get(before)
            && self.receiver.starts(packet)
        {
            out.events.push(PeerEvent::MediaStarted(packet.mid, packet.codec));
        }
    }

    fn message(&mut self, label: ChannelLabel, bytes: &[u8], out: &mut PeerOutput) {
        match Message::received(bytes, &self.waiting, MAX_WAITING) {
            Some(message) => out.events.push(PeerEvent::DataReceived(label, message)),
            None => self.fail("the client floods its data channels".to_owned(), out),
        }
    }

    fn lost_on_the_way(&mut self, mid: str0m::media::Mid, packets: u64) {
        if let Some(sender) = self.senders.get_mut(&Mid::new(mid)) {
            sender.reported_lost = packets;
        }
    }

    /// Numbers a packet for this client and hands it to str0m. It is sent with the next
    /// [`super::PeerTable::poll`]. Dropped if the client is away or did not negotiate the codec.
    ///
    /// # Errors
    /// [`PeerError::UnknownMid`] if there is no such sending section.
    pub fn send_rtp(
        &mut self,
        now: Instant,
        mid: Mid,
        packet: &OutgoingRtp,
    ) -> Result<(), PeerError> {
        let Some(sender) = self.senders.get_mut(&mid) else {
            return Err(PeerError::UnknownMid(mid.to_string()));
        };
        let placed = (self.phase == Phase::Connected).then(|| sender.place(now, packet)).flatten();
        let Some(placed) = placed else {
            self.counters.dropped += 1;
            return Ok(());
        };
        let values = ExtensionValues {
            audio_level: packet.level.map(|level| -level.below_overload.min(127).cast_signed()),
            voice_activity: packet.level.map(|level| level.voice),
            ..ExtensionValues::default()
        };
        // The wall clock of a sender report is the time of sending: RTP time and NTP time then
        // belong together at the receiver whatever clock the source has (RFC 3550 §6.4.1).
        let write = RtpWrite::new(
            placed.payload_type,
            placed.sequence.into(),
            placed.timestamp,
            now,
            packet.payload.clone(),
        );
        let mut api = self.rtc.direct_api();
        // By mid: str0m's map by SSRC goes stale when an SSRC is replaced.
        let Some(stream) = api.stream_tx_by_mid(mid.inner(), None) else {
            return Err(PeerError::UnknownMid(mid.to_string()));
        };
        stream.write_rtp(write.marker(placed.marker).ext_vals(values));
        self.counters.rtp_out += 1;
        self.written = true;
        Ok(())
    }

    /// The codecs that may be sent on this section now; empty if none, or if it is not ours to
    /// send on.
    #[must_use]
    pub fn sender_codecs(&self, mid: Mid) -> CodecSet {
        self.senders.get(&mid).map(Sender::codecs).unwrap_or_default()
    }

    /// Sends a message. Reliable ones wait for room and for the channel to open; a client that
    /// does not take them in time fails. Others are dropped when there is no room, and so are
    /// empty ones, which SCTP cannot carry.
    ///
    /// # Errors
    /// [`PeerError::TooLarge`] for more than 65,535 bytes.
    pub fn send_data(
        &mut self,
        now: Instant,
        label: ChannelLabel,
        payload: &[u8],
        out: &mut PeerOutput,
    ) -> Result<(), PeerError> {
        if payload.len() > MAX_MESSAGE {
            return Err(PeerError::TooLarge(payload.len()));
        }
        match self.channels.send(&mut self.rtc, label, payload) {
            Ok(true) => {}
            Ok(false) => self.counters.data_dropped += 1,
            Err(fault) => self.channel_fault(fault, out),
        }
        self.drive(now, out);
        Ok(())
    }

    /// Totals since the peer was opened.
    #[must_use]
    pub fn counters(&self) -> PeerCounters {
        PeerCounters {
            lost_in: self.receiver.lost(),
            lost_out: self.senders.values().map(|sender| sender.reported_lost).sum(),
            ..self.counters
        }
    }

    /// Whether something was written that only [`Self::handle_timeout`] sends.
    pub(super) fn needs_flush(&self) -> bool {
        self.written
    }

    /// Says good-bye to the client (RTCP BYE, DTLS `close_notify`) and ends.
    pub(super) fn close(&mut self, now: Instant, out: &mut PeerOutput) {
        if !self.is_ended() {
            // An error means that there is nobody to say good-bye to.
            let _ = self.rtc.close();
            self.farewell(now, out);
        }
    }

    /// Sends what a closing `Rtc` has left to say, a handful of datagrams, and ends. It may name a
    /// deadline for what it hopes to hear; nobody waits for that.
    fn farewell(&mut self, now: Instant, out: &mut PeerOutput) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    self.transmit(now, transmit.contents.into(), out);
                }
                Ok(Output::Event(_)) => {}
                Ok(Output::Timeout(_)) | Err(_) => break,
            }
        }
        self.phase = Phase::Ended;
    }

    fn channel_fault(&mut self, fault: ChannelFault, out: &mut PeerOutput) {
        self.fail(fault.reason().to_owned(), out);
    }

    pub(super) fn fail(&mut self, reason: String, out: &mut PeerOutput) {
        if !self.is_ended() {
            self.rtc.disconnect();
            self.phase = Phase::Ended;
            out.events.push(PeerEvent::Failed(reason));
        }
    }
}

fn build(
    now: Instant,
    kind: PeerKind,
    advertised: &[SocketAddr],
    identity: &Identity,
    credentials: IceCreds,
) -> Rtc {
    let mut extensions = ExtensionMap::empty();
    extensions.set(AUDIO_LEVEL_EXTENSION, Extension::AudioLevel);
    extensions.set(MID_EXTENSION, Extension::RtpMid);
    let mut rtc = RtcConfig::new()
        .set_crypto_provider(Arc::new(identity.crypto().clone()))
        .set_dtls_cert(identity.certificate())
        .set_local_ice_credentials(credentials)
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .clear_codecs()
        .enable_opus(true, true)
        .enable_pcmu(true, false)
        .enable_pcma(true, false)
        .enable_g722(true, false)
        .set_extension_map(extensions)
        .set_rtcp_report_interval_audio(REPORT_INTERVAL)
        .set_stats_interval(Some(REPORT_INTERVAL))
        .set_sctp_max_message_size(MAX_MESSAGE as u32)
        .build(now);
    for address in advertised {
        if let Ok(candidate) = Candidate::host(*address, "udp") {
            rtc.add_local_candidate(candidate);
        }
    }
    if kind == PeerKind::Offerer {
        // RFC 8445 §6.1.1: the lite side is controlled, whoever offers.
        rtc.direct_api().set_ice_controlling(false);
    }
    rtc
}
