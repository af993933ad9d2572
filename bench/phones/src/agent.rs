//! One WebRTC client as an agent is one: publishes a track of Opus and hears the phone.
//!
//! The signalling is done by whoever started us: an offer goes out as news, the answer comes back
//! as a command.

use std::io;
use std::net::{IpAddr, SocketAddr};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use switchroom_codecs::g711::Law;
use switchroom_codecs::level;

use crate::ear::Ear;
use crate::measure::Figures;
use crate::sound::{AUDIBLE, Play, Sounds};
use crate::system::{Inbox, StampedSocket, instant, now_ns};

/// Ticks of the Opus clock in a packet (RFC 7587 §4.1).
const TICKS: u32 = 960;
const OPUS: u8 = 111;
/// What is said of packets in the audio level extension, in dBov: a voice, or nothing.
const VOICE: i8 = -20;
const QUIET: i8 = -127;

/// One client's connection and sound.
pub(crate) struct Agent {
    pub(crate) number: u32,
    pub(crate) ear: Ear,
    pub(crate) connected: bool,
    /// Whether that has been told.
    pub(crate) told: bool,
    socket: StampedSocket,
    local: SocketAddr,
    rtc: Rtc,
    pending: Option<SdpPendingOffer>,
    published: Mid,
    sequence: u64,
    position: usize,
    last_sent: Option<u64>,
    arrived: Vec<(u64, Vec<u8>)>,
}

impl Agent {
    /// A client that has not connected yet, and the offer that it makes: a section on which it
    /// sends, and one for data. `narrow`: G.711 is among what it takes.
    pub(crate) fn open(ip: IpAddr, number: u32, narrow: bool) -> io::Result<(Self, SdpOffer)> {
        let socket = StampedSocket::bind(SocketAddr::new(ip, 0))?;
        let local = SocketAddr::new(ip, socket.port()?);
        let mut rtc = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_pcmu(narrow, false)
            .enable_pcma(narrow, false)
            .build(instant());
        let candidate = Candidate::host(local, "udp").map_err(io::Error::other)?;
        rtc.add_local_candidate(candidate);
        let mut api = rtc.sdp_api();
        let track = Some(format!("agent-{number}"));
        let published =
            api.add_media(MediaKind::Audio, Direction::SendOnly, Some("-".into()), track, None);
        api.add_channel("_reliable".into());
        let (offer, pending) = api.apply().ok_or_else(|| io::Error::other("nothing to offer"))?;
        let agent = Self {
            number,
            ear: Ear::default(),
            connected: false,
            told: false,
            socket,
            local,
            rtc,
            pending: Some(pending),
            published,
            sequence: u64::from(number) * 97 % 30_000,
            position: number as usize * 37,
            last_sent: None,
            arrived: Vec::new(),
        };
        Ok((agent, offer))
    }

    /// Another offer, with so many sections more on which it hears.
    pub(crate) fn offer_more(&mut self, sections: u32) -> Option<SdpOffer> {
        let mut api = self.rtc.sdp_api();
        for _ in 0..sections {
            api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        }
        let (offer, pending) = api.apply()?;
        self.pending = Some(pending);
        Some(offer)
    }

    /// Takes the answer to the last offer; false if it cannot be used.
    pub(crate) fn accept(&mut self, answer: &str) -> bool {
        let (Ok(answer), Some(pending)) = (SdpAnswer::from_sdp_string(answer), self.pending.take())
        else {
            return false;
        };
        let taken = self.rtc.sdp_api().accept_answer(pending, answer).is_ok();
        self.drive(None);
        taken
    }

    /// Sends the next packet, due at `due`. Returns when, if a burst begins with it.
    pub(crate) fn send(
        &mut self,
        due: u64,
        sounds: &Sounds,
        play: Play,
        mut figures: Option<&mut Figures>,
    ) -> Option<u64> {
        if !self.connected {
            return None;
        }
        let next = sounds.packet(play, self.position);
        let values = ExtensionValues {
            audio_level: Some(if next.audible { VOICE } else { QUIET }),
            voice_activity: Some(next.audible),
            ..ExtensionValues::default()
        };
        let timestamp = (self.sequence as u32).wrapping_mul(TICKS);
        let now = now_ns();
        let write = RtpWrite::new(
            OPUS.into(),
            self.sequence.into(),
            timestamp,
            instant(),
            next.payload.clone(),
        );
        let mut api = self.rtc.direct_api();
        api.stream_tx_by_mid(self.published, None)?.write_rtp(write.ext_vals(values));
        // str0m sends what was written when time passes.
        let _ = self.rtc.handle_input(Input::Timeout(instant()));
        self.drive(None);
        if let Some(figures) = &mut figures {
            figures.note_sent(now, due, &mut self.last_sent, next.audible, next.burst_begins);
        }
        self.last_sent = Some(now);
        self.position += 1;
        self.sequence += 1;
        next.burst_begins.then_some(now)
    }

    /// Reads what has arrived and does what is due. Returns the arrival of a burst's first packet,
    /// if there is one.
    pub(crate) fn receive(
        &mut self,
        inbox: &mut Inbox,
        mut figures: Option<&mut Figures>,
    ) -> Option<u64> {
        let mut arrived = std::mem::take(&mut self.arrived);
        let mut sender = None;
        self.socket.drain(inbox, |at, from, datagram| {
            sender = Some(from);
            arrived.push((at, datagram.to_vec()));
        });
        let mut burst = None;
        for (at, datagram) in arrived.drain(..) {
            let Some(from) = sender else { break };
            if let Ok(received) = Receive::new(Protocol::Udp, from, self.local, &datagram) {
                let _ = self.rtc.handle_input(Input::Receive(instant(), received));
            }
            burst = self.drive(Some((at, &mut figures))).or(burst);
        }
        self.arrived = arrived;
        let _ = self.rtc.handle_input(Input::Timeout(instant()));
        self.drive(None);
        burst
    }

    /// Says good-bye.
    pub(crate) fn close(&mut self) {
        let _ = self.rtc.close();
        self.drive(None);
    }

    /// Empties str0m's output. A packet of sound is judged as having arrived at the given time.
    fn drive(&mut self, mut arrival: Option<(u64, &mut Option<&mut Figures>)>) -> Option<u64> {
        let mut burst = None;
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(packet)) => {
                    self.socket.send(&packet.contents, packet.destination);
                }
                Ok(Output::Event(Event::Connected)) => self.connected = true,
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    if let Some((at, figures)) = &mut arrival {
                        let sequence = packet.header.sequence_number;
                        let heard =
                            self.ear.hear(*at, sequence, audible(&packet), figures.as_deref_mut());
                        burst = heard.or(burst);
                    }
                }
                Ok(Output::Event(_)) => {}
                Ok(Output::Timeout(_)) | Err(_) => return burst,
            }
        }
    }
}

fn audible(packet: &RtpPacket) -> bool {
    let law = match *packet.header.payload_type {
        0 => Law::Mu,
        8 => Law::A,
        _ => return packet.header.ext_vals.audio_level.is_some_and(|level| level > -45),
    };
    level::of_g711(law, &packet.payload) <= AUDIBLE
}
