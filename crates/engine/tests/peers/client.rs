//! A client as libwebrtc is one: full ICE, controlling, DTLS client, offers in its words.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::config::Fingerprint;
use str0m::media::{MediaKind, SenderFeedback};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues, RtpPacket, RtpWrite};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcConfig};
use switchroom_engine::peer::{LocalTransport, RemoteTransport};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    RecvOnly,
    SendOnly,
    Inactive,
}

#[derive(Debug, Clone)]
struct Section {
    mid: String,
    direction: Direction,
    ssrc: u32,
}

pub struct Client {
    pub rtc: Rtc,
    pub address: SocketAddr,
    pub received: Vec<RtpPacket>,
    pub reports: Vec<(Instant, SenderFeedback)>,
    pub messages: Vec<(String, Vec<u8>)>,
    pub connected: bool,
    pub closed: bool,
    pub timeout: Instant,
    pub sent_at: Vec<Instant>,
    /// Datagrams are neither taken nor sent: the process was killed.
    pub dead: bool,
    sections: Vec<Section>,
    channels: HashMap<ChannelId, String>,
    started: bool,
    restarting: bool,
    sequence: u64,
    /// Ticks for which nothing was sent, on top of what the sequence number says.
    paused: u32,
}

impl Client {
    pub fn new(now: Instant, address: SocketAddr) -> Self {
        let mut extensions = ExtensionMap::empty();
        extensions.set(1, Extension::AudioLevel);
        extensions.set(4, Extension::RtpMid);
        let mut rtc = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, true)
            .enable_pcmu(true, false)
            .enable_pcma(true, false)
            .enable_g722(true, false)
            .set_extension_map(extensions)
            .build(now);
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        rtc.direct_api().set_ice_controlling(true);
        Self {
            rtc,
            address,
            received: Vec::new(),
            reports: Vec::new(),
            messages: Vec::new(),
            connected: false,
            closed: false,
            timeout: now,
            sent_at: Vec::new(),
            dead: false,
            sections: Vec::new(),
            channels: HashMap::new(),
            started: false,
            restarting: false,
            sequence: 500,
            paused: 0,
        }
    }

    pub fn add_section(&mut self, mid: &str, direction: Direction) {
        let mut api = self.rtc.direct_api();
        api.declare_media(mid.into(), MediaKind::Audio);
        let ssrc = api.new_ssrc();
        if direction == Direction::SendOnly {
            api.declare_stream_tx(ssrc, None, mid.into(), None);
        }
        self.sections.push(Section { mid: mid.into(), direction, ssrc: *ssrc });
    }

    pub fn set_direction(&mut self, mid: &str, direction: Direction) {
        self.sections.iter_mut().find(|s| s.mid == mid).unwrap().direction = direction;
    }

    pub fn transport(&mut self) -> RemoteTransport {
        let api = self.rtc.direct_api();
        let credentials = api.local_ice_credentials();
        RemoteTransport {
            ice_ufrag: credentials.ufrag,
            ice_pwd: credentials.pass,
            fingerprint: api.local_dtls_fingerprint().to_string(),
            setup: "active".into(),
        }
    }

    /// An offer in libwebrtc's words, with a data section at the end.
    pub fn offer(&mut self) -> String {
        let transport = self.transport();
        let mids: Vec<&str> = self.sections.iter().map(|s| s.mid.as_str()).collect();
        let mut sdp = format!(
            "v=0\r\no=- 3368845428960697744 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
             a=group:BUNDLE {} data\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n",
            mids.join(" ")
        );
        let common = format!(
            "c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
             a=candidate:1 1 udp 2122260223 6e2a5f0c-0000-4a11-9a5b-1a2b3c4d5e6f.local 54321 typ host\r\n\
             a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:trickle goog-sped-v1\r\n\
             a=fingerprint:{}\r\na=setup:actpass\r\n",
            transport.ice_ufrag, transport.ice_pwd, transport.fingerprint
        );
        for section in &self.sections {
            sdp += "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n";
            sdp += &common;
            sdp += &format!(
                "a=mid:{}\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
                 a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
                 a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
                 a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
                section.mid
            );
            sdp += match section.direction {
                Direction::RecvOnly => "a=recvonly\r\n",
                Direction::SendOnly => "a=sendonly\r\n",
                Direction::Inactive => "a=inactive\r\n",
            };
            sdp += "a=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\n\
                    a=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
                    a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\n\
                    a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\n\
                    a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n";
            if section.direction == Direction::SendOnly {
                sdp += &format!(
                    "a=msid:- cid-{0}\r\na=ssrc:{1} cname:someone\r\na=ssrc:{1} msid:- cid-{0}\r\n",
                    section.mid, section.ssrc
                );
            }
        }
        sdp += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
        sdp += &common;
        sdp += "a=mid:data\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";
        sdp
    }

    /// Takes an answer: the first one starts the connection.
    pub fn accept_answer(&mut self, answer: &str, server: SocketAddr) {
        let line = |prefix: &str| {
            let found = answer.lines().find_map(|line| line.strip_prefix(prefix));
            found.unwrap_or_else(|| panic!("no {prefix} in the answer")).trim().to_owned()
        };
        assert_eq!(line("a=setup:"), "passive");
        let transport = LocalTransport {
            ice_ufrag: line("a=ice-ufrag:"),
            ice_pwd: line("a=ice-pwd:"),
            fingerprint: line("a=fingerprint:"),
            candidates: vec![line("a=candidate:")],
        };
        self.connect(&transport, server, true);
        let mut mid = String::new();
        for line in answer.lines() {
            if let Some(name) = line.strip_prefix("a=mid:") {
                mid = name.trim().to_owned();
            }
            let ssrc = line.strip_prefix("a=ssrc:").and_then(|rest| rest.split(' ').next());
            if let Some(ssrc) = ssrc {
                self.expect(&mid, ssrc.parse().unwrap());
            }
        }
    }

    pub fn expect(&mut self, mid: &str, ssrc: u32) {
        self.rtc.direct_api().expect_stream_rx(ssrc.into(), None, mid.into(), None);
    }

    pub fn replace_stream(&mut self, mid: &str, old: u32, new: u32) {
        self.rtc.direct_api().remove_stream_rx(old.into());
        self.expect(mid, new);
    }

    pub fn connect(&mut self, transport: &LocalTransport, server: SocketAddr, opens: bool) {
        let mut api = self.rtc.direct_api();
        api.set_remote_ice_credentials(IceCreds {
            ufrag: transport.ice_ufrag.clone(),
            pass: transport.ice_pwd.clone(),
        });
        if std::mem::replace(&mut self.started, true) {
            if std::mem::take(&mut self.restarting) {
                // Checks begin anew (RFC 8445 §9), also on pairs that were given up.
                let server = Candidate::host(server, "udp").unwrap();
                self.rtc.direct_api().invalidate_candidate(&server);
                self.rtc.add_remote_candidate(server);
            }
            return;
        }
        let fingerprint: Fingerprint = transport.fingerprint.parse().unwrap();
        api.set_remote_fingerprint(fingerprint);
        api.start_dtls(true).unwrap();
        api.start_sctp(true);
        if opens {
            for label in ["_reliable", "_lossy", "_data_track"] {
                let reliable = label == "_reliable";
                api.create_data_channel(ChannelConfig {
                    label: label.into(),
                    ordered: reliable,
                    reliability: if reliable {
                        Reliability::Reliable
                    } else {
                        Reliability::MaxRetransmits { retransmits: 0 }
                    },
                    ..Default::default()
                });
            }
        }
        self.rtc.add_remote_candidate(Candidate::host(server, "udp").unwrap());
    }

    /// New ICE credentials for the next offer or answer.
    pub fn restart_ice(&mut self) {
        self.restarting = true;
        self.rtc.direct_api().set_local_ice_credentials(IceCreds::new());
    }

    pub fn change_ssrc(&mut self, mid: &str, ssrc: u32) {
        self.rtc.direct_api().reset_stream_tx(mid.into(), None, ssrc.into(), None).unwrap();
    }

    pub fn open_channels(&self) -> usize {
        self.channels.len()
    }

    pub fn open_channel(&mut self, label: &str) {
        self.rtc
            .direct_api()
            .create_data_channel(ChannelConfig { label: label.into(), ..Default::default() });
    }

    pub fn send_data(&mut self, label: &str, payload: &[u8]) {
        let id = *self.channels.iter().find(|(_, l)| *l == label).unwrap().0;
        assert!(self.rtc.channel(id).unwrap().write(true, payload).unwrap(), "client buffer full");
    }

    /// Sends one packet of 20 ms on a published section, 15 dB below overload and spoken.
    pub fn send_audio(&mut self, now: Instant, mid: &str, payload_type: u8, payload: &[u8]) {
        self.sequence += 1;
        let clock = if matches!(payload_type, 63 | 111) { 960 } else { 160 };
        let mut write = RtpWrite::new(
            payload_type.into(),
            self.sequence.into(),
            (self.sequence as u32).wrapping_mul(clock).wrapping_add(self.paused),
            now,
            Arc::<[u8]>::from(payload),
        );
        write = write.ext_vals(ExtensionValues {
            audio_level: Some(-15),
            voice_activity: Some(true),
            ..Default::default()
        });
        let mut api = self.rtc.direct_api();
        api.stream_tx_by_mid(mid.into(), None).unwrap().write_rtp(write);
        let _ = self.rtc.handle_input(Input::Timeout(now));
    }

    /// Lets time pass without a packet, as DTX does.
    #[allow(dead_code)] // not in every program that shares this file
    pub fn pause(&mut self, ticks: u32) {
        self.paused = self.paused.wrapping_add(ticks);
    }

    pub fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        if let Ok(receive) = Receive::new(Protocol::Udp, from, self.address, bytes) {
            let _ = self.rtc.handle_input(Input::Receive(now, receive));
        }
    }

    /// Lets time pass and empties the output: datagrams with their destinations.
    pub fn drain(&mut self, now: Instant, out: &mut Vec<(SocketAddr, Vec<u8>)>) {
        let _ = self.rtc.handle_input(Input::Timeout(now));
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.timeout = at;
                    return;
                }
                Ok(Output::Transmit(t)) => out.push((t.destination, t.contents.into())),
                Ok(Output::Event(event)) => self.event(now, event),
                Err(error) => panic!("the client broke: {error}"),
            }
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::Closed => self.closed = true,
            Event::RtpPacket(packet) => {
                self.sent_at.push(now);
                self.received.push(packet);
            }
            Event::SenderFeedback(feedback) => self.reports.push((now, feedback)),
            Event::ChannelOpen(id, label) => {
                self.channels.insert(id, label);
            }
            Event::ChannelData(data) => {
                self.messages.push((self.channels[&data.id].clone(), data.data));
            }
            _ => {}
        }
    }

    pub fn received_on(&self, mid: &str, ssrcs: &HashMap<u32, String>) -> Vec<&RtpPacket> {
        self.received
            .iter()
            .filter(|p| ssrcs.get(&*p.header.ssrc).is_some_and(|m| m == mid))
            .collect()
    }
}
